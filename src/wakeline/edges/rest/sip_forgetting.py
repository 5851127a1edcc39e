"""Forgetting phones of a SIP address: they are reached no more, and what waited for them is theirs no more."""

from __future__ import annotations

from collections.abc import Iterable

from wakeline.edges.rest.ports import SipParts
from wakeline.model.sip.binding import BindingChange

_AT_ONCE = 500


async def forget_phones(sip: SipParts, aor: str, uids: Iterable[str]) -> None:
    """End registrations of an address, and drop the messages that waited for those phones alone. Raises StoreUnavailable."""
    removed = tuple(uids)
    if not removed:
        return
    await sip.bindings.change(BindingChange(aor=aor, removed=removed))
    for uid in removed:
        while waiting := await sip.messages.waiting(aor, uid, now=0, limit=_AT_ONCE):
            await sip.messages.taken(uid, [message.id for message in waiting])
