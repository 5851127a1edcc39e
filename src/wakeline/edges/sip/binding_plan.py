"""What a REGISTER does to the bindings of an address-of-record (RFC 3261 section 10.3). Pure: bindings and wishes in, a change out.

A phone is known again by its instance (with `reg-id`, RFC 5626), else by its push token, else by the URI of its Contact. So one
that changed its address replaces what it was, and nobody is called twice. An app that was installed again has another instance
and its old token: whatever has that token is the same phone, and what it was before goes.

All happens or nothing (section 10.3, step 7): a Contact that cannot be granted refuses the whole request.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from wakeline.config import Sip
from wakeline.edges.sip.push_support import Support
from wakeline.edges.sip.refusals import Refused
from wakeline.edges.sip.wishes import Asked, Wish
from wakeline.model.sip.binding import Binding, BindingChange
from wakeline.model.sip.push import PushParams
from wakeline.wire.sip.broken import Broken
from wakeline.wire.sip.gruu import public_gruu
from wakeline.wire.sip.uri import parse_uri, same_uri

_SECOND = 1000
_LONG_ENOUGH = 3600
"""Seconds: nobody is refused for wishing an hour, whatever the settings ask for (RFC 3261 section 10.3)."""


class Judged(NamedTuple):
    """A Contact, what becomes of its push parameters, and the name of the flow on which its phone is reached."""

    wish: Wish
    support: Support
    flow: str


def plan(
    asked: Asked,
    judged: Sequence[Judged],
    present: Sequence[Binding],
    settings: Sip,
    *,
    now: int,
    granted: int | None = None,
) -> BindingChange:
    """Return the change; `present` are the bindings that are kept. `now` in Unix ms. Raises Refused.

    `granted`: the most seconds that somebody else granted, whose word counts; None: we decide.
    """
    if len(judged) > settings.max_contacts:
        raise Refused(403, "A REGISTER with too many Contacts", phrase="Too many contacts in REGISTER")
    put: dict[str, Binding] = {}
    moved: dict[str, str] = {}
    gone: dict[str, Binding] = {each.uid: each for each in present} if asked.everything else {}
    for each in judged:
        wish = each.wish
        before = _same_phone(wish, present)
        if wish.goes:
            gone.update((old.uid, old) for old in before)
            continue
        _check_length(each, settings)
        made = _made(asked, each, before, settings, now, granted)
        put[made.uid] = made
        was = {old.uid: old for old in (*before, *_same_token(made.push, present))}
        gone.update(was)
        moved.update(dict.fromkeys(was, made.uid))
    _check_order(asked, [*gone.values(), *(old for old in present if old.uid in put)])
    left = [old for old in present if old.uid not in gone and old.uid not in put]
    gone.update((old.uid, old) for old in _surplus(left, settings.max_contacts - len(put)))
    return BindingChange(
        aor=asked.aor,
        put=tuple(put.values()),
        removed=tuple(uid for uid in gone if uid not in put),
        moved=tuple((old, new) for old, new in moved.items() if old not in put),
    )


def after(present: Iterable[Binding], change: BindingChange) -> list[Binding]:
    """Return what is registered after a change, highest q first, of equals the one that registered last."""
    touched = {*change.removed, *(each.uid for each in change.put)}
    left = [*change.put, *(each for each in present if each.uid not in touched)]
    return sorted(left, key=lambda each: (-each.q, -each.updated, each.uid))


def _same_phone(wish: Wish, present: Iterable[Binding]) -> list[Binding]:
    """Return what the phone of a Contact registered before: more than one, if it changed how it is told apart."""
    if wish.instance:
        same = [each for each in present if _folded(each.instance) == _folded(wish.instance)]
        return [each for each in same if not (wish.reg_id and each.reg_id) or each.reg_id == wish.reg_id]
    if isinstance(wish.asked, PushParams):
        return _same_token(wish.asked, present)
    return [each for each in present if not each.instance and _same_contact(each.contact, wish)]


def _same_contact(contact: str, wish: Wish) -> bool:
    try:
        return same_uri(parse_uri(contact), wish.uri)
    except Broken:
        return False


def _same_token(push: PushParams | None, present: Iterable[Binding]) -> list[Binding]:
    """Return what is woken by a token of these: nobody else can have it."""
    if push is None:
        return []
    tokens = {each.value for each in push.tokens}
    return [
        each
        for each in present
        if each.push is not None
        and each.push.provider is push.provider
        and any(token.value in tokens for token in each.push.tokens)
    ]


def _made(
    asked: Asked, judged: Judged, before: Sequence[Binding], settings: Sip, now: int, granted: int | None
) -> Binding:
    wish, support, flow = judged
    lasts = seconds_granted(wish, settings, granted)
    kept = max(lasts, min(wish.message_expires, settings.max_expires if granted is None else granted))
    gives_gruu = asked.wants_gruu and bool(wish.instance)
    return Binding(
        aor=asked.aor,
        uid=_uid(wish, before),
        contact=wish.contact.uri,
        call_id=asked.call_id,
        cseq=asked.cseq,
        expires=now + lasts * _SECOND,
        kept=now + kept * _SECOND,
        registered=min((each.registered for each in before), default=now),
        updated=now,
        q=wish.contact.q,
        instance=wish.instance,
        reg_id=wish.reg_id,
        path=asked.path,
        flow=flow,
        gruu=public_gruu(asked.aor, wish.instance) if gives_gruu else "",
        user_agent=asked.user_agent,
        push=support.push,
        app=support.covered.app.id if support.covered else 0,
        device=support.device,
        why_not=support.why_not,
    )


def seconds_granted(wish: Wish, settings: Sip, most: int | None = None) -> int:
    """Return for how long a Contact is registered, in seconds; `most`: by the word of somebody else."""
    seconds = settings.default_expires if wish.expires is None else wish.expires
    return min(seconds, settings.max_expires if most is None else most)


def _check_length(judged: Judged, settings: Sip) -> None:
    """Refuse too short a wish with 423."""
    seconds = seconds_granted(judged.wish, settings)
    shortest = max(settings.min_expires, min(judged.support.shortest, settings.max_expires))
    if seconds < min(shortest, _LONG_ENOUGH):
        raise Refused(423, f"{seconds} s is too short", fields=(("min-expires", str(shortest)),))


def _uid(wish: Wish, before: Sequence[Binding]) -> str:
    if wish.instance:
        return _folded(wish.instance) + (f";reg-id={wish.reg_id}" if wish.reg_id else "")
    if isinstance(wish.asked, PushParams):
        return ":".join(wish.asked.key)
    return before[0].uid if before else wish.contact.uri


def _folded(instance: str) -> str:
    """Return an instance as it is compared: UUIDs without regard to case (RFC 4122 section 3)."""
    return instance.lower() if instance.lower().startswith("urn:uuid:") else instance


def _check_order(asked: Asked, touched: Iterable[Binding]) -> None:
    """Refuse what was overtaken by a later request of the same phone (RFC 3261 section 10.3, step 7)."""
    if any(each.call_id == asked.call_id and each.cseq >= asked.cseq for each in touched):
        raise Refused(500, "A later REGISTER of this phone came before this one")


def _surplus(left: Sequence[Binding], room: int) -> list[Binding]:
    """Return those that give way to new ones: who registered longest ago."""
    oldest_first = sorted(left, key=lambda each: each.updated)
    return oldest_first[: max(0, len(left) - room)]
