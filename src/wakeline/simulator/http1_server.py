"""HTTP/1.1 for the clients that speak nothing newer, and for the control port; parsed by `httptools`.

Requests of one connection are answered strictly in their order, so a late answer holds back those behind it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from http import HTTPStatus

import httptools
import msgspec

from wakeline.simulator.exchange import Answer, Effect, Peer, Request, Service, Wire


class _Draft(msgspec.Struct):
    """A request while its bytes come in."""

    url: bytes = b""
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    repeated: list[str] = msgspec.field(default_factory=list)
    body: list[bytes] = msgspec.field(default_factory=list)


class Http1Session:
    """One HTTP/1.1 connection of a client."""

    def __init__(self, wire: Wire, service: Service, peer: Peer) -> None:
        self._wire = wire
        self._service = service
        self._exchange = service.connect(peer)
        self._parser = httptools.HttpRequestParser(self)
        self._draft = _Draft()
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._busy = False
        self._ending = False
        self._taken = 0
        self._timer: asyncio.TimerHandle | None = None

    def receive(self, data: bytes) -> None:
        """Takes what the client sent and answers what can be answered at once."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._wire.write(_encode(Answer(400), keep_alive=False))
            self._wire.finish()

    def lost(self) -> None:
        """The connection is gone: nobody waits for the rest."""
        if self._timer is not None:
            self._timer.cancel()

    def refresh(self) -> None:
        """HTTP/1.1 has no settings to announce."""

    def goaway(self, reason: str) -> None:  # noqa: ARG002 - HTTP/1.1 cannot say why
        """Closes the connection after the answer under way."""
        self._ending = True
        if not self._busy:
            self._wire.finish()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._draft = _Draft()

    def on_url(self, url: bytes) -> None:
        """Part of the request target."""
        self._draft.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        key, text = name.decode("latin-1").lower(), value.decode("utf-8", "replace")
        draft = self._draft
        if key in draft.headers:
            draft.repeated.append(key)
            text = f"{draft.headers[key]}, {text}"
        draft.headers[key] = text

    def on_headers_complete(self) -> None:
        """The body follows; some clients wait to be told to send it."""
        if self._draft.headers.get("expect", "").lower() == "100-continue":
            self._wire.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Part of the body."""
        self._draft.body.append(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        draft = self._draft
        method = self._parser.get_method().decode("latin-1")
        request = Request(
            method,
            draft.url.decode("latin-1"),
            draft.headers,
            b"".join(draft.body),
            tuple(draft.repeated),
            http="1.1",
        )
        self._waiting.append((request, self._parser.should_keep_alive()))
        self._pump()

    def _pump(self) -> None:
        while self._waiting and not self._busy and not self._ending:
            request, keep_alive = self._waiting.popleft()
            self._taken += 1
            limit = self._service.behaviour.goaway_after
            keep_alive = keep_alive and not (limit and self._taken >= limit)
            answer = self._exchange(request)
            if answer.effect is Effect.SILENT:
                self._busy = True
            elif answer.delay_s > 0:
                self._busy = True
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(answer.delay_s, self._late, answer, keep_alive)
            else:
                self._send(answer, keep_alive=keep_alive)

    def _late(self, answer: Answer, keep_alive: bool) -> None:
        self._busy = False
        self._send(answer, keep_alive=keep_alive)
        self._pump()

    def _send(self, answer: Answer, *, keep_alive: bool) -> None:
        if answer.effect is not Effect.ANSWER:
            self._wire.abort()
            return
        keep_alive = keep_alive and not self._ending
        self._wire.write(_encode(answer, keep_alive=keep_alive))
        if not keep_alive:
            self._ending = True
            self._wire.finish()


def _encode(answer: Answer, *, keep_alive: bool) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} {_phrase(answer.status)}"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    lines += [f"content-length: {len(answer.body)}"]
    if not keep_alive:
        lines.append("connection: close")
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + answer.body


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Unknown"
