"""What a story tells whoever counts: how long each stage took, and never more series for more traffic."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families

from stories.clock import START
from stories.post import BAD_TOKEN, DOWN, unregistered
from stories.world import World
from wakeline.model.outcome import OutcomeClass
from wakeline.model.route import Lane, ProviderKind
from wakeline.observe.metrics import Metrics, Reading
from wakeline.observe.names import Metric
from wakeline.pipeline.meter import Stage

pytestmark = pytest.mark.anyio

BOUNDS: dict[str, set[str]] = {
    "stage": {stage.value for stage in Stage},
    "lane": {lane.name.lower() for lane in Lane},
    "provider": {kind.value for kind in ProviderKind},
    "outcome": {answer.value for answer in OutcomeClass},
}

Series = tuple[str, tuple[tuple[str, str], ...]]


def counted(world: World) -> Metrics:
    metrics = world.parts.meter = Metrics()
    return metrics


def series(metrics: Metrics) -> dict[Series, float]:
    """Return what a scrape shows of what is counted, but not when its series began."""
    return {
        (found.name, tuple(sorted(found.labels.items()))): found.value
        for family in text_string_to_metric_families(metrics.render(Reading()).decode())
        for found in family.samples
        if not found.name.endswith("_created")
    }


def told(metrics: Metrics, stage: Stage, lane: str) -> tuple[float, float]:
    """Return how many batches went through a stage, and their seconds."""
    labels = (("lane", lane), ("stage", stage.value))
    shown = series(metrics)
    return shown.get((f"{Metric.STAGE_SECONDS}_count", labels), 0), shown.get(
        (f"{Metric.STAGE_SECONDS}_sum", labels), 0
    )


async def test_a_push_that_goes_at_once_goes_through_each_stage_once(world: World) -> None:
    metrics = counted(world)
    await world.device("phone", "ann")
    await world.send("ann")
    assert told(metrics, Stage.COMMIT, "alert") == (1, 0)
    assert told(metrics, Stage.CLAIM, "alert") == (0, 0)
    world.clock.advance(3)
    await world.run()
    assert [told(metrics, stage, "alert") for stage in Stage] == [(1, 0), (1, 3), (1, 0)]


async def test_a_scheduled_push_waits_from_its_time_on(world: World) -> None:
    metrics = counted(world)
    await world.device("phone", "ann")
    await world.send("ann", send_at=datetime.fromtimestamp(START / 1000 + 600, UTC).isoformat())
    await world.run()
    assert told(metrics, Stage.CLAIM, "alert") == (0, 0)
    world.clock.advance(605)
    await world.run()
    assert told(metrics, Stage.CLAIM, "alert") == (1, 5)


async def test_the_wait_for_room_is_told_apart(world: World) -> None:
    metrics = counted(world)
    await world.device("phone", "ann")
    world.apple.capacity = 0
    await world.send("ann")
    await world.run()
    assert told(metrics, Stage.CLAIM, "alert")[0] == 1
    assert told(metrics, Stage.HAND_OVER, "alert") == (0, 0)
    world.clock.advance(20)
    world.apple.capacity = 1000
    await world.run()
    batches, seconds = told(metrics, Stage.HAND_OVER, "alert")
    assert batches == 1
    assert 20 <= seconds < 20.5


async def test_a_broadcast_is_told_by_the_batch_not_by_the_push(world: World) -> None:
    metrics = counted(world)
    for number in range(400):
        await world.device(f"p{number}", f"u{number}")
    await world.send(to={"everyone": True})
    await world.run()
    assert len(world.apple.sent) == 400
    for stage in Stage:
        assert 1 <= told(metrics, stage, "bulk")[0] <= 4, stage


async def test_more_users_tokens_and_refusals_make_no_more_series(world: World) -> None:
    metrics = counted(world)

    async def traffic(name: str) -> None:
        for number, refusal in enumerate((None, BAD_TOKEN, DOWN, unregistered(world.clock.now()))):
            token = f"{name}-{number}"
            await world.device(token, token)
            if refusal is not None:
                world.apple.to_token[token].append(refusal)
            await world.send(token, title=token, collapse_id=token)
            await world.call(token)
        await world.later(60)

    await traffic("first")
    before = set(series(metrics))
    for name in ("second", "third", "fourth"):
        await traffic(name)

    assert set(series(metrics)) == before
    for _, labels in before:
        for label, value in labels:
            assert label in {"le", "version"} or value in BOUNDS[label], (label, value)
