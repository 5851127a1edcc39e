"""The one guard on every outbound URL: it names the addresses that may be connected to, or refuses with the cause.

A URL given by a caller could point into our own network (server-side request forgery). So each URL is read strictly,
its host is resolved once, every address it has is judged by `addresses.refusal`, and the caller connects to exactly
these addresses: a second look-up could answer something else. One bad address refuses the host, because an owner of a
name has no reason to mix public and private ones. Hosts that the operator wrote into the configuration are exempt from
the rule on private addresses and from nothing else.

Messages name the host and the cause; path and query may hold secrets and are never part of them.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Collection, Sequence
from urllib.parse import SplitResult, urlsplit

import msgspec

from wakeline.model.errors import AddressRefused, ConnectFailed
from wakeline.transport.addresses import Address, refusal
from wakeline.wire.credential_file.service_account import GOOGLE_TOKEN_HOSTS

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Addresses of a host name, as text; raises OSError when the name has none."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
# RFC 1123 section 2.1 labels, and the underscore that container networks use.
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
# inet_aton also reads 127.1, 0x7f.1 and 2130706433; a name whose last label looks like a number is never a name.
_NUMERIC = re.compile(r"(.*\.)?(0x[0-9a-f]*|[0-9]+)")
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(:[0-9]{1,5})?")


class Origin(msgspec.Struct, frozen=True):
    """Scheme, canonical host (lower case, no brackets) and port of a URL that was read strictly."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bracketed}:{self.port}"

    @property
    def bracketed(self) -> str:
        """The host as a URL writes it: an IPv6 address in brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host


class Destination(msgspec.Struct, frozen=True):
    """A URL that passed: connect to one of `addresses`, verify the certificate for `origin.host`, ask for `target`."""

    origin: Origin
    target: str
    addresses: tuple[str, ...]


class Guard(msgspec.Struct, frozen=True):
    """The rules for one kind of outbound URL.

    `configured` are hosts named in the configuration file (names or addresses, no port).
    `allow_private` lifts the rule on private, loopback and shared addresses for all hosts; `allow_http` permits plain
    http; `ports`, if given, are the only ports that may be named.
    """

    resolve: Resolve
    configured: frozenset[str] = frozenset()
    allow_private: bool = False
    allow_http: bool = False
    ports: frozenset[int] = frozenset()

    async def check(self, url: str) -> Destination:
        """The destination of `url`. Raises AddressRefused, or ConnectFailed when the name has no address."""
        origin, target = read_url(url)
        self.check_origin(origin)
        return Destination(origin=origin, target=target, addresses=await self.addresses(origin.host, origin.port))

    def check_origin(self, origin: Origin) -> None:
        """Judge what needs no look-up: scheme and port. Raises AddressRefused."""
        if origin.scheme == "http" and not self.allow_http:
            raise AddressRefused(f"{origin.host}: plain http is not allowed", fix="Use an https URL.")
        if self.ports and origin.port not in self.ports:
            raise AddressRefused(f"{origin.host}: port {origin.port} is not allowed")

    async def addresses(self, host: str, port: int) -> tuple[str, ...]:
        """The addresses of `host` that may be connected to, in the resolver's order."""
        private = self.allow_private or _listed(host, self.configured)
        literal = _literal(host)
        found = (literal,) if literal is not None else await self._look_up(host, port)
        for address in found:
            if cause := refusal(address, allow_private=private):
                where = "" if literal is not None else f" resolves to {address}, which"
                raise AddressRefused(
                    f"{host}{where} is not reachable from here by rule: {cause}",
                    fix="Use a public address, or have the operator name this host in the configuration.",
                )
        return tuple(str(address) for address in found)

    async def _look_up(self, host: str, port: int) -> tuple[Address, ...]:
        try:
            texts = await self.resolve(host, port)
        except OSError as error:
            raise ConnectFailed(f"{host} cannot be resolved: {error.strerror or error}") from error
        if not texts:
            raise ConnectFailed(f"{host} has no address")
        return tuple(ipaddress.ip_address(text) for text in dict.fromkeys(texts))


def read_url(url: str) -> tuple[Origin, str]:
    """Origin and request target (path and query, fragment dropped) of an absolute http or https URL.

    Stricter than RFC 3986: what two parsers could read differently is refused. Raises AddressRefused.
    """
    if not url.isascii() or _UNSAFE.search(url):
        raise AddressRefused("the URL has characters that must be percent-encoded")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise AddressRefused("the URL cannot be read") from error
    if parts.scheme not in _DEFAULT_PORTS:
        raise AddressRefused("the URL must begin with https:// (or http:// where allowed)")
    host = _host(parts)
    if port == 0:
        raise AddressRefused(f"{host}: there is no port 0")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Origin(scheme=parts.scheme, host=host, port=port or _DEFAULT_PORTS[parts.scheme]), target


def _host(parts: SplitResult) -> str:
    if "@" in parts.netloc:
        raise AddressRefused("a URL must not carry a user name or password")
    if not _AUTHORITY.fullmatch(parts.netloc):
        raise AddressRefused("the URL names no valid host")
    host = (parts.hostname or "").removesuffix(".")
    literal = _literal(host)
    if literal is not None:
        return str(literal)
    if len(host) > 253 or not _NAME.fullmatch(host) or _NUMERIC.fullmatch(host):
        raise AddressRefused("the URL names no valid host")
    return host


def _literal(host: str) -> Address | None:
    """The address `host` spells, if it is one."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _listed(host: str, names: Collection[str]) -> bool:
    canonical = {str(_literal(bare) or bare) for bare in (name.lower().strip("[].") for name in names)}
    return host in canonical


def check_token_uri(url: str, token_hosts: Collection[str]) -> None:
    """Refuse an OAuth `token_uri` that is not Google's, unless `[providers.fcm] token_hosts` lists its host.

    A service account file is uploaded, so its token_uri is a caller's word; the assertion sent there would open the
    account. Google's hosts need https and its port; a listed host may use any port and plain http.
    Raises AddressRefused.
    """
    origin, _ = read_url(url)
    if _listed(origin.host, token_hosts):
        return
    if origin.host not in GOOGLE_TOKEN_HOSTS:
        raise AddressRefused(
            f"token_uri names {origin.host}, which is not a token host of Google",
            fix="Download the service account file again, or list the host in [providers.fcm] token_hosts.",
        )
    if origin.scheme != "https" or origin.port != 443:
        raise AddressRefused(f"token_uri must be https on port 443 at {origin.host}")


async def system_resolver(host: str, port: int) -> Sequence[str]:
    """Addresses of `host` as the operating system knows them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]).partition("%")[0] for *_, sockaddr in found]
