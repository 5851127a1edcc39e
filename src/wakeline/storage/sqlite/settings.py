"""Small facts of the installation: kept in memory whole, written through."""

from __future__ import annotations

from wakeline.storage.sqlite.reader import Reader
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.writer import Writer

_SQL = load("registers")


class SqliteSettings:
    """Values by name."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self._values: dict[str, str] = {}

    async def load(self) -> None:
        """Read all settings."""
        self._values = dict(self._reader.all(_SQL["settings"]))

    async def get(self, name: str) -> str | None:
        """Return a value, or None."""
        return self._values.get(name)

    def known(self, name: str) -> str | None:
        """Return a value without waiting, for the routes."""
        return self._values.get(name)

    async def set(self, name: str, value: str | None) -> None:
        """Keep a value; None forgets it."""
        await self._writer.write(lambda tx: self.put(tx, name, value))

    def put(self, tx: Transaction, name: str, value: str | None) -> None:
        """Keep a value together with what else the transaction does."""
        if value is None:
            tx.execute(_SQL["delete_setting"], (name,))
        else:
            tx.execute(_SQL["set_setting"], (name, value))
        tx.on_commit(lambda: self._remember(name, value))

    def _remember(self, name: str, value: str | None) -> None:
        if value is None:
            self._values.pop(name, None)
        else:
            self._values[name] = value
