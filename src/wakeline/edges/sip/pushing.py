"""How a fork wakes those of its phones that sleep: one push each, alerts again and again where a phone rings by them.

What a refused push means depends on what else is known of the phone:

    it has said a word to what it was asked           nothing: it is awake
    its token is gone                                 it is away, at once
    another call's push is out to it                  it is waited for: users get so many pushes in a minute
    it was asked already, for it gave signs of life   it has `ANSWERS_WITHIN` to say a word, and is away then
    it rings by an alert before this one              nothing
    else                                              it is away, at once
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from wakeline.edges.sip.alerting import interval, tell_end
from wakeline.edges.sip.asking import Asked, ForkPorts
from wakeline.edges.sip.branch import Branch
from wakeline.edges.sip.bucket import Waiting
from wakeline.edges.sip.decisions import decided
from wakeline.model.sip.binding import TOKEN_GONE
from wakeline.wire.flexisip.payloads import Occasion

ANSWERS_WITHIN = 4.0
"""Seconds that a phone has that seemed awake and cannot be woken: over UDP it has been asked four times by then."""


class Course(Waiting, Protocol):
    """A fork, as it hears of its pushes."""

    @property
    def goes_on(self) -> bool:
        """Tell whether phones are still wanted."""

    def pushed(self) -> None:
        """A phone is being woken."""

    def away(self, branch: Branch, why: str) -> None:
        """A phone cannot be reached."""


class Pushing:
    """Sends the pushes of one fork."""

    def __init__(self, ports: ForkPorts, asked: Asked) -> None:
        self._ports = ports
        self._asked = asked
        self._began = ports.layer.now()
        self._expected: set[str] = set()

    def hold(self, branch: Branch, occasion: Occasion, course: Course) -> None:
        """Wait for a phone that sleeps, and wake it, after the moment that it wants (`pn-timeout`)."""
        branch.held = True
        self._ports.bucket.expect(branch.binding.flow, course)
        self._expected.add(branch.binding.flow)
        decided("held", call_id=self._asked.request.call_id, aor=self._asked.aor, uid=branch.binding.device)
        delay = (branch.binding.push and branch.binding.push.timeout) or 0.0
        if delay > 0:
            self._ports.layer.after(delay, partial(self._wake, branch, occasion, course))
        else:
            self._wake(branch, occasion, course)

    def doubt(self, branch: Branch, course: Course, why: str) -> None:
        """Give a phone a moment that was asked, since it seems awake, and that no push can wake."""
        branch.held = False
        self._ports.layer.after(ANSWERS_WITHIN, _if_silent(branch, partial(course.away, branch, why)))

    def ended(self, branch: Branch, status: int) -> None:
        """Tell a phone that rang by alerts, and never woke, how the call ended."""
        if branch.wake is not None and branch.client is None:
            tell_end(self._ports.wakes, branch.binding, self._asked.request, self._asked.occasion, status)

    def leave_bucket(self, course: Course) -> None:
        """Wait for nobody any more."""
        self._ports.bucket.take(self._asked.aor, course, self._expected)

    def _wake(self, branch: Branch, occasion: Occasion, course: Course) -> None:
        """Send a push; to a phone that rings by alerts one after the other."""
        if not branch.held or not course.goes_on:
            return
        again = branch.wake is not None
        if branch.wake is not None:
            branch.wake.end(take_back=False)
        branch.wake = self._ports.wakes.wake(
            branch.binding,
            self._asked.request,
            occasion,
            self._began + self._asked.patience - self._ports.layer.now(),
            pushed=course.pushed,
            not_woken=partial(self._not_woken, branch, course, again=again),
        )
        seconds = interval(branch.binding, occasion)
        if seconds:
            self._ports.layer.after(seconds, partial(self._wake, branch, occasion, course))

    def _not_woken(self, branch: Branch, course: Course, why: str, *, again: bool) -> None:
        if not branch.held:
            return
        if branch.rings:
            branch.held = False
        elif why == TOKEN_GONE:
            course.away(branch, why)
        elif again:
            return
        elif branch.client is not None:
            self.doubt(branch, course, why)
        elif self._ports.bucket.is_being_woken(self._asked.aor, branch.binding.uid):
            course.pushed()
        else:
            course.away(branch, why)


def _if_silent(branch: Branch, call: Callable[[], None]) -> Callable[[], None]:
    """Return what calls that if the phone has said nothing then to what it was asked before now."""
    client = branch.client

    def look() -> None:
        if branch.open and branch.client is client and client is not None and not client.status:
            call()

    return look
