"""Who waits for what became of a push hears of it once."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from stories.post import BAD_TOKEN, OK, unregistered
from stories.world import World, request, submission
from wakeline.model.errors import StoreUnavailable
from wakeline.model.outcome import Outcome
from wakeline.pipeline import Submission, Taken
from wakeline.ports import Admission, Committed, Mismatch, Replayed, Running

pytestmark = pytest.mark.anyio


def _listening(user: str, heard: list[Outcome]) -> Submission:
    plain = submission(request(user))
    return Submission(request=plain.request, idempotency=None, reply=plain.reply, heard=heard.append)


class _Broken:
    """A store that takes nothing."""

    async def accept(self, admissions: Sequence[Admission]) -> list[Committed | Replayed | Mismatch | Running]:
        raise StoreUnavailable(f"{len(admissions)} were not kept")


@pytest.mark.parametrize("answer", [OK, BAD_TOKEN, unregistered(1)])
async def test_what_the_push_service_said_is_told_once(answer: Outcome) -> None:
    world = await World().open()
    await world.device("phone", "bob")
    world.apple.to_all = answer
    heard: list[Outcome] = []
    [taken] = await world.pipeline.accept.accept(world.app, [_listening("bob", heard)])
    assert isinstance(taken, Taken)
    await world.run()
    assert len(heard) == 1
    assert heard[0].accepted == answer.accepted
    assert len(world.pipeline.settle.hearing) == 0


async def test_nobody_hears_of_a_push_that_was_not_kept() -> None:
    world = await World().open()
    await world.device("phone", "bob")
    heard: list[Outcome] = []
    world.parts.acceptance = _Broken()
    with pytest.raises(StoreUnavailable):
        await world.pipeline.accept.accept(world.app, [_listening("bob", heard)] * 2)
    assert heard == []
    assert len(world.pipeline.settle.hearing) == 0
