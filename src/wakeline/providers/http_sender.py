"""An external push URI, called once for each push.

Whoever is behind it is somebody's own program: so HTTP/1.1, which all of them speak, over a few kept connections, and nothing is
followed that it answers.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from wakeline import __version__
from wakeline.model.credential import Credential
from wakeline.model.errors import InvalidRequest, TransportError
from wakeline.model.outcome import Action, Outcome, OutcomeClass
from wakeline.model.route import Route
from wakeline.ports import Clock, HttpAnswer, Shipment
from wakeline.providers.losses import outcome_of_failure
from wakeline.providers.posting import Batch, Post, Posting
from wakeline.transport.http import GuardedClient
from wakeline.wire import outcomes
from wakeline.wire.flexisip import external
from wakeline.wire.flexisip.external import Method, Template
from wakeline.wire.outcomes import Refusal

_CHECK_TIMEOUT = 15.0
_HEADERS = {"user-agent": f"wakeline/{__version__}"}
_OF_TEXT = {"content-type": "text/plain; charset=utf-8"}


class HttpSender(Posting[Batch]):
    """Implements `ports.Sender`."""

    def __init__(
        self,
        *,
        route: Route,
        credential: Credential,
        template: Template,
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
        self._template = template

    async def check(self) -> Outcome:
        """See `ports.Sender`: tells whether somebody answers, which is all that can be asked without a push."""
        parts = urlsplit(self._template.uri)
        origin = f"{parts.scheme}://{parts.netloc}"
        try:
            answer = await self._http.get(f"{origin}/", _HEADERS, timeout=_CHECK_TIMEOUT)
        except TransportError as error:
            return outcome_of_failure(error)
        return Outcome(
            outcome_class=OutcomeClass.ACCEPTED,
            action=Action.DONE,
            code=0,
            status=answer.status,
            cause=f"{origin} can be reached. Only a push shows whether it is taken there.",
            fix="Nothing.",
        )

    def _batch(self, shipment: Shipment) -> Batch:
        return Batch(shipment, self._wake)

    async def _ask(self, post: Post[Batch], timeout: float) -> Outcome:
        try:
            phone = external.read_phone(post.recipient.value)
        except InvalidRequest:
            return outcomes.ours(Refusal.BAD_TOKEN)
        content = post.batch.shipment.notification_of(post.position).content
        answer = await self._answer(external.request(self._template, content, phone), timeout)
        return external.read(answer.status, answer.headers, answer.body)

    async def _answer(self, request: external.Request, timeout: float) -> HttpAnswer:
        if request.method is Method.GET:
            return await self._http.get(request.url, _HEADERS, timeout=timeout)
        headers = _HEADERS | (_OF_TEXT if request.body else {})
        return await self._http.post(request.url, request.body, headers, timeout=timeout)
