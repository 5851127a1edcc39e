"""Which URLs results webhooks may go to, as far as that shows without a look-up.

Said when an endpoint is made, with the setting that stands in the way, so that nobody learns it from a failing delivery. It
is no protection by itself: a name may resolve to any address, so the guard judges the addresses of each connection again.
"""

from __future__ import annotations

import ipaddress

from wakeline.config import Webhooks
from wakeline.model.errors import AddressRefused
from wakeline.transport.addresses import refusal
from wakeline.transport.guard import Origin, read_url

_LOOPBACK = ipaddress.IPv4Address("127.0.0.1")


def judge(url: str, settings: Webhooks) -> None:
    """Refuse a URL that [webhooks] forbids. Raises AddressRefused; its fix names the setting that would permit it."""
    origin = _read(url)
    if origin.scheme == "http" and not settings.allow_http:
        raise AddressRefused(
            f"{origin.host}: webhooks do not go over plain http here",
            fix="Use an https URL; or set `[webhooks] allow_http = true` where the network in between is trusted.",
        )
    address = _written(origin.host)
    if address is None:
        return
    if cause := refusal(address, allow_private=settings.allow_private):
        liftable = not refusal(address, allow_private=True)
        raise AddressRefused(
            f"{origin.host} is a {cause}: webhooks do not go there",
            fix="Use a public address; or set `[webhooks] allow_private = true` to tell programs in your own network."
            if liftable
            else "Use a public address; no setting permits this one.",
        )


def _read(url: str) -> Origin:
    try:
        return read_url(url)[0]
    except AddressRefused as error:
        raise AddressRefused(
            error.detail,
            fix=error.fix
            or "Give the whole URL, such as https://backend.example/push-results; a name in other letters as xn--...",
        ) from None


def _written(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that a host is without asking anybody: one in digits, or localhost (RFC 6761 section 6.3)."""
    if host == "localhost" or host.endswith(".localhost"):
        return _LOOPBACK
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
