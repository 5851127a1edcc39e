"""Which open stream carries which request, without an object per request.

Requests that are sent in one go get neighbouring stream ids, so one `Segment` describes all of them, and a dictionary
maps each open id to its segment. An answer without surprises only takes its id out of that dictionary and appends it to
a list; positions are worked out once per segment and read. Stream ids grow, segments are few, and each has one deadline:
no timer per request exists either.
"""

from __future__ import annotations

from collections.abc import Sequence

from wakeline.wire.http2.answers import Answer, ConnectFailure, Lost
from wakeline.wire.http2.requests import Answered, RequestBatch


class Segment:
    """Requests of one batch on neighbouring streams: position `indexes[k]` went out on stream `first + 2 * k`."""

    __slots__ = ("accepted", "attempt", "batch", "first", "indexes", "keep", "left", "others", "refused", "touched")

    def __init__(self, batch: RequestBatch, indexes: Sequence[int], first: int, attempt: int) -> None:
        self.batch = batch
        self.indexes = indexes
        self.first = first
        self.attempt = attempt
        self.keep = batch.keep_bodies
        self.left = len(indexes)
        self.touched = False
        self.accepted: list[int] = []  # stream ids
        self.others: list[tuple[int, Answer]] = []  # (position, answer)
        self.refused: list[int] = []  # positions

    def position(self, stream: int) -> int:
        """Return the position in the batch of the request on `stream`."""
        return self.indexes[(stream - self.first) >> 1]

    def streams(self) -> range:
        """Return the ids of all its streams, open or not."""
        return range(self.first, self.first + 2 * len(self.indexes), 2)

    def _positions(self) -> Sequence[int]:
        """Return the positions of those accepted. A stream is answered once: as many as from the first to the last are all."""
        first, indexes, accepted = self.first, self.indexes, self.accepted
        if len(accepted) > 1 and isinstance(indexes, range):
            low, high = min(accepted), max(accepted)
            if high - low == 2 * len(accepted) - 2:
                return indexes[(low - first) >> 1 : ((high - first) >> 1) + 1]
        return [indexes[(stream - first) >> 1] for stream in accepted]

    def drain(self) -> Answered:
        """Return what was collected since the last time."""
        answered = Answered(self.batch, self._positions(), self.others, self.refused, self.attempt)
        self.left -= len(self.accepted) + len(self.others) + len(self.refused)
        self.accepted, self.others, self.refused = [], [], []
        self.touched = False
        return answered


class Reply:
    """An answer that has begun: its head is here, its end is not."""

    __slots__ = ("block", "body", "segment", "status", "window")

    def __init__(self, segment: Segment, status: int, block: bytes, window: int) -> None:
        self.segment = segment
        self.status = status
        self.block = block
        self.body = b""
        self.window = window
        """Bytes of DATA that the peer may still send on this stream."""


class Streams:
    """All open streams of a connection, and what was learnt and not told yet."""

    def __init__(self) -> None:
        self.waiting: dict[int, Segment] = {}
        """Streams without a head of an answer."""
        self.replies: dict[int, Reply] = {}
        self.touched: list[Segment] = []
        self.calls = 0
        """Requests of calls that nothing was told about yet."""
        self._segments: dict[int, Segment] = {}

    def __len__(self) -> int:
        return len(self.waiting) + len(self.replies)

    def open(self, segment: Segment) -> None:
        """Take a segment whose requests go out now."""
        self._segments[segment.first] = segment
        if segment.batch.call:
            self.calls += segment.left
        self.waiting.update(dict.fromkeys(segment.streams(), segment))

    def take(self, stream: int) -> Segment | None:
        """Close a stream and return its segment; None if it is not open."""
        segment = self.waiting.pop(stream, None)
        if segment is None and (reply := self.replies.pop(stream, None)) is not None:
            return reply.segment
        return segment

    def accept(self, segment: Segment, stream: int) -> None:
        """Note an answer 200 that nobody reads, for a stream that was taken."""
        self.touch(segment)
        segment.accepted.append(stream)

    def answer(self, segment: Segment, stream: int, answer: Answer) -> None:
        """Note any other end of a stream that was taken."""
        self.touch(segment)
        segment.others.append((segment.position(stream), answer))

    def refuse(self, stream: int) -> None:
        """Note that an open stream was not processed."""
        segment = self.take(stream)
        if segment is not None:
            self.touch(segment)
            segment.refused.append(segment.position(stream))

    def touch(self, segment: Segment) -> None:
        """Remember that a segment has something to tell."""
        if not segment.touched:
            segment.touched = True
            self.touched.append(segment)

    def collect(self) -> list[Answered]:
        """Return everything learnt since the last time, an entry per segment."""
        told = []
        for segment in self.touched:
            before = segment.left
            told.append(segment.drain())
            if segment.batch.call:
                self.calls -= before - segment.left
            if not segment.left:
                del self._segments[segment.first]
        self.touched = []
        return told

    def overdue(self, now: float) -> list[int]:
        """Return the open streams whose deadline has passed."""
        late = [segment for segment in self._segments.values() if segment.batch.deadline <= now]
        return [stream for segment in late for stream in segment.streams() if self.is_open(stream)]

    def is_open(self, stream: int) -> bool:
        """Whether an answer on this stream is still expected."""
        return stream in self.waiting or stream in self.replies

    def lose(self, stream: int, lost: Lost, detail: str, failure: ConnectFailure | None = None) -> None:
        """Close an open stream without an answer."""
        segment = self.take(stream)
        if segment is not None:
            self.answer(segment, stream, Answer(status=0, lost=lost, detail=detail, failure=failure))

    def ids(self) -> list[int]:
        """Return all open streams, in the order in which they were opened."""
        return sorted([*self.waiting, *self.replies])
