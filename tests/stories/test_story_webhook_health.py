"""What an operator sees of somebody's program that is told of events: from the doctor, and in the metrics."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client.parser import text_string_to_metric_families

from stories.world import World
from unit.doctor.clinic import ports_in
from wakeline.doctor import webhooks
from wakeline.model.event import Event, EventData, EventType
from wakeline.model.webhook import Endpoint
from wakeline.observe.metrics import Metrics, Reading
from wakeline.observe.webhook_lag import oldest_untold
from wakeline.ports.webhooks import Said
from webhook_nouns import listening

pytestmark = pytest.mark.anyio

DAY = 86400.0


class Watched:
    """A world with one endpoint that is told, its metrics, and who looks at it."""

    def __init__(self) -> None:
        self.world = World()
        self.metrics = self.world.parts.meter = Metrics()
        self.endpoint: Endpoint

    async def open(self) -> Watched:
        await self.world.open()
        self.endpoint = await listening(self.world.store, "results")
        await self.world.pipeline.webhooks.start()
        return self

    def answers(self, status: int, detail: str = "", *, about: str = "") -> None:
        """Have the program answer so, to messages of this device or of all."""

        def answer(_endpoint: Endpoint, event: Event) -> Said:
            return Said(status=204 if about not in {"", event.data.device} else status, detail=detail)

        self.world.listener.answer = answer

    async def happens(self, *devices: str) -> None:
        now = self.world.clock.now()
        events = [
            Event(type=EventType.PUSH_FAILED, at=now, app="acme", data=EventData(device=device)) for device in devices
        ]
        await self.world.store.events.append(events)

    async def passes(self, seconds: float) -> None:
        """Let time pass, with everything that is told meanwhile."""
        clock, telling = self.world.clock, self.world.pipeline.webhooks
        end = clock.monotonic() + seconds
        while True:
            wait = await telling.turn()
            if telling.busy:
                await asyncio.sleep(0)  # the program answers in the next turn of the loop
            elif (left := end - clock.monotonic()) <= 0:
                return
            else:
                clock.advance(max(0.001, left if wait is None else min(left, wait)))

    async def doctor(self) -> list[tuple[str, str, str]]:
        """Return status, cause and fix of each line about the endpoint."""
        found = await webhooks.of_installation(ports_in(self.world))
        return [(line.status.value, line.cause, line.fix) for line in found]

    def counted(self) -> dict[str, float]:
        """Return how many messages were taken, failed, given up."""
        text = self.metrics.render(Reading()).decode()
        return {
            found.labels["result"]: found.value
            for family in text_string_to_metric_families(text)
            for found in family.samples
            if found.name == "wakeline_webhook_messages_total" and found.labels["endpoint"] == self.endpoint.public_id
        }

    async def behind(self) -> bool:
        store = self.world.store
        return await oldest_untold(self.endpoint, store.endpoints, store.events) is not None


@pytest.fixture
async def watched() -> Watched:
    return await Watched().open()


async def test_one_that_is_down_is_named_until_it_is_back_and_has_missed_nothing(watched: Watched) -> None:
    watched.answers(503, "Service Unavailable")
    await watched.happens("a", "b", "a", "c")
    await watched.passes(3600)

    [(status, cause, fix)] = await watched.doctor()
    assert status == "failed"
    assert cause.startswith("For ")
    assert "answers 503 (Service Unavailable)" in cause
    assert f"wakeline webhook test {watched.endpoint.public_id}" in fix
    failed = watched.counted()["failed"]
    assert failed == len(watched.world.listener.asked)

    watched.answers(204)
    await watched.passes(1200)

    [(status, cause, _)] = await watched.doctor()
    assert (status, cause.startswith("It takes what it is told")) == ("ok", True)
    assert watched.counted() == {"taken": 4, "failed": failed, "given_up": 0}
    assert not await watched.behind()


async def test_one_that_refuses_a_single_message_has_it_set_aside_and_then_given_up(watched: Watched) -> None:
    watched.answers(400, "Bad Request", about="poison")
    await watched.happens("poison", *"abc")
    await watched.passes(3600)
    await watched.happens(*"abc")
    await watched.passes(60)

    [(status, cause, fix)] = await watched.doctor()
    assert (status, cause.startswith("1 message waits beside the others")) == ("warning", True)
    assert "--state waiting" in fix
    assert watched.counted()["taken"] == 6
    assert not await watched.behind()

    await watched.passes(3 * DAY + 3600)

    [(status, cause, fix)] = await watched.doctor()
    assert (status, cause.startswith("1 message of the last day it has never taken")) == ("warning", True)
    assert "webhook replay" in fix
    assert watched.counted()["given_up"] == 1


async def test_one_that_wants_no_more_is_named_and_not_told_again(watched: Watched) -> None:
    watched.answers(410)
    await watched.happens("a")
    await watched.passes(60)
    await watched.happens("b")
    await watched.passes(DAY)

    [(status, cause, fix)] = await watched.doctor()
    assert (status, "410" in cause) == ("failed", True)
    assert f"webhook update {watched.endpoint.public_id} --enabled" in fix
    assert len(watched.world.listener.asked) == 1
    assert watched.counted() == {"taken": 0, "failed": 1, "given_up": 1}
