"""APNs: a route with its credential, joined to a pool of connections.

Everything that can be known before sending is told as an outcome without asking Apple. Two answers get a second try here,
since nobody else can give it: an expired provider token (a new one is made) and a key that does not belong to its
connection (a new connection is made).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from wakeline import __version__
from wakeline.model.credential import Credential
from wakeline.model.device import Crowd, Recipient
from wakeline.model.notification import Notification, PushType
from wakeline.model.outcome import Action, Outcome
from wakeline.model.route import Lane, Route
from wakeline.ports import Clock, SenderStats, Shipment
from wakeline.providers.apns_crowd import columns
from wakeline.providers.apns_fit import by_rule, obstacle_of, sort_out, unfit
from wakeline.providers.apns_parcel import ParcelFlight, written
from wakeline.providers.apns_singles import SHORTEST, Gathered, Single, Singles
from wakeline.providers.apns_token import ProviderTokens
from wakeline.providers.losses import certificate_outcome, goaway_outcome, outcome_of_loss
from wakeline.providers.sharing import SharedPool
from wakeline.transport.guard import Origin as Address
from wakeline.transport.http2_pool import Pool
from wakeline.wire import apns, outcomes
from wakeline.wire.http2 import Answer, Fields, Lost, RequestBatch

_RECONNECT_FLOOR = 60.0
"""Seconds between two replacements of a credential's connections: Apple takes rapid ones for an attack."""
_DOUBT_SECONDS = 1.0
"""A connection that ends unexplained is about our certificate if it happens again this much later."""
_CHECK_TIMEOUT = 15.0
_TOO_MANY_TOKENS = "TooManyProviderTokenUpdates"
IMPOSSIBLE_TOKEN = b"wakeline-check"
"""Not hexadecimal, so it can be no device's: Apple answers BadDeviceToken, after it has accepted the credential."""
_REACHES_NOBODY = frozenset({"BadDeviceToken", "MissingTopic"})


