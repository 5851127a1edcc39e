"""What stands in a group commit: a caller's statements, what memory does behind them, and who waits to hear of it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

import structlog

_T = TypeVar("_T")
_log = structlog.get_logger()


class Transaction:
    """What one caller does: statements, and what memory shall do once they are kept, or undone."""

    __slots__ = ("_committed", "_connection", "_undone")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._committed: list[Callable[[], None]] = []
        self._undone: list[Callable[[], None]] = []

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run one statement."""
        return self._connection.execute(sql, parameters)

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """Return the first row, or None; the statement is finished before anything else runs."""
        return self._connection.execute(sql, parameters).fetchone()

    def all(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Return all rows."""
        return self._connection.execute(sql, parameters).fetchall()

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each row."""
        self._connection.executemany(sql, rows)

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Have it called once all of this is on disk."""
        self._committed.append(callback)

    def on_rollback(self, callback: Callable[[], None]) -> None:
        """Have it called if nothing of this was kept."""
        self._undone.append(callback)

    def kept(self) -> None:
        """Let memory follow."""
        _call(self._committed)

    def undone(self) -> None:
        """Let memory go back."""
        _call(self._undone)


class Member(Generic[_T]):
    """One caller in a group."""

    def __init__(self, work: Callable[[Transaction], _T], future: asyncio.Future[_T], *, essential: bool) -> None:
        self.work = work
        self.future = future
        self.essential = essential
        self.transaction: Transaction | None = None
        self.result: _T

    def run(self, connection: sqlite3.Connection) -> None:
        """Run the caller's statements."""
        self.transaction = Transaction(connection)
        self.result = self.work(self.transaction)

    def keep(self) -> None:
        """Tell the caller that it is on disk."""
        if self.transaction is not None:
            self.transaction.kept()
        if not self.future.done():
            self.future.set_result(self.result)

    def fail(self, error: BaseException) -> None:
        """Tell the caller that nothing was kept."""
        if self.transaction is not None:
            self.transaction.undone()
        if not self.future.done():
            self.future.set_exception(error)


class Errand:
    """Work of the helper thread outside a transaction, such as a checkpoint."""

    def __init__(self, work: Callable[[sqlite3.Connection], None], future: asyncio.Future[None]) -> None:
        self.work = work
        self.future = future

    def keep(self) -> None:
        """Tell the caller that it is done; one who was cancelled meanwhile does not ask any more."""
        if not self.future.done():
            self.future.set_result(None)

    def fail(self, error: BaseException) -> None:
        """Tell the caller that it is not done."""
        if not self.future.done():
            self.future.set_exception(error)


def _call(callbacks: list[Callable[[], None]]) -> None:
    for callback in callbacks:
        try:
            callback()
        except Exception:  # noqa: BLE001 - it is kept all the same, and the other callers of the group must hear so
            _log.exception("after_commit_failed")
