"""Webhook endpoints: kept in memory whole, written through; the secrets that sign for them are sealed on disk.

One that was deleted is gone at once, with its secrets. Its log may be millions of rows, and is forgotten by and by when the log
is pruned, so that nobody waits for it and a crash only delays it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from wakeline.model.errors import SecretError
from wakeline.model.webhook import Endpoint, EndpointHealth, EndpointSecret, Message, MessagePage, MessageState
from wakeline.ports import Clock, Secrets
from wakeline.ports.webhooks import Progress
from wakeline.storage.sealed import signing_context
from wakeline.storage.sqlite.bitrix24.spans import is_row_id
from wakeline.storage.sqlite.reader import Reader
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.webhooks.log import MessageLog, keep
from wakeline.storage.sqlite.writer import Writer
from wakeline.storage.webhooks import no_endpoint, rotated

_SQL = load("webhooks")
_facts = msgspec.json.Decoder(Endpoint)
_health = msgspec.json.Decoder(EndpointHealth)
_secrets = msgspec.msgpack.Decoder(tuple[EndpointSecret, ...])


class SqliteEndpoints:
    """Endpoints by id, with their log."""

    def __init__(self, writer: Writer, reader: Reader, secrets: Secrets, clock: Clock) -> None:
        self._writer = writer
        self._reader = reader
        self._seals = secrets
        self._clock = clock
        self._log = MessageLog(writer, reader)
        self._endpoints: dict[int, Endpoint] = {}
        self._health: dict[int, EndpointHealth] = {}
        self._listeners: list[Callable[[int], None]] = []

    async def load(self) -> None:
        """Read all endpoints, and how far each was told."""
        for number, facts, health in self._reader.all(_SQL["endpoints"]):
            self._endpoints[number] = _facts.decode(facts)
            self._health[number] = _health.decode(health)

    async def create(self, endpoint: Endpoint, secret: bytes, *, cursor: int) -> Endpoint:
        """Keep a new endpoint that is told of what comes after `cursor` in the journal; its id is given by the store."""
        return await self._writer.write(lambda tx: self._create(tx, endpoint, secret, EndpointHealth(cursor=cursor)))

    def _create(self, tx: Transaction, endpoint: Endpoint, secret: bytes, health: EndpointHealth) -> Endpoint:
        number = tx.execute(_SQL["insert_endpoint"], (msgspec.json.encode(health),)).lastrowid or 0
        kept = msgspec.structs.replace(endpoint, id=number)
        sealed = self._sealed(number, (EndpointSecret(value=secret),))
        tx.execute(_SQL["furnish_endpoint"], (msgspec.json.encode(kept), sealed, number))
        tx.on_commit(lambda: self._health.__setitem__(number, health))
        tx.on_commit(lambda: self._remember(kept))
        return kept

    def get(self, endpoint: int) -> Endpoint | None:
        """Return one by id."""
        return self._endpoints.get(endpoint)

    def all(self) -> list[Endpoint]:
        """Return all, oldest first."""
        return list(self._endpoints.values())

    async def change(self, endpoint: Endpoint) -> None:
        """Write what became of it. Raises NotFound."""
        await self._writer.write(lambda tx: self._change(tx, endpoint))

    def _change(self, tx: Transaction, endpoint: Endpoint) -> None:
        row = (msgspec.json.encode(endpoint), endpoint.id)
        if not is_row_id(endpoint.id) or not tx.execute(_SQL["update_endpoint"], row).rowcount:
            raise no_endpoint(endpoint.id)
        tx.on_commit(lambda: self._remember(endpoint))

    async def delete(self, endpoint: int) -> None:
        """Forget it with its log. Raises NotFound."""
        await self._writer.write(lambda tx: self._delete(tx, endpoint))

    def _delete(self, tx: Transaction, endpoint: int) -> None:
        if not is_row_id(endpoint) or not tx.execute(_SQL["mark_endpoint"], (endpoint,)).rowcount:
            raise no_endpoint(endpoint)
        tx.on_commit(lambda: self._drop(endpoint))

    def _drop(self, endpoint: int) -> None:
        self._endpoints.pop(endpoint)
        self._health.pop(endpoint)
        self._tell(endpoint)

    async def secrets(self, endpoint: int) -> tuple[EndpointSecret, ...]:
        """Open its secrets, the current one first. Raises NotFound, SecretError."""
        row = self._reader.one(_SQL["sealed"], (endpoint,)) if is_row_id(endpoint) else None
        secrets = self._opened(endpoint, row)
        if not secrets:
            raise SecretError(
                f"The secret of webhook endpoint {endpoint} was forgotten with a master key that was lost",
                fix="Rotate it: `wakeline webhook rotate` gives a new one, which its receiver has to be told.",
            )
        return secrets

    async def rotate(self, endpoint: int, secret: bytes, *, until: int) -> None:
        """Make this the current secret; the former ones sign until `until` (Unix ms) at the longest.

        Raises NotFound, SecretError.
        """
        await self._writer.write(lambda tx: self._rotate(tx, endpoint, secret, until))

    def _rotate(self, tx: Transaction, endpoint: int, secret: bytes, until: int) -> None:
        present = self._opened(endpoint, tx.one(_SQL["sealed"], (endpoint,)) if is_row_id(endpoint) else None)
        secrets = rotated(present, secret, until=until, now=self._clock.now())
        tx.execute(_SQL["reseal_secrets"], (self._sealed(endpoint, secrets), endpoint))
        tx.on_commit(lambda: self._tell(endpoint))

    def _sealed(self, endpoint: int, secrets: tuple[EndpointSecret, ...]) -> bytes:
        return self._seals.seal(msgspec.msgpack.encode(secrets), signing_context(endpoint))

    def _opened(self, endpoint: int, row: tuple[bytes] | None) -> tuple[EndpointSecret, ...]:
        if row is None:
            raise no_endpoint(endpoint)
        (sealed,) = row
        return _secrets.decode(self._seals.open(sealed, signing_context(endpoint))) if sealed else ()

    def health(self, endpoint: int) -> EndpointHealth:
        """Return how the telling goes; a fresh one for an unknown id."""
        return self._health.get(endpoint, EndpointHealth())

    async def record(self, progress: Sequence[Progress]) -> None:
        """Write what a turn changed, of all endpoints that are still there, in one commit."""
        if progress:
            await self._writer.write(lambda tx: self._record(tx, progress))

    def _record(self, tx: Transaction, progress: Sequence[Progress]) -> None:
        for one in progress:
            if tx.execute(_SQL["set_health"], (msgspec.json.encode(one.health), one.endpoint)).rowcount:
                keep(tx, one.messages)
                tx.on_commit(partial(self._follow, one))

    def _follow(self, progress: Progress) -> None:
        self._log.grown(progress.endpoint, len(progress.messages))
        if progress.endpoint in self._endpoints:  # it may have been deleted in the same commit
            self._health[progress.endpoint] = progress.health

    async def waiting(self, endpoint: int, *, limit: int) -> list[Message]:
        """Return the messages of an endpoint that are WAITING, the earliest `due` first, ties by `seq`."""
        return self._log.waiting(endpoint, limit) if endpoint in self._endpoints else []

    async def waiting_counts(self) -> dict[int, int]:
        """Return how many messages are WAITING, by endpoint; those without any are left out."""
        counts = self._reader.all(_SQL["count_waiting"])
        return {endpoint: number for endpoint, number in counts if endpoint in self._endpoints}

    async def message(self, endpoint: int, seq: int) -> Message | None:
        """Return one row of the log."""
        return self._log.one(endpoint, seq) if endpoint in self._endpoints else None

    async def log(
        self, endpoint: int, *, state: MessageState | None = None, cursor: int | None = None, limit: int = 50
    ) -> MessagePage:
        """Return the delivery log of an endpoint, the newest `seq` first."""
        if endpoint not in self._endpoints:
            return MessagePage(messages=(), cursor=None)
        return self._log.page(endpoint, state, cursor, limit)

    async def prune(self, before: int, limit: int) -> int:
        """Forget up to `limit` messages that are TAKEN or GIVEN_UP and changed last before that time; returns how many.

        Those of an endpoint that was deleted go first, whatever their state and age. What one that is disabled gave up since it
        was stays: it may go on from there.
        """
        gone = 0
        for (endpoint,) in self._reader.all(_SQL["marked_endpoints"]):
            gone += await self._log.forget(endpoint, limit - gone)
            if gone == limit:
                return gone
            await self._writer.write(partial(_forget, endpoint=endpoint))
        stopped = [(endpoint, one.stopped) for endpoint, one in self._health.items() if one.stopped is not None]
        return gone + await self._log.prune(before, limit - gone, stopped)

    async def trim(self, most: int, limit: int) -> int:
        """Forget up to `limit` of the oldest messages that wait no more, where an endpoint has more than `most`."""
        gone = 0
        for endpoint in list(self._endpoints):
            if gone < limit and self.health(endpoint).stopped is None:
                gone += await self._log.trim(endpoint, most, limit - gone)
        return gone

    def listen(self, changed: Callable[[int], None]) -> None:
        """Have `changed(id)` called after an endpoint was made, changed, rotated or deleted."""
        self._listeners.append(changed)

    def _remember(self, endpoint: Endpoint) -> None:
        self._endpoints[endpoint.id] = endpoint
        self._tell(endpoint.id)

    def _tell(self, endpoint: int) -> None:
        for changed in self._listeners:
            changed(endpoint)


def _forget(tx: Transaction, endpoint: int) -> None:
    tx.execute(_SQL["delete_endpoint"], (endpoint,))
