"""Single requests of one turn become one batch, and none of them pays for another's defect."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from wakeline.model.app import App
from wakeline.model.errors import StoreUnavailable
from wakeline.pipeline.together import Together

pytestmark = pytest.mark.anyio

ONE, TWO = (App(id=number, slug=f"app-{number}", name="", created=0) for number in (1, 2))


class Door:
    """Counts batches; some requests cannot be drafted, and the store may be away."""

    def __init__(self, *broken: str, store_away: bool = False) -> None:
        self.broken = broken
        self.store_away = store_away
        self.batches: list[tuple[int, list[str]]] = []
        self.committed: list[list[str]] = []

    async def draft(self, app: App, asked: Sequence[str]) -> list[str]:
        self.batches.append((app.id, list(asked)))
        for one in asked:
            if one in self.broken:
                raise ZeroDivisionError(one)
        return [one.upper() for one in asked]

    async def commit(self, asked: Sequence[str], drafted: list[str]) -> list[str]:
        await asyncio.sleep(0)
        if self.store_away:
            raise StoreUnavailable("away")
        self.committed.append(list(asked))
        return drafted


def together(door: Door) -> Together[str, str, str]:
    return Together(door.draft, door.commit)


async def test_what_comes_in_one_turn_is_one_batch_and_each_gets_its_own_answer() -> None:
    door = Door()
    taking = together(door)

    answers = await asyncio.gather(*(taking.take(ONE, name) for name in "abc"))

    assert answers == ["A", "B", "C"]
    assert door.batches == [(1, ["a", "b", "c"])]
    assert await taking.take(ONE, "d") == "D"
    assert door.batches[1:] == [(1, ["d"])]


async def test_apps_are_taken_apart() -> None:
    door = Door()
    taking = together(door)

    await asyncio.gather(taking.take(ONE, "a"), taking.take(TWO, "b"), taking.take(ONE, "c"))

    assert sorted(door.batches) == [(1, ["a", "c"]), (2, ["b"])]


async def test_a_defect_over_one_request_is_that_requests_alone() -> None:
    door = Door("b")
    taking = together(door)

    answers = await asyncio.gather(*(taking.take(ONE, name) for name in "abc"), return_exceptions=True)

    assert [answers[0], answers[2]] == ["A", "C"]
    assert isinstance(answers[1], ZeroDivisionError)
    assert door.committed == [["a"], ["c"]]


async def test_a_store_that_is_away_is_told_to_all_and_nothing_is_tried_twice() -> None:
    door = Door(store_away=True)
    taking = together(door)

    answers = await asyncio.gather(*(taking.take(ONE, name) for name in "ab"), return_exceptions=True)

    assert all(isinstance(answer, StoreUnavailable) for answer in answers)
    assert len(door.batches) == 1


async def test_who_gives_up_waiting_spoils_nothing() -> None:
    door = Door()
    taking = together(door)
    first, second = (asyncio.ensure_future(taking.take(ONE, name)) for name in "ab")
    await asyncio.sleep(0)

    first.cancel()

    assert await second == "B"
    assert door.committed == [["a", "b"]]


class Listener:
    """Hears what became of its request; a deaf one breaks over it."""

    def __init__(self, *, deaf: bool = False) -> None:
        self.deaf = deaf
        self.heard: asyncio.Future[str | BaseException] = asyncio.get_running_loop().create_future()

    def answered(self, answer: str) -> None:
        if self.deaf:
            raise ZeroDivisionError(answer)
        self.heard.set_result(answer)

    def failed(self, error: BaseException) -> None:
        self.heard.set_result(error)


async def test_who_submits_is_told_by_a_call_in_the_same_batch_as_those_who_await() -> None:
    door = Door()
    taking = together(door)
    listener = Listener()

    taking.submit(ONE, "a", listener)
    awaited = await taking.take(ONE, "b")

    assert (await listener.heard, awaited) == ("A", "B")
    assert door.batches == [(1, ["a", "b"])]


async def test_who_submits_is_told_of_a_store_that_is_away() -> None:
    listener = Listener()

    together(Door(store_away=True)).submit(ONE, "a", listener)

    assert isinstance(await listener.heard, StoreUnavailable)


async def test_who_breaks_over_its_answer_keeps_nobody_waiting() -> None:
    taking = together(Door())
    deaf, listener = Listener(deaf=True), Listener()

    with capture_logs() as lines:
        taking.submit(ONE, "a", deaf)
        taking.submit(ONE, "b", listener)
        heard = await listener.heard

    assert heard == "B"
    assert [line["event"] for line in lines] == ["accept.answer_not_told"]
