"""Licence keys of self-hosted portals: kept in memory whole, written through."""

from __future__ import annotations

import msgspec

from wakeline.model.bitrix24.broker import PortalKey
from wakeline.model.errors import Conflict, NotFound
from wakeline.storage.sqlite.apps import SqliteApps
from wakeline.storage.sqlite.reader import Reader
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.writer import Writer

_SQL = load("portal_keys")
_facts = msgspec.json.Decoder(PortalKey)


class SqlitePortalKeys:
    """Keys by digest and id."""

    def __init__(self, writer: Writer, reader: Reader, apps: SqliteApps) -> None:
        self._writer = writer
        self._reader = reader
        self._apps = apps
        self._by_id: dict[int, PortalKey] = {}
        self._by_digest: dict[bytes, int] = {}

    async def load(self) -> None:
        """Read all keys."""
        for number, facts in self._reader.all(_SQL["portal_keys"]):
            self._put(msgspec.structs.replace(_facts.decode(facts), id=number))

    async def bind(self, key: PortalKey) -> PortalKey:
        """Keep a key under a new id. Raises Conflict, NotFound."""
        return await self._writer.write(lambda tx: self._bind(tx, key))

    def _bind(self, tx: Transaction, key: PortalKey) -> PortalKey:
        if self._apps.is_gone(key.app):
            raise NotFound("The app was deleted")
        if tx.one(_SQL["portal_key_of_digest"], (key.digest,)) is not None:
            raise Conflict("This key is bound already", fix="Remove it first to bind it to another app.")
        row = (key.app, key.digest, msgspec.json.encode(key))
        kept = msgspec.structs.replace(key, id=tx.execute(_SQL["insert_portal_key"], row).lastrowid or 0)
        tx.on_commit(lambda: self._put(kept))
        return kept

    async def remember(self, key: PortalKey) -> None:
        """Write where a key was seen, if it is still there."""
        await self._writer.write(lambda tx: self._remember(tx, key))

    def _remember(self, tx: Transaction, key: PortalKey) -> None:
        if tx.execute(_SQL["update_portal_key"], (msgspec.json.encode(key), key.id)).rowcount:
            tx.on_commit(lambda: self._put(key))

    async def remove(self, number: int) -> None:
        """Make a key useless. Raises NotFound."""
        await self._writer.write(lambda tx: self._remove(tx, number))

    def _remove(self, tx: Transaction, number: int) -> None:
        if not tx.execute(_SQL["delete_portal_key"], (number,)).rowcount:
            raise NotFound(f"There is no portal key {number}")
        tx.on_commit(lambda: self._drop(number))

    def by_digest(self, digest: bytes) -> PortalKey | None:
        """Return the key with this digest."""
        number = self._by_digest.get(digest)
        return None if number is None else self._by_id[number]

    def all(self) -> list[PortalKey]:
        """Return all, oldest first."""
        return sorted(self._by_id.values(), key=lambda key: key.id)

    async def forget_app(self, app: int) -> None:
        """Forget an app's keys."""
        await self._writer.write(lambda tx: tx.execute(_SQL["delete_portal_keys"], (app,)))
        for key in self.all():
            if key.app == app:
                self._drop(key.id)

    def _put(self, key: PortalKey) -> None:
        self._by_id[key.id] = key
        self._by_digest[key.digest] = key.id

    def _drop(self, number: int) -> None:
        key = self._by_id.pop(number, None)
        if key is not None:
            self._by_digest.pop(key.digest, None)
