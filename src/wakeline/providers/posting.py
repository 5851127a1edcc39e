"""Pushes that are requests of their own over HTTP/1.1: queues, workers, and what is told about them.

A fixed set of workers takes from one queue, and each has one request under way. A tenth of the workers does calls and nothing
else, so that no newsletter, and no answer that is slow to come, stands before a ringing phone. Answers come one by one, and
whoever hears of them works in batches; so what is answered in one turn of the loop is told at once.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import structlog

from wakeline.model.credential import Credential
from wakeline.model.device import Recipient
from wakeline.model.errors import TransportError
from wakeline.model.outcome import Outcome
from wakeline.model.route import Lane, Route
from wakeline.ports import Clock, SenderStats, Shipment
from wakeline.providers.apart import send_apart
from wakeline.providers.crew import Crew
from wakeline.providers.losses import outcome_of_failure
from wakeline.transport.http import GuardedClient
from wakeline.wire import outcomes
from wakeline.wire.outcomes import Loss, Refusal

log = structlog.get_logger()

_SHUT = "the gateway is shutting down"
_LATE = "the deadline passed before it could be sent"


class Batch:
    """One shipment, and its results that are not told yet."""

    def __init__(self, shipment: Shipment, wake: Callable[[], None]) -> None:
        self.shipment = shipment
        self._wake = wake
        self._accepted: list[int] = []
        self._others: list[tuple[int, Outcome]] = []

    def tell(self, position: int, outcome: Outcome) -> None:
        """Have the result told at the end of this turn. Of a broadcast nobody asks what each message was called."""
        if not self._accepted and not self._others:
            asyncio.get_running_loop().call_soon(self._report)
        if outcome.accepted and self.shipment.notification.bulk:
            self._accepted.append(position)
        else:
            self._others.append((position, outcome))

    def _report(self) -> None:
        accepted, self._accepted = self._accepted, []
        others, self._others = self._others, []
        try:
            self.shipment.on_results(self.shipment, accepted, others)
        finally:
            self._wake()


B = TypeVar("B", bound=Batch)


class Post(NamedTuple, Generic[B]):
    """One push of a batch."""

    batch: B
    position: int

    @property
    def recipient(self) -> Recipient:
        """Return to whom it goes."""
        return self.batch.shipment.recipients[self.position]

    @property
    def deadline(self) -> float:
        """Return until when it may be answered, on the monotonic clock."""
        return self.batch.shipment.deadline

    def tell(self, outcome: Outcome) -> None:
        """Say what became of it."""
        self.batch.tell(self.position, outcome)


class Posting(ABC, Generic[B]):
    """The part of `ports.Sender` that all have in common; who inherits says what a batch is, and sends one push.

    `connections` is how many requests are under way at most; `http` is closed with it.
    """

    def __init__(
        self,
        *,
        route: Route,
        credential: Credential,
        http: GuardedClient,
        wake: Callable[[], None],
        clock: Clock,
        connections: int,
        request_timeout: float,
    ) -> None:
        self.route = route
        self.credential = credential
        self._http = http
        self._wake = wake
        self._clock = clock
        self._request_timeout = request_timeout
        reserved = max(1, connections // 10) if connections > 1 else 0
        self._for_calls = Crew(reserved, self._do_calls)
        self._for_all = Crew(connections - reserved, self._do_all)
        self._calls: deque[Post[B]] = deque()
        self._others: deque[Post[B]] = deque()
        self._in_flight = 0
        self._last_failure = ""
        self._idle = asyncio.Event()

    @abstractmethod
    def _batch(self, shipment: Shipment) -> B:
        """Make a shipment ready."""

    @abstractmethod
    async def _ask(self, post: Post[B], timeout: float) -> Outcome:
        """Send one push within `timeout` seconds. Raises TransportError."""

    def room(self, *, call: bool = False) -> int:
        """See `ports.Sender`. As many may wait as are under way: nobody idles, and little is ahead of what comes next."""
        workers = self._for_all.size + (self._for_calls.size if call else 0)
        return max(0, 2 * workers - self._load)

    def stats(self) -> SenderStats:
        """See `ports.Sender`."""
        return SenderStats(
            connections=self._http.connections,
            in_flight=self._in_flight,
            queued=self._load - self._in_flight,
            last_failure=self._last_failure,
        )

    def send(self, shipment: Shipment) -> None:
        """See `ports.Sender`."""
        if shipment.parcel:
            send_apart(shipment, self.send)
            return
        batch = self._batch(shipment)
        call = shipment.lane is Lane.CALL
        queue = self._calls if call else self._others
        self._idle.clear()
        for position in range(len(shipment.recipients)):
            queue.append(Post(batch, position))
            if not (call and self._for_calls.wake()):
                self._for_all.wake()

    async def close(self, *, drain: float) -> None:
        """See `ports.Sender`."""
        if self._load and drain > 0:
            waiting = asyncio.ensure_future(self._idle.wait())
            await asyncio.wait([waiting], timeout=drain)
            waiting.cancel()
        left = [*self._calls, *self._others]
        self._calls.clear()
        self._others.clear()
        await self._for_calls.dismiss()
        await self._for_all.dismiss()
        for post in left:
            post.tell(outcomes.lost(Loss.NOT_WRITTEN, detail=_SHUT))
        await self._http.aclose()

    @property
    def _load(self) -> int:
        return self._in_flight + len(self._calls) + len(self._others)

    async def _do_calls(self) -> None:
        while self._calls:
            await self._do(self._calls.popleft())

    async def _do_all(self) -> None:
        while queue := self._calls or self._others:
            await self._do(queue.popleft())

    async def _do(self, post: Post[B]) -> None:
        """Send one push and tell what became of it, whatever that is: nobody else would."""
        self._in_flight += 1
        outcome = outcomes.lost(Loss.UNANSWERED, detail=_SHUT)
        try:
            outcome = await self._outcome(post)
        except Exception:  # a defect ends this push, and the worker goes on
            log.exception("push_failed", route=self.route.id, provider=self.route.provider.value)
            outcome = outcomes.ours(Refusal.DEFECT)
        finally:
            self._in_flight -= 1
            post.tell(outcome)
            if not self._load:
                self._idle.set()

    async def _outcome(self, post: Post[B]) -> Outcome:
        left = min(post.deadline - self._clock.monotonic(), self._request_timeout)
        if left <= 0:
            return outcomes.lost(Loss.NOT_WRITTEN, detail=_LATE)
        try:
            return await self._ask(post, left)
        except TransportError as error:
            self._last_failure = error.detail
            return outcome_of_failure(error)
