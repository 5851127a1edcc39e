"""What lies in the directory, and reading a file whole.

Links are followed (certbot, Kubernetes and Flexisip's own manual make them); what a name leads to is known by its stamp. A
file is read only if its stamp is the same before and after: one that is being written or exchanged is left for later.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import NamedTuple

import msgspec

from wakeline.service.credential_directory.names import looks_like_credential
from wakeline.wire.credential_file import MAX_BYTES

_OTHERS_READ = 0o004
_OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe must not keep us waiting


class Stamp(NamedTuple):
    """By what a file's content is known without reading it."""

    device: int
    inode: int
    size: int
    changed: int


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A name in the directory. `trouble`: why it cannot be read; `ignored`: why nobody wants to."""

    name: str
    stamp: Stamp = Stamp(0, 0, 0, 0)
    trouble: str = ""
    ignored: str = ""
    mode: int = 0
    link: bool = False

    @property
    def exposed(self) -> bool:
        """Tell whether everybody on this machine may read it."""
        return bool(self.mode & _OTHERS_READ)


class Unsettled(Exception):
    """The file changed while it was read."""


def look(directory: Path) -> dict[str, Entry]:
    """Return what lies in a directory, by name, in their order; hidden files are not seen. Raises OSError."""
    with os.scandir(directory) as found:
        names = sorted(entry.name for entry in found if not entry.name.startswith("."))
    return {name: _entry(directory / name) for name in names}


def _entry(path: Path) -> Entry:
    name = path.name
    try:
        found = path.stat()
    except OSError as error:
        if not looks_like_credential(name):
            return Entry(name=name, ignored="It is not named like a credential file.")
        return Entry(name=name, trouble=_why_not(path, error))
    stamp = Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
    entry = Entry(name=name, stamp=stamp, mode=stat.S_IMODE(found.st_mode), link=path.is_symlink())
    if stat.S_ISDIR(found.st_mode):
        return msgspec.structs.replace(entry, ignored="It is a directory; only files beside each other are looked at.")
    if not looks_like_credential(name):
        return msgspec.structs.replace(entry, ignored="It is not named like a credential file.")
    if not stat.S_ISREG(found.st_mode):
        return msgspec.structs.replace(entry, trouble="It is no regular file.")
    if found.st_size > MAX_BYTES:
        words = f"It has {found.st_size} bytes; a credential has a few thousand."
        return msgspec.structs.replace(entry, trouble=words)
    return entry


def _why_not(path: Path, error: OSError) -> str:
    match error.errno:
        case errno.ENOENT if path.is_symlink():
            return f"It is a link to {path.readlink()}, and there is no such file."
        case errno.ENOENT:
            return "It was taken away a moment ago."
        case errno.ELOOP:
            return "It is a link that leads back to itself."
        case errno.EACCES if path.is_symlink():
            return f"It is a link to {path.readlink()}, and this user may not go there."
        case _:
            return f"It cannot be looked at: {error.strerror}."


def read(directory: Path, entry: Entry) -> bytes:
    """Return the content of a file as it was looked at. Raises Unsettled, OSError."""
    handle = os.open(directory / entry.name, _OPEN)
    with os.fdopen(handle, "rb") as file:
        if _stamp(handle) != entry.stamp:
            raise Unsettled
        data = file.read(MAX_BYTES + 1)
        if _stamp(handle) != entry.stamp or len(data) != entry.stamp.size:
            raise Unsettled
    return data


def _stamp(handle: int) -> Stamp:
    found = os.fstat(handle)
    return Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
