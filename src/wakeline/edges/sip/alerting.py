"""Phones of Apple that get no VoIP pushes ring by alerts: one after the other, and a last one that says how the call ended.

Only where the phone asks for it (`pn-call-remote-push-interval`, seconds, a parameter of liblinphone's Contacts). The alerts of a
call replace each other on the phone.
"""

from __future__ import annotations

from wakeline.edges.sip.branch import VOIP
from wakeline.edges.sip.waking import Wakes
from wakeline.model.sip.binding import Binding
from wakeline.model.sip.push import PushProvider
from wakeline.wire.flexisip.payloads import Occasion
from wakeline.wire.sip.message import Request

SHORTEST, LONGEST = 1.0, 30.0
"""Seconds between alerts; Flexisip takes up to 30."""
LAST_WORD_COUNTS = 86_400.0
"""Seconds for which it is worth something to learn of a missed call."""


def interval(binding: Binding, occasion: Occasion) -> float:
    """Return the seconds between alerts of a call; 0: one push is all."""
    push = binding.push
    if push is None or occasion is not Occasion.CALL or not push.repeat:
        return 0.0
    if push.provider not in (PushProvider.APNS, PushProvider.APNS_DEV) or push.token(VOIP) is not None:
        return 0.0
    return min(max(push.repeat, SHORTEST), LONGEST)


def tell_end(wakes: Wakes, binding: Binding, request: Request, occasion: Occasion | None, status: int) -> None:
    """Tell a phone that rang by alerts, and never woke, how the call ended."""
    if occasion is not None and interval(binding, occasion):
        wakes.wake(binding, request, _last_word(status), LAST_WORD_COUNTS, pushed=_no_more, not_woken=_no_matter)


def _last_word(status: int) -> Occasion:
    """Return what a phone that rang is told when a call ended so elsewhere."""
    if status < 300:
        return Occasion.ACCEPTED_ELSEWHERE
    return Occasion.DECLINED_ELSEWHERE if status >= 600 else Occasion.MISSED


def _no_more() -> None:
    """The call is over: nobody hears of this push."""


def _no_matter(_: str) -> None:
    """The call is over: nobody waits for this push."""
