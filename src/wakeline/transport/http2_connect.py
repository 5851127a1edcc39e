"""Making one verified HTTP/2 connection: addresses, perhaps a proxy, TLS, ALPN; every failure is classified.

A connection counts as made when the server's SETTINGS are here. With TLS 1.3 a server refuses a client certificate only
after the handshake has succeeded on our side, so nothing is sent before that: what was not sent cannot be lost.
Addresses are resolved anew for every connection, as Apple asks.
"""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

import msgspec

from wakeline.model.errors import ConfigError, ConnectFailed
from wakeline.transport.http2_link import Link
from wakeline.transport.tls import TlsCause, classify
from wakeline.wire.http2 import ConnectFailure, FailureKind, PeerBroke

_GOODBYE_SECONDS = 1.0
_HEED_SECONDS = 0.5
_MAX_PROXY_HEAD = 16_384
_HEAD_END = b"\r\n\r\n"


class Proxy(msgspec.Struct, frozen=True):
    """An HTTP proxy that is asked to CONNECT; `user` is empty if it wants none."""

    host: str
    port: int
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"Proxy({self.host}:{self.port})"


class Origin(msgspec.Struct, frozen=True):
    """Where a pool connects to.

    `ssl_context` verifies and offers ALPN `h2` (`tls.client_context`); a function is called for every connection.
    `server_name`: name for SNI and the certificate, if it is not `host`.
    `proxy`: URL such as `http://user:password@host:3128`, or "".
    `presents_certificate`: the context has a client certificate, so an early end of TLS is about it.
    """

    host: str
    port: int
    ssl_context: ssl.SSLContext | Callable[[], ssl.SSLContext]
    server_name: str = ""
    proxy: str = ""
    presents_certificate: bool = False


