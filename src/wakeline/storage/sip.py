"""Rules of the SIP edge that every adapter follows: how a change of registrations is applied, and which Contact comes first."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from wakeline.model.errors import InvalidRequest, NotFound
from wakeline.model.sip.binding import Binding, BindingChange
from wakeline.model.sip.user import SipUser
from wakeline.model.sip.waiting import WaitingMessage

_APP_GONE = "The app that its pushes went through was deleted"


def applied(present: Iterable[Binding], change: BindingChange) -> list[Binding]:
    """Return the bindings of an AoR as a change leaves them."""
    left = {binding.uid: binding for binding in present}
    for uid in change.removed:
        left.pop(uid, None)
    left.update((binding.uid, binding) for binding in change.put)
    return list(left.values())


def in_order(bindings: Iterable[Binding], now: int) -> list[Binding]:
    """Return those that are kept, highest q first, of equals the one that registered last."""
    kept = (binding for binding in bindings if binding.kept > now)
    return sorted(kept, key=lambda binding: (-binding.q, -binding.updated, binding.uid))


def is_woken_by(binding: Binding, app: int, token: str) -> bool:
    """Tell whether this token wakes it through this app."""
    return binding.push is not None and binding.app == app and any(each.value == token for each in binding.push.tokens)


def refuse_broken_text(kept: BindingChange | WaitingMessage | SipUser) -> None:
    """Raise InvalidRequest for what cannot be kept as it came."""
    try:
        msgspec.json.encode(msgspec.structs.replace(kept, request=b"") if isinstance(kept, WaitingMessage) else kept)
    except UnicodeEncodeError as error:
        raise InvalidRequest("An address or a parameter holds bytes that are no UTF-8") from error


def without_app(binding: Binding) -> Binding:
    """Return a registration as the deletion of its app leaves it: it rings while it is awake, and is woken no more."""
    return msgspec.structs.replace(binding, app=0, device="", why_not=_APP_GONE)


def to_each_once(message: WaitingMessage) -> WaitingMessage:
    """Return a message whose phones stand in it once, in the order of their texts."""
    return msgspec.structs.replace(message, uids=tuple(sorted(set(message.uids))))


def no_user(user: str, domain: str) -> NotFound:
    """Say that a user does not exist."""
    return NotFound(f"There is no SIP user {user}@{domain}")
