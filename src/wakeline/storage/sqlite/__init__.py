"""The embedded adapter: two SQLite files, one process that owns them, one fsync for many callers.

Rule: statements run on the loop's thread, in batches; only the COMMIT runs in a helper thread, and while it does the next
batch is collected. What is kept in memory (caches, leases, counters) changes after the commit, never before.
"""

from __future__ import annotations

from wakeline.storage.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
