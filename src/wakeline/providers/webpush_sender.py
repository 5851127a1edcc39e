"""Web Push: a route, which is one push service, with the app's VAPID key.

Every push is a request of its own with a body of its own, and push services of all kinds are spoken to, down to a box in
somebody's cupboard: so HTTP/1.1, which all of them speak, over a few kept connections.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from wakeline.model.credential import Credential
from wakeline.model.errors import InvalidRequest, TransportError
from wakeline.model.outcome import Action, Outcome, OutcomeClass
from wakeline.model.route import Route
from wakeline.ports import Clock, Shipment
from wakeline.providers.losses import outcome_of_failure
from wakeline.providers.posting import Post, Posting
from wakeline.providers.webpush_batch import WebPushBatch
from wakeline.transport.http import GuardedClient
from wakeline.wire import outcomes, webpush
from wakeline.wire.outcomes import Refusal

_CHECK_TIMEOUT = 15.0

Authorize = Callable[[], str]
"""Returns the authorization for the push service, as of now."""


class WebPushSender(Posting[WebPushBatch]):
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
        super().__init__(
            route=route,
            credential=credential,
            http=http,
            wake=wake,
            clock=clock,
            connections=connections,
            request_timeout=request_timeout,
        )
        self._authorize = authorize

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

    def _batch(self, shipment: Shipment) -> WebPushBatch:
        return WebPushBatch(shipment, webpush.prepare(shipment.notification, self._clock.now()), self._wake)

    async def _ask(self, post: Post[WebPushBatch], timeout: float) -> Outcome:
        recipient = post.recipient
        try:
            subscription = webpush.read_subscription(recipient.value)
        except InvalidRequest:
            return outcomes.ours(Refusal.BAD_TOKEN)
        body = post.batch.body(recipient, subscription, os.urandom(webpush.ENTROPY_BYTES))
        headers = post.batch.headers_of(body) | {"authorization": self._authorize()}
        answer = await self._http.post(subscription.endpoint, body, headers, timeout=timeout)
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
