"""The token that a push bears for its receipt, made with a key that follows the master key."""

from __future__ import annotations

from wakeline.ports import Secrets
from wakeline.wire import receipt_token


class ReceiptSigner:
    """Makes tokens. The key is derived once for each master key: that costs more than all else here."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._derived_from = ""
        self._key = b""

    def token(self, notification: int) -> str:
        """Return the token of a notification (a key)."""
        if self._derived_from != self._secrets.key_id:
            self._derived_from, self._key = self._secrets.key_id, self._secrets.derive(receipt_token.PURPOSE)
        return receipt_token.make(notification, self._key)
