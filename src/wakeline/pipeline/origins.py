"""How many push services of Web Push an app may have routes to. Pure.

Theory: a subscription names its own push service, and a phone with a device token may register any. Each one becomes a
route, which is kept for ever, with connections of its own; so their number is bounded. Those of the browsers themselves are
beyond the bound: whoever uses it up must not keep anybody's browser from being reached.
"""

from __future__ import annotations

from collections.abc import Iterable

from wakeline.model.route import ProviderKind, Route

BROWSERS = frozenset(
    {
        "https://fcm.googleapis.com",  # Chrome, Edge on Android, Opera, Samsung Internet
        "https://updates.push.services.mozilla.com",  # Firefox
        "https://web.push.apple.com",  # Safari
    }
)


def admits(routes: Iterable[Route], app: int, origin: str, most: int) -> bool:
    """Tell whether an app may have a route to this origin: it has one, it is a browser's, or there is room below `most`."""
    if origin in BROWSERS:
        return True
    known = {route.topic for route in routes if route.app == app and route.provider is ProviderKind.WEBPUSH}
    return origin in known or len(known - BROWSERS) < most