class ApnsSender:
    """Implements `ports.Sender`."""

    def __init__(
        self,
        *,
        route: Route,
        credential: Credential,
        address: Address,
        shared: SharedPool,
        wake: Callable[[], None],
        tokens: ProviderTokens | None,
        clock: Clock,
        request_timeout: float,
        own_pool: Callable[[], Pool],
    ) -> None:
        self.route = route
        self.credential = credential
        self._shared = shared
        self._wake = wake
        self._tokens = tokens
        self._clock = clock
        self._request_timeout = request_timeout
        self._own_pool = own_pool
        self._reconnected: float | None = None
        self._doubted: float | None = None
        self._singles = Singles(self._hand_over)
        self._topics: dict[str, str] = {}
        authority = address.bracketed if address.port == 443 else f"{address.bracketed}:{address.port}"
        self._stable: Fields = (
            (b":method", b"POST"),
            (b":scheme", b"https"),
            (b":authority", authority.encode()),
            (b"user-agent", f"wakeline/{__version__}".encode()),
        )

    def room(self, *, call: bool = False) -> int:
        """See `ports.Sender`."""
        room = self._shared.pool.room(call=call)
        return room if call else max(0, room - self._singles.size)

    def stats(self) -> SenderStats:
        """See `ports.Sender`."""
        return self._shared.stats()

    async def close(self, *, drain: float) -> None:
        """See `ports.Sender`."""
        self._singles.flush()
        await self._shared.leave(self._wake, drain=drain)

    def send(self, shipment: Shipment) -> None:
        """See `ports.Sender`."""
        if shipment.parcel:
            self._send_parcel(shipment)
            return
        refused: list[tuple[int, Outcome]] = []
        for rule, positions in by_rule(shipment):
            topic = self._topic(rule)
            obstacle = obstacle_of(rule, self.route, self.credential, topic, self._clock.now())
            if obstacle is not None:
                refused += [(position, obstacle) for position in positions]
                continue
            prepared = apns.prepare(shipment.notification, topic, rule)
            able, unable = sort_out(shipment, positions)
            refused += unable
            if len(shipment.recipients) == 1 and able and self._may_wait(shipment):
                self._singles.add(Single.of(shipment, prepared))
            else:
                self.submit(_Flight(self, shipment, prepared, able))
        self._tell(shipment, refused)

    def _tell(self, shipment: Shipment, refused: list[tuple[int, Outcome]]) -> None:
        """Tell what cannot go. Results never come from inside `send`: whoever sends may not be ready for them."""
        if refused:
            asyncio.get_running_loop().call_soon(shipment.on_results, shipment, [], refused)

    def _send_parcel(self, shipment: Shipment) -> None:
        now = self._clock.now()
        obstacles: dict[str, Outcome | None] = {}

        def ready(notification: Notification, recipient: Recipient) -> apns.Prepared | Outcome:
            rule = apns.rule_for(notification.content.type)
            topic = self._topic(rule)
            if rule.name not in obstacles:
                obstacles[rule.name] = obstacle_of(rule, self.route, self.credential, topic, now)
            obstacle = obstacles[rule.name] or unfit(notification.content, recipient)
            return apns.prepare(notification, topic, rule) if obstacle is None else obstacle

        groups, refused = written(shipment, ready)
        for group in groups:
            self._submit_parcel(ParcelFlight(shipment, group, self.verdict, self._submit_parcel))
        self._tell(shipment, refused)

    def _submit_parcel(self, flight: ParcelFlight) -> None:
        if self._tokens is not None:
            flight.authorization = self._tokens.authorization()
        batch = RequestBatch(
            stable=self._stable + flight.written.stable,
            literal=((b"authorization", flight.authorization),) if flight.authorization else (),
            paths=flight.written.paths,
            extra=flight.written.extra,
            body=flight.written.bodies,
            deadline=self._deadline(flight.shipment.deadline),
            on_answers=flight.answered,
        )
        self._shared.pool.submit(batch)

    def verdict(self, answer: Answer, flight: _Flight | ParcelFlight) -> Outcome | None:
        """Return what an answer means, or None if the push gets the second try that only a sender can give."""
        outcome = self.judge(answer)
        if outcome.action not in {Action.RENEW, Action.RECONNECT}:
            return outcome
        if self.second_chance(outcome, flight):
            return None
        return msgspec.structs.replace(outcome, action=Action.HOLD)

    def _topic(self, rule: apns.Rule) -> str:
        """Return the topic for a push type: always the same, for route and credential are."""
        topic = self._topics.get(rule.name)
        if topic is None:
            topic = self._topics[rule.name] = apns.topic_with(rule, self.route.topic, self.credential)
        return topic

    def _may_wait(self, shipment: Shipment) -> bool:
        """Tell whether a single push may go together with others. A call goes at once."""
        return shipment.lane is not Lane.CALL and shipment.deadline - self._clock.monotonic() >= SHORTEST

    def _hand_over(self, singles: list[Single]) -> None:
        """Hand pushes of one turn to the pool as one batch."""
        authorization = self._tokens.authorization() if self._tokens is not None else b""
        gathered = Gathered(singles, authorization, self._told_single)
        batch = RequestBatch(
            stable=self._stable + singles[0].prepared.stable,
            literal=((b"authorization", authorization),) if authorization else (),
            paths=[single.path for single in singles],
            extra=[single.fields for single in singles],
            body=[single.body for single in singles],
            deadline=self._deadline(min(single.shipment.deadline for single in singles)),
            on_answers=gathered.answered,
        )
        self._shared.pool.submit(batch)

    def _told_single(self, gathered: Gathered, index: int, answer: Answer) -> None:
        """Take an answer that is not plain acceptance as if the push had gone alone."""
        single = gathered.singles[index]
        flight = _Flight(self, single.shipment, single.prepared, range(1))
        flight.authorization = gathered.authorization
        flight.told([], [(0, answer)])

    def _deadline(self, asked: float) -> float:
        return min(asked, self._clock.monotonic() + self._request_timeout)

    def submit(self, flight: _Flight) -> None:
        """Hand a flight to the pool."""
        shipment, prepared = flight.shipment, flight.prepared
        paths, extra, body = flight.requests()
        if self._tokens is not None:
            flight.authorization = self._tokens.authorization()
        credential: Fields = ((b"authorization", flight.authorization),) if flight.authorization else ()
        batch = RequestBatch(
            stable=self._stable + prepared.stable,
            literal=credential + prepared.literal,
            paths=paths,
            extra=extra,
            body=body,
            call=shipment.lane is Lane.CALL,
            deadline=self._deadline(shipment.deadline),
            on_answers=flight.answered,
        )
        self._shared.pool.submit(batch)

    def judge(self, answer: Answer) -> Outcome:
        """Return what an answer, or its absence, means."""
        if answer.lost is None:
            self._doubted = None
            outcome = apns.read(answer.status, answer.headers, answer.body)
            if self._tokens is not None and outcome.reason == _TOO_MANY_TOKENS:
                self._tokens.freeze()
            return outcome
        # Refused again and again, each time with a GOAWAY: the last of them says why.
        if answer.lost is Lost.REFUSED and (said := goaway_outcome(self._shared.pool.stats.last_goaway)) is not None:
            return said
        if self._tokens is None and answer.failure is not None and answer.failure.kind == "tls_alert":
            certificate = certificate_outcome(answer.failure, repeated=self._doubted_before())
            if certificate is not None:
                return certificate
        return outcome_of_loss(answer)

    def _doubted_before(self) -> bool:
        """Note that a connection ended unexplained, and tell whether one did some time before this moment's."""
        now = self._clock.monotonic()
        if self._doubted is None:
            self._doubted = now
        return now - self._doubted >= _DOUBT_SECONDS

    def second_chance(self, outcome: Outcome, flight: _Flight | ParcelFlight) -> bool:
        """Do what might make a second try succeed; False if it was done or cannot be done."""
        match outcome.action:
            case Action.RENEW if self._tokens is not None and not flight.again:
                return self._tokens.renew(flight.authorization)
            case Action.RECONNECT if not flight.again:
                return self._reconnect()
            case _:
                return False

    def _reconnect(self) -> bool:
        now = self._clock.monotonic()
        if self._reconnected is not None and now - self._reconnected < _RECONNECT_FLOOR:
            return False
        self._reconnected = now
        self._shared.renew()
        return True

    async def check(self) -> Outcome:
        """See `ports.Sender`: asks for a push to a token that can be no device's."""
        rule, topic = self._any_topic()
        obstacle = obstacle_of(rule, self.route, self.credential, topic or "unknown", self._clock.now())
        if obstacle is not None:
            return obstacle
        literal: Fields = ((b"apns-push-type", rule.name.encode()), (b"apns-priority", b"5"))
        if topic:
            literal += ((b"apns-topic", topic.encode()),)
        if self._tokens is not None:
            literal += ((b"authorization", self._tokens.authorization()),)
        pool = self._own_pool()
        try:
            answer = await pool.request(
                stable=self._stable,
                path=apns.Prepared.path(IMPOSSIBLE_TOKEN),
                literal=literal,
                body=b'{"aps":{}}',
                timeout=_CHECK_TIMEOUT,
            )
        finally:
            await pool.close(drain=0.0)
        outcome = self.judge(answer)
        if outcome.reason in _REACHES_NOBODY:
            return msgspec.structs.replace(
                outcomes.apns(200, ""), cause="Apple accepts the credential.", fix="Nothing.", status=outcome.status
            )
        return outcome

    def _any_topic(self) -> tuple[apns.Rule, str]:
        """Return a push type that the credential covers, alerts first, and its topic (empty: it names none)."""
        for rule in apns.RULES.values():
            if topic := apns.topic_with(rule, self.route.topic, self.credential):
                return rule, topic
        return apns.rule_for(PushType.ALERT), ""


