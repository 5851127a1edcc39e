"""HTTP/2 on the public listener: a connection that begins with its preface is served here, by the same ASGI application.

A Flexisip calls its external-push-uri by HTTP/2 and nothing else, unless it is told to (docs/adr/0030). Frames, windows and header
compression are the library's (`h2`); here are the streams, each a task of the application, and the bounds. Rules: what the
application has not read is not given back to the client's window; what the client does not take waits here, for each stream alone;
who resets streams faster than they are answered (CVE-2023-44487) is hung up on; a stop says GOAWAY and lets what is under way end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from urllib.parse import unquote

import structlog
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from hyperframe.frame import GoAwayFrame
from starlette.types import Message, Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from wakeline.service.http2_stream import Stream

PREFACE = b"PRI * HTTP/2.0\r\n"
"""How a connection begins that speaks HTTP/2 from its first byte (RFC 9113 section 3.4): no request of HTTP/1.1 does."""

LONGEST_FRAME = 128 * 1024
"""Bytes without a whole frame or head in them; the library waits for all of a frame before it finds it too long."""

MOST_RESETS = 200
"""Streams that a client may have reset beyond those that were answered."""

STILL_SECONDS = 60.0
"""Without a byte of a body that is due, or of an answer that is fetched."""

MOST_UNSENT = 1024 * 1024
"""Bytes that wait for a client who asks and does not read."""

_CONFIG = H2Configuration(client_side=False, header_encoding=None)
_OF_HTTP1 = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})
"""RFC 9113 section 8.2.2."""

_log = structlog.get_logger()


class Http2Connection(asyncio.Protocol):
    """One connection, taken over from `first`, which has heard its preface."""

    def __init__(self, first: HttpToolsProtocol) -> None:
        """`first` is uvicorn's connection: it knows the application, the peer and the server's state."""
        self.transport: asyncio.Transport = first.transport
        self._first = first
        self._state: ServerState = first.server_state
        self._h2 = H2Connection(_CONFIG)
        self._streams: dict[int, Stream] = {}
        self._resets = 0
        self._unframed = 0
        self._leaving = False
        self._paused = False
        self._heard = self._fetched = self._since = first.loop.time()
        self._unsent = 0

    def begin(self, data: bytes) -> None:
        """Take over, with what was heard."""
        self._state.connections.discard(self._first)
        self._state.connections.add(self)  # type: ignore[arg-type] # it has what uvicorn asks of one: `shutdown`
        self.transport.set_protocol(self)
        self._h2.initiate_connection()
        self.data_received(data)

    def data_received(self, data: bytes) -> None:
        """Take what the client sent, and answer what can be answered at once."""
        self._heard = self._first.loop.time()
        try:
            events = self._h2.receive_data(data)
            for event in events:
                self._handle(event)
        except ProtocolError:
            self._flush()
            self.transport.close()
            return
        self._flush()
        self._unframed = 0 if events else self._unframed + len(data)
        if self._is_abused():
            self.transport.abort()

    def _is_abused(self) -> bool:
        unsent = self.transport.get_write_buffer_size()
        return self._unframed > LONGEST_FRAME or self._resets > MOST_RESETS or unsent > MOST_UNSENT

    def connection_lost(self, exc: Exception | None) -> None:
        """Let every request know."""
        del exc
        self._state.connections.discard(self)
        for stream in self._streams.values():
            stream.gone = True
            stream.changed.set()

    def eof_received(self) -> None:
        """Close: a client of HTTP/2 that has said all wants no answer any more."""

    def pause_writing(self) -> None:
        """Write no more bodies."""
        self._paused = True

    def resume_writing(self) -> None:
        """Go on."""
        self._paused = False
        self._changed()

    def shutdown(self) -> None:
        """Take no request any more, and close when those under way are answered (uvicorn calls it)."""
        self._leave()

    def is_overdue(self, now: float) -> bool:
        """Tell whether the client has kept us waiting too long. `now` on the loop's clock."""
        before, self._unsent = self._unsent, self.transport.get_write_buffer_size()
        if not self._unsent or self._unsent < before:
            self._fetched = now
        if now - self._fetched > STILL_SECONDS:
            return True
        if not self._streams:
            return now - self._since > self._first.timeout_keep_alive
        return now - self._heard > STILL_SECONDS and any(not one.ended for one in self._streams.values())

    def _handle(self, event: Event) -> None:
        match event:
            case RequestReceived(stream_id=int(number), headers=list(headers)):
                self._open(number, headers)
            case DataReceived(stream_id=int(number), data=bytes(data), flow_controlled_length=int(credit)):
                stream = self._streams.get(number)
                if stream is None:
                    self._h2.acknowledge_received_data(credit, number)
                else:
                    stream.arrived(data, credit)
            case StreamEnded(stream_id=int(number)) if number in self._streams:
                self._streams[number].ended = True
                self._streams[number].changed.set()
            case StreamReset(stream_id=int(number)):
                self._reset(number)
            case WindowUpdated() | RemoteSettingsChanged():
                self._changed()
            case ConnectionTerminated():
                self._leave()
            case _:
                pass  # the library answers pings and settings; priorities mean nothing here

    def _open(self, number: int, headers: list[tuple[bytes, bytes]]) -> None:
        scope = None if self._leaving else self._scope(headers)
        if scope is None:
            code = ErrorCodes.REFUSED_STREAM if self._leaving else ErrorCodes.PROTOCOL_ERROR
            self._h2.reset_stream(number, code)
            return
        stream = self._streams[number] = Stream(self, number, scope)
        task = self._first.loop.create_task(self._serve(stream))
        self._state.tasks.add(task)
        task.add_done_callback(self._state.tasks.discard)

    def _scope(self, headers: list[tuple[bytes, bytes]]) -> Scope | None:
        """Return the request as ASGI has it; None: it is none that is served here (CONNECT, a path that is none)."""
        said = dict(pair for pair in headers if pair[0].startswith(b":"))
        path, _, query = said.get(b":path", b"").partition(b"?")
        if not path.isascii() or not (path.startswith(b"/") or path == b"*"):
            return None
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "2",
            "method": said[b":method"].decode("ascii", "replace"),
            "scheme": self._first.scheme,
            "path": unquote(path.decode("ascii")),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": list(_fields(headers, said.get(b":authority"))),
            "client": self._first.client,
            "server": self._first.server,
            "state": self._first.app_state.copy(),
        }

    async def _serve(self, stream: Stream) -> None:
        try:
            await self._first.app(stream.scope, stream.receive, stream.send)
        except Exception:  # noqa: BLE001 - a defect ends this request, and no other
            _log.exception("http2.request_failed", path=stream.scope["path"])
        finally:
            self._end(stream)

    def _end(self, stream: Stream) -> None:
        """Forget a request; one that was not answered whole is reset."""
        self._streams.pop(stream.number, None)
        self._since = self._first.loop.time()
        if not stream.gone and not (stream.answered and stream.ended):
            code = ErrorCodes.NO_ERROR if stream.answered else ErrorCodes.INTERNAL_ERROR
            self._try(lambda: self._h2.reset_stream(stream.number, code))
        if self._leaving and not self._streams:
            self.transport.close()

    def _reset(self, number: int) -> None:
        self._resets += 1
        stream = self._streams.get(number)
        if stream is not None:
            stream.gone = True
            stream.changed.set()

    def _leave(self) -> None:
        if not self._leaving:
            self._leaving = True
            frame = GoAwayFrame(0, last_stream_id=self._h2.highest_inbound_stream_id, error_code=0)
            self.transport.write(frame.serialize())
        if not self._streams:
            self.transport.close()

    def _changed(self) -> None:
        for stream in self._streams.values():
            stream.changed.set()

    def room(self, number: int) -> int:
        """Return how many bytes of a body may be written now."""
        if self._paused:
            return 0
        try:
            return max(0, min(self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size))
        except ProtocolError:
            return 0

    def give_back(self, number: int, credit: int) -> None:
        """Let the client send as much again as was read."""
        if credit:
            self._try(lambda: self._h2.acknowledge_received_data(credit, number))

    def answer(self, stream: Stream, start: Message, *, last: bool) -> None:
        """Write status and headers; `last`: there is no body."""
        fields = [(b":status", b"%d" % start["status"]), *self._state.default_headers]
        fields += [(name.lower(), value) for name, value in start.get("headers", ()) if name.lower() not in _OF_HTTP1]
        self._try(lambda: self._h2.send_headers(stream.number, fields, end_stream=last))
        self._state.total_requests += 1
        self._resets = max(0, self._resets - 1)
        stream.answered = last
        if self._first.access_log:
            self._log_access(stream.scope, start["status"])

    def write(self, stream: Stream, body: bytes, *, last: bool) -> None:
        """Write a piece of a body, for which there is room."""
        self._try(lambda: self._h2.send_data(stream.number, body, end_stream=last))
        stream.answered = last

    def _try(self, act: Callable[[], None]) -> None:
        """Do something to a stream that the client may have ended meanwhile."""
        try:
            act()
        except ProtocolError:
            return
        self._flush()

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data and not self.transport.is_closing():
            self.transport.write(data)

    def _log_access(self, scope: Scope, status: int) -> None:
        host, port = self._first.client or ("", 0)
        path = scope["raw_path"].decode() + (
            "?" + scope["query_string"].decode("latin-1") if scope["query_string"] else ""
        )
        said = (f"{host}:{port}" if host else "", scope["method"], path, "2", status)
        self._first.access_logger.info('%s - "%s %s HTTP/%s" %d', *said)


def _fields(headers: list[tuple[bytes, bytes]], authority: bytes | None) -> Iterator[tuple[bytes, bytes]]:
    """Yield the headers as HTTP/1.1 has them: `host` from the authority, crumbs of cookies joined (RFC 9113 section 8.2.3)."""
    names = {name for name, _ in headers}
    if authority is not None and b"host" not in names:
        yield b"host", authority
    crumbs = [value for name, value in headers if name == b"cookie"]
    if crumbs:
        yield b"cookie", b"; ".join(crumbs)
    yield from ((name, value) for name, value in headers if not name.startswith(b":") and name != b"cookie")