class DialFailed(ConnectFailed):
    """No connection could be made; `failure` says why."""

    def __init__(self, failure: ConnectFailure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


def read_proxy(url: str) -> Proxy | None:
    """Read the URL of a proxy; None for "". Raises ConfigError."""
    if not url:
        return None
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:  # a port that is no number
        host = port = None
    if parts.scheme != "http" or not host or not port:
        raise ConfigError("proxy is not a URL such as http://user:password@host:3128")
    return Proxy(host, port, unquote(parts.username or ""), unquote(parts.password or ""))


async def dial(origin: Origin, link: Link, timeout: float) -> None:
    """Connect `link` within `timeout` seconds. Raises DialFailed; nothing is left open then."""
    raw: asyncio.Transport | None = None
    try:
        async with asyncio.timeout(timeout):
            raw = await _reach(origin, timeout)
            await _secure(origin, raw, link)
            await link.ready
    except BaseException as error:
        if raw is not None:
            raw.abort()
        if isinstance(error, TimeoutError):
            what = "no TCP connection" if raw is None else "TCP works, HTTP/2 over TLS does not come about"
            raise _failed("timeout", f"{_name(origin)}: {what} within {timeout:g} s") from error
        if isinstance(error, PeerBroke):
            raise _failed("alpn", f"{_name(origin)} does not speak HTTP/2: {error.detail}") from error
        if isinstance(error, OSError):
            raise DialFailed(failure_of(error, origin)) from error
        raise


def failure_of(error: Exception | None, origin: Origin) -> ConnectFailure:
    """Say why a connection ended before its first answer; `error` is what asyncio told, None for an orderly close."""
    found = classify(error) if error is not None else None
    if found is not None and found.cause is TlsCause.ALERT:
        return ConnectFailure("alpn" if found.alert == "no_application_protocol" else "tls_alert", found.detail)
    if found is not None and found.cause not in {TlsCause.OTHER, TlsCause.NOT_TLS}:
        return ConnectFailure("tls_verify", found.detail)
    if origin.presents_certificate and (found is None or found.cause is TlsCause.OTHER):
        detail = "the server closed the connection before its first answer; it may refuse the client certificate"
        return ConnectFailure("tls_alert", detail)
    cause = found.detail if found is not None else str(error or "")
    return ConnectFailure(
        "closed", f"{_name(origin)} ended the connection before its first answer{cause and ': '}{cause}"
    )


# --- the steps -------------------------------------------------------------------------------------------------------


async def _reach(origin: Origin, timeout: float) -> asyncio.Transport:
    """Return a byte stream to the origin, directly or through its proxy."""
    proxy = read_proxy(origin.proxy)
    if proxy is None:
        transport, _ = await _connect(origin.host, origin.port, timeout)
        return transport
    try:
        transport, receiver = await _connect(proxy.host, proxy.port, timeout)
    except DialFailed as error:
        raise _failed("proxy", f"the proxy cannot be reached: {error.detail}") from error
    try:
        await _tunnel(origin, proxy, transport, receiver)
    except BaseException:
        transport.abort()
        raise
    return transport


async def _connect(host: str, port: int, timeout: float) -> tuple[asyncio.Transport, _Receiver]:
    """Try the addresses of a host one after the other, each for its share of the time."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise _failed("dns", f"{host} has no address: {error}") from error
    trouble: OSError = OSError("no address")
    for family, _, _, _, address in found:
        try:
            async with asyncio.timeout(max(1.0, timeout / len(found))):
                return await loop.create_connection(_Receiver, str(address[0]), port, family=family)
        except OSError as error:  # TimeoutError is one
            trouble = error
    if isinstance(trouble, TimeoutError):
        raise _failed("timeout", f"{host}:{port}: no TCP connection in time") from trouble
    raise _failed("refused", f"{host}:{port}: {trouble.strerror or trouble}") from trouble


class _Receiver(asyncio.Protocol):
    """Holds a fresh connection until TLS takes it over; reads the head of a proxy's answer."""

    def __init__(self) -> None:
        self.data = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.data += data
        if _HEAD_END in self.data or len(self.data) > _MAX_PROXY_HEAD:
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._finish()

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def _tunnel(origin: Origin, proxy: Proxy, transport: asyncio.Transport, receiver: _Receiver) -> None:
    """Ask the proxy for a tunnel (RFC 9110 section 9.3.6)."""
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    lines = [f"CONNECT {host}:{origin.port} HTTP/1.1", f"Host: {host}:{origin.port}"]
    if proxy.user:
        secret = base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {secret}")
    transport.write("\r\n".join([*lines, "", ""]).encode())
    await receiver.done
    head, separator, surplus = receiver.data.partition(_HEAD_END)
    status = head.partition(b"\r\n")[0].decode("latin-1")[:80]
    if not separator or surplus:
        raise _failed("proxy", "the proxy broke off its answer to CONNECT, or is no HTTP proxy")
    if status.split(" ")[1:2] != ["200"]:
        raise _failed("proxy", f"the proxy does not connect us to {host}:{origin.port}: {status}")


async def _secure(origin: Origin, raw: asyncio.Transport, link: Link) -> None:
    """Put TLS on the stream and hand it to the link."""
    context = origin.ssl_context if isinstance(origin.ssl_context, ssl.SSLContext) else origin.ssl_context()
    tls = await asyncio.get_running_loop().start_tls(
        raw,
        link,
        context,
        server_hostname=origin.server_name or origin.host,
        ssl_shutdown_timeout=_GOODBYE_SECONDS,
    )
    if tls is None:
        raise ConnectionResetError("the connection was lost during the handshake")
    session: ssl.SSLObject = tls.get_extra_info("ssl_object")
    protocol = session.selected_alpn_protocol()
    if protocol not in {"h2", None}:  # None: the server has no ALPN, and who connects here knows that it speaks HTTP/2
        raise _failed("alpn", f"{_name(origin)} speaks {protocol}, not HTTP/2")
    if origin.presents_certificate:
        # A server that refuses the certificate says so now. Whatever we write meets a closed socket then, and the reset
        # that comes back would hide the alert. Most servers send their SETTINGS without waiting for us.
        await asyncio.wait([link.ready], timeout=_HEED_SECONDS)
    link.attach(raw, tls)


def _name(origin: Origin) -> str:
    return f"{origin.host}:{origin.port}"


def _failed(kind: FailureKind, detail: str) -> DialFailed:
    return DialFailed(ConnectFailure(kind, detail))
