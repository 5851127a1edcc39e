"""Ways out: a sender for each route, a provider for each service, HTTP for what is asked beside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from wakeline.model.credential import Credential, CredentialSecret
from wakeline.model.device import (
    Recipient,
)
from wakeline.model.notification import Notification
from wakeline.model.outcome import Outcome
from wakeline.model.route import Lane, ProviderKind, Route


class Shipment(msgspec.Struct, kw_only=True, eq=False):
    """A batch on its way: one notification to recipients of one route, at most what `Sender.room` allowed.

    `parcel` names the notification of each recipient where they are many; `notification` is the first of them then.
    `deadline` is on the monotonic clock (seconds); `badges` maps device row ids to their new badge if content asks for "+1".
    `on_results(shipment, accepted, others)` is called once or several times, on the loop thread, with positions in
    `recipients`; each position is reported exactly once. Accepted ones that follow each other are a range.
    """

    route: Route
    lane: Lane
    notification: Notification
    recipients: Sequence[Recipient]
    deadline: float
    on_results: Callable[[Shipment, Sequence[int], list[tuple[int, Outcome]]], None]
    badges: dict[int, int] = msgspec.field(default_factory=dict)
    attempt: int = 1
    started: float = 0.0
    parcel: Sequence[Notification] = ()

    def notification_of(self, position: int) -> Notification:
        """Return the notification that a recipient gets."""
        return self.parcel[position] if self.parcel else self.notification


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What would be sent to one recipient: authorization redacted, token masked."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: str
    size: int
    limit: int
    warnings: tuple[str, ...] = ()


class SenderStats(msgspec.Struct, frozen=True, kw_only=True):
    """How a sender's connections are. `last_goaway`: the reason that the server gave when it last ended one."""

    connections: int = 0
    in_flight: int = 0
    queued: int = 0
    last_failure: str = ""
    last_goaway: str = ""


class Sender(Protocol):
    """A route with its credential: what the dispatcher speaks to."""

    def room(self, *, call: bool = False) -> int:
        """Return how many requests may be handed over now; calls may use the reserved tenth."""

    def send(self, shipment: Shipment) -> None:
        """Take a shipment; never blocks, never raises for what a provider might say. If it raises, it sent nothing of it."""

    async def check(self) -> Outcome:
        """Ask the provider something that reaches nobody, on a connection of its own, and say what was learnt."""

    def stats(self) -> SenderStats:
        """Return how its connections are."""

    async def close(self, *, drain: float) -> None:
        """Finish what is in flight within `drain` seconds, then close."""


class Provider(Protocol):
    """One push service."""

    kind: ProviderKind

    def open(self, route: Route, credential: Credential, secret: CredentialSecret, wake: Callable[[], None]) -> Sender:
        """Return a sender; senders of one origin and credential share connections. `wake` is called when room appears."""

    def preview(
        self, notification: Notification, route: Route, credential: Credential, recipient: Recipient, now: int
    ) -> Preview:
        """Return what `send` would write; pure."""

    def size(self, notification: Notification) -> tuple[int, int, str]:
        """Return (bytes of the longest variant, limit, JSON Pointer of the field to shorten if it is too long); pure.

        Of what surely fits, the bytes may be more than it has: they are counted exactly only where that decides.

        Raises InvalidRequest for what the service would refuse whatever its size (reserved keys, bad headers).
        """


class HttpAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class HttpClient(Protocol):
    """Plain HTTPS for slow paths (OAuth tokens, webhooks), behind the outbound guard."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> HttpAnswer:
        """POST without following redirects. Raises TransportError; `timeout` in seconds."""
