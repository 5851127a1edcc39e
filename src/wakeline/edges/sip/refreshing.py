"""Registrations of sleeping phones are renewed: a phone is woken before its registration ends (RFC 8599 section 5.5).

Two minutes before the end a silent push asks a phone to register again, and once more a minute before, if it did not: one push
may be lost. A phone that renews by itself (`+sip.pnsreg`) has done so by then, and so has one that is awake. What can only be
woken by a VoIP push is left alone: Apple ends apps that show no call for one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import structlog

from wakeline.edges.sip.push_support import REFRESH_BEFORE
from wakeline.model.app import App
from wakeline.model.errors import StorageError, WakelineError
from wakeline.model.notification import Audience, NotificationRequest
from wakeline.model.sip.binding import Binding
from wakeline.pipeline import Accept, Submission, Taken
from wakeline.ports import Apps, Clock, Reply
from wakeline.ports.sip import SipBindings
from wakeline.wire.flexisip import payloads
from wakeline.wire.flexisip.payloads import Occasion

STAGES = (REFRESH_BEFORE, 60)
"""Seconds before the end of a registration at which its phone is asked."""
TICK = 15.0
"""Seconds between looks: a phone is asked so much earlier at most, and never later."""
_PAGE = 500
_SECOND = 1000

_log = structlog.get_logger()


class Refreshing:
    """Asks phones to register again."""

    def __init__(self, bindings: SipBindings, accept: Accept, apps: Apps, clock: Clock) -> None:
        self._bindings = bindings
        self._accept = accept
        self._apps = apps
        self._clock = clock
        self._asked = dict.fromkeys(STAGES, clock.now())
        """Up to which end of their registration phones were asked, by stage."""

    async def run(self) -> None:
        """Look, again and again, until cancelled."""
        while True:
            try:
                await self.look()
            except StorageError as error:
                _log.warning("sip.phones_not_asked_to_renew", cause=error.detail)
            await self._clock.sleep(TICK)

    async def look(self) -> None:
        """Ask each phone whose registration comes to its end. Raises StoreUnavailable, and the next look asks who was not."""
        now = self._clock.now()
        for stage in STAGES:
            horizon = now + round((stage + TICK) * _SECOND)
            async for binding in self._ending(max(now, self._asked[stage]), horizon):
                await self._ask(binding, now)
            self._asked[stage] = horizon

    async def _ending(self, after: int, before: int) -> AsyncIterator[Binding]:
        """Go through registrations that end in a time, in pages; many may end in the same millisecond."""
        last: set[tuple[str, str]] = set()
        while True:
            page = await self._bindings.expiring(before, after=after, limit=_PAGE + len(last))
            for binding in page:
                if (binding.aor, binding.uid) not in last:
                    yield binding
            if len(page) < _PAGE + len(last):
                return
            after = page[-1].expires
            last = {(each.aor, each.uid) for each in page if each.expires == after}

    async def _ask(self, binding: Binding, now: int) -> None:
        app = self._apps.by_id(binding.app)
        request = _request(binding, now)
        if app is None or request is None:
            return
        submission = Submission(request=request, idempotency=None, reply=_no_reply)
        (answer,) = await self._accept.accept(app, [submission])
        _tell(app, binding, answer.detail if isinstance(answer, WakelineError) else "")


def _request(binding: Binding, now: int) -> NotificationRequest | None:
    """Return the push that asks a phone to register; None: none of its tokens may be used for that."""
    if binding.push is None or not binding.device:
        return None
    left = max(1, (binding.expires - now) // _SECOND)
    push = payloads.Push(occasion=Occasion.REGISTER, ttl=left, at=now, uuid=binding.instance)
    return payloads.request(binding.push, push, Audience(devices=(binding.device,)))


def _tell(app: App, binding: Binding, why_not: str) -> None:
    _log.info("sip.asked_to_renew", app=app.slug, aor=binding.aor, device=binding.device, why_not=why_not)


def _no_reply(_: Taken) -> Reply:
    """Nobody repeats this by a key."""
    return Reply(status=202, body=b"")
