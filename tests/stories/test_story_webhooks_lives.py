"""Random lives of an endpoint: whatever it answers and whenever we crash, it gets everything, in order for each device."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from stories.telling import Telling
from wakeline.model.event import Event
from wakeline.model.webhook import Endpoint
from wakeline.ports.webhooks import Said
from webhook_listener import DOWN, TAKEN

pytestmark = pytest.mark.anyio

DEVICES = ("", "a", "b", "c", "d", "e")
STEPS = 60


class Moody:
    """A receiver with moods; it refuses to be told two things about one device at once."""

    def __init__(self, telling: Telling, chance: random.Random) -> None:
        self.mood = "well"
        self.crashed = False
        self._telling = telling
        self._chance = chance

    def answer(self, _: Endpoint, event: Event) -> Said:
        at_once = Counter(one.data.device for one in self._telling.listener.flying)
        assert all(count == 1 for device, count in at_once.items() if device), at_once
        match self.mood:
            case "well":
                return TAKEN
            case "down":
                return DOWN
            case "broken":
                return Said(status=503, retry_after=self._chance.choice((None, 7.0)))
            case "picky":
                return Said(status=400) if event.seq % 9 == 0 else TAKEN
            case _:
                return self._chance.choice((TAKEN, DOWN, Said(status=500), Said(status=429, retry_after=3.0)))


@pytest.mark.parametrize("seed", range(25))
async def test_everything_is_told_in_the_end_and_in_order(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a life, no secret
    telling = Telling()
    endpoint = await telling.endpoint()
    moody = Moody(telling, chance)
    telling.listener.answer = moody.answer
    telling.listener.turns = chance.choice((1, 5, 40))
    crashes = replayed = 0
    for _ in range(STEPS):
        match chance.choice(("happen", "happen", "happen", "mood", "later", "later", "crash", "replay")):
            case "happen":
                await telling.happen(*chance.choices(DEVICES, k=chance.randrange(1, 30)))
            case "mood":
                moody.mood = chance.choice(("well", "well", "down", "broken", "picky", "moody"))
            case "later":
                await telling.later(chance.choice((0.01, 0.5, 4.0, 40.0, 700.0, 4000.0)))
            case "crash":
                crashes += 1
                await telling.crash(chance.randrange(4))
            case _:
                replayed += await telling.world.pipeline.webhooks.replay(
                    endpoint, since=telling.world.clock.now() - 60_000
                )
    moody.mood = "well"
    await telling.later(8000.0)

    last = await telling.world.store.events.last()
    told = telling.seqs()
    assert set(told) == set(range(1, last + 1))
    if not crashes:
        assert len(told) <= last + replayed
    for device in DEVICES[1:]:
        first = list(dict.fromkeys(event.seq for _, event in telling.listener.taken if event.data.device == device))
        assert first == sorted(first)
    assert telling.world.store.endpoints.health(endpoint.id).cursor == last
    assert await telling.world.store.endpoints.waiting(endpoint.id, limit=1) == []
