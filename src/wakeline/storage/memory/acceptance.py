"""Accepting notifications and remembering repeatable requests, in dictionaries."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from wakeline.model.errors import NotFound, StoreUnavailable
from wakeline.ports import Admission, Committed, IdempotencyKey, Mismatch, Replayed, Reply, Running
from wakeline.storage.memory.books import Account, Books
from wakeline.storage.parcels import gathered
from wakeline.storage.waiting import is_written


class _Use(msgspec.Struct):
    """The first use of a key."""

    fingerprint: bytes
    at: int
    reply: Reply | None = None


class MemoryIdempotency:
    """Keys with their answers."""

    def __init__(self) -> None:
        self._uses: dict[tuple[str, str], _Use] = {}

    def claim(self, key: IdempotencyKey, reply: Reply | None, now: int) -> Committed | Replayed | Mismatch | Running:
        """Take the key, or say what became of its first use."""
        use = self._uses.get((key.scope, key.key))
        if use is None:
            self._uses[key.scope, key.key] = _Use(key.fingerprint, now, reply)
            return Committed()
        if use.fingerprint != key.fingerprint:
            return Mismatch()
        return Running() if use.reply is None else Replayed(reply=use.reply)

    async def begin(self, key: IdempotencyKey, now: int) -> Committed | Replayed | Mismatch | Running:
        """Claim the key."""
        return self.claim(key, None, now)

    async def finish(self, key: IdempotencyKey, reply: Reply, now: int) -> None:
        """Keep the answer."""
        self._uses[key.scope, key.key] = _Use(key.fingerprint, now, reply)

    async def abandon(self, key: IdempotencyKey) -> None:
        """Forget a key that has no answer yet."""
        use = self._uses.get((key.scope, key.key))
        if use is not None and use.reply is None:
            del self._uses[key.scope, key.key]

    async def prune(self, before: int) -> int:
        """Forget keys first used before that time."""
        old = [name for name, use in self._uses.items() if use.at < before]
        for name in old:
            del self._uses[name]
        return len(old)


class MemoryAcceptance:
    """Keeps admissions; nothing can fail but a key that exists."""

    def __init__(self, books: Books, idempotency: MemoryIdempotency) -> None:
        self._books = books
        self._idempotency = idempotency

    async def accept(self, admissions: Sequence[Admission]) -> list[Committed | Replayed | Mismatch | Running]:
        """Keep all of them, or raise StoreUnavailable, or NotFound for a deleted app, and keep none."""
        if any(self._books.apps.is_gone(admission.notification.app) for admission in admissions):
            raise NotFound("The app was deleted")
        keys = [admission.notification.key for admission in admissions]
        if len({*keys}) < len(keys) or any(key in self._books.accounts for key in keys):
            raise StoreUnavailable("A notification with this key is kept already")
        results = [self._one(admission) for admission in admissions]
        self._books.add_jobs(
            gathered(
                admission
                for admission, result in zip(admissions, results, strict=True)
                if isinstance(result, Committed)
            )
        )
        return results

    def _one(self, admission: Admission) -> Committed | Replayed | Mismatch | Running:
        books, notification = self._books, admission.notification
        if admission.idempotency is not None:
            first = self._idempotency.claim(admission.idempotency, admission.reply, notification.created)
            if not isinstance(first, Committed):
                return first
        for collapse_key in {job.collapse_key for job in admission.jobs} - {""}:
            books.supersede(notification.app, collapse_key)
        books.accounts[notification.key] = Account(notification, {})
        chunks = books.add_chunks(notification.key, admission.chunks)
        for row in admission.rows:
            books.write(row)
            if is_written(row.state):
                books.count(notification.key, row.state, 1)
        books.events.keep(admission.events)
        books.add_jobs(admission.jobs, chunks)
        if admission.single is None:
            books.complete([notification.key])
        return Committed()
