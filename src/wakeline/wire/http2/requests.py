"""One notification to many targets as HTTP requests: what is the same is said once, what differs is a list."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from wakeline.wire.http2.answers import Answer, Fields


class RequestBatch(msgspec.Struct, kw_only=True, eq=False):
    """Prepared requests to one origin, as many as there are `paths`. Names in lower case, all values without CR and LF.

    `stable`: fields of every request of this and later batches (`:method`, `:scheme`, `:authority`, `user-agent`,
    `apns-topic` ...): they enter the peer's header table once and cost one byte afterwards. If `:path` is among them,
    `paths` only counts the requests.
    `literal`: fields of every request of this batch that must not enter any table (APNs `authorization`).
    `extra`: fields of each request (`apns-id` ...), literal; () means none for anybody.
    `body`: one for all, or one each; an empty one ends the request with its headers.
    `call`: may use the streams that are reserved for calls, and goes first.
    `deadline`: seconds on the event loop's clock; without an answer until then the request is given up.
    `keep_bodies`: answers with status 200 are told like all others, with headers and body.
    `on_answers(batch, accepted, others)`: called once or several times, on the loop's thread, with positions in `paths`;
    each position is told exactly once. `accepted` were answered 200 and nobody wants to read more.
    """

    stable: Fields
    paths: Sequence[bytes]
    body: bytes | Sequence[bytes]
    deadline: float
    on_answers: Callable[[RequestBatch, list[int], list[tuple[int, Answer]]], None]
    extra: Sequence[Fields] = ()
    literal: Fields = ()
    call: bool = False
    keep_bodies: bool = False


class Answered(msgspec.Struct, eq=False):
    """What one look at the connection brought for one batch: positions in `batch.paths`.

    `refused` were never processed and may be sent again at once, elsewhere; `attempt` counts how often they were before.
    """

    batch: RequestBatch
    accepted: list[int]
    others: list[tuple[int, Answer]]
    refused: list[int]
    attempt: int
