"""One notification to many targets as HTTP requests: what is the same is said once, what differs is a list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import overload

import msgspec

from wakeline.wire.http2.answers import Answer, Fields


class Ends(Sequence[bytes]):
    """Values that begin with the same `start` and go on with `size` bytes of their own each."""

    __slots__ = ("ends", "size", "start")

    def __init__(self, start: bytes, ends: Sequence[bytes], size: int) -> None:
        self.start = start
        self.ends = ends
        self.size = size

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, place: int) -> bytes: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[bytes]: ...

    def __getitem__(self, place: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(place, slice):
            return Ends(self.start, self.ends[place], self.size)
        return self.start + self.ends[place]


class OneField(Sequence[Fields]):
    """A field of each request under the same name, as `RequestBatch.extra` wants them."""

    __slots__ = ("name", "values")

    def __init__(self, name: bytes, values: Ends) -> None:
        self.name = name
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    @overload
    def __getitem__(self, place: int) -> Fields: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Fields]: ...

    def __getitem__(self, place: int | slice) -> Fields | Sequence[Fields]:
        if isinstance(place, slice):
            return [((self.name, value),) for value in self.values[place]]
        return ((self.name, self.values[place]),)


class RequestBatch(msgspec.Struct, kw_only=True, eq=False):
    """Prepared requests to one origin, as many as there are `paths`. Names in lower case, all values without CR and LF.

    `stable`: fields of every request of this and later batches (`:method`, `:scheme`, `:authority`, `user-agent`,
    `apns-topic` ...): they enter the peer's header table once and cost one byte afterwards. If `:path` is among them,
    `paths` only counts the requests.
    `literal`: fields of every request of this batch that must not enter any table (APNs `authorization`).
    `extra`: fields of each request (`apns-id` ...), literal; () means none for anybody.
    Where `paths` are `Ends`, `extra` is `OneField` and `body` is one for all, requests differ in nothing but these ends, and
    cost the connection next to nothing each.
    `body`: one for all, or one each; an empty one ends the request with its headers.
    `call`: may use the streams that are reserved for calls, and goes first.
    `deadline`: seconds on the event loop's clock; without an answer until then the request is given up.
    `keep_bodies`: answers with status 200 are told like all others, with headers and body.
    `on_answers(batch, accepted, others)`: called once or several times, on the loop's thread, with positions in `paths`;
    each position is told exactly once. `accepted` were answered 200 and nobody wants to read more; a range, where they
    follow each other.
    """

    stable: Fields
    paths: Sequence[bytes]
    body: bytes | Sequence[bytes]
    deadline: float
    on_answers: Callable[[RequestBatch, Sequence[int], list[tuple[int, Answer]]], None]
    extra: Sequence[Fields] = ()
    literal: Fields = ()
    call: bool = False
    keep_bodies: bool = False


class Answered(msgspec.Struct, eq=False):
    """What one look at the connection brought for one batch: positions in `batch.paths`.

    `refused` were never processed and may be sent again at once, elsewhere; `attempt` counts how often they were before.
    """

    batch: RequestBatch
    accepted: Sequence[int]
    others: list[tuple[int, Answer]]
    refused: list[int]
    attempt: int
