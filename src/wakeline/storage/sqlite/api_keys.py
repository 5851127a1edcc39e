"""API keys: kept in memory whole, written through."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from wakeline.model.errors import Conflict, NotFound
from wakeline.model.key import ApiKey
from wakeline.storage.sqlite.reader import Reader
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.writer import Writer

_SQL = load("registers")
_facts = msgspec.json.Decoder(ApiKey)


class SqliteApiKeys:
    """Keys by digest and id."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self._by_id: dict[int, ApiKey] = {}
        self._by_digest: dict[bytes, int] = {}

    async def load(self) -> None:
        """Read all keys."""
        for number, digest, facts, revoked, last_used in self._reader.all(_SQL["api_keys"]):
            key = _facts.decode(facts)
            self._remember(msgspec.structs.replace(key, id=number, digest=digest, revoked=revoked, last_used=last_used))

    async def create(self, key: ApiKey) -> ApiKey:
        """Keep a key under a new id. Raises Conflict if its digest is known."""
        return await self._writer.write(lambda tx: self._create(tx, key))

    def _create(self, tx: Transaction, key: ApiKey) -> ApiKey:
        if tx.one(_SQL["api_key_of_digest"], (key.digest,)) is not None:
            raise Conflict("This API key exists already")
        row = (key.digest, msgspec.json.encode(key), key.revoked, key.last_used)
        kept = msgspec.structs.replace(key, id=tx.execute(_SQL["insert_api_key"], row).lastrowid or 0)
        tx.on_commit(lambda: self._remember(kept))
        return kept

    def by_digest(self, digest: bytes) -> ApiKey | None:
        """Return the key with this digest."""
        number = self._by_digest.get(digest)
        return None if number is None else self._by_id[number]

    def all(self) -> list[ApiKey]:
        """Return all keys."""
        return list(self._by_id.values())

    async def revoke(self, key: int, at: int) -> ApiKey:
        """Make it useless; a key revoked before keeps its time. Raises NotFound."""
        return await self._writer.write(lambda tx: self._revoke(tx, key, at))

    def _revoke(self, tx: Transaction, key: int, at: int) -> ApiKey:
        found = self._by_id.get(key)
        if found is None:
            raise NotFound(f"There is no API key with id {key}")
        if found.revoked is not None:
            return found
        revoked = msgspec.structs.replace(found, revoked=at)
        tx.execute(_SQL["revoke_api_key"], (at, key))
        tx.on_commit(lambda: self._remember(revoked))
        return revoked

    async def touch(self, used: Mapping[int, int]) -> None:
        """Write when keys were last used."""
        known = {key: at for key, at in used.items() if key in self._by_id}
        if known:
            await self._writer.write(lambda tx: self._touch(tx, known))

    def _touch(self, tx: Transaction, used: Mapping[int, int]) -> None:
        tx.many(_SQL["touch_api_key"], [(at, key) for key, at in used.items()])
        tx.on_commit(lambda: self._touched(used))

    def _touched(self, used: Mapping[int, int]) -> None:
        for key, at in used.items():
            self._remember(msgspec.structs.replace(self._by_id[key], last_used=at))

    def _remember(self, key: ApiKey) -> None:
        self._by_id[key.id] = key
        self._by_digest[key.digest] = key.id
