"""Housekeeping: the disk, the write-ahead logs, the ballast."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from wakeline.ports import StoreHealth
from wakeline.storage.sqlite.disk import FRESH, Ballast, Disk
from wakeline.storage.sqlite.writer import Writer

FAILURE_COUNTS = 5.0
"""Seconds that a failed commit makes the store unwritable; then somebody must try again to know better."""


class SqliteKeeper:
    """Looks after the files of the store."""

    def __init__(
        self, files: Sequence[Path], writers: Sequence[Writer], disk: Disk, ballast: Ballast, low_disk: int
    ) -> None:
        self._logs = [file.with_name(f"{file.name}-wal") for file in files]
        self._writers = writers
        self._disk = disk
        self._ballast = ballast
        self._low_disk = low_disk
        self._measured = 0
        self._measured_until = 0.0

    def health(self) -> StoreHealth:
        """Return how the store is; a nearly full disk makes it give up the ballast before a commit has to fail."""
        free = self._disk.free()
        low = free < self._low_disk
        if free < self._low_disk // 4:
            with contextlib.suppress(OSError):  # health is asked for by everybody, and goes on to say what is wrong
                self._ballast.give_up()
        failures = [writer.failure for writer in self._writers if writer.failure and _recent(writer)]
        detail = failures[0] if failures else f"{free} bytes are left on the disk" if low else ""
        return StoreHealth(
            writable=not failures,
            detail=detail,
            disk_free=free,
            wal_bytes=self._wal_bytes(),
            last_commit_seconds=max(writer.last_commit_seconds for writer in self._writers),
            low_disk=low,
        )

    def _wal_bytes(self) -> int:
        """Return the size of the logs; every accept asks how the store is, and two calls of stat took 3 % of a POST."""
        now = perf_counter()
        if now >= self._measured_until:
            self._measured = sum(map(_size, self._logs))
            self._measured_until = now + FRESH
        return self._measured

    async def checkpoint(self) -> None:
        """Fold the write-ahead logs into their databases, and reserve the ballast again once there is space."""
        for writer in self._writers:
            await writer.errand(_fold)
        self._measured_until = 0.0
        self._ballast.reserve()


def _fold(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def _recent(writer: Writer) -> bool:
    return perf_counter() - writer.failed_at < FAILURE_COUNTS


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
