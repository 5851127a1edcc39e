"""Addresses of connected portals and of their OAuth hosts, read strictly: tokens go there.

Rules: REST is at `https://HOST[:PORT]/.../rest/`; plain http only at hosts that the operator named. Client secrets and refresh
tokens go to Bitrix24's own OAuth hosts and to hosts that the operator named, whatever a portal says. Where a host may resolve to
is the outbound guard's business.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit

from wakeline.model.errors import AddressRefused
from wakeline.wire.bitrix24.oauth_server import DEFAULT_SERVER_ENDPOINT, server_endpoint

_SAFE = re.compile(r"[\x21-\x5b\x5d-\x7e]+")
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(:[0-9]{1,5})?")
_REST = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/rest/?")
_WEBHOOK = re.compile(r"((?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/rest/)([0-9]{1,18}/[A-Za-z0-9_-]{1,128})/?")


def rest_endpoint(url: str, *, named: Collection[str]) -> str:
    """Return the address of a portal's REST in its one form, ending in `/rest/`. Raises AddressRefused."""
    parts = _parts(url, named=named)
    if parts.query or parts.fragment or not _REST.fullmatch(parts.path):
        raise AddressRefused("an address of REST ends in /rest/ and has no parameters")
    return f"{origin(parts)}{parts.path.removesuffix('/')}/"


def oauth_endpoint(url: str, *, named: Collection[str]) -> str:
    """Return the address of an OAuth host's REST (empty: Bitrix24's usual one). Raises AddressRefused for anybody else's."""
    endpoint = server_endpoint(url or DEFAULT_SERVER_ENDPOINT, named)
    if not endpoint:
        raise AddressRefused(
            f"{urlsplit(url).hostname or 'The address'} is not an OAuth host of Bitrix24",
            fix="If it is one you run, name it in [bitrix24] connected_hosts.",
        )
    return endpoint


def token_address(endpoint: str) -> str:
    """Return where an OAuth host whose REST is at `endpoint` exchanges tokens."""
    return f"{origin(urlsplit(endpoint))}/oauth/token/"


def webhook_address(url: str, *, named: Collection[str]) -> tuple[str, str]:
    """Return an incoming webhook's own address, ending in a slash, and that of the portal's REST. Raises AddressRefused."""
    parts = _parts(url, named=named)
    found = _WEBHOOK.fullmatch(parts.path)
    if found is None or parts.query or parts.fragment:
        raise AddressRefused("an incoming webhook is https://PORTAL/rest/USER/CODE/")
    rest = f"{origin(parts)}{found[1]}"
    return f"{rest}{found[2]}/", rest


def moved_to(endpoint: str, location: str, *, named: Collection[str]) -> str:
    """Return the address that takes `endpoint`'s place after a redirect: of `location` only scheme, host and port count.

    Raises AddressRefused.
    """
    return f"{origin(_parts(location, named=named))}{urlsplit(endpoint).path}"


def same_origin(one: str, other: str) -> bool:
    """Tell whether two addresses that were read by this module have scheme, host and port in common."""
    return origin(urlsplit(one)) == origin(urlsplit(other))


def is_named(endpoint: str, named: Collection[str]) -> bool:
    """Tell whether the operator named the host of an address that was read by this module."""
    return _bare(urlsplit(endpoint).hostname) in _canonical(named)


def host_of(endpoint: str) -> str:
    """Return host and port of an address that was read by this module: what may be said of it in a log."""
    return urlsplit(endpoint).netloc


def origin(parts: SplitResult) -> str:
    """Return scheme, host and port in their one form."""
    host = _bare(parts.hostname)
    shown = f"[{host}]" if ":" in host else host
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{shown}" + ("" if parts.port in (None, usual) else f":{parts.port}")


def _parts(url: str, *, named: Collection[str]) -> SplitResult:
    if not _SAFE.fullmatch(url):
        raise AddressRefused("the address has characters that must be percent-encoded, or is empty")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise AddressRefused("the address cannot be read") from error
    if not _AUTHORITY.fullmatch(parts.netloc) or port == 0:
        raise AddressRefused("the address names no valid host")
    host = _bare(parts.hostname)
    if parts.scheme != "https" and (parts.scheme != "http" or host not in _canonical(named)):
        raise AddressRefused(
            f"{host} would have to be spoken to without TLS",
            fix="Use https, or name the host in [bitrix24] connected_hosts.",
        )
    return parts


def _bare(host: str | None) -> str:
    return (host or "").lower().removesuffix(".")


def _canonical(named: Collection[str]) -> frozenset[str]:
    return frozenset(name.lower().strip("[]").removesuffix(".") for name in named)
