"""The named SQL of this adapter, read from `sql/*.sql`.

aiosql parses the files; its execution layer is not used, because batches, savepoints and the COMMIT in another thread need
the connection itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import aiosql

_FOLDER = Path(__file__).with_name("sql")


def load(name: str) -> Mapping[str, str]:
    """Return the statements of a file by their names."""
    queries = aiosql.from_path(_FOLDER / f"{name}.sql", "sqlite3", mandatory_parameters=False)
    names = [query for query in queries.available_queries if not query.endswith("_cursor")]
    return MappingProxyType({query: getattr(queries, query).sql for query in names})
