"""HTTP/2 as the push services speak it, over the `h2` library.

What `h2` leaves to its user and this session adds:
- the stream limit is 1 until the connection has shown good credentials and may change at any time; a stream above
  every limit that the client may still believe in (RFC 9113 section 6.5.3) is refused;
- GOAWAY with Apple's JSON reason, after which streams under way are finished and later ones ignored;
- all answers of one read leave in one write.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque

import h2.events
import msgspec
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import Frame, GoAwayFrame, SettingsFrame

from wakeline.simulator.exchange import Answer, Effect, Peer, Request, Service, Wire

_UNLIMITED = 2**31 - 1
_MAX_HEADER_LIST = 8000  # as Apple announces
# What a client may open before it has seen our SETTINGS (RFC 9113 section 6.5.2: unlimited; 100 is its advice).
_BEFORE_SETTINGS = 100
_CONFIG = H2Configuration(
    client_side=False,
    header_encoding=None,
    validate_outbound_headers=False,
    normalize_outbound_headers=False,
)


class Limits:
    """The stream limits announced, and those that the client is bound by."""

    def __init__(self, first: int) -> None:
        self.announced = first
        self._believed: deque[int] = deque([_BEFORE_SETTINGS, first])

    def announce(self, limit: int) -> None:
        """A SETTINGS frame with `limit` is on its way."""
        self.announced = limit
        self._believed.append(limit)

    def acknowledged(self) -> None:
        """The client has taken the oldest announcement."""
        if len(self._believed) > 1:
            self._believed.popleft()

    @property
    def bound(self) -> int:
        """The most streams that a client obeying the protocol can have open now."""
        return max(self._believed)


class Http2Session:
    """One HTTP/2 connection of a client."""

    def __init__(self, wire: Wire, service: Service, peer: Peer) -> None:
        self._wire = wire
        self._service = service
        self._exchange = service.connect(peer)
        self._trusted = service.trusts_at_first(peer)
        self._limits = Limits(self._limit())
        self._open: dict[int, tuple[dict[str, str], tuple[str, ...], list[bytes]]] = {}
        self._under_way: set[int] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._taken = 0
        self._highest_taken = 0
        self._last_stream: int | None = None
        self._blocked: dict[int, bytes] = {}
        self._extra = b""
        self._h2 = _server_connection()
        first = {
            SettingCodes.HEADER_TABLE_SIZE: 4096,
            SettingCodes.MAX_CONCURRENT_STREAMS: self._limits.announced,
            SettingCodes.INITIAL_WINDOW_SIZE: 65535,
            SettingCodes.MAX_FRAME_SIZE: 16384,
            SettingCodes.MAX_HEADER_LIST_SIZE: _MAX_HEADER_LIST,
        }
        wire.write(SettingsFrame(0, settings={int(code): value for code, value in first.items()}).serialize())

    def receive(self, data: bytes) -> None:
        """Takes what the client sent and answers what can be answered at once."""
        try:
            events = self._h2.receive_data(data)
        except ProtocolError:
            self._wire.write(self._h2.data_to_send())
            self._wire.finish()
            return
        for event in events:
            self._handle(event)
        self._flush()

    def lost(self) -> None:
        """The connection is gone: nobody waits for the rest."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def refresh(self) -> None:
        """Announces the stream limit if the behaviour has changed it."""
        self._announce()
        self._flush()

    def goaway(self, reason: str) -> None:
        """Ends the connection after what is under way, with Apple's JSON reason as debug data."""
        self._goaway(reason, self._h2.highest_inbound_stream_id)
        self._flush()

    def _goaway(self, reason: str, last_stream: int) -> None:
        """Streams above `last_stream` are not taken, even if their first frames are here already."""
        if self._last_stream is not None:
            return
        self._last_stream = last_stream
        for stream in [each for each in self._open if each > last_stream]:
            del self._open[stream]
            self._under_way.discard(stream)
        debug = msgspec.json.encode({"reason": reason})
        frame = GoAwayFrame(0, last_stream_id=self._last_stream, error_code=0, additional_data=debug)
        self._extra += frame.serialize()

    def _handle(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived(stream_id=int(stream), headers=list(headers)):
                self._begin(stream, headers)
            case h2.events.DataReceived(stream_id=int(stream), data=bytes(data), flow_controlled_length=int(n)):
                self._h2.acknowledge_received_data(n, stream)
                if stream in self._open:
                    self._open[stream][2].append(data)
            case h2.events.StreamEnded(stream_id=int(stream)):
                self._complete(stream)
            case h2.events.StreamReset(stream_id=int(stream)):
                self._open.pop(stream, None)
                self._under_way.discard(stream)
            case h2.events.WindowUpdated() | h2.events.RemoteSettingsChanged():
                self._unblock()
            case h2.events.SettingsAcknowledged():
                self._limits.acknowledged()
            case h2.events.ConnectionTerminated():
                self._client_leaves()
            case _:
                pass  # pings and settings are answered by h2; priorities mean nothing to us

    def _begin(self, stream: int, headers: list[tuple[bytes, bytes]]) -> None:
        if self._last_stream is not None and stream > self._last_stream:
            return
        if len(self._under_way) >= self._limits.bound:
            self._h2.reset_stream(stream, ErrorCodes.REFUSED_STREAM)
            return
        self._under_way.add(stream)
        self._open[stream] = (*_header_map(headers), [])

    def _complete(self, stream: int) -> None:
        opened = self._open.pop(stream, None)
        if opened is None:
            return
        headers, repeated, pieces = opened
        method, path = headers.pop(":method", ""), headers.pop(":path", "")
        headers.pop(":scheme", None)
        request = Request(method, path, headers, b"".join(pieces), repeated)
        answer = self._exchange(request)
        if answer.trusted is not None:
            self._trusted = answer.trusted
            self._announce()
        self._perform(stream, answer)
        self._taken += 1
        self._highest_taken = max(self._highest_taken, stream)
        behaviour = self._service.behaviour
        if behaviour.goaway_after and self._taken >= behaviour.goaway_after:
            self._goaway(behaviour.goaway_reason, self._highest_taken)

    def _perform(self, stream: int, answer: Answer) -> None:
        if answer.effect is Effect.SILENT:
            return
        if answer.delay_s <= 0:
            self._send(stream, answer)
            return

        def due() -> None:
            self._timers.discard(timer)
            self._send(stream, answer)
            self._flush()

        timer = asyncio.get_running_loop().call_later(answer.delay_s, due)
        self._timers.add(timer)

    def _send(self, stream: int, answer: Answer) -> None:
        if stream not in self._under_way:
            return
        self._under_way.discard(stream)
        if answer.effect is Effect.CLOSE:
            self._wire.abort()
        elif answer.effect is Effect.RESET:
            self._h2.reset_stream(stream, answer.error_code)
        else:
            # The client may have reset the stream in the same read that brought the request's end.
            with contextlib.suppress(ProtocolError):
                headers = [(":status", str(answer.status)), *answer.headers]
                self._h2.send_headers(stream, headers, end_stream=not answer.body)
                self._send_body(stream, answer.body)

    def _send_body(self, stream: int, body: bytes) -> None:
        """Sends `body` in one DATA frame if it fits: aioapns reads each frame as a whole JSON document."""
        while body:
            room = min(self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size)
            if room < min(len(body), self._h2.max_outbound_frame_size):
                self._blocked[stream] = body
                return
            piece, body = body[:room], body[room:]
            self._h2.send_data(stream, piece, end_stream=not body)

    def _unblock(self) -> None:
        """The client has opened a window: what waited for it goes on."""
        blocked, self._blocked = self._blocked, {}
        for stream, body in blocked.items():
            with contextlib.suppress(ProtocolError):
                self._send_body(stream, body)

    def _client_leaves(self) -> None:
        """The client sends nothing new, but its streams under way are still answered (RFC 9113 section 6.8)."""
        self._last_stream = self._h2.highest_inbound_stream_id

    def _limit(self) -> int:
        return self._service.behaviour.max_streams if self._trusted else 1

    def _announce(self) -> None:
        limit = self._limit()
        if limit != self._limits.announced:
            self._limits.announce(limit)
            code = int(SettingCodes.MAX_CONCURRENT_STREAMS)
            self._extra += SettingsFrame(0, settings={code: limit}).serialize()

    def _flush(self) -> None:
        data = self._h2.data_to_send() + self._extra
        self._extra = b""
        if data:
            self._wire.write(data)
        if self._last_stream is not None and not self._under_way and not self._blocked:
            self._wire.finish()


class _Connection(H2Connection):
    """An `h2` connection that goes on after the client's GOAWAY.

    h2 counts that frame as the end of everything and refuses what follows it, be it the acknowledgement of our SETTINGS
    in the same read.
    """

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[h2.events.Event]]:  # noqa: ARG002 - h2's form
        return [], [h2.events.ConnectionTerminated()]


def _server_connection() -> H2Connection:
    """An `h2` connection that never refuses by itself: refusing is the session's business, and its SETTINGS too."""
    connection = _Connection(_CONFIG)
    limits = {
        SettingCodes.MAX_CONCURRENT_STREAMS: _UNLIMITED,
        SettingCodes.MAX_HEADER_LIST_SIZE: _MAX_HEADER_LIST,
    }
    connection.local_settings = Settings(client=False, initial_values=limits)
    connection.initiate_connection()
    connection.clear_outbound_data_buffer()
    return connection


def _header_map(headers: list[tuple[bytes, bytes]]) -> tuple[dict[str, str], tuple[str, ...]]:
    known: dict[str, str] = {}
    repeated: list[str] = []
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("utf-8", "replace")
        if name in known:
            repeated.append(name)
            value = f"{known[name]}, {value}"
        known[name] = value
    return known, tuple(repeated)
