"""A subscription in any of the forms in which applications hand it on: endpoint and keys, the browser's object, its text.

Without keys there is no subscription: RFC 8291 encrypts for them, so that no push service reads a message. Servers of
UnifiedPush that are older than that took plain text; they are not sent to, since they would read everything.
"""

from __future__ import annotations

import msgspec

from wakeline.model.device import BrowserSubscription, SubscriptionKeys
from wakeline.model.errors import InvalidRequest
from wakeline.wire.webpush.subscription import Subscription, subscription

_HOW = (
    "Send what the subscription itself says: `JSON.stringify(subscription)` in a browser, `endpoint.pubKeySet` in an Android "
    "app (UnifiedPush connector 3 or newer). A UnifiedPush app or distributor that gives no keys has to be updated."
)
_text = msgspec.json.Decoder(BrowserSubscription)


def told(
    value: str | BrowserSubscription, keys: SubscriptionKeys | None, *, pointer: str, allow_http: bool
) -> Subscription:
    """Return the subscription that a caller's `value` and `keys`, members of the object at `pointer`, speak of.

    `allow_http`: its endpoint may be without TLS. Raises InvalidRequest that points at the member that is wrong.
    """
    if isinstance(value, str) and value.lstrip().startswith("{"):
        value = _read(value, pointer)
    where = f"{pointer}/value"
    if isinstance(value, BrowserSubscription):
        endpoint, endpoint_at, keys_at = value.endpoint, f"{where}/endpoint", pointer if keys else where
        keys = keys or value.keys
    else:
        endpoint, endpoint_at, keys_at = value, where, pointer
    if keys is None:
        raise InvalidRequest(
            "a Web Push subscription has keys, and these are missing: without them nothing can be encrypted for it",
            pointer=f"{keys_at}/keys",
            fix=_HOW,
        )
    try:
        return subscription(endpoint, keys.p256dh, keys.auth, pointer="", allow_http=allow_http)
    except InvalidRequest as error:
        at = endpoint_at if error.pointer == "/endpoint" else keys_at + error.pointer
        raise InvalidRequest(error.detail, pointer=at, fix=error.fix) from None


def _read(text: str, pointer: str) -> BrowserSubscription:
    try:
        return _text.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise InvalidRequest(
            "this text is no browser's subscription with `endpoint` and `keys`", pointer=f"{pointer}/value", fix=_HOW
        ) from None
