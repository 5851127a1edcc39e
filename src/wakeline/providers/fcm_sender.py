"""FCM: a route with its service account, joined to a pool of connections.

Nothing is sent without an access token. A shipment that comes while there is none waits for it here, and is told why if
none can be had. An answer that refuses the token gets a second try with a new one, since nobody else can give it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from wakeline import __version__
from wakeline.model.credential import Credential
from wakeline.model.outcome import Action, Outcome
from wakeline.model.route import Lane, Route
from wakeline.ports import Clock, SenderStats, Shipment
from wakeline.providers.apart import send_apart
from wakeline.providers.fcm_token import AccessTokens
from wakeline.providers.losses import outcome_of_loss
from wakeline.providers.sharing import SharedPool
from wakeline.transport.guard import Origin as Address
from wakeline.transport.http2_pool import Pool
from wakeline.wire import fcm, outcomes
from wakeline.wire.http2 import Answer, Fields, RequestBatch
from wakeline.wire.outcomes import Refusal

_CHECK_TIMEOUT = 15.0
_CHECK_TOPIC = "wakeline-check"


def project_of(route: Route, credential: Credential) -> str:
    """Return the project to send in: the route's, else the service account's own."""
    return route.topic or next(iter(credential.topics), "")


def obstacle_of(route: Route, credential: Credential) -> Outcome | None:
    """Return why this service account cannot send on this route; None if it can."""
    project = project_of(route, credential)
    if project and (not credential.topics or project in credential.topics):
        return None
    known = ", ".join(credential.topics) or "none"
    return outcomes.ours(
        Refusal.TOPIC_MISMATCH,
        detail=f"The token is of project {project or '(unknown)'}, the service account of {known}.",
    )


class FcmSender:
    """Implements `ports.Sender`."""

    def __init__(
        self,
        *,
        route: Route,
        credential: Credential,
        address: Address,
        shared: SharedPool,
        wake: Callable[[], None],
        tokens: AccessTokens,
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
        self._waiting = 0
        self._path = fcm.path_of(project_of(route, credential))
        authority = address.bracketed if address.port == 443 else f"{address.bracketed}:{address.port}"
        self._stable: Fields = (
            (b":method", b"POST"),
            (b":scheme", b"https"),
            (b":path", self._path),
            (b":authority", authority.encode()),
            (b"user-agent", f"wakeline/{__version__}".encode()),
            (b"content-type", b"application/json"),
        )

    def room(self, *, call: bool = False) -> int:
        """See `ports.Sender`. What waits for an access token has taken its room already."""
        return max(0, self._shared.pool.room(call=call) - self._waiting)

    def stats(self) -> SenderStats:
        """See `ports.Sender`."""
        return self._shared.stats()

    async def close(self, *, drain: float) -> None:
        """See `ports.Sender`."""
        await self._shared.leave(self._wake, drain=drain)
        if not self._shared.in_use:
            await self._tokens.close()

    def send(self, shipment: Shipment) -> None:
        """See `ports.Sender`."""
        if shipment.parcel:
            send_apart(shipment, self.send)
            return
        loop = asyncio.get_running_loop()
        obstacle = obstacle_of(self.route, self.credential)
        if obstacle is not None:
            told = [(position, obstacle) for position in range(len(shipment.recipients))]
            loop.call_soon(shipment.on_results, shipment, [], told)
            return
        prepared = fcm.prepare(shipment.notification, self._clock.now())
        badges = shipment.badges if prepared.counts_badges else {}
        bodies = [prepared.body(each.value, each.locale, badges.get(each.device)) for each in shipment.recipients]
        positions: Sequence[int] = range(len(bodies))
        if not all(bodies):
            bad = outcomes.ours(Refusal.BAD_TOKEN)
            told = [(position, bad) for position in positions if not bodies[position]]
            loop.call_soon(shipment.on_results, shipment, [], told)
            positions = [position for position in positions if bodies[position]]
            bodies = [body for body in bodies if body]
        if bodies:
            self.submit(_Flight(self, shipment, positions, bodies))

    def submit(self, flight: _Flight) -> None:
        """Hand a flight to the pool, at once or when there is an access token."""
        token = self._tokens.current()
        if token:
            self._submit(flight, token)
            return
        self._waiting += len(flight.positions)
        self._tokens.when_ready(partial(self._token_known, flight))

    def _token_known(self, flight: _Flight, failure: Outcome | None) -> None:
        self._waiting -= len(flight.positions)
        token = self._tokens.current()
        if token:
            self._submit(flight, token)
        else:
            flight.failed(failure or outcomes.oauth(0))
        self._wake()

    def _submit(self, flight: _Flight, token: str) -> None:
        shipment = flight.shipment
        flight.token = token
        self._shared.pool.submit(
            RequestBatch(
                stable=(*self._stable, *self._own_headers(shipment), (b"authorization", f"Bearer {token}".encode())),
                paths=[self._path] * len(flight.bodies),
                body=flight.bodies,
                call=shipment.lane is Lane.CALL,
                deadline=min(shipment.deadline, self._clock.monotonic() + self._request_timeout),
                on_answers=flight.answered,
                # The message's name helps those who ask Google; a broadcast does without.
                keep_bodies=not shipment.notification.bulk,
            )
        )

    def _own_headers(self, shipment: Shipment) -> Fields:
        headers = shipment.notification.content.fcm.headers
        return tuple((name.encode(), value.encode()) for name, value in headers.items())

    def renew(self, token: str) -> None:
        """Take a token out of use because it was refused."""
        self._tokens.invalidate(token)

    async def check(self) -> Outcome:
        """See `ports.Sender`: has Google validate a message to a topic, without sending it."""
        obstacle = obstacle_of(self.route, self.credential)
        if obstacle is not None:
            return obstacle
        known: asyncio.Future[Outcome | None] = asyncio.get_running_loop().create_future()
        if not self._tokens.current():
            self._tokens.when_ready(lambda failure: None if known.done() else known.set_result(failure))
            if (failure := await known) is not None:
                return failure
        authorization = f"Bearer {self._tokens.current()}".encode()
        pool = self._own_pool()
        try:
            answer = await pool.request(
                stable=(*self._stable, (b"authorization", authorization)),
                path=self._path,
                body=fcm.validate_only(_CHECK_TOPIC),
                timeout=_CHECK_TIMEOUT,
            )
        finally:
            await pool.close(drain=0.0)
        outcome = judge(answer)
        if outcome.accepted:
            return msgspec.structs.replace(outcome, cause="Google accepts the service account.", fix="Nothing.")
        return outcome


def judge(answer: Answer) -> Outcome:
    """Return what an answer, or its absence, means."""
    if answer.lost is not None:
        return outcome_of_loss(answer)
    return fcm.read(answer.status, answer.headers, answer.body)


class _Flight:
    """Requests of one shipment on their way; `positions` point into its recipients."""

    __slots__ = ("again", "bodies", "positions", "sender", "shipment", "token")

    def __init__(
        self,
        sender: FcmSender,
        shipment: Shipment,
        positions: Sequence[int],
        bodies: list[bytes],
        *,
        again: bool = False,
    ) -> None:
        self.sender = sender
        self.shipment = shipment
        self.positions = positions
        self.bodies = bodies
        self.again = again
        self.token = ""

    def answered(self, _: RequestBatch, accepted: Sequence[int], others: list[tuple[int, Answer]]) -> None:
        """Tell the shipment what became of its recipients; runs on the loop for many at once."""
        told, retry = [], []
        for index, answer in others:
            outcome = judge(answer)
            if outcome.action is Action.RENEW:
                if not self.again:
                    retry.append(index)
                    continue
                outcome = msgspec.structs.replace(outcome, action=Action.HOLD)
            told.append((self.positions[index], outcome))
        if retry:
            self._once_more(retry)
        if accepted or told:
            self.shipment.on_results(self.shipment, [self.positions[index] for index in accepted], told)

    def _once_more(self, indexes: list[int]) -> None:
        self.sender.renew(self.token)
        positions, bodies = [self.positions[index] for index in indexes], [self.bodies[index] for index in indexes]
        self.sender.submit(_Flight(self.sender, self.shipment, positions, bodies, again=True))

    def failed(self, outcome: Outcome) -> None:
        """Tell the shipment that none of it was sent."""
        self.shipment.on_results(self.shipment, [], [(position, outcome) for position in self.positions])
