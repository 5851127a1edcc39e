"""Reading what is committed, on the loop's thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

from wakeline.model.errors import StoreUnavailable

_Parameters = Sequence[Any] | Mapping[str, Any]


class Reader:
    """The reading connection of a file; no transaction stays open but inside `snapshot`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def one(self, sql: str, parameters: _Parameters = ()) -> Any:
        """Return the first row, or None. Raises StoreUnavailable."""
        return next(self.lazily(sql, parameters), None)

    def all(self, sql: str, parameters: _Parameters = ()) -> list[Any]:
        """Return all rows. Raises StoreUnavailable."""
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise _unreadable(error) from error

    def lazily(self, sql: str, parameters: _Parameters = ()) -> Generator[Any, None, None]:
        """Yield rows one by one, for who stops early: close or exhaust the generator. Raises StoreUnavailable."""
        try:
            with closing(self._connection.execute(sql, parameters)) as cursor:
                yield from cursor
        except sqlite3.Error as error:
            raise _unreadable(error) from error

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Have all reads inside see the same commits, which land in another thread; await nothing inside."""
        self.all("BEGIN")
        try:
            yield
        finally:
            self.all("COMMIT")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _unreadable(error: sqlite3.Error) -> StoreUnavailable:
    return StoreUnavailable(f"The store cannot be read: {error}", retry_after=5)
