"""What a registrar says to push parameters (RFC 8599 sections 4 and 5.6.1), and what it makes of them.

    asked for                                    what happens
    a service that is served, by an app of ours  pushes; Feature-Caps names it, if the registration lasts until we would refresh it
    ... that no app covers                       registered without pushes, and `explain` says why
    a service that nobody here serves            555, and nothing is registered (older parameters: registered without pushes)
    nothing but which services there are         Feature-Caps for each, no pushes; 555 if it is none
    pushes, of a proxy nearer the phone          registered without pushes by us

A phone that is not to be woken is registered all the same, where that is true: it calls, and is called while it is awake.
"""

from __future__ import annotations

import msgspec

from wakeline.edges.sip.apps import Covered, Promise, PushApps
from wakeline.edges.sip.phones import device_id
from wakeline.edges.sip.refusals import Refused
from wakeline.edges.sip.wishes import Asked, Wish
from wakeline.model.sip.push import PushParams
from wakeline.wire.sip.feature_caps import feature_caps
from wakeline.wire.sip.push_params import PushQuery, PushRefused

REFRESH_BEFORE = 120
"""Seconds before the end of a registration at which a phone is woken to renew it (RFC 8599 section 5.5)."""
SHORTEST_WOKEN = REFRESH_BEFORE + 60
"""Seconds: a registration that is shorter would end, or nearly so, before its phone could be woken to renew it."""
WAKES_ITSELF_BEFORE = 130
"""Seconds before the end at which a phone that can is to renew by itself; more than 120 (RFC 8599 section 4.1.4)."""

_NEARER = "A proxy nearer the phone sends its pushes"
_QUERY = "It asked which push services there are, and gave no token"


class Support(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one Contact's push parameters: `push` through `covered` as `device`, or `why_not`.

    `caps` are the Feature-Caps of the answer; `claimed` only if the registration is granted for SHORTEST_WOKEN.
    """

    push: PushParams | None = None
    covered: Covered | None = None
    device: str = ""
    why_not: str = ""
    caps: tuple[str, ...] = ()
    claimed: str = ""

    @property
    def shortest(self) -> int:
        """Return the seconds that a registration must last for this."""
        return SHORTEST_WOKEN if self.claimed else 0


NO_PUSH = Support()


def supported(asked: Asked, wish: Wish, apps: PushApps) -> Support:
    """Judge a Contact that is to be registered. Raises Refused with 555."""
    if wish.asked is None:
        return NO_PUSH
    if asked.pushed_by:
        return Support(why_not=_NEARER)
    match wish.asked:
        case PushQuery(provider):
            return Support(caps=_promised(provider, apps), why_not=_QUERY)
        case PushRefused(_, why) if wish.by_rfc:
            raise Refused(555, why)
        case PushRefused(_, why):
            return Support(why_not=why)
        case PushParams() as push:
            return _through(push, wish, apps)


def _promised(provider: str, apps: PushApps) -> tuple[str, ...]:
    """Return what is said to a phone that asks for a service, or (no name) for all (RFC 8599 section 4.1.5). Raises Refused."""
    found = [each for each in apps.promises() if provider in ("", each.provider.value)]
    if provider and not found:
        raise Refused(555, f"No app has a credential for {provider[:40]}")
    return tuple(map(_caps, found))


def _through(push: PushParams, wish: Wish, apps: PushApps) -> Support:
    covered = apps.cover(push)
    if isinstance(covered, str):
        return Support(push=push, why_not=covered)
    claimed = "" if push.legacy else _caps(apps.promise(push.provider), wakes_itself=wish.wakes_itself)
    return Support(push=push, covered=covered, device=device_id(push, wish.instance), claimed=claimed)


def _caps(promise: Promise, *, wakes_itself: bool = False) -> str:
    pnsreg = WAKES_ITSELF_BEFORE if wakes_itself else None
    return feature_caps(promise.provider.value, pnsreg=pnsreg, vapid=promise.vapid)
