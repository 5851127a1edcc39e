"""Listeners: uvicorn inside our own loop, once on TCP for the world and once on the administrator's socket.

Signals stay ours: uvicorn would stop at once where we drain first.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import structlog
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from wakeline.config import Settings
from wakeline.config.rules import listen_address
from wakeline.edges.rest import HotRoute
from wakeline.model.errors import ConnectFailed
from wakeline.observe.names import LogEvent
from wakeline.service import admin_socket
from wakeline.service.connections import BoundedConnection, sweep
from wakeline.service.hot_connection import over
from wakeline.service.http2_connection import Http2Connection
from wakeline.service.server_tls import renew, server_context

ADMIN_SCOPE = "wakeline.admin"
"""ASGI scope key that marks a connection of the administrator; nothing that comes over TCP bears it."""

_KEEP_ALIVE = 75
_LAST_ANSWERS = 5
_BACKLOG = 2048
_SWEEP_TICKS = 50


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals alone and hangs up on strangers who keep it waiting."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take no signal."""
        yield

    async def on_tick(self, counter: int) -> bool:
        """Look at the connections every few seconds; uvicorn calls this ten times a second."""
        if counter % _SWEEP_TICKS == 0:
            self.sweep(asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    def sweep(self, now: float) -> None:
        """See `connections.sweep`."""
        bounded = BoundedConnection | Http2Connection
        sweep([one for one in self.server_state.connections if isinstance(one, bounded)], now)


class _AdminProtocol(HttpToolsProtocol):
    """HTTP on the administrator's socket: strangers are hung up on before they say a word."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn narrows it as well
        """Ask the kernel who it is."""
        super().connection_made(transport)
        if not admin_socket.is_trusted(transport.get_extra_info("socket").fileno()):
            structlog.get_logger().warning(LogEvent.ADMIN_REFUSED.value)
            transport.abort()


def as_admin(app: ASGIApp) -> ASGIApp:
    """Wrap an application so that every request counts as the administrator's."""

    async def marked(scope: Scope, receive: Receive, send: Send) -> None:
        scope[ADMIN_SCOPE] = True
        await app(scope, receive, send)

    return marked


class Listener:
    """A bound socket and the server behind it."""

    def __init__(self, config: uvicorn.Config, bound: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        self._server = _Server(config)
        self._socket = bound
        self._tls = tls
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """Return the TCP port bound (useful with port 0)."""
        return int(self._socket.getsockname()[1])

    def start(self) -> asyncio.Task[None]:
        """Serve from the next turn of the loop on; the task ends with `stop`, and sooner only if serving failed."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        return self._task

    def apply(self, settings: Settings) -> None:
        """Show the certificate that its file holds now to those who connect from now on. Raises ConfigError."""
        if self._tls is not None:
            renew(self._tls, "server", settings.server.tls_certificate, settings.server.tls_key)

    def sweep(self, now: float) -> None:
        """Hang up on those who have kept us waiting too long. `now` on the loop's clock."""
        self._server.sweep(now)

    async def stop(self, *, at_once: bool = False) -> None:
        """Take no connection any more, let requests under way end (a few seconds; `at_once`: not at all), close."""
        self._server.should_exit = True
        self._server.force_exit = at_once
        if self._task is not None:
            await asyncio.wait({self._task})
        self._socket.close()


def public(app: ASGIApp, settings: Settings, hot: HotRoute | None = None) -> Listener:
    """Bind `[server] listen`. `hot`: the route of `app` that is served without ASGI.

    Raises ConnectFailed if the address is taken or not ours, ConfigError for a bad certificate.
    """
    server = settings.server
    context = None
    if server.tls_certificate:
        context = server_context("server", server.tls_certificate, server.tls_key)
        context.set_alpn_protocols(["h2", "http/1.1"])
    if settings.logs.access and server.trusted_proxies:
        hot = None  # a line names the client that the proxy names, which uvicorn reads on its way to the application
    config = _config(
        app,
        settings,
        http=BoundedConnection if hot is None else over(hot),
        proxy_headers=bool(server.trusted_proxies),
        forwarded_allow_ips=list(server.trusted_proxies),
        ssl_context_factory=None if context is None else lambda *_: context,
    )
    return Listener(config, _bind(server.listen), context)


def admin(app: ASGIApp, settings: Settings, bound: socket.socket) -> Listener:
    """Serve the administrator's socket."""
    return Listener(_config(as_admin(app), settings, http=_AdminProtocol, proxy_headers=False), bound)


def _config(app: ASGIApp, settings: Settings, **more: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=settings.logs.access,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_LAST_ANSWERS,
        **more,
    )


def _bind(listen: str) -> socket.socket:
    host, port = listen_address(listen)
    with contextlib.ExitStack() as undo:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            family, kind, protocol, _, address = found[0]
            bound = undo.enter_context(socket.socket(family, kind, protocol))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            bound.listen(_BACKLOG)
        except OSError as error:
            raise ConnectFailed(
                f"Cannot listen on {listen}: {error.strerror}",
                fix="Choose another [server] listen, or stop what uses that port.",
            ) from None
        bound.setblocking(False)
        undo.pop_all()
    return bound


def address_of(settings: Settings, port: int) -> str:
    """Return the URL under which `[server] listen` answers; `port` is the one bound."""
    host, _ = listen_address(settings.server.listen)
    scheme = "https" if settings.server.tls_certificate else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
