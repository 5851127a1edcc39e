"""One port: accepts connections and finds out what they speak.

The first byte tells TLS from plain text (0x16 opens a TLS handshake), the first plaintext bytes tell HTTP/2 (its
preface begins with `PRI`) from HTTP/1.1. So ALPN is obeyed where it is offered and not missed where it is not:
aioapns, for one, offers none.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable
from typing import Protocol

from OpenSSL import SSL

from wakeline.simulator.exchange import Peer, Service
from wakeline.simulator.http1_server import Http1Session
from wakeline.simulator.http2_server import Http2Session
from wakeline.simulator.tls import Channel, TlsFailureError

_TLS_HANDSHAKE = 0x16
_HTTP2_OPENS = b"PRI"
# How long a finished connection goes on reading: closing a socket with unread input resets it, and the reset
# would overtake the GOAWAY and the last answers on their way to the client.
_LINGER_S = 2.0
_PORT_TRIES = 20


class Session(Protocol):
    """A connection whose protocol is known."""

    def receive(self, data: bytes) -> None:
        """Takes what the client sent."""

    def lost(self) -> None:
        """The connection is gone."""

    def refresh(self) -> None:
        """The service's behaviour has changed."""

    def goaway(self, reason: str) -> None:
        """Take no more requests, finish those under way, close."""


class Counter(Protocol):
    """Who numbers connections and keeps their count."""

    def connection(self, provider: str) -> int:
        """The number of a new connection of `provider`."""


class Conversation(asyncio.Protocol):
    """One accepted connection."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._channel: Channel | None = None
        self._session: Session | None = None
        self._opening = b""
        self._heard = False
        self._finished = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # TCP gives a Transport
        self._listener.conversations.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        """The connection is gone, for whatever reason."""
        self._listener.conversations.discard(self)
        if self._session is not None:
            self._session.lost()

    def pause_writing(self) -> None:
        """The client reads too slowly: nothing new is taken from it until it has caught up."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Bytes of the client, in whatever protocol."""
        if self._finished:
            return
        if not self._heard:
            self._heard = True
            if data[0] == _TLS_HANDSHAKE and self._listener.context is not None:
                self._channel = Channel(self._listener.context)
        plaintext = data if self._channel is None else self._decrypted(self._channel, data)
        if plaintext:
            self._plaintext(plaintext)
        if self._channel is not None and self._channel.ended:
            self._transport.close()

    def _decrypted(self, channel: Channel, data: bytes) -> bytes:
        try:
            return channel.receive(data)
        except TlsFailureError:
            channel.ended = True
            return b""
        finally:
            self._transport.write(channel.outgoing())

    def _plaintext(self, data: bytes) -> None:
        if self._session is None:
            self._opening += data
            if len(self._opening) < len(_HTTP2_OPENS):
                return
            data, self._session = self._opening, self._open()
        self._session.receive(data)

    def _open(self) -> Session:
        listener = self._listener
        certificate = None if self._channel is None else self._channel.client_certificate()
        peer = Peer(listener.counter.connection(listener.service.provider), listener.environment, certificate)
        if self._opening.startswith(_HTTP2_OPENS) or not listener.http1:
            return Http2Session(self, listener.service, peer)
        return Http1Session(self, listener.service, peer)

    def write(self, data: bytes) -> None:
        """Sends plaintext of the session."""
        if not self._finished and not self._transport.is_closing():
            self._transport.write(data if self._channel is None else self._channel.send(data))

    def finish(self) -> None:
        """Says goodbye and closes once the client has closed, or soon."""
        if self._finished or self._transport.is_closing():
            return
        self._finished = True
        if self._channel is not None:
            self._transport.write(self._channel.close())
        with contextlib.suppress(OSError):
            self._transport.write_eof()
        asyncio.get_running_loop().call_later(_LINGER_S, self._transport.close)

    def abort(self) -> None:
        """Cuts the connection without a word."""
        self._transport.abort()

    def refresh(self) -> None:
        """The service's behaviour has changed."""
        if self._session is not None:
            self._session.refresh()

    def goaway(self, reason: str) -> None:
        """Ends the connection gracefully."""
        if self._session is not None:
            self._session.goaway(reason)


class Listener:
    """A fake service on a loopback port."""

    def __init__(
        self,
        service: Service,
        counter: Counter,
        *,
        context: SSL.Context | None = None,
        environment: str = "",
        http1: bool = True,
    ) -> None:
        self.service = service
        self.counter = counter
        self.context = context
        self.environment = environment
        self.http1 = http1
        self.conversations: set[Conversation] = set()
        self.port = 0
        self._servers: list[asyncio.Server] = []

    async def open(self, port: int) -> None:
        """Listens on `port` of 127.0.0.1 and, where there is IPv6, of ::1; 0 takes a free one. Raises OSError."""
        loop = asyncio.get_running_loop()
        sockets = _loopback(port)
        self.port = sockets[0].getsockname()[1]
        for each in sockets:
            self._servers.append(await loop.create_server(lambda: Conversation(self), sock=each, backlog=512))

    async def close(self) -> None:
        """Stops listening and cuts every connection."""
        for server in self._servers:
            server.close()
        self.each(Conversation.abort)
        for server in self._servers:
            await server.wait_closed()

    def each(self, act: Callable[[Conversation], None]) -> int:
        """Does `act` with every live connection; how many there were."""
        live = tuple(self.conversations)
        for conversation in live:
            act(conversation)
        return len(live)


def _loopback(port: int) -> list[socket.socket]:
    """Sockets of the same port for both families: `localhost` is either, and clients differ in which they try."""
    for _ in range(_PORT_TRIES):
        first = socket.create_server(("127.0.0.1", port))
        if not socket.has_ipv6:
            return [first]
        try:
            return [first, socket.create_server(("::1", first.getsockname()[1]), family=socket.AF_INET6)]
        except OSError as error:
            if error.errno == errno.EADDRINUSE and not port:
                first.close()
                continue
            return [first]
    raise OSError(errno.EADDRINUSE, "no port is free for both loopback addresses")
