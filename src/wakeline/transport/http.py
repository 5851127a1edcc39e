"""The HTTP/1.1 client of the slow paths (OAuth tokens, webhooks): one request, verified TLS, only where the guard allows.

It stands on httpcore2, the connection layer of httpx2, because that one documents its network backend as a place to
plug into: there the guard resolves, judges and pins the addresses of every new connection, while pool, SNI, `Host` and
the certificate's name stay those of the URL. Redirects, cookies, content decoding and proxy settings of the
environment do not exist at this layer, so none can be followed by accident.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self
from urllib.parse import unquote, urlsplit, urlunsplit

import httpcore2

from wakeline.model.errors import AddressRefused, ConfigError, ConnectFailed, TimedOut, TransportError
from wakeline.ports import HttpAnswer
from wakeline.transport.guard import Guard, Origin, read_url
from wakeline.transport.tls import ALPN_HTTP1, classify, shared_context

MAX_ANSWER = 1024 * 1024
"""Longest answer body read unless told otherwise, in bytes; no token or webhook answer comes near it."""

_HEADERS = 128 * 1024
"""Bytes that an answer may have beside its body: h11 takes 100 KiB of headers."""
_PIECE = 8 * 1024
"""Bytes read at once: what one turn of the loop has to understand, be it made of the smallest pieces."""
_IDLE_SECONDS = 30.0
_CONNECT_SECONDS = 10.0
"""Longest time a connection may take to be made: less than an answer may, so that it is known that nothing was written."""
_ERRORS = (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.ProxyError, OSError)


class GuardedClient:
    """Implements `ports.HttpClient`; `ca_file` adds to the system's store, `proxy` is the URL of an HTTP proxy.

    `max_answer`: the longest body of an answer, in bytes; a longer one is an error or, with `cut`, is read so far.

    Raises ConfigError for an unusable `ca_file` or `proxy`.
    """

    def __init__(
        self,
        guard: Guard,
        *,
        ca_file: str = "",
        proxy: str = "",
        max_connections: int = 32,
        max_answer: int = MAX_ANSWER,
        cut: bool = False,
    ) -> None:
        self._guard = guard
        self._max_answer = max_answer
        self._cut = cut
        self._proxied = bool(proxy)
        via, host = _proxy(proxy, ca_file) if proxy else (None, "")
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=shared_context(alpn=ALPN_HTTP1, ca_file=ca_file),
            proxy=via,
            max_connections=max_connections,
            keepalive_expiry=_IDLE_SECONDS,
            # Through a proxy, the proxy is the only host that is connected to.
            network_backend=_GuardedBackend(
                Guard(resolve=guard.resolve, configured=frozenset({host})) if proxy else guard,
                2 * max_answer + _HEADERS,
            ),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    @property
    def connections(self) -> int:
        """Count the connections that are open or being made."""
        return len(self._pool.connections)

    async def aclose(self) -> None:
        """Close all connections; requests in flight fail."""
        await self._pool.aclose()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> HttpAnswer:
        """POST `body`; the answer as it is, redirects included; `timeout` in seconds covers everything.

        Raises AddressRefused (the guard), ConnectFailed (no connection, or its TLS failed; or for half of the time others
        had all the connections that there may be: nothing was written), TimedOut, and TransportError (the connection broke,
        the answer breaks HTTP or is longer than `max_answer`).
        """
        return await self._request("POST", url, body, headers, timeout)

    async def get(self, url: str, headers: Mapping[str, str], *, timeout: float) -> HttpAnswer:
        """GET, as `post`."""
        return await self._request("GET", url, b"", headers, timeout)

    async def _request(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str], timeout: float
    ) -> HttpAnswer:
        origin, target = read_url(url)
        self._guard.check_origin(origin)
        try:
            async with asyncio.timeout(timeout):
                if self._proxied:
                    await self._judge_for_proxy(origin)
                return await self._exchange(method, origin, target, body, headers, timeout)
        except httpcore2.PoolTimeout as error:
            raise ConnectFailed(f"{origin}: others had all connections for {timeout / 2:g} s") from error
        except httpcore2.ConnectTimeout as error:
            raise ConnectFailed(f"{origin}: no connection within {min(timeout, _CONNECT_SECONDS):g} s") from error
        except (TimeoutError, httpcore2.TimeoutException) as error:
            raise TimedOut(f"{origin}: no answer within {timeout:g} s") from error
        except _ERRORS as error:
            raise _translate(origin, error) from error

    async def _judge_for_proxy(self, origin: Origin) -> None:
        """A proxy resolves names by itself, so they are judged here only as far as this machine resolves them."""
        with suppress(ConnectFailed):
            await self._guard.addresses(origin.host, origin.port)

    async def _exchange(
        self, method: str, origin: Origin, target: str, body: bytes, headers: Mapping[str, str], limit: float
    ) -> HttpAnswer:
        url = httpcore2.URL(
            scheme=origin.scheme, host=origin.bracketed, port=origin.port, target=target.encode("ascii")
        )
        limits = {"pool": limit / 2, "connect": min(limit, _CONNECT_SECONDS)}
        extensions = {"timeout": limits, "sni_hostname": origin.host}
        async with self._pool.stream(
            method,
            url,
            headers=list(headers.items()),
            content=body if method == "POST" else None,
            extensions=extensions,
        ) as answer:
            received = await self._body(answer.aiter_stream(), origin)
            return HttpAnswer(status=answer.status, headers=_joined(answer.headers), body=received)

    async def _body(self, parts: AsyncIterable[bytes], origin: Origin) -> bytes:
        body = bytearray()
        async for part in parts:
            body += part
            if len(body) > self._max_answer:
                if self._cut:
                    break
                raise TransportError(f"{origin}: the answer is longer than {self._max_answer} bytes")
        return bytes(body[: self._max_answer])


class _GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to the addresses the guard gave, one after the other, and to nothing else."""

    def __init__(self, guard: Guard, most: int) -> None:
        self._guard = guard
        self._most = most
        self._sockets = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        addresses = await self._guard.addresses(host.strip("[]"), port)
        stream = await self._connect(addresses, port, timeout, local_address, socket_options)
        return _Rationed(stream, self._most)

    async def _connect(
        self,
        addresses: Sequence[str],
        port: int,
        timeout: float | None,
        local_address: str | None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None,
    ) -> httpcore2.AsyncNetworkStream:
        share = timeout / len(addresses) if timeout else None
        *others, last = addresses
        for address in others:
            with suppress(httpcore2.ConnectError, httpcore2.ConnectTimeout):
                return await self._sockets.connect_tcp(address, port, share, local_address, socket_options)
        return await self._sockets.connect_tcp(last, port, share, local_address, socket_options)


