"""The provider token of one APNs key, shared by all its connections.

As long as the clock is right, the token follows from the key and the time (`wire.jwt`), so that every replica presents
the same. If Apple calls it expired, the clock is slow: from then on tokens are made fresh, and never twice within 20
minutes, because Apple answers 429 to more.
"""

from __future__ import annotations

import structlog

from wakeline.model.credential import CredentialSecret
from wakeline.ports import Clock
from wakeline.wire import jwt

log = structlog.get_logger()

_FLOOR = 20 * 60
"""Seconds between two changes of the token (Apple, "Establishing a token-based connection to APNs")."""


class ProviderTokens:
    """Makes the `authorization` of one key. Raises CredentialRefused if the key cannot be read."""

    def __init__(self, secret: CredentialSecret, clock: Clock) -> None:
        self._key = jwt.load_ec_key(secret.private_key)
        self._key_id = secret.key_id
        self._team_id = secret.team_id
        self._clock = clock
        self._iat = 0
        self._authorization = b""
        self._changed: float | None = None
        self._clock_is_slow = False

    def authorization(self) -> bytes:
        """Return the header's value to use now."""
        now = self._clock.now() // 1000
        if self._clock_is_slow:
            if now - self._iat >= jwt.WINDOW:
                self._make(now)
            return self._authorization
        iat = jwt.window_start(self._key_id, now)
        if iat != self._iat and self._may_change():
            self._make(iat)
        return self._authorization

    def renew(self, refused: bytes) -> bool:
        """Make another token because Apple calls `refused` expired; False if none may be made yet."""
        if refused != self._authorization:
            return True  # another request has seen to it
        if not self._may_change():
            return False
        self._clock_is_slow = True
        self._make(self._clock.now() // 1000)
        log.warning("apns_token_expired_early", key_id=self._key_id, note="the clock of this machine is slow")
        return True

    def freeze(self) -> None:
        """Keep the token for the next 20 minutes, because Apple saw too many (429 TooManyProviderTokenUpdates)."""
        log.warning("apns_token_frozen", key_id=self._key_id, seconds=_FLOOR)
        self._changed = self._clock.monotonic()

    def _may_change(self) -> bool:
        return self._changed is None or self._clock.monotonic() - self._changed >= _FLOOR

    def _make(self, iat: int) -> None:
        # The first token is no change: what Apple counts is how often it differs.
        self._changed = self._clock.monotonic() if self._authorization else None
        token = jwt.provider_token(self._key, self._key_id, self._team_id, iat)
        self._iat, self._authorization = iat, b"bearer " + token.encode()