class _Flight:
    """Requests of one shipment and one form on their way; `positions` point into its recipients."""

    __slots__ = ("again", "authorization", "positions", "prepared", "sender", "shipment")

    def __init__(
        self,
        sender: ApnsSender,
        shipment: Shipment,
        prepared: apns.Prepared,
        positions: Sequence[int],
        *,
        again: bool = False,
    ) -> None:
        self.sender = sender
        self.shipment = shipment
        self.prepared = prepared
        self.positions = positions
        self.again = again
        self.authorization = b""

    def requests(self) -> tuple[Sequence[bytes], Sequence[Fields], bytes | list[bytes]]:
        """Return what each request has of its own: path, fields and body."""
        prepared, everybody = self.prepared, self.shipment.recipients
        if isinstance(everybody, Crowd) and isinstance(self.positions, range) and prepared.is_uniform:
            alike = columns(prepared, everybody)
            if alike is not None:
                return *alike, prepared.body()
        recipients = [everybody[position] for position in self.positions]
        return (
            [prepared.path(recipient.value.lower().encode()) for recipient in recipients],
            [((b"apns-id", prepared.id_of(recipient.target)),) for recipient in recipients],
            _bodies(prepared, self.shipment, recipients),
        )

    def answered(self, _: RequestBatch, accepted: Sequence[int], others: list[tuple[int, Answer]]) -> None:
        """Tell the shipment what became of its recipients; runs on the loop for many at once."""
        if not isinstance(self.positions, range):
            accepted = [self.positions[index] for index in accepted]
        self.told(accepted, others)

    def told(self, accepted: Sequence[int], others: list[tuple[int, Answer]]) -> None:
        """Judge answers by index, try again what may be, and tell the rest; `accepted` are positions already."""
        positions, told, retry = self.positions, [], []
        for index, answer in others:
            outcome = self.sender.verdict(answer, self)
            if outcome is None:
                retry.append(positions[index])
            else:
                told.append((positions[index], outcome))
        if retry:
            self.sender.submit(_Flight(self.sender, self.shipment, self.prepared, retry, again=True))
        if accepted or told:
            self.shipment.on_results(self.shipment, accepted, told)


def _bodies(prepared: apns.Prepared, shipment: Shipment, recipients: list[Recipient]) -> bytes | list[bytes]:
    if prepared.is_uniform:
        return prepared.body()
    badges = shipment.badges if prepared.counts_badges else {}
    return [prepared.body(recipient.locale, badges.get(recipient.device)) for recipient in recipients]