class _Rationed(httpcore2.AsyncNetworkStream):
    """A connection that breaks if more comes in answer to a request than any answer has, such as interim answers without end."""

    def __init__(self, stream: httpcore2.AsyncNetworkStream, most: int) -> None:
        self._stream = stream
        self._most = self._left = most

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = await self._stream.read(min(max_bytes, _PIECE), timeout)
        self._left -= len(data)
        if self._left < 0:
            raise httpcore2.ReadError(f"more than {self._most} bytes came")
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._left = self._most
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        return _Rationed(await self._stream.start_tls(ssl_context, server_hostname, timeout), self._most)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _joined(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Names in lower case; a repeated header becomes one value (RFC 9110 section 5.3)."""
    joined: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("ascii").lower(), raw_value.decode("latin-1")
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def _translate(origin: Origin, error: Exception) -> TransportError:
    """Our error for one of httpcore2; a TLS failure is told by its cause."""
    if failure := classify(error):
        return ConnectFailed(f"{origin}: {failure.detail}")
    if isinstance(error, httpcore2.ConnectError | httpcore2.ProxyError):
        return ConnectFailed(f"{origin}: no connection ({str(error) or 'refused'})")
    # What comes after a colon is what was received, which may be anything.
    return TransportError(f"{origin}: the connection broke ({str(error).partition(':')[0] or type(error).__name__})")


def _proxy(url: str, ca_file: str) -> tuple[httpcore2.Proxy, str]:
    """The proxy and its host; its URL, from the configuration, may carry `user:password@`."""
    try:
        parts = urlsplit(url)
        origin, _ = read_url(urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])))
    except (ValueError, AddressRefused) as error:
        raise ConfigError("proxy is not a URL such as http://user:password@host:3128") from error
    auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    context = shared_context(alpn=ALPN_HTTP1, ca_file=ca_file) if origin.scheme == "https" else None
    address = httpcore2.URL(scheme=origin.scheme, host=origin.bracketed, port=origin.port, target="/")
    return httpcore2.Proxy(url=address, auth=auth, ssl_context=context), origin.host
