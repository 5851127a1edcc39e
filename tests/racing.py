"""A process of its own that migrates a store at the same moment as another: found by name in whatever process asks."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from wakeline.storage.sqlite.migrate import migrate


def race(path: Path, folder: Path, start: object, results: object) -> None:
    """Migrate when everybody is there, and say what was applied."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=60)
    start.wait()  # type: ignore[attr-defined]  # a barrier shared by processes has no public type
    results.put(migrate(connection, "main", folder))  # type: ignore[attr-defined]  # nor has a queue
