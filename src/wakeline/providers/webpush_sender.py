"""Web Push: a route, which is one push service, with the app's VAPID key.

Every push is a request of its own with a body of its own, and push services of all kinds are spoken to, down to a box in
somebody's cupboard: so HTTP/1.1, which all of them speak, over a few kept connections. A fixed set of workers takes from one
queue, and each has one request under way. A tenth of the workers does calls and nothing else, so that no newsletter, and no
answer that is slow to come, stands before a ringing phone.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable

import structlog

from wakeline.model.credential import Credential
from wakeline.model.errors import InvalidRequest, TransportError
from wakeline.model.outcome import Action, Outcome, OutcomeClass
from wakeline.model.route import Lane, Route
from wakeline.ports import Clock, SenderStats, Shipment
from wakeline.providers.apart import send_apart
from wakeline.providers.crew import Crew
from wakeline.providers.losses import outcome_of_failure
from wakeline.providers.webpush_batch import Batch, Post
from wakeline.transport.http import GuardedClient
from wakeline.wire import outcomes, webpush
from wakeline.wire.outcomes import Loss, Refusal

log = structlog.get_logger()

_CHECK_TIMEOUT = 15.0
_SHUT = "the gateway is shutting down"
_LATE = "the deadline passed before it could be sent"

Authorize = Callable[[], str]
"""Returns the authorization for the push service, as of now."""


class WebPushSender:
    """Implements `ports.Sender`. `connections` is how many requests are under way at most; `http` is closed with it."""

    def __init__(
        self,
        *,
        route: Route,
        credential: Credential,
        authorize: Authorize,
        http: GuardedClient,
        wake: Callable[[], None],
        clock: Clock,
        connections: int,
        request_timeout: float,
    ) -> None:
        self.route = route
        self.credential = credential
        self._authorize = authorize
        self._http = http
        self._wake = wake
        self._clock = clock
        self._request_timeout = request_timeout
        reserved = max(1, connections // 10) if connections > 1 else 0
        self._for_calls = Crew(reserved, self._do_calls)
        self._for_all = Crew(connections - reserved, self._do_all)
        self._calls: deque[Post] = deque()
        self._others: deque[Post] = deque()
        self._in_flight = 0
        self._last_failure = ""
        self._idle = asyncio.Event()

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
        batch = Batch(shipment, webpush.prepare(shipment.notification, self._clock.now()), self._wake)
        call = shipment.lane is Lane.CALL
        queue = self._calls if call else self._others
        self._idle.clear()
        for position in range(len(shipment.recipients)):
            queue.append(Post(batch, position))
            if not (call and self._for_calls.wake()):
                self._for_all.wake()

    async def check(self) -> Outcome:
        """See `ports.Sender`: tells whether the push service can be reached, which is all that can be asked of one."""
        origin = self.route.topic
        if not origin:
            return _sound("Nothing was sent with this key yet, so there is no push service to ask.")
        try:
            answer = await self._http.post(f"{origin}/", b"", {"ttl": "0"}, timeout=_CHECK_TIMEOUT)
        except TransportError as error:
            return outcome_of_failure(error)
        return _sound(f"{origin} can be reached.", answer.status)

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

    async def _do(self, post: Post) -> None:
        """Send one push and tell what became of it, whatever that is: nobody else would."""
        self._in_flight += 1
        outcome = outcomes.lost(Loss.UNANSWERED, detail=_SHUT)
        try:
            outcome = await self._outcome(post)
        except Exception:  # a defect ends this push, and the worker goes on
            log.exception("webpush_failed", route=self.route.id)
            outcome = outcomes.ours(Refusal.DEFECT)
        finally:
            self._in_flight -= 1
            post.tell(outcome)
            if not self._load:
                self._idle.set()

    async def _outcome(self, post: Post) -> Outcome:
        try:
            subscription = webpush.read_subscription(post.recipient.value)
        except InvalidRequest:
            return outcomes.ours(Refusal.BAD_TOKEN)
        left = min(post.deadline - self._clock.monotonic(), self._request_timeout)
        if left <= 0:
            return outcomes.lost(Loss.NOT_WRITTEN, detail=_LATE)
        body = post.body(subscription, os.urandom(webpush.ENTROPY_BYTES))
        headers = post.headers(body) | {"authorization": self._authorize()}
        try:
            answer = await self._http.post(subscription.endpoint, body, headers, timeout=left)
        except TransportError as error:
            self._last_failure = error.detail
            return outcome_of_failure(error)
        fields = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        return webpush.read(answer.status, fields, answer.body)


def _sound(found: str, status: int = 0) -> Outcome:
    """Return what a check says that found nothing wrong."""
    return Outcome(
        outcome_class=OutcomeClass.ACCEPTED,
        action=Action.DONE,
        code=0,
        status=status,
        cause=f"{found} Web Push has no way to ask about a VAPID key: only a push to a browser shows whether it is taken.",
        fix="Nothing.",
    )
