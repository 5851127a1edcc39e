"""Who we are, said to a push service: VAPID (RFC 8292).

A token is for one push service (`aud`) and lives at most a day. Apple asks that it be renewed at most hourly. So a token
is one of a window of hours, as provider tokens of APNs are: every connection and every replica presents the same bytes with
no word exchanged, and the windows of push services begin at different times.

Source: RFC 8292 sections 2 (claims, 24 hours) and 3 (the header); Apple, "Sending web push notifications in web apps and
browsers" (renewal, `sub`).
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec

from wakeline.wire import jwt
from wakeline.wire.webpush.keys import encoded, point_of

WINDOW = 6 * 3600
"""Seconds for which a token stays the same."""
LIFE = 2 * WINDOW
"""Seconds from the start of a window to the expiry of its token: at the window's end half of them are left, and a clock of
ours that is hours wrong either way still makes a token that is valid, and for less than a day."""


def expiry(origin: str, now: int) -> int:
    """Return the `exp` of the token for a push service at `now`, both in Unix seconds: whoever keeps tokens keys them by it."""
    return jwt.window_start(origin, now, window=WINDOW, youngest=0) + LIFE


def vapid(private_key: ec.EllipticCurvePrivateKey, origin: str, subject: str, now: int) -> str:
    """Return the value of `authorization` for a push service at `now` (Unix seconds); the same for a whole window.

    `origin` is the subscription's; `subject` is how its operator reaches ours (`mailto:` or `https:`), empty for nobody.
    """
    claims: dict[str, object] = {"aud": origin, "exp": expiry(origin, now)}
    if subject:
        claims["sub"] = subject
    token = jwt.es256(private_key, {"typ": "JWT"}, claims)
    return f"vapid t={token}, k={encoded(point_of(private_key.public_key()))}"
