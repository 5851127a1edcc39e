"""A push service with a truth of its own (which tokens live where, which keys are good) that answers late, twice, or never.

What it said is kept, so that what the gateway concludes can be compared with what it could know.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from random import Random
from typing import NamedTuple

import msgspec

from stories.clock import FakeClock
from wakeline.model.credential import Credential, CredentialSecret
from wakeline.model.device import Recipient
from wakeline.model.notification import Notification
from wakeline.model.outcome import Outcome
from wakeline.model.route import ProviderKind, Route
from wakeline.ports import Preview, SenderStats, Shipment
from wakeline.wire.outcomes import Loss, apns, fcm, lost

OK = apns(200, "")
REVOKED = apns(403, "InvalidProviderToken")
NAMED = fcm(200, b'{"name":"projects/acme-1/messages/1"}', None)
BAD_TOKEN = apns(400, "BadDeviceToken")
REMOVED = fcm(
    404,
    b'{"error":{"code":404,"status":"NOT_FOUND","details":'
    b'[{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"UNREGISTERED"}]}}',
    None,
)
DENIED = fcm(403, b'{"error":{"status":"PERMISSION_DENIED"}}', None)
NO_ANSWER = lost(Loss.TIMEOUT)
LOSSES = (lost(Loss.REFUSED_STREAM), lost(Loss.UNANSWERED), lost(Loss.NOT_WRITTEN), lost(Loss.CONNECT_REFUSED))
BUSY = {
    ProviderKind.APNS: (
        apns(503, "ServiceUnavailable"),
        apns(500, "InternalServerError"),
        apns(429, "TooManyRequests"),
    ),
    ProviderKind.FCM: (fcm(503, b"", 5.0), fcm(429, b"", 20.0), fcm(500, b"", None)),
}


class Truth(msgspec.Struct):
    """What is so of a token: where it lives (empty: everywhere), and since when it is dead (Unix ms)."""

    environment: str = ""
    dead: int | None = None


class Said(NamedTuple):
    """An answer that reached the gateway."""

    notification: int
    target: int
    token: str
    outcome: Outcome
    at: int


class Mood(msgspec.Struct):
    """How it is at the moment: the share of answers that are lost, refused for a while, slow, given twice."""

    lost: float = 0.0
    busy: float = 0.0
    slow: float = 0.0
    twice: float = 0.0
    silent: bool = False


class Carrier:
    """The push service. `saw` is told of each request, `said` of each answer that reaches the gateway."""

    def __init__(
        self,
        kind: ProviderKind,
        clock: FakeClock,
        chance: Random,
        saw: Callable[[Shipment, int], None],
        said: Callable[[Said], None],
    ) -> None:
        self.kind = kind
        self.clock = clock
        self.chance = chance
        self.saw = saw
        self.said = said
        self.mood = Mood()
        self.immune: set[int] = set()
        """Apps whose requests are answered at once and with the truth."""
        self.truth: dict[str, Truth] = defaultdict(Truth)
        self.bad_keys: set[tuple[int, int]] = set()
        """(id, revision) of credentials that are refused."""
        self.capacity = 1000
        self.stopping = False
        """The gateway waits for what is on its way before it ends; time passes for it alone."""
        self.offices: list[Desk] = []

    @property
    def refusal(self) -> Outcome:
        """Return the answer to a credential that is refused."""
        return REVOKED if self.kind is ProviderKind.APNS else DENIED

    def open(self, route: Route, credential: Credential, secret: CredentialSecret, wake: Callable[[], None]) -> Desk:
        assert secret.kind is credential.kind
        desk = Desk(self, route, credential, wake)
        self.offices.append(desk)
        return desk

    def preview(
        self, notification: Notification, route: Route, credential: Credential, recipient: Recipient, now: int
    ) -> Preview:
        raise AssertionError((notification.key, route.id, credential.id, recipient.target, now))

    def size(self, notification: Notification) -> tuple[int, int, str]:
        return len(notification.content.data), 4096, "data"

    def deliver(self) -> bool:
        """Give the answers whose time has come; returns whether there were any."""
        answered = [desk.deliver() for desk in list(self.offices)]
        self.offices = [desk for desk in self.offices if desk.pending or not desk.closed]
        return any(answered)

    def judge(self, desk: Desk, recipient: Recipient) -> Outcome:
        """Return the truth about a request."""
        if (desk.credential.id, desk.credential.revision) in self.bad_keys:
            return self.refusal
        truth = self.truth[recipient.value]
        if truth.dead is not None:
            return apns(410, "Unregistered", since=truth.dead) if self.kind is ProviderKind.APNS else REMOVED
        if truth.environment not in ("", desk.route.environment.value):
            return BAD_TOKEN
        return OK if self.kind is ProviderKind.APNS else NAMED


class Pending(NamedTuple):
    """A request on its way; `outcome` None: judged when it is answered."""

    at: float
    shipment: Shipment
    place: int
    outcome: Outcome | None


class Desk:
    """One sender."""

    def __init__(self, carrier: Carrier, route: Route, credential: Credential, wake: Callable[[], None]) -> None:
        self.carrier = carrier
        self.route = route
        self.credential = credential
        self.wake = wake
        self.pending: list[Pending] = []
        self.closed = False

    def room(self, *, call: bool = False) -> int:
        capacity = 1000 if self.route.app in self.carrier.immune else self.carrier.capacity
        reserve = 0 if call else capacity // 10
        return max(0, capacity - reserve - len(self.pending))

    def send(self, shipment: Shipment) -> None:
        assert not self.closed
        assert 0 < len(shipment.recipients) <= self.room(call=shipment.lane == 0)
        for place in range(len(shipment.recipients)):
            self.carrier.saw(shipment, place)
            self.pending.append(self._fate(shipment, place))

    def _fate(self, shipment: Shipment, place: int) -> Pending:
        """Decide when a request is answered, and whether by the truth."""
        carrier, chance = self.carrier, self.carrier.chance
        mood, now = carrier.mood, carrier.clock.monotonic()
        if self.route.app in carrier.immune:
            return Pending(now, shipment, place, None)
        if mood.silent or chance.random() < mood.lost / 2:
            return Pending(shipment.deadline, shipment, place, NO_ANSWER)
        if chance.random() < mood.lost / 2:
            return Pending(now, shipment, place, chance.choice(LOSSES))
        at = min(shipment.deadline, now + (chance.choice((0.05, 1.0, 20.0)) if chance.random() < mood.slow else 0.0))
        busy = chance.choice(BUSY[carrier.kind]) if chance.random() < mood.busy else None
        return Pending(at, shipment, place, busy)

    def deliver(self) -> bool:
        now, chance = self.carrier.clock.monotonic(), self.carrier.chance
        due = [one for one in self.pending if one.at <= now or self.carrier.stopping]
        self.pending = [one for one in self.pending if one not in due]
        chance.shuffle(due)
        answered = bool(due)
        while due:
            first = due.pop()
            together = [first, *(one for one in due if one.shipment is first.shipment and chance.random() < 0.7)]
            due = [one for one in due if one not in together]
            self._answer(first.shipment, together)
        if answered:
            self.wake()
        return answered

    def _answer(self, shipment: Shipment, requests: list[Pending]) -> None:
        answers = [(one.place, one.outcome or self._judged(one)) for one in requests]
        at = self.carrier.clock.now()
        for place, outcome in answers:
            recipient = shipment.recipients[place]
            self.carrier.said(Said(shipment.notification_of(place).key, recipient.target, recipient.value, outcome, at))
        accepted = [place for place, outcome in answers if outcome is OK]
        others = [(place, outcome) for place, outcome in answers if outcome is not OK]
        shipment.on_results(shipment, accepted, others)
        if self.carrier.chance.random() < self.carrier.mood.twice:
            shipment.on_results(shipment, accepted, others)

    def _judged(self, one: Pending) -> Outcome:
        return self.carrier.judge(self, one.shipment.recipients[one.place])

    async def check(self) -> Outcome:
        bad = (self.credential.id, self.credential.revision) in self.carrier.bad_keys
        return self.carrier.refusal if bad else OK

    def stats(self) -> SenderStats:
        return SenderStats(connections=1, in_flight=len(self.pending))

    async def close(self, *, drain: float) -> None:
        """Take no more; what is not answered in `drain` seconds is lost."""
        self.closed = True
        end = self.carrier.clock.monotonic() + drain
        self.pending = [
            one if one.at <= end else one._replace(at=end, outcome=lost(Loss.UNANSWERED)) for one in self.pending
        ]
        if self.carrier.stopping:
            self.deliver()
