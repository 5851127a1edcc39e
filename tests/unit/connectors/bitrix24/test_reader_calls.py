"""Events of calls: what rings has to ring now, whatever the portal does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from connected_portal import connected
from connected_reading import ReadingWorld
from wakeline.connectors.bitrix24 import drain
from wakeline.model.bitrix24.inbox import EventState, Origin
from wakeline.model.bitrix24.installation import Installation, InstallationState
from wakeline.model.notification import PushType
from wakeline.simulator.portal.records import Kind
from wakeline.simulator.script import ScriptedAnswer

pytestmark = pytest.mark.anyio

CALL = "ONEXTERNALCALLSTART"
DATA = {"CALL_ID": "c1", "USER_ID": "3", "PHONE_NUMBER": "+49", "CRM_ENTITY_TYPE": "CONTACT", "CRM_ENTITY_ID": "5"}


@pytest.fixture
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.getbasetemp() / "portal-simulator"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
async def world(state: Path) -> AsyncIterator[ReadingWorld]:
    async with connected(state) as running:
        yield ReadingWorld(running, await running.application())


async def ringing(world: ReadingWorld) -> None:
    """Have a rule ring who began a call, with the name of the contact if the portal tells it."""
    await world.rule(
        event=CALL,
        type=PushType.CALL,
        recipients=("call.USER_ID",),
        caller="{{ contact.NAME if contact else call.PHONE_NUMBER }}",
    )


async def caller(world: ReadingWorld, number: int) -> str:
    [content] = await world.sent(number)
    assert content.call is not None
    return content.call.caller


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(20_000):
        if await is_so():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it does not come to that")


@pytest.fixture
async def running(world: ReadingWorld, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ReadingWorld]:
    """The reader at work, while time stands still unless it is told to go on."""

    async def forever(_: float) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(world.world.clock, "sleep", forever)
    task = asyncio.create_task(world.reading.reader.run())
    yield world
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_call_that_a_user_began_rings_that_user_with_the_callers_name(world: ReadingWorld) -> None:
    await world.rule(
        event="ONEXTERNALCALLSTART",
        type=PushType.CALL,
        recipients=("call.USER_ID",),
        caller="{{ contact.NAME if contact else call.PHONE_NUMBER }}",
    )
    data = {"CALL_ID": "externalCall.1", "USER_ID": "3", "PHONE_NUMBER": "+4930", "CRM_ENTITY_TYPE": "CONTACT"}
    known = await world.happens(0, "ONEXTERNALCALLSTART", data={**data, "CRM_ENTITY_ID": "5"})
    stranger = await world.happens(0, "ONEXTERNALCALLSTART", data={**data, "CRM_ENTITY_ID": "0"})

    await world.drain()

    [named], [unnamed] = await world.sent(known), await world.sent(stranger)
    assert named.call is not None
    assert unnamed.call is not None
    name = world.world.portal.records[Kind.CONTACT][5]["NAME"]
    assert (named.call.id, named.call.caller) == ("externalCall.1", name)
    assert unnamed.call.caller == "+4930"
    assert [each["CALL_ID"] for each in world.placed] == ["externalCall.1"] * 2


async def test_a_call_rings_while_the_portal_cannot_be_asked_and_not_when_it_is_over(world: ReadingWorld) -> None:
    await world.rule(
        event="ONEXTERNALCALLSTART",
        type=PushType.CALL,
        recipients=("call.USER_ID",),
        caller="{{ contact.NAME if contact else call.PHONE_NUMBER }}",
    )
    data = {"CALL_ID": "c1", "USER_ID": "3", "PHONE_NUMBER": "+49", "CRM_ENTITY_TYPE": "CONTACT", "CRM_ENTITY_ID": "5"}
    world.world.script("batch", ScriptedAnswer(status=500))
    down = await world.happens(0, "ONEXTERNALCALLSTART", data=data)
    await world.drain()
    [content] = await world.sent(down)
    assert content.call is not None
    assert content.call.caller == "+49"

    now = world.world.clock.now()
    over = await world.happens(0, "ONEXTERNALCALLSTART", data={**data, "CALL_ID": "c2"}, received=now - 60_000)
    listed = await world.happens(0, "ONEXTERNALCALLSTART", data={**data, "CALL_ID": "c3"}, origin=Origin.OFFLINE)
    await world.drain()
    for number in (over, listed):
        event = await world.event(number)
        assert (event.notifications, event.cause) == ((), "told: it came too late")


async def test_a_call_is_worked_off_before_what_came_earlier(world: ReadingWorld) -> None:
    await world.rule("other")
    await ringing(world)
    deals = [await world.happens(number) for number in range(1, 61)]
    call = await world.happens(0, CALL, data=DATA)

    await world.reading.reader.drain(world.installation.id)

    assert (await world.event(call)).state is EventState.DONE
    assert {(await world.event(number)).state for number in deals} == {EventState.WAITING}
    await world.drain()
    assert {(await world.event(number)).state for number in deals} == {EventState.DONE}


async def test_a_call_waits_only_so_long_for_the_name_of_who_calls(
    world: ReadingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "CALLER_WAIT", 0.05)
    await ringing(world)
    world.world.script("batch", ScriptedAnswer(silent=True))
    call = await world.happens(0, CALL, data=DATA)

    await world.drain()

    assert await caller(world, call) == "+49"
    assert world.installation.id not in world.reading.reader.resting


async def test_a_call_rings_while_the_portal_rests(running: ReadingWorld) -> None:
    world = running
    await ringing(world)
    await world.rule("other")
    await closed(world)
    deal = await world.happens()
    world.reading.reader.ring(world.installation.id)
    await until(lambda: _tried(world, deal))
    resting = world.reading.reader.resting[world.installation.id]

    world.world.clock.advance(3)
    call = await world.happens(0, CALL, data=DATA)
    world.reading.reader.ring(world.installation.id)
    await until(lambda: _done(world, call))

    assert (await caller(world, call), world.trips()) == ("+49", 0)
    assert world.reading.reader.resting[world.installation.id] == resting > world.world.clock.now()


async def test_a_call_rings_while_the_portal_leaves_a_question_unanswered(running: ReadingWorld) -> None:
    world = running
    await ringing(world)
    await world.rule("other")
    world.world.script("batch", ScriptedAnswer(silent=True))
    deal = await world.happens()
    world.reading.reader.ring(world.installation.id)
    await until(lambda: _asked(world))

    world.world.clock.advance(3)
    call = await world.happens(0, CALL, data=DATA)
    world.reading.reader.ring(world.installation.id)
    await until(lambda: _done(world, call))

    assert await caller(world, call) == "+49"
    assert (await world.event(deal)).state is EventState.WAITING


async def test_what_waits_for_a_portal_goes_on_as_soon_as_it_is_connected_again(running: ReadingWorld) -> None:
    world, installations = running, running.world.store.installations
    await world.rule()
    dead = await closed(world)
    deal = await world.happens()
    world.reading.reader.ring(world.installation.id)
    await until(lambda: _tried(world, deal))

    await installations.change(msgspec.structs.replace(dead, state=InstallationState.ACTIVE, cause=""))
    world.reading.reader.wake(world.installation.id)
    await until(lambda: _done(world, deal))

    assert len(await world.titles(deal)) == 1


async def closed(world: ReadingWorld) -> Installation:
    """Have the portal let us in no more."""
    dead = msgspec.structs.replace(world.installation, state=InstallationState.DEAD, cause="uninstalled")
    await world.world.store.installations.change(dead)
    return dead


async def _tried(world: ReadingWorld, number: int) -> bool:
    return bool((await world.event(number)).attempts) and world.installation.id in world.reading.reader.resting


async def _done(world: ReadingWorld, number: int) -> bool:
    return (await world.event(number)).state is EventState.DONE


async def _asked(world: ReadingWorld) -> bool:
    return bool(world.world.requests("batch"))
