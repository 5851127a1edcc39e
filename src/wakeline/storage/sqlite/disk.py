"""The disk under the store: how much is free, and a file that is given up when it is full.

The ballast is what makes promise 7 hold: what was sent can still be settled when nothing else can be written.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import structlog

from wakeline.ports import Clock

BALLAST = "ballast"
"""The name of the file."""

FRESH = 1.0
"""Seconds that a look at the disk is believed."""

_log = structlog.get_logger()


def disk_free(folder: Path) -> int:
    """Return the bytes that the disk of a folder has left for us."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


class Disk:
    """The free space where the store lives, looked at no more than once a second."""

    def __init__(self, folder: Path, clock: Clock, look: Callable[[Path], int] = disk_free) -> None:
        self._folder = folder
        self._clock = clock
        self._look = look
        self._free = 0
        self._until = float("-inf")

    def free(self) -> int:
        """Return free bytes."""
        now = self._clock.monotonic()
        if now >= self._until:
            self._free = self._look(self._folder)
            self._until = now + FRESH
        return self._free

    def forget(self) -> None:
        """Look again next time: something has just changed."""
        self._until = float("-inf")


class Ballast:
    """Reserved blocks beside the store."""

    def __init__(self, folder: Path, size: int, low_disk: int, disk: Disk) -> None:
        self._path = folder / BALLAST
        self._size = size
        self._low_disk = low_disk
        self._disk = disk

    def reserve(self) -> None:
        """Make the file if it is missing and the disk stays above the low mark with it."""
        self._disk.forget()
        if self._path.exists() or not self._size or self._disk.free() < self._low_disk + self._size:
            return
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(handle, 0, self._size)
        except OSError as error:
            self._path.unlink()
            _log.warning("ballast_refused", error=error.strerror)
        finally:
            os.close(handle)

    def give_up(self) -> bool:
        """Delete the file; tell whether that made room."""
        self._disk.forget()
        try:
            self._path.unlink()
        except FileNotFoundError:
            return False
        _log.error("ballast_given_up", bytes=self._size)
        return True
