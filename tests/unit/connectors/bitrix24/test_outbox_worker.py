"""Writes on a connected portal arrive in order, once, whatever happens in between."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable

import msgspec
import pytest

from connected_portal import Connected
from portal_weather import Way, Weather
from wakeline.connectors.bitrix24.bucket import SPARE
from wakeline.connectors.bitrix24.connections import Connections
from wakeline.connectors.bitrix24.outbox import HELD, LONGEST_REST, MOST_DOUBTS, WAITED, OutboxWorker
from wakeline.model.bitrix24.installation import Installation, InstallationState
from wakeline.model.bitrix24.outbox import PortalWrite, WriteState
from wakeline.model.errors import StoreUnavailable
from wakeline.ports.bitrix24_connector import Outbox
from wakeline.simulator.portal.records import DEALS, Kind
from wakeline.simulator.script import ScriptedAnswer
from wakeline.storage.memory.bitrix24 import MemoryOutbox

pytestmark = pytest.mark.anyio


class Writing:
    """A connected portal, the way to it, and the worker that writes on it."""

    def __init__(self, world: Connected, installation: Installation) -> None:
        self.world = world
        self.installation = installation
        self.weather = Weather(world.ports.http)
        self.outbox: Outbox = world.store.outbox
        self.worker = self.another_process()

    def another_process(self) -> OutboxWorker:
        ports = msgspec.structs.replace(self.world.ports, http=self.weather)
        self.worker = OutboxWorker(self.outbox, self.world.store.installations, self.world.clock, Connections(ports))
        return self.worker

    async def put(
        self,
        title: str,
        *,
        method: str = "crm.deal.add",
        after: str = "",
        key: str = "",
        repeatable: bool = False,
        due: int = 0,
        number: object = None,
    ) -> PortalWrite:
        """Put a write that makes a deal with this title, or changes that of deal `number`."""
        params: dict[str, object] = {"fields": {"TITLE": title}}
        if number is not None:
            params["id"] = number
        (kept,) = await self.outbox.put(
            [
                PortalWrite(
                    id=0,
                    installation=self.installation.id,
                    method=method,
                    params=msgspec.json.encode(params),
                    key=key,
                    after=after,
                    repeatable=repeatable,
                    at=self.world.clock.now(),
                    due=due,
                )
            ]
        )
        return kept

    async def turn(self) -> float | None:
        return await self.worker.turn(self.installation.id)

    async def go_on(self, seconds: float) -> None:
        """Let time pass, with every turn that the worker wants."""
        end = self.world.clock.monotonic() + seconds
        while (pause := await self.turn()) is not None and self.world.clock.monotonic() + pause < end:
            self.world.clock.advance(max(pause, 0.001))
        self.world.clock.advance(max(0.0, end - self.world.clock.monotonic()))

    async def of(self, write: PortalWrite) -> PortalWrite:
        found = await self.outbox.by_id(write.id)
        assert found is not None
        return found

    async def state(self, write: PortalWrite) -> WriteState:
        return (await self.of(write)).state

    def made(self) -> list[object]:
        """The titles of deals that were made, in the order of making."""
        deals = self.world.portal.records[Kind.DEAL]
        return [row["TITLE"] for number, row in deals.items() if number > DEALS]


@pytest.fixture
async def writing(world: Connected) -> Writing:
    return Writing(world, await world.application())


async def test_writes_are_sent_in_their_order_and_their_answers_kept(writing: Writing) -> None:
    puts = [await writing.put(f"deal {place}") for place in range(5)]

    assert await writing.turn() is None

    assert writing.made() == [f"deal {place}" for place in range(5)]
    assert [(await writing.of(write)).result for write in puts] == [b"324", b"325", b"326", b"327", b"328"]
    assert {await writing.state(write) for write in puts} == {WriteState.DONE}


async def test_what_waited_leaves_room_for_what_people_wait_for(writing: Writing) -> None:
    for place in range(60):
        await writing.put(f"deal {place}")
    writing.world.clock.advance(WAITED / 1000 + 1)
    await writing.turn()
    assert len(writing.made()) == 60

    waited = list(writing.world.clock.slept)
    for _ in range(SPARE - 1):
        await writing.world.client(writing.installation).call("profile")

    assert writing.world.clock.slept == waited
    await writing.put("a call that rings now")
    await writing.turn()
    assert writing.world.clock.slept == waited


async def test_an_hour_without_the_portal_loses_nothing_and_keeps_the_order(writing: Writing) -> None:
    writing.weather.way = Way.DOWN
    for minute in range(60):
        await writing.put(f"minute {minute}")
        await writing.go_on(60)
    assert writing.weather.left == 0
    assert writing.made() == []

    writing.weather.way = Way.OPEN
    await writing.put("after it")
    await writing.go_on(LONGEST_REST + 1)

    assert writing.made() == [*(f"minute {minute}" for minute in range(60)), "after it"]
    assert await writing.turn() is None


async def test_while_the_portal_is_down_it_is_asked_once_a_minute_at_most(writing: Writing) -> None:
    writing.weather.way = Way.DOWN
    await writing.put("waits")
    pauses = []
    for _ in range(12):
        pause = await writing.turn()
        assert pause is not None
        pauses.append(pause)
        writing.world.clock.advance(pause)

    assert pauses == sorted(pauses)
    assert pauses[0] <= 4
    assert pauses[-1] == LONGEST_REST


async def test_a_portal_that_lets_us_in_no_more_keeps_its_writes(writing: Writing) -> None:
    writing.world.switch(closed=True)
    write = await writing.put("later")

    assert await writing.turn() is None
    assert writing.world.kept(writing.installation).state is InstallationState.DEAD
    assert await writing.state(write) is WriteState.WAITING

    writing.world.switch(closed=False)
    alive = msgspec.structs.replace(writing.world.kept(writing.installation), state=InstallationState.ACTIVE)
    await writing.world.store.installations.change(alive)
    assert await writing.turn() is None
    assert writing.made() == ["later"]


async def test_what_the_portal_refuses_is_kept_with_its_words_and_the_next_goes_on(writing: Writing) -> None:
    wrong = await writing.put("x", method="crm.deal.update", number=999_999)
    unknown = await writing.put("x", method="crm.deal.explode")
    nonsense = await writing.put("x", method="../crm.deal.add")
    await writing.put("good")

    assert await writing.turn() is None

    refused = [await writing.of(write) for write in (wrong, unknown, nonsense)]
    assert {write.state for write in refused} == {WriteState.REFUSED}
    assert "Not found" in refused[0].cause
    assert "ERROR_METHOD_NOT_FOUND" in refused[1].cause
    assert writing.made() == ["good"]


async def test_what_the_oauth_host_refuses_is_no_answer_to_a_write(writing: Writing, world: Connected) -> None:
    world.expire()
    world.script("oauth/token", ScriptedAnswer(status=403, body='{"error":"insufficient_scope"}'))
    write = await writing.put("a deal")

    await writing.turn()
    assert await writing.state(write) is WriteState.WAITING
    await writing.go_on(600)

    assert (await writing.state(write), writing.made()) == (WriteState.DONE, ["a deal"])


async def test_a_limit_of_the_portal_is_waited_for_and_no_attempt(writing: Writing) -> None:
    limit = ScriptedAnswer(status=503, reason="QUERY_LIMIT_EXCEEDED", times=6 * MOST_DOUBTS)
    writing.world.script("crm.deal.add", limit)
    write = await writing.put("patient", repeatable=True)

    await writing.go_on(3600)

    assert writing.made() == ["patient"]
    assert (await writing.of(write)).attempts == 1


class TestNobodyKnows:
    async def test_what_may_have_been_done_and_must_not_be_repeated_waits_for_an_operator(
        self, writing: Writing
    ) -> None:
        writing.weather.way = Way.LOSES_ANSWERS
        lost = await writing.put("once")
        await writing.turn()
        writing.weather.way = Way.OPEN
        await writing.put("next")
        await writing.go_on(300)

        assert await writing.state(lost) is WriteState.DOUBTFUL
        assert writing.made() == ["once", "next"]

    async def test_what_may_be_repeated_is_sent_until_it_is_answered(self, writing: Writing) -> None:
        writing.weather.way = Way.LOSES_ANSWERS
        lost = await writing.put("same", method="crm.deal.update", number=7, repeatable=True)
        await writing.go_on(120)
        assert await writing.state(lost) is WriteState.WAITING
        writing.weather.way = Way.OPEN
        await writing.go_on(300)

        assert await writing.state(lost) is WriteState.DONE
        assert (await writing.of(lost)).cause == ""

    async def test_a_portal_that_takes_requests_and_answers_none_costs_one_write(self, writing: Writing) -> None:
        writing.weather.way = Way.LOSES_REQUESTS
        puts = [await writing.put(f"deal {place}") for place in range(5)]
        await writing.go_on(3600)
        assert [await writing.state(write) for write in puts] == [WriteState.DOUBTFUL, *[WriteState.WAITING] * 4]

        writing.weather.way = Way.OPEN
        await writing.go_on(2 * LONGEST_REST)
        assert writing.made() == [f"deal {place}" for place in range(1, 5)]

    async def test_a_repeatable_write_that_the_portal_never_answers_lets_others_pass_in_the_end(
        self, writing: Writing
    ) -> None:
        writing.weather.way, writing.weather.only = Way.LOSES_ANSWERS, "crm.deal.update"
        poison = await writing.put("poison", method="crm.deal.update", number=7, repeatable=True)
        await writing.put("next")

        await writing.go_on(3 * 3600)

        assert await writing.state(poison) is WriteState.DOUBTFUL
        assert (await writing.of(poison)).attempts == MOST_DOUBTS
        assert writing.made() == ["next"]

    @pytest.mark.parametrize(
        ("repeatable", "state", "made"), [(False, WriteState.DOUBTFUL, []), (True, WriteState.DONE, ["half"])]
    )
    async def test_a_process_that_died_after_it_wrote_that_it_sends(
        self, writing: Writing, repeatable: bool, state: WriteState, made: list[str]
    ) -> None:
        write = await writing.put("half", repeatable=repeatable)
        await writing.outbox.settle(msgspec.structs.replace(write, state=WriteState.SENT, attempts=1))
        await writing.put("next")

        writing.another_process()
        await writing.turn()

        assert await writing.state(write) is state
        assert writing.made() == [*made, "next"]


class TestReferences:
    async def test_a_write_says_what_the_one_before_it_was_answered(self, writing: Writing) -> None:
        await writing.put("made", key="add")
        await writing.put("made and changed", method="crm.deal.update", after="add", number="$result")

        await writing.turn()

        assert writing.made() == ["made and changed"]

    async def test_a_hole_is_not_sent(self, writing: Writing) -> None:
        await writing.put("made", key="add")
        hole = await writing.put("x", method="crm.deal.update", after="add", number="$result[ID]")

        await writing.turn()

        assert await writing.state(hole) is WriteState.REFUSED
        assert writing.made() == ["made"]

    async def test_what_refers_to_a_refused_write_is_refused(self, writing: Writing) -> None:
        await writing.put("x", method="crm.deal.explode", key="first")
        second = await writing.put("x", after="first", key="second")
        third = await writing.put("x", after="second")
        orphan = await writing.put("x", after="nobody")

        await writing.turn()

        assert {await writing.state(write) for write in (second, third, orphan)} == {WriteState.REFUSED}
        assert writing.made() == []

    async def test_others_pass_what_refers_to_a_doubtful_write_until_an_operator_says_what_became_of_it(
        self, writing: Writing
    ) -> None:
        writing.weather.way = Way.LOSES_REQUESTS
        doubtful = await writing.put("made", key="add")
        await writing.turn()
        writing.weather.way = Way.OPEN
        change = await writing.put("changed", method="crm.deal.update", after="add", number="$result")
        await writing.put("other")
        await writing.go_on(400)
        assert writing.made() == ["other"]
        assert await writing.state(change) is WriteState.WAITING

        again = await writing.of(doubtful)
        await writing.outbox.settle(msgspec.structs.replace(again, state=WriteState.WAITING))
        await writing.go_on(2 * HELD / 1000)

        assert writing.made() == ["other", "changed"]
        assert await writing.state(change) is WriteState.DONE


class TestLater:
    async def test_a_write_that_is_due_later_holds_up_nobody(self, writing: Writing) -> None:
        later = await writing.put("later", due=writing.world.clock.now() + 4 * 3_600_000)
        await writing.put("now")

        pause = await writing.turn()

        assert writing.made() == ["now"]
        assert pause is not None
        await writing.go_on(4 * 3600 + LONGEST_REST + 1)
        assert writing.made() == ["now", "later"]
        assert await writing.state(later) is WriteState.DONE

    async def test_what_is_put_in_place_of_a_waiting_write_is_what_is_sent(self, writing: Writing) -> None:
        guess = await writing.put("guess", key="end", due=writing.world.clock.now() + 4 * 3_600_000)
        real = msgspec.structs.replace(guess, params=msgspec.json.encode({"fields": {"TITLE": "real"}}), due=0)
        await writing.outbox.replace(real)

        assert await writing.turn() is None
        assert writing.made() == ["real"]


class FailingOutbox(MemoryOutbox):
    """An outbox whose store fails twenty times to write that a write is done."""

    failures = 20

    async def settle(self, write: PortalWrite, *, instead_of: WriteState | None = None) -> bool:
        if write.state is WriteState.DONE and self.failures:
            self.failures -= 1
            raise StoreUnavailable("the disk is full")
        return await super().settle(write, instead_of=instead_of)


async def test_an_answer_is_kept_however_long_the_store_takes(writing: Writing) -> None:
    failing = writing.outbox = FailingOutbox(writing.world.store.installations)
    writing.another_process()
    write = await writing.put("once")

    await writing.turn()

    assert failing.failures == 0
    assert writing.made() == ["once"]
    assert await writing.state(write) is WriteState.DONE


class WatchedOutbox(MemoryOutbox):
    """An outbox of which an operator drops what the worker was just given, but for what is called `other`."""

    async def waiting(self, installation: int, *, now: int, limit: int) -> list[PortalWrite]:
        found = await super().waiting(installation, now=now, limit=limit)
        for write in found:
            if write.key != "other":
                await self.settle(msgspec.structs.replace(write, state=WriteState.DROPPED))
        return found


@pytest.mark.parametrize("after", ["", "held"])
async def test_a_write_that_is_dropped_before_it_is_sent_stays_dropped(writing: Writing, after: str) -> None:
    writing.outbox = WatchedOutbox(writing.world.store.installations)
    writing.another_process()
    held = await writing.put("held", key="held")
    await writing.outbox.settle(msgspec.structs.replace(held, state=WriteState.DOUBTFUL))
    dropped = await writing.put("dropped", after=after)
    other = await writing.put("other", key="other")

    await writing.turn()

    assert writing.made() == ["other"]
    assert await writing.state(other) is WriteState.DONE
    assert await writing.state(dropped) is WriteState.DROPPED


class DiedError(BaseException):
    """The process ends here."""


class DyingOutbox(MemoryOutbox):
    """An outbox whose process dies now and then, before or after something is written."""

    luck = random.Random()  # noqa: S311 - fate in a test is no secret
    deadly = 0.0

    async def settle(self, write: PortalWrite, *, instead_of: WriteState | None = None) -> bool:
        if self.luck.random() < self.deadly:
            raise DiedError
        settled = await super().settle(write, instead_of=instead_of)
        if self.luck.random() < self.deadly:
            raise DiedError
        return settled


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_writes_arrive_in_order_and_once_or_are_known_to_be_doubtful(
    writing: Writing, seed: int
) -> None:
    outbox = writing.outbox = DyingOutbox(writing.world.store.installations)
    outbox.luck, outbox.deadly = random.Random(seed), 0.1  # noqa: S311
    writing.another_process()
    writing.weather.only = "/rest/"
    puts: list[PortalWrite] = []
    for place in range(60):
        repeatable = outbox.luck.random() < 0.5
        number = 7 if repeatable else None
        method = "crm.deal.update" if repeatable else "crm.deal.add"
        puts.append(await writing.put(f"{place}", method=method, number=number, repeatable=repeatable))
        writing.weather.way = outbox.luck.choice([*[Way.OPEN] * 5, Way.DOWN, Way.LOSES_ANSWERS, Way.LOSES_REQUESTS])
        try:
            await writing.turn()
        except DiedError:
            writing.another_process()
        writing.world.clock.advance(outbox.luck.choice([0, 5, 90]))
    writing.weather.way, outbox.deadly = Way.OPEN, 0.0
    writing.another_process()
    await writing.go_on(300)

    added = [write for write in puts if not write.repeatable]
    states = {f"{place}": await writing.state(write) for place, write in enumerate(puts)}
    made = [str(title) for title in writing.made()]
    assert set(states.values()) == {WriteState.DONE, WriteState.DOUBTFUL}
    assert made == sorted(set(made), key=int)
    missing = {json.loads(write.params)["fields"]["TITLE"] for write in added} - set(made)
    assert {states[title] for title in missing} <= {WriteState.DOUBTFUL}
    assert {states[f"{place}"] for place, write in enumerate(puts) if write.repeatable} == {WriteState.DONE}


async def test_it_takes_up_what_a_process_before_it_left_and_hears_of_more_until_it_is_stopped(
    writing: Writing,
) -> None:
    await writing.put("left")
    running = asyncio.create_task(writing.worker.run())
    await until(lambda: writing.made() == ["left"])
    await writing.put("more")
    writing.worker.ring(writing.installation.id)
    await until(lambda: writing.made() == ["left", "more"])

    await writing.worker.stop(5.0)
    await running
    await writing.put("too late")
    writing.worker.ring(writing.installation.id)

    assert writing.made() == ["left", "more"]


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    pytest.fail("it did not come to pass")
