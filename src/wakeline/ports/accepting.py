"""Accepting: a notification, its key and its jobs, in one commit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec

from wakeline.model.delivery import DeliveryRow, NewJob
from wakeline.model.event import Event
from wakeline.model.notification import Notification


class IdempotencyKey(msgspec.Struct, frozen=True, kw_only=True):
    """What makes a POST repeatable: the caller's key in the scope of (API key, path); `fingerprint` is a digest of the body."""

    scope: str
    key: str
    fingerprint: bytes


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as it was, or will be, given. `secret`: it bore a secret and is never replayed; `resource` names it then."""

    status: int
    body: bytes
    secret: bool = False
    resource: str = ""


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """The same request was served before: this was its answer."""

    reply: Reply


class Mismatch(msgspec.Struct, frozen=True):
    """The Idempotency-Key was used with another body."""


class Running(msgspec.Struct, frozen=True):
    """The first request with this Idempotency-Key is still at work."""


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a bulk notification's ledger: at most 500 packed recipients, of one route."""

    recipients: bytes
    route: int


class Single(NamedTuple):
    """The only delivery of a notification: its route, and its recipient, packed."""

    route: int
    recipient: int


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """One notification with all that is kept with it in one commit.

    `rows` are deliveries that are final already (no credential, payload refused, limited). `chunks` belong to bulk; a job
    refers to the n-th of them by `chunk=-(n+1)`, and the store puts the row id in its place.
    `single`, in place of jobs, is all there is to do for a notification that has one recipient and waits for nothing: those of
    one batch that go the same way share a job, a parcel.
    `reply` is what the caller gets, and what a repeated `idempotency` key gets again.
    """

    notification: Notification
    single: Single | None = None
    jobs: tuple[NewJob, ...] = ()
    rows: tuple[DeliveryRow, ...] = ()
    chunks: tuple[Chunk, ...] = ()
    events: tuple[Event, ...] = ()
    idempotency: IdempotencyKey | None = None
    reply: Reply | None = None


class Committed(msgspec.Struct, frozen=True):
    """It is on disk."""


class Acceptance(Protocol):
    """Notification + idempotency key + jobs, in one commit (promise 1)."""

    async def accept(self, admissions: Sequence[Admission]) -> list[Committed | Replayed | Mismatch | Running]:
        """Keep all of them or, raising StoreUnavailable, or NotFound for a deleted app, none; returns when they are on disk.

        Calls that arrive while a commit runs share the next one. Twins of an idempotency key share one result.
        Queued `held` jobs of the same (app, collapse_key) are superseded by a new one with that key.
        """


class Idempotency(Protocol):
    """Repeatable POSTs that are not notifications (24 h)."""

    async def begin(self, key: IdempotencyKey, now: int) -> Committed | Replayed | Mismatch | Running:
        """Claim the key (Committed: go on), or say what became of its first use."""

    async def finish(self, key: IdempotencyKey, reply: Reply, now: int) -> None:
        """Keep the answer for repeats."""

    async def abandon(self, key: IdempotencyKey) -> None:
        """Forget a key whose request failed on our side."""

    async def prune(self, before: int) -> int:
        """Forget keys first used before that time; returns how many."""
