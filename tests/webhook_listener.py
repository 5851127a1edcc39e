"""Somebody's program that is told of events, without a network: it keeps what it took and answers as it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from wakeline.model.event import Event
from wakeline.model.webhook import Endpoint, EndpointSecret
from wakeline.ports.webhooks import Said

TAKEN = Said(status=204, duration=3)
DOWN = Said(status=0, detail="no connection")


class Listener:
    """Implements `ports.webhooks.WebhookSender`.

    `answer` says what is answered to a message of an endpoint, `turns` of the loop after it came.
    """

    def __init__(self) -> None:
        self.answer: Callable[[Endpoint, Event], Said] = lambda _endpoint, _event: TAKEN
        self.asked: list[tuple[Endpoint, Event]] = []
        self.taken: list[tuple[Endpoint, Event]] = []
        self.signed: list[int] = []
        self.turns = 1
        self.flying: list[Event] = []
        self.most_at_once = 0
        self._calls: set[asyncio.Task[object]] = set()

    async def send(self, endpoint: Endpoint, secrets: Sequence[EndpointSecret], event: Event) -> Said:
        """Keep a message, and answer after others had their turn."""
        self.flying.append(event)
        self.most_at_once = max(self.most_at_once, len(self.flying))
        self.asked.append((endpoint, event))
        self.signed.append(len(secrets))
        call = asyncio.current_task()
        assert call is not None
        self._calls.add(call)
        try:
            for _ in range(self.turns):
                await asyncio.sleep(0)
            said = self.answer(endpoint, event)
        finally:
            self._calls.discard(call)
            self.flying.remove(event)
        if said.taken:
            self.taken.append((endpoint, event))
        return said

    def hang_up(self) -> None:
        """Break off every call: who made them is no more."""
        for call in self._calls:
            call.cancel()

    def ids(self) -> list[str]:
        """Return the `webhook-id` of everything that was taken, in order."""
        return [endpoint.message_id(event.seq) for endpoint, event in self.taken]
