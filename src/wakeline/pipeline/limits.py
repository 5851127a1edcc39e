"""Per-user limits: how often a person may be disturbed (DESIGN 5.6). Pure; the counters live in memory.

The generic cell rate algorithm keeps one number a user and kind: the theoretical arrival time (ITU-T I.371, annex A).
Counted once a notification and user, only for named recipients: a broadcast counts for nobody (ADR 8).
A push beyond the limit is booked for the next free slot; one that shares a `collapse` name with a push still waiting for
its slot takes that slot over, since it supersedes that push. Calls are not booked: a call later is no call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from wakeline.config import Limits
from wakeline.model.notification import PushType

_STEP = 1000
"""Milliseconds: a wall clock that goes back further was set, and what users have left is counted from the new time."""

_HOUR = 3_600_000
_MINUTE = 60_000


class Rate(msgspec.Struct, frozen=True):
    """A steady rate: one every `interval` ms, and `burst` of them at once."""

    interval: float
    burst: int

    @property
    def tolerance(self) -> float:
        """Return how far ahead of the steady rate a burst may run, in ms."""
        return self.interval * (self.burst - 1)


class Charge(msgspec.Struct, frozen=True):
    """What a notification was charged to a user: `at`, Unix ms, is when it may go out. To be refunded if it is not kept."""

    app: int
    subject: str
    push_type: PushType
    at: int
    collapse: str
    taken_over: bool


class Limited(msgspec.Struct, frozen=True, kw_only=True):
    """A user of an app who has had as many pushes of a type as they may; the next goes out at `until`, Unix ms."""

    app: int
    subject: str
    push_type: PushType
    until: int


Subject = tuple[int, str, PushType]
"""Of whom is counted what: app, user, type."""


def rates(limits: Limits) -> dict[PushType, Rate]:
    """Return the rate of each limited push type; the others are budgeted by Apple and Google themselves."""
    per_hour = {
        PushType.ALERT: (_HOUR / max(1, limits.alert_per_hour), limits.alert_burst),
        PushType.BACKGROUND: (_HOUR / max(1, limits.background_per_hour), limits.background_per_hour),
        PushType.CALL: (_MINUTE / max(1, limits.call_per_minute), limits.call_per_minute),
    }
    return {push_type: Rate(interval, max(1, burst)) for push_type, (interval, burst) in per_hour.items()}


class UserLimits:
    """The counters of all users of all apps."""

    def __init__(self, limits: Limits) -> None:
        self.configure(limits)
        self._arrivals: dict[tuple[int, str, PushType], float] = {}
        self._reached: dict[Subject, None] = {}
        self._booked: dict[tuple[int, str, PushType, str], int] = {}
        self._now = 0

    def configure(self, limits: Limits) -> None:
        """Put new rates in force; what was booked stays booked."""
        self._enabled = limits.per_user
        self._rates = rates(limits)

    def applies(self, push_type: PushType) -> bool:
        """Tell whether pushes of this type are limited at all."""
        return self._enabled and push_type in self._rates

    def charge(
        self, app: int, subject: str, push_type: PushType, collapse: str, *, now: int, latest: int
    ) -> Charge | int:
        """Take a slot: return the charge, or the next free time (Unix ms) if that is not before `latest`; then nothing is taken."""
        if now != self._now:
            self._follow(now)
        rate = self._rates[push_type]
        key = app, subject, push_type
        if collapse:
            booked = self._booked.get((*key, collapse), 0)
            if now < booked < latest:
                return Charge(app, subject, push_type, booked, collapse, taken_over=True)
        arrival, at = self._arrivals.get(key, 0.0), now
        if arrival > now:
            slot = round(arrival - rate.tolerance)
            at = max(now, slot)
            if at > now and at >= latest:
                return at
            if slot + rate.interval > now:
                self._reached[key] = None
        else:
            arrival = float(now)
            if rate.burst == 1:
                self._reached[key] = None
        self._arrivals[key] = arrival + rate.interval
        if collapse and at > now:
            self._booked[(*key, collapse)] = at
        return Charge(app, subject, push_type, at, collapse, taken_over=False)

    def _follow(self, now: int) -> None:
        """Keep what users have left when the wall clock is set back."""
        back, self._now = self._now - now, now
        if back > _STEP:
            self._arrivals = {key: arrival - back for key, arrival in self._arrivals.items()}

    def refund(self, charge: Charge) -> None:
        """Give a slot back: what it was for was not kept (a repeated request, a failed commit)."""
        key = charge.app, charge.subject, charge.push_type
        if charge.taken_over or key not in self._arrivals:
            return
        self._arrivals[key] -= self._rates[charge.push_type].interval
        if self._booked.get((*key, charge.collapse)) == charge.at:
            del self._booked[(*key, charge.collapse)]

    def limited(self, app: int, subject: str, now: int) -> list[Limited]:
        """Return of which types a user may have no more now."""
        return self.among([(app, subject, push_type) for push_type in self._rates], now)

    def among(self, subjects: Iterable[Subject], now: int) -> list[Limited]:
        """Return those who may have no more now."""
        if not self._enabled:
            return []
        arrivals, over = self._arrivals, {push_type: rate.tolerance + now for push_type, rate in self._rates.items()}
        return [
            Limited(app=app, subject=subject, push_type=push_type, until=round(arrival - over[push_type] + now))
            for app, subject, push_type in subjects
            if (arrival := arrivals.get((app, subject, push_type), 0.0)) > over[push_type]
        ]

    def arrival(self, whom: Subject) -> float:
        """Return the theoretical arrival time (Unix ms) that is kept of a user; 0 if there is none."""
        return self._arrivals.get(whom, 0.0)

    def subjects(self) -> list[Subject]:
        """Return who reached a limit not long ago; a copy, so that it may be gone through at leisure."""
        return list(self._reached)

    def recall(self, arrivals: Mapping[Subject, float]) -> None:
        """Count on from what was counted before a restart."""
        self._arrivals |= arrivals
        self._reached |= dict.fromkeys(arrivals)

    def forget_user(self, app: int, subject: str) -> None:
        """Drop all that is known of a user."""
        for push_type in self._rates:
            self._arrivals.pop((app, subject, push_type), None)
            self._reached.pop((app, subject, push_type), None)
        self._booked = {key: at for key, at in self._booked.items() if key[:2] != (app, subject)}

    def forget(self, now: int) -> int:
        """Drop the counters of users who are back to a full allowance; returns how many remain."""
        self._arrivals = {key: arrival for key, arrival in self._arrivals.items() if arrival > now}
        self._reached = {key: None for key in self._reached if key in self._arrivals}
        self._booked = {key: at for key, at in self._booked.items() if at > now}
        return len(self._arrivals)
