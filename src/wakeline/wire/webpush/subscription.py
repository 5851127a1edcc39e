"""A subscription as a browser hands it out (`PushSubscription.toJSON()`): where to post, and the keys to encrypt with.

The endpoint is a capability: whoever knows it may post there, so it is a secret and is never logged. It is kept exactly as
given, because its form is the push service's affair; only its origin is ours to look at.

Source: W3C Push API (PushSubscription), RFC 8030 section 5 and 8.3 (https, capability URLs), RFC 8291 section 2.1 (keys),
UnifiedPush, "Definitions for Android" (an endpoint has at most 1000 bytes).
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

import msgspec

from wakeline.model.errors import InvalidRequest
from wakeline.wire.webpush.keys import POINT_BYTES, decoded, encoded, public_key

ENDPOINT_LIMIT = 1000
"""Bytes."""
AUTH_BYTES = 16

_KEPT = 65_536
# RFC 3986: what a URI is made of, without the number sign of a fragment.
_URI = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]+").fullmatch
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?").fullmatch
_PORTS = {"https": 443, "http": 80}
_COPY = "Register exactly what the browser's `subscription.toJSON()` gives."


class Subscription(msgspec.Struct, frozen=True):
    """One browser, or one UnifiedPush app. `p256dh`: its public key, an uncompressed point; `auth`: the shared secret.

    Both are empty where a phone gave an endpoint alone (RFC 8599 section 12): nothing can be encrypted for it, so that its pushes
    are empty, and wake it.
    """

    endpoint: str
    p256dh: bytes
    auth: bytes

    def __repr__(self) -> str:
        """Leave endpoint and secret out: a repr ends in logs and tracebacks."""
        return f"Subscription(origin={self.origin!r})"

    @property
    def bare(self) -> bool:
        """Return whether it is an endpoint without keys."""
        return not self.p256dh

    @property
    def origin(self) -> str:
        """Return `https://host[:port]`, without the default port: who the push service is (RFC 6454 section 6.2)."""
        return origin_of(self.endpoint)

    @property
    def path(self) -> str:
        """Return what is asked for at the origin: path and query as given."""
        parts = urlsplit(self.endpoint)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


@lru_cache(maxsize=_KEPT)
def origin_of(endpoint: str) -> str:
    """Return the origin of an endpoint that was checked."""
    parts = urlsplit(endpoint)
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    port = parts.port
    return f"{parts.scheme}://{host}" if port in (None, _PORTS[parts.scheme]) else f"{parts.scheme}://{host}:{port}"


def subscription(endpoint: str, p256dh: str, auth: str, *, pointer: str, allow_http: bool = False) -> Subscription:
    """Return a subscription as registered, checked.

    `pointer` is the JSON Pointer of the object that holds `endpoint` and `keys`. Raises InvalidRequest.
    """
    _check_endpoint(endpoint, f"{pointer}/endpoint", allow_http=allow_http)
    return Subscription(
        endpoint=endpoint,
        p256dh=_point(p256dh, f"{pointer}/keys/p256dh"),
        auth=_secret(auth, f"{pointer}/keys/auth"),
    )


def bare(endpoint: str, *, pointer: str, allow_http: bool = False) -> Subscription:
    """Return a subscription without keys, checked; `pointer` is the JSON Pointer of the endpoint. Raises InvalidRequest."""
    _check_endpoint(endpoint, pointer, allow_http=allow_http)
    return Subscription(endpoint=endpoint, p256dh=b"", auth=b"")


def written(subscription: Subscription) -> str:
    """Return the one form in which a subscription is stored as the value of a target: endpoint, p256dh and auth."""
    return f"{subscription.endpoint} {encoded(subscription.p256dh)} {encoded(subscription.auth)}"


@lru_cache(maxsize=_KEPT)
def read_subscription(value: str) -> Subscription:
    """Return the subscription of a target's value, as `written` made it.

    Whether plain HTTP is allowed was judged when it was registered. Raises InvalidRequest.
    """
    parts = value.split(" ")
    if len(parts) != 3:
        raise InvalidRequest("this is no stored subscription: endpoint, p256dh and auth, one space between", fix=_COPY)
    if not parts[1] and not parts[2]:
        return bare(parts[0], pointer="", allow_http=True)
    return subscription(*parts, pointer="", allow_http=True)


def _check_endpoint(endpoint: str, where: str, *, allow_http: bool) -> None:
    if len(endpoint.encode("utf-8", "replace")) > ENDPOINT_LIMIT:
        raise InvalidRequest(f"the endpoint is longer than {ENDPOINT_LIMIT} bytes", pointer=where, fix=_COPY)
    parts = _split(endpoint)
    if parts is None:
        raise InvalidRequest("the endpoint is no absolute URL of a push service", pointer=where, fix=_COPY)
    if parts.username is not None or parts.password is not None:
        raise InvalidRequest("the endpoint holds a user name", pointer=where, fix=_COPY)
    if parts.scheme == "http" and not allow_http:
        raise InvalidRequest(
            "the endpoint is not https, which Web Push is always sent over",
            pointer=where,
            fix="Use the push service's https address; for a test on one's own network see [providers.webpush].",
        )


def _split(endpoint: str) -> SplitResult | None:
    """Return the parts of an http or https URL whose host and port can be, else None."""
    try:
        parts = urlsplit(endpoint) if _URI(endpoint) else None
        if parts is None or parts.scheme not in _PORTS or parts.port == 0 or not _is_host(parts.hostname or ""):
            return None
    except ValueError:  # a port or a bracketed address that is none
        return None
    return parts


def _is_host(host: str) -> bool:
    if ":" in host:
        return "%" not in host and bool(ipaddress.IPv6Address(host))
    return len(host) <= 253 and bool(_NAME(host))


def _point(text: str, where: str) -> bytes:
    point = _key(text, POINT_BYTES, "the browser's public key", where)
    try:
        public_key(point)
    except ValueError:
        raise InvalidRequest("p256dh is no point on the curve P-256", pointer=where, fix=_COPY) from None
    return point


def _secret(text: str, where: str) -> bytes:
    return _key(text, AUTH_BYTES, "the browser's secret", where)


def _key(text: str, length: int, what: str, where: str) -> bytes:
    name = where.rpartition("/")[2]
    data = decoded(text)
    if data is None:
        raise InvalidRequest(f"{name} is not base64url", pointer=where, fix=_COPY)
    if len(data) != length:
        raise InvalidRequest(f"{name}, {what}, has {len(data)} bytes instead of {length}", pointer=where, fix=_COPY)
    return data
