"""Folding a write-ahead log into its file beside the commits, so that none of them has to wait for it.

SQLite by itself folds inside the COMMIT that fills the log: thousands of pages, 10 to 30 ms, and a call may wait behind it. So a
connection of its own folds while commits go on; what they added meanwhile is little, and is folded between two commits, after
which the log begins anew (https://www.sqlite.org/wal.html, "Avoiding Excessively Large WAL Files").
How large the log is only a checkpoint tells: the commits until the next one are reckoned from what the last one found.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from wakeline.storage.sqlite.connection import WAL_PAGES

AT_FIRST = 100
FEWEST, MOST = 10, 10_000
"""Commits between two foldings."""


class Folding:
    """The folding of one file. `connect` opens its connection; `connect` and `fold` run in the thread."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], name: str) -> None:
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"fold-{name}")
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        self._commits = self._counted = self._folded = 0
        self._every = AT_FIRST

    def count(self) -> bool:
        """Count a commit; tells whether it is time to fold."""
        self._commits += 1
        if self._commits < self._every:
            return False
        self._counted, self._commits = self._commits, 0
        return True

    def fold(self) -> None:
        """Fold what is there. Raises sqlite3.Error."""
        if self._connection is None:
            self._connection = self._connect()
        self._folded = fold(self._connection)

    def finish(self, connection: sqlite3.Connection) -> None:
        """Fold what was added meanwhile, on the connection that writes, and learn from it. Raises sqlite3.Error.

        A log that was folded whole began anew with the next commit: then it has less than was folded.
        """
        pages = max(self._folded, fold(connection))
        if pages > 0:
            self._every = min(max(self._counted * WAL_PAGES // pages, FEWEST), MOST)

    def close(self) -> None:
        """End the thread and close its connection."""
        self.thread.shutdown()
        if self._connection is not None:
            self._connection.close()


def fold(connection: sqlite3.Connection) -> int:
    """Fold as much as readers allow, waiting for nobody; return how many pages the log has. Raises sqlite3.Error."""
    _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return int(pages)
