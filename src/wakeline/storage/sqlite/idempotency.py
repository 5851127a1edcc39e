"""Repeatable requests: a key's first use decides what every later one gets.

A twin inside one uncommitted group sees the row of the first, and both wait for the same commit.
"""

from __future__ import annotations

from wakeline.ports import Committed, IdempotencyKey, Mismatch, Replayed, Reply, Running
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.writer import Writer

_SQL = load("registers")

PRUNE_BATCH = 100
"""Keys deleted in one transaction: less than a millisecond, so that nobody waits long."""


def claim(
    tx: Transaction, key: IdempotencyKey, reply: Reply | None, now: int
) -> Committed | Replayed | Mismatch | Running:
    """Take a key in a transaction, with its answer if that is known, or say what became of its first use."""
    found = tx.one(_SQL["idempotency"], (key.scope, key.key))
    if found is None:
        tx.execute(_SQL["claim_idempotency"], _row(key, reply, now))
        return Committed()
    fingerprint, status, body, secret, resource = found
    if fingerprint != key.fingerprint:
        return Mismatch()
    if status is None:
        return Running()
    return Replayed(reply=Reply(status=status, body=body, secret=bool(secret), resource=resource))


class SqliteIdempotency:
    """Keys of requests that are not notifications."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def load(self) -> None:
        """Forget keys whose request died with the last process."""
        await self._writer.write(lambda tx: tx.execute(_SQL["abandon_all_idempotency"]))

    async def begin(self, key: IdempotencyKey, now: int) -> Committed | Replayed | Mismatch | Running:
        """Claim the key."""
        return await self._writer.write(lambda tx: claim(tx, key, None, now))

    async def finish(self, key: IdempotencyKey, reply: Reply, now: int) -> None:
        """Keep the answer."""
        await self._writer.write(lambda tx: tx.execute(_SQL["finish_idempotency"], _row(key, reply, now)))

    async def abandon(self, key: IdempotencyKey) -> None:
        """Forget a key that has no answer yet."""
        await self._writer.write(lambda tx: tx.execute(_SQL["abandon_idempotency"], (key.scope, key.key)))

    async def prune(self, before: int) -> int:
        """Forget keys first used before that time, in batches."""
        pruned, parameters = 0, (before, PRUNE_BATCH)
        while batch := await self._writer.write(lambda tx: tx.execute(_SQL["prune_idempotency"], parameters).rowcount):
            pruned += batch
        return pruned


def _row(key: IdempotencyKey, reply: Reply | None, now: int) -> tuple[object, ...]:
    if reply is None:
        return (key.scope, key.key, key.fingerprint, now, None, b"", False, "")
    return (key.scope, key.key, key.fingerprint, now, reply.status, reply.body, reply.secret, reply.resource)
