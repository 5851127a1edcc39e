"""A phone's courier: brings it what waits for it, one message after the other, the next when the one before was answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import structlog

from wakeline.edges.sip.client_transactions import ClientTransaction, Failure
from wakeline.edges.sip.decisions import decided
from wakeline.edges.sip.transaction_layer import TransactionLayer
from wakeline.edges.sip.ways import addressed, way_to
from wakeline.model.errors import WakelineError
from wakeline.model.sip.waiting import WaitingMessage
from wakeline.ports import Clock
from wakeline.ports.sip import SipBindings, SipMessages
from wakeline.wire.sip.broken import Broken
from wakeline.wire.sip.message import Request, Response, parse

AT_ONCE = 20
"""Messages that are read from the store in one go."""
_LATER = frozenset({408, 430, 480, 500, 503, 504})
"""The way to the phone failed, or it cannot just now: it gets the message another time. Any other answer is its last word."""

_log = structlog.get_logger()


class Courier:
    """Implements `client_transactions.ClientUser`. `phone` is its AoR and uid; `told` hears its last word on each message."""

    def __init__(
        self,
        layer: TransactionLayer,
        store: SipMessages,
        bindings: SipBindings,
        clock: Clock,
        phone: tuple[str, str],
        told: Callable[[WaitingMessage, Response], None],
        spawn: Callable[[Coroutine[None, None, None]], None],
    ) -> None:
        self._layer = layer
        self._store = store
        self._bindings = bindings
        self._clock = clock
        self._aor, self._uid = phone
        self._told = told
        self._spawn = spawn
        self.busy = False
        """On its way: a phone has one courier at a time."""
        self._again = False
        self._client: ClientTransaction | None = None
        self._answer: asyncio.Future[Response | None] | None = None

    def go(self, flow: str) -> None:
        """Bring what waits; the phone is at this flow now. What is on its way to another one is brought here."""
        self._again = True
        if not self.busy:
            self.busy = True
            self._spawn(self._bring())
        elif self._client is not None and self._client.flow is not None and self._client.flow.name != flow:
            self._end(None)

    # --- client_transactions.ClientUser ------------------------------------------------------------------------------

    def answered(self, client: ClientTransaction, response: Response) -> None:
        """Take the phone's answer."""
        if client is self._client and response.is_final:
            self._end(response)

    def failed(self, client: ClientTransaction, failure: Failure) -> None:
        """Take it that there is none."""
        if client is self._client:
            decided("not_delivered", call_id=client.request.call_id, aor=self._aor, why=failure.value)
            self._end(None)

    def _end(self, response: Response | None) -> None:
        self._client = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(response)

    # --- the way -----------------------------------------------------------------------------------------------------

    async def _bring(self) -> None:
        try:
            while self._again:
                self._again = False
                await self._bring_all()
        except WakelineError as error:
            _log.warning("sip.message_not_delivered", aor=self._aor, reason=error.detail)
        finally:
            self.busy = False

    async def _bring_all(self) -> None:
        """Bring what waits, until nothing does or the phone is not there."""
        while True:
            found = await self._store.waiting(self._aor, self._uid, now=self._clock.now(), limit=AT_ONCE)
            for message in found:
                if not await self._brought(message):
                    return
            if len(found) < AT_ONCE:
                return

    async def _brought(self, message: WaitingMessage) -> bool:
        """Bring one; return whether the phone had its last word on it."""
        response = await self._asked(message)
        if response is None or response.status in _LATER:
            return False
        await self._store.taken(self._uid, [message.id])
        decided("delivered", call_id=message.call_id, aor=self._aor, status=response.status)
        self._told(message, response)
        return True

    async def _asked(self, message: WaitingMessage) -> Response | None:
        binding = next((each for each in self._bindings.of(self._aor) if each.uid == self._uid), None)
        request = parse(message.request)
        if binding is None or not isinstance(request, Request):
            return None
        try:
            way = way_to(binding, self._layer.endpoint)
            out = addressed(request, binding)
        except Broken:
            return None
        if way is None:
            return None
        self._answer = asyncio.get_running_loop().create_future()
        self._client = self._layer.send(out, way, self)
        return await self._answer
