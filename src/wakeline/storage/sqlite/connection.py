"""Opening connections: one that writes and one that reads a file.

WAL lets the reader go on while the writer commits. `synchronous=FULL` makes every COMMIT wait for the disk: that is what
"accepted means kept" stands on (https://www.sqlite.org/pragma.html#pragma_synchronous).
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

WAL_PAGES = 2000
"""Pages of log after which it is folded into the file: 8 MB."""

WAL_PAGES_AT_MOST = 4 * WAL_PAGES
"""Pages after which a commit folds it, should the folding beside the commits fall behind."""

WAL_PAGES_ALONE = 16_000
"""The same for a command that has the store for itself, 64 MB: a page that is written often is folded in less often."""

_BUSY_MS = 5000
_JOURNAL_LIMIT = 64 * 1024 * 1024


def open_writer(path: Path, *, cache_kib: int, wal_pages: int = WAL_PAGES) -> sqlite3.Connection:
    """Open (and create) a file for writing; transactions are begun by hand. Raises sqlite3.Error."""
    connection = _open(path, cache_kib)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA wal_autocheckpoint = {wal_pages}")
    connection.execute(f"PRAGMA journal_size_limit = {_JOURNAL_LIMIT}")
    return connection


def open_reader(path: Path, *, cache_kib: int) -> sqlite3.Connection:
    """Open a file for reading what is committed. Raises sqlite3.Error."""
    connection = _open(path, cache_kib)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _open(path: Path, cache_kib: int) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path,
        isolation_level=None,
        check_same_thread=False,  # the COMMIT runs in the helper thread, never beside a statement of ours
        cached_statements=256,
    )
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
    connection.execute(f"PRAGMA cache_size = -{cache_kib}")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection
