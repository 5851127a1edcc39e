"""One process owns a data directory: a lock that the kernel lets go of when the process dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from wakeline.model.errors import StoreBusy, StoreUnavailable

NAME = "wakeline.lock"


class OwnerLock:
    """The lock on a data directory; the file says who holds it."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / NAME
        self._handle: int | None = None

    def take(self) -> None:
        """Take the lock. Raises StoreBusy, naming the owner's pid, and StoreUnavailable for a directory we may not write."""
        try:
            # Whoever else may write here must not have us empty a file of ours by a link.
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise StoreUnavailable(
                f"{self._path} cannot be opened: {error.strerror}",
                fix="Give the data directory, and what is in it, to the user that the gateway runs as.",
            ) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
            os.close(handle)
            raise StoreBusy(
                f"Another process (pid {owner}) owns {self._path.parent}",
                fix="Stop it, or speak to it instead: commands reach a running server through its socket.",
            ) from None
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        self._handle = handle

    def release(self) -> None:
        """Let the lock go; the file stays, for a lock on a deleted file would be nobody's."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
