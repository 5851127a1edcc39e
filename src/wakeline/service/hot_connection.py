"""A connection of the public listener that serves the hot route itself; uvicorn and ASGI serve everything else.

A request costs ASGI a task, a scope, four messages and two writes; here it costs an object and one write (docs/adr/0019).
Rule 1: a head is kept back until it is whole. If it is not for the hot route, uvicorn hears it from its beginning, as if
nobody had listened before; the same if the body turns out to be for the application.
Rule 2: while a request of the hot route is under way, an `_Exchange` stands where uvicorn keeps its cycle. So uvicorn's own
rules hold: what is pipelined behind it waits and stops the reading, a lost connection and a shutdown find it.
Rule 3: only what leaves no question is served here: HTTP/1.1 that stays open, nothing before it under way, nothing unsent.
What is used of uvicorn beyond its documentation is listed in tests/unit/service/test_uvicorn_inside.py.
"""

from __future__ import annotations

import asyncio

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from wakeline.edges.rest import HotRoute
from wakeline.edges.rest.hot import Head
from wakeline.edges.rest.operations import Answer
from wakeline.edges.rest.writing import encoded, fields
from wakeline.service.connections import BoundedConnection

_log = structlog.get_logger()


class _Exchange:
    """A request of the hot route and its answer, with what uvicorn asks of a cycle."""

    __slots__ = ("connection", "disconnected", "head", "keep_alive", "response_complete")
    message_event = asyncio.Event()
    """uvicorn sets it when the connection is lost; nobody waits for it."""

    def __init__(self, connection: HotConnection, head: Head) -> None:
        self.connection = connection
        self.head = head
        self.disconnected = False
        self.keep_alive = True
        self.response_complete = False

    def tell(self, answer: Answer) -> None:
        """Send the answer."""
        self.connection.send_answer(self, answer)


class HotConnection(BoundedConnection):
    """One connection of the public listener."""

    route: HotRoute
    _url = b""
    _said: list[tuple[bytes, bytes]] | None = None
    """Headers that were kept back; None once uvicorn hears the request itself."""
    _exchange: _Exchange | None = None
    """The request whose body is being read here."""
    _body: list[bytes]

    def on_message_begin(self) -> None:
        """Keep the head back."""
        self._url = b""
        self._said = []

    def on_url(self, url: bytes) -> None:
        """Keep it back, whole or in pieces."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep it back; what comes after a chunked body is uvicorn's."""
        if self._said is None:
            super().on_header(name, value)
        else:
            self._said.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Decide whose it is."""
        asked = self._asked()
        if asked is None:
            self._leave()
            return
        self._turn(in_head=False)
        self._body = []
        self._exchange = _Exchange(self, asked)
        self.cycle = self._exchange  # type: ignore[assignment] # it has what uvicorn asks of it

    def on_body(self, body: bytes) -> None:
        """Collect it; it is announced to be no longer than the route reads."""
        if self._exchange is None:
            super().on_body(body)
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """Hand the request over."""
        exchange = self._exchange
        if exchange is None:
            super().on_message_complete()
            return
        self._exchange = None
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        if self._is_taken(exchange, body):
            self._turn(in_head=True)
            return
        self.cycle = None  # type: ignore[assignment] # as uvicorn begins
        self._leave()
        self.cycle.keep_alive = self.cycle.keep_alive and exchange.keep_alive
        super().on_body(body)
        super().on_message_complete()

    def _asked(self) -> Head | None:
        """Return the head if it is for the hot route."""
        parser = self.parser
        before: RequestResponseCycle | None = self.cycle  # uvicorn begins with none
        is_usual = (
            parser.get_method() == self.route.method
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not (self.pipeline or self.flow.write_paused)
            and (before is None or before.response_complete)
        )
        if not is_usual or self._said is None:
            return None
        try:
            return self.route.head(self._url, self._said)
        except Exception:  # noqa: BLE001 - httptools would make 400 of a defect of ours; the application makes 500
            _log.exception("http.hot_route_failed")
            return None

    def _is_taken(self, exchange: _Exchange, body: bytes) -> bool:
        try:
            return self.route.submit(exchange.head, body, exchange.tell)
        except Exception:  # noqa: BLE001 - as above
            _log.exception("http.hot_route_failed")
            return False

    def _leave(self) -> None:
        """Tell uvicorn the head from its beginning."""
        said, self._said = self._said or [], None
        super().on_message_begin()
        super().on_url(self._url)
        for name, value in said:
            super().on_header(name, value)
        super().on_headers_complete()

    def send_answer(self, exchange: _Exchange, answer: Answer) -> None:
        """Write an answer, head and body at once, as uvicorn would, and go on with what waits behind it."""
        exchange.response_complete = True
        if self.transport.is_closing():
            return
        if self.access_log:
            self._log_access(exchange, answer.status)
        body = encoded(answer)
        pieces = [STATUS_LINE[answer.status]]
        for name, value in (*self.server_state.default_headers, *fields(answer, exchange.head.request_id, body)):
            pieces += name, b": ", value, b"\r\n"
        pieces += (b"\r\n" if exchange.keep_alive else b"connection: close\r\n\r\n"), body
        self.transport.write(b"".join(pieces))
        if not exchange.keep_alive:
            self.transport.close()
        if self.pipeline:
            self.on_response_complete()
        else:
            self.server_state.total_requests += 1

    def _log_access(self, exchange: _Exchange, status: int) -> None:
        host, port = self.client or ("", 0)
        said = (f"{host}:{port}" if host else "", self.route.method.decode(), exchange.head.url_path, "1.1", status)
        self.access_logger.info('%s - "%s %s HTTP/%s" %d', *said)

    def is_overdue(self, now: float) -> bool:
        """Tell also whether it was silent too long since the hot route answered: no timer is set for each answer."""
        is_silent = isinstance(self.cycle, _Exchange) and self.cycle.response_complete
        return (is_silent and now - self._heard > self.timeout_keep_alive) or super().is_overdue(now)


def over(route: HotRoute) -> type[HotConnection]:
    """Return connections that serve this route themselves."""
    return type(HotConnection.__name__, (HotConnection,), {"route": route})
