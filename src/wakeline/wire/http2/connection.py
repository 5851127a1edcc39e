"""The state machine of one HTTP/2 client connection: bytes in, answers out; requests in, bytes out.

Theory: a read is parsed in one pass. A complete answer `:status: 200` in one HEADERS frame (nearly all of them are) is
recognised in the loop of `_parse`; every other frame goes through a table of handlers. What was learnt leaves as one
`Answered` per segment (see `streams`). What a peer must not do raises PeerBroke inside, which ends the connection with
a GOAWAY that names the error; answers read before it count.
Answers are put together in `incoming`, requests in `outgoing`; what is left here is the driver's interface and the frames
about the connection itself. Sections are those of RFC 9113.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

import msgspec

from wakeline.wire.http2 import frames
from wakeline.wire.http2.answers import STATUS_200, ConnectFailure, Lost
from wakeline.wire.http2.frames import ErrorCode, PeerBroke, Setting
from wakeline.wire.http2.incoming import (
    CONNECTION_WINDOW,
    HEADER_LIMIT,
    STREAM_WINDOW,
    Incoming,
    must_have,
)
from wakeline.wire.http2.outgoing import Outgoing
from wakeline.wire.http2.requests import Answered, RequestBatch
from wakeline.wire.http2.streams import Segment, Streams

_COMPLETE = frames.END_STREAM | frames.END_HEADERS
_FRAME_AND_BYTE = struct.Struct(">IBIB")  # `frames.FRAME_HEADER` and the payload's first byte
_RESERVED = 0x7FFF_FFFF
_DEBUG_SHOWN = 200
_LONGEST = frames.DEFAULT_FRAME_SIZE << 8 | 0xFF


class GoAway(msgspec.Struct, frozen=True):
    """The peer takes no more streams on this connection; Apple puts JSON `{"reason": ...}` into `debug`."""

    last_stream: int
    code: int
    debug: bytes

    def __str__(self) -> str:
        words = self.debug.decode("utf-8", "replace")[:_DEBUG_SHOWN]
        return f"GOAWAY {words}" if words.isprintable() and words else f"GOAWAY with code {self.code}"


class Connection:
    """One unary client connection; the driver moves bytes between it and a socket and tells it the time.

    `start_streams`: how many requests may leave before the server has announced its limits.
    `max_streams`: our own limit, for servers that announce none.
    Every method that takes `now` means seconds of one monotonic clock, the one of `RequestBatch.deadline`.
    """

    def __init__(self, *, now: float, start_streams: int = 0, max_streams: int = 1000) -> None:
        self.error: PeerBroke | None = None
        """Set once the peer broke the protocol: write what `take` gives, then close."""
        self.goaway: GoAway | None = None
        self.ready = False
        """Whether the server's SETTINGS are here."""
        self.answers = 0
        """Answers of the server, whatever their status."""
        self.last_received = now
        self.last_answered = now
        """When the last answer came, whatever its status; at first when the connection was made."""
        self.ping_sent: float | None = None
        """When the PING that is not acknowledged yet was sent."""
        self.leaving = False
        """The server has said by an answer that it is going; it gets no more requests."""
        self.peer_limit: int | None = None
        """The server's MAX_CONCURRENT_STREAMS; None: not announced."""
        self._start_streams = start_streams
        self._max_streams = max_streams
        self._streams = Streams()
        self._out = Outgoing(self._streams)
        self._in = Incoming(self._streams, self._out)
        self._rest = b""
        self._closed = False
        self._pings = 0
        self._handlers: dict[int, Callable[[int, int, bytes], None]] = {
            frames.DATA: self._in.on_data,
            frames.HEADERS: self._in.on_headers,
            frames.PRIORITY: self._on_priority,
            frames.RST_STREAM: self._in.on_rst_stream,
            frames.SETTINGS: self._on_settings,
            frames.PUSH_PROMISE: self._on_push_promise,
            frames.PING: self._on_ping,
            frames.GOAWAY: self._on_goaway,
            frames.WINDOW_UPDATE: self._on_window_update,
        }
        self._out.pieces += [
            frames.PREFACE,
            frames.settings(
                {
                    Setting.HEADER_TABLE_SIZE: 0,
                    Setting.ENABLE_PUSH: 0,
                    Setting.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
                    Setting.MAX_HEADER_LIST_SIZE: HEADER_LIMIT,
                }
            ),
            frames.window_update(0, CONNECTION_WINDOW - frames.DEFAULT_WINDOW),
        ]

    # --- what the driver asks ----------------------------------------------------------------------------------------

    @property
    def usable(self) -> bool:
        """Whether requests may be sent on it, now or once others are answered."""
        return (
            not (self._closed or self.leaving) and self.goaway is None and self._out.next_stream <= frames.MAX_STREAM_ID
        )

    @property
    def limit(self) -> int:
        """How many requests may be in flight at once."""
        if not self.ready:
            return self._start_streams
        return self._max_streams if self.peer_limit is None else min(self.peer_limit, self._max_streams)

    @property
    def in_flight(self) -> int:
        """How many requests have no answer yet."""
        return len(self._streams)

    @property
    def calls_in_flight(self) -> int:
        """How many of them are calls."""
        return self._streams.calls

    @property
    def capacity(self) -> int:
        """How many requests can be sent now; 0 also while the connection's window is closed."""
        if not self.usable or self._out.window <= 0:
            return 0
        ids = (frames.MAX_STREAM_ID - self._out.next_stream) // 2 + 1
        return max(0, min(self.limit - len(self._streams), ids))

    @property
    def unwritten(self) -> int:
        """How many bytes of requests wait for `take`, roughly."""
        return self._out.unwritten

    def has_output(self) -> bool:
        """Whether `take` has something to write."""
        return bool(self._out.pieces)

    def take(self) -> bytes:
        """Return the bytes to write now."""
        data = b"".join(self._out.pieces)
        self._out.pieces.clear()
        self._out.unwritten = 0
        return data

    # --- requests ----------------------------------------------------------------------------------------------------

    def send(self, batch: RequestBatch, indexes: Sequence[int], *, attempt: int = 0, max_bytes: int = 65_536) -> int:
        """Send requests of `batch`, as many of `indexes` (positions in it) as limits allow; return how many.

        It stops after `max_bytes`. A request that breaks the server's limits counts as taken; `collect` tells of it.
        """
        capacity = self.capacity
        return self._out.send(batch, indexes[:capacity], attempt, max_bytes) if capacity else 0

    def collect(self) -> list[Answered]:
        """Return what was learnt since the last `collect` or `receive`."""
        return self._streams.collect() if self._streams.touched else []

    def expire(self, now: float) -> list[Answered]:
        """Give up requests whose deadline has passed."""
        for stream in self._streams.overdue(now):
            if self._out.drop(stream):
                self._streams.lose(stream, Lost.NOT_WRITTEN, "the deadline passed before the request was sent whole")
            else:
                self._streams.lose(stream, Lost.TIMEOUT, "no answer until the deadline")
            self._in.reset(stream, ErrorCode.CANCEL)
        return self.collect()

    def ping(self, now: float) -> None:
        """Ask the server for a sign of life; `ping_sent` is None again once it gave one."""
        self._pings += 1
        self.ping_sent = now
        self._out.pieces.append(frames.frame(frames.PING, 0, 0, self._pings.to_bytes(8, "big")))

    def close(self) -> None:
        """Say goodbye: no more requests, and the last bytes to write are a GOAWAY."""
        if not self._closed:
            self._closed = True
            self._out.pieces.append(frames.goaway(0, ErrorCode.NO_ERROR))

    def abandon(self, detail: str, failure: ConnectFailure | None = None) -> list[Answered]:
        """Give up everything in flight because the connection is gone."""
        self._closed = True
        for stream in self._streams.ids():
            lost = Lost.NOT_WRITTEN if self._out.drop(stream) else Lost.UNKNOWN
            self._streams.lose(stream, lost, detail, failure)
        return self.collect()

    # --- reading -----------------------------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> list[Answered]:
        """Read what the server sent; return what became of requests, batch by batch."""
        self.last_received = now
        if self._closed and self.error is not None:
            return []
        try:
            self._parse(self._rest + data if self._rest else data)
            self._in.return_window()
        except PeerBroke as error:
            self._closed = True
            self.error = error
            self._out.pieces.append(frames.goaway(0, error.error_code, error.detail.encode()[:128]))
        for stream in self._out.stale_uploads():
            self._out.drop(stream)
            self._in.reset(stream, ErrorCode.CANCEL)  # RFC 9113 section 8.1: answered early, the rest is not wanted
        told = self.collect()
        answers = sum(len(part.accepted) + sum(answer.status > 0 for _, answer in part.others) for part in told)
        if answers:
            self.answers += answers
            self.last_answered = now
        return told

    def _parse(self, data: bytes) -> None:
        position, end = 0, len(data)
        take, unpack = self._streams.waiting.pop, _FRAME_AND_BYTE.unpack_from
        current: Segment | None = None
        accept: Callable[[int], None] = _nobody
        ours = self._in.block is None  # else every frame but CONTINUATION is an error
        while (payload := position + frames.FRAME_HEADER_SIZE) < end:
            start, flags, stream, first = unpack(data, position)
            following = payload + (start >> 8)
            if following > end:
                break
            if (
                first == STATUS_200
                and flags == _COMPLETE
                and start & 0xFF == frames.HEADERS < start < _LONGEST
                and ours
            ):
                segment = take(stream, None)
                if segment is not None and not segment.keep:
                    if segment is not current:
                        self._streams.touch(segment)
                        current, accept = segment, segment.accepted.append
                    accept(stream)
                    position = following
                    continue
                if segment is not None:
                    self._streams.waiting[stream] = segment
            self._on_frame(start & 0xFF, flags, stream & _RESERVED, data[payload:following])
            ours = self._in.block is None
            position = following
        self._rest = self._finish_read(data, position)

    def _finish_read(self, data: bytes, position: int) -> bytes:
        """Return what is left of a read: a part of a frame, or a frame without payload after all others, which is read."""
        rest = data[position:]
        if len(rest) < frames.FRAME_HEADER_SIZE:
            return rest
        start, flags, stream = frames.FRAME_HEADER.unpack_from(rest)
        if start > _LONGEST:
            raise PeerBroke(ErrorCode.FRAME_SIZE_ERROR, "a frame longer than 16384 bytes")
        if start >> 8:
            return rest
        self._on_frame(start, flags, stream & _RESERVED, b"")
        return b""

    def _on_frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if not self.ready and (kind != frames.SETTINGS or flags & frames.ACK):
            raise PeerBroke(ErrorCode.PROTOCOL_ERROR, "the server's first frame is not SETTINGS")  # section 3.4
        if len(payload) > frames.DEFAULT_FRAME_SIZE:
            raise PeerBroke(ErrorCode.FRAME_SIZE_ERROR, "a frame longer than 16384 bytes")
        if self._in.block is not None or kind == frames.CONTINUATION:
            self._in.on_continuation(kind, flags, stream, payload)
            return
        handler = self._handlers.get(kind)
        if handler is not None:  # section 4.1: unknown types are ignored
            handler(flags, stream, payload)

    def _on_goaway(self, flags: int, stream: int, payload: bytes) -> None:
        del flags
        if stream or len(payload) < 8:
            raise PeerBroke(ErrorCode.PROTOCOL_ERROR, "GOAWAY on a stream, or cut")
        last = int.from_bytes(payload[:4], "big") & _RESERVED
        if self.goaway is not None:
            last = min(last, self.goaway.last_stream)
        self.goaway = GoAway(last, int.from_bytes(payload[4:8], "big"), payload[8:])
        for unprocessed in self._streams.ids():
            if unprocessed > last:
                self._out.drop(unprocessed)
                self._streams.refuse(unprocessed)

    def _on_priority(self, flags: int, stream: int, payload: bytes) -> None:
        """Read over PRIORITY, which RFC 9113 section 5.3 deprecates."""
        del flags, stream
        must_have(payload, 5, "PRIORITY")

    def _on_push_promise(self, flags: int, stream: int, payload: bytes) -> None:
        del flags, payload
        raise PeerBroke(ErrorCode.PROTOCOL_ERROR, f"PUSH_PROMISE on stream {stream}, which we switched off")

    # --- the connection ----------------------------------------------------------------------------------------------

    def _on_settings(self, flags: int, stream: int, payload: bytes) -> None:
        if stream:
            raise PeerBroke(ErrorCode.PROTOCOL_ERROR, "SETTINGS on a stream")
        if len(payload) % 6 or (flags & frames.ACK and payload):
            raise PeerBroke(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS of a wrong length")
        if flags & frames.ACK:
            return
        for key, value in frames.SETTING.iter_unpack(payload):
            self._apply(key, value)
        self.ready = True
        self._out.pieces.append(frames.frame(frames.SETTINGS, frames.ACK, 0))
        self._out.pump()

    def _apply(self, key: int, value: int) -> None:
        """Obey one setting (section 6.5.2); unknown ones are ignored."""
        match key:
            case Setting.HEADER_TABLE_SIZE:
                self._out.encoder.resize(value)
            case Setting.ENABLE_PUSH if value:
                raise PeerBroke(ErrorCode.PROTOCOL_ERROR, "a server that enables push")
            case Setting.MAX_CONCURRENT_STREAMS:
                self.peer_limit = value
            case Setting.INITIAL_WINDOW_SIZE:
                if value > frames.MAX_WINDOW:
                    raise PeerBroke(ErrorCode.FLOW_CONTROL_ERROR, "an initial window over 2^31-1")
                self._out.set_initial_window(value)
            case Setting.MAX_FRAME_SIZE:
                if not frames.DEFAULT_FRAME_SIZE <= value <= frames.LARGEST_FRAME_SIZE:
                    raise PeerBroke(ErrorCode.PROTOCOL_ERROR, "a frame size that is not allowed")
                self._out.max_frame = value
            case Setting.MAX_HEADER_LIST_SIZE:
                self._out.max_header_list = value
            case _:
                pass

    def _on_ping(self, flags: int, stream: int, payload: bytes) -> None:
        if stream:
            raise PeerBroke(ErrorCode.PROTOCOL_ERROR, "PING on a stream")
        must_have(payload, 8, "PING")
        if not flags & frames.ACK:
            self._out.pieces.append(frames.frame(frames.PING, frames.ACK, 0, payload))
        elif payload == self._pings.to_bytes(8, "big"):
            self.ping_sent = None

    def _on_window_update(self, flags: int, stream: int, payload: bytes) -> None:
        del flags
        must_have(payload, 4, "WINDOW_UPDATE")
        increment = int.from_bytes(payload, "big") & _RESERVED
        if stream:
            self._in.must_be_ours(stream, "WINDOW_UPDATE")
            if not increment:
                self._in.stream_error(stream, ErrorCode.PROTOCOL_ERROR, "a window update of nothing")
            elif not self._out.open_stream_window(stream, increment):
                self._in.stream_error(stream, ErrorCode.FLOW_CONTROL_ERROR, "the stream's window grew over 2^31-1")
        elif not increment:
            raise PeerBroke(ErrorCode.PROTOCOL_ERROR, "a window update of nothing")
        else:
            self._out.open_window(increment)
        self._out.pump()


def _nobody(stream: int) -> None:
    """Stand in for a segment's list until the first answer of a read."""
