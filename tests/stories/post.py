"""A push service in memory: it keeps what it gets and answers as told, through the same ports as the real ones."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from wakeline.model.credential import Credential, CredentialSecret
from wakeline.model.device import Recipient
from wakeline.model.errors import CredentialRefused
from wakeline.model.notification import Notification, PushType
from wakeline.model.outcome import Outcome
from wakeline.model.route import Environment, ProviderKind, Route
from wakeline.ports import Preview, SenderStats, Shipment
from wakeline.wire.outcomes import Loss, apns, lost

OK = apns(200, "")
BAD_TOKEN = apns(400, "BadDeviceToken")
REVOKED = apns(403, "InvalidProviderToken")
DOWN = apns(503, "ServiceUnavailable")
NO_ANSWER = lost(Loss.TIMEOUT)


def unregistered(since: int) -> Outcome:
    return apns(410, "Unregistered", since=since)


class Sent(NamedTuple):
    """One request as the push service got it."""

    token: str
    notification: int
    type: PushType
    environment: str
    credential: int
    attempt: int
    badge: int | None
    title: str
    at: float
    """Seconds on the monotonic clock."""
    key_id: str = ""


class Post:
    """The push service: answers by token, by environment and credential, or the same to everybody."""

    def __init__(self, kind: ProviderKind) -> None:
        self.kind = kind
        self.sent: list[Sent] = []
        self.to_token: dict[str, deque[Outcome]] = defaultdict(deque)
        self.to_credential: dict[int, Outcome] = {}
        self.to_key: dict[str, Outcome] = {}
        self.to_environment: dict[tuple[str, str], Outcome] = {}
        self.to_all: Outcome | None = None
        self.on_check: Outcome = OK
        self.during_check: Callable[[], Awaitable[None]] | None = None
        self.check_in: dict[Environment, Outcome] = {}
        self.unusable: set[int] = set()
        self.answers = True
        self.latency = 0.0
        self.silent = False
        self.capacity = 1000
        self.limit = 4096
        self.offices: list[Office] = []

    def open(self, route: Route, credential: Credential, secret: CredentialSecret, wake: Callable[[], None]) -> Office:
        assert secret.kind is credential.kind
        if credential.id in self.unusable:
            raise CredentialRefused("the client certificate or its key cannot be used")
        office = Office(self, route, credential, wake)
        self.offices.append(office)
        return office

    def preview(
        self, notification: Notification, route: Route, credential: Credential, recipient: Recipient, now: int
    ) -> Preview:
        return Preview(
            method="POST",
            url=f"https://{route.environment.value}.example/3/device/{recipient.value[-6:]}",
            headers=(("authorization", "redacted"), ("key", str(credential.id)), ("date", str(now))),
            body=notification.content.alert.title if notification.content.alert else "",
            size=self.size(notification)[0],
            limit=self.limit,
        )

    def size(self, notification: Notification) -> tuple[int, int, str]:
        alert = notification.content.alert
        return len(alert.body) if alert else 0, self.limit, "alert/body"

    def answer_for(self, recipient: Recipient, route: Route, credential: int) -> Outcome:
        if self.to_all is not None:
            return self.to_all
        if credential in self.to_credential:
            return self.to_credential[credential]
        if self.to_token[recipient.value]:
            return self.to_token[recipient.value].popleft()
        return self.to_environment.get((recipient.value, route.environment.value), OK)

    def deliver(self, now: float | None = None) -> bool:
        """Answer what was sent, `latency` seconds ago if `now` (monotonic) is told; returns whether there was anything.

        A silent service answers nothing; what is past its deadline is given up, as real senders do it.
        """
        if not self.answers:
            return False
        flying = [office for office in self.offices if office.flying]
        answered = [office.deliver(now) for office in flying]
        return any(answered)

    def tokens(self) -> list[str]:
        return [sent.token for sent in self.sent]


class Office:
    """One sender."""

    def __init__(self, post: Post, route: Route, credential: Credential, wake: Callable[[], None]) -> None:
        self.post = post
        self.route = route
        self.credential = credential
        self.wake = wake
        self.flying: list[Shipment] = []
        self.closed = False

    def room(self, *, call: bool = False) -> int:
        reserve = 0 if call else self.post.capacity // 10
        return max(0, self.post.capacity - reserve - self.stats().in_flight)

    def send(self, shipment: Shipment) -> None:
        assert 0 < len(shipment.recipients) <= self.room(call=shipment.lane == 0)
        pushes = [(shipment.notification_of(place), one) for place, one in enumerate(shipment.recipients)]
        if any(notification.content.data.get("unwritable") for notification, _ in pushes):
            raise ValueError("a defect of ours")
        self.flying.append(shipment)
        self.post.sent += [
            Sent(
                token=recipient.value,
                notification=notification.key,
                type=notification.content.type,
                environment=shipment.route.environment.value,
                credential=self.credential.id,
                attempt=shipment.attempt,
                badge=shipment.badges.get(recipient.device),
                title=notification.content.alert.title if notification.content.alert else "",
                at=shipment.started,
                key_id=self.credential.key_id,
            )
            for notification, recipient in pushes
        ]

    def deliver(self, now: float | None = None) -> bool:
        ready: list[Shipment] = []
        flying: list[Shipment] = []
        for shipment in self.flying:
            (ready if self._ready(shipment, now) else flying).append(shipment)
        self.flying = flying
        for shipment in ready:
            answers = [self._answer(shipment, recipient) for recipient in shipment.recipients]
            accepted = [place for place, answer in enumerate(answers) if answer is OK]
            others = [(place, answer) for place, answer in enumerate(answers) if answer is not OK]
            shipment.on_results(shipment, accepted, others)
        if ready:
            self.wake()
        return bool(ready)

    def _ready(self, shipment: Shipment, now: float | None) -> bool:
        """Tell whether the answers to a shipment are here, or given up."""
        if now is None:
            return True
        return shipment.deadline <= now if self.post.silent else shipment.started + self.post.latency <= now

    def _answer(self, shipment: Shipment, recipient: Recipient) -> Outcome:
        if self.post.silent:
            return NO_ANSWER
        if self.credential.key_id in self.post.to_key:
            return self.post.to_key[self.credential.key_id]
        return self.post.answer_for(recipient, shipment.route, self.credential.id)

    async def check(self) -> Outcome:
        if self.post.during_check is not None:
            await self.post.during_check()
        return self.post.check_in.get(self.route.environment, self.post.on_check)

    def stats(self) -> SenderStats:
        return SenderStats(connections=1, in_flight=sum(len(shipment.recipients) for shipment in self.flying))

    async def close(self, *, drain: float) -> None:
        self.closed = True
        if drain > 0:
            self.deliver()
