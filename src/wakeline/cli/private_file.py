"""Files that hold a private key: readable for their owner alone, on disk when we say so, never in the place of another unasked.

A new file is made only if its name is free (open(2), O_EXCL); one that takes another's place is written beside it and renamed.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from wakeline.model.errors import Conflict, NotFound


def claim(*paths: Path) -> None:
    """Raise Conflict if one of them is there already, or is named twice."""
    for path in paths:
        if os.path.lexists(path) or paths.count(path) > 1:
            raise _taken(path, "Name another one, or move it away.")


def write(path: Path, content: bytes, *, replace: bool = False, fix: str = "Name another one.") -> None:
    """Write a file. Raises Conflict with `fix` if there is one and `replace` is not given, NotFound if it cannot be written."""
    place = path.with_name(f".{path.name}.{os.getpid()}") if replace else path
    try:
        _write_new(place, content)
        place.replace(path)
        _sync(path.parent)
    except FileExistsError:
        raise _taken(path, fix) from None
    except OSError as error:
        raise NotFound(f"The file {path} cannot be written: {error.strerror}.") from None


def _taken(path: Path, fix: str) -> Conflict:
    return Conflict(f"The file {path} exists already.", fix=fix)


def _write_new(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink()  # half a key is worse than none
        raise


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
