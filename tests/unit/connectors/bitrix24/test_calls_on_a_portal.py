"""Calls as a portal has them in the end: the journal, the outbox's worker, our client and the portal simulator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
import pytest

from connected_portal import Connected, connected
from connected_reading import ReadingWorld
from wakeline.connectors.bitrix24.calls import REGISTER, SHOW, Calls
from wakeline.connectors.bitrix24.outbox import OutboxWorker
from wakeline.model.bitrix24.installation import Installation
from wakeline.model.bitrix24.outbox import WriteState
from wakeline.model.notification import PushType
from wakeline.ports.bitrix24_connector import CallBegan, CallEnded
from wakeline.simulator.script import ScriptedAnswer

pytestmark = pytest.mark.anyio

PATIENCE = 4 * 3600
PHONE = "+49 30 123456"


class Office:
    """A connected portal whose users' calls are kept."""

    def __init__(self, world: Connected, portal: Installation) -> None:
        self.world = world
        self.portal = portal
        store = world.store
        self.journal = Calls(store.installations, store.outbox, lambda _: None, lambda: PATIENCE)
        self.worker = OutboxWorker(store.outbox, store.installations, world.clock, world.connections)

    async def rings(self, *numbers: int, call: str = "c1") -> None:
        """Have a call ring users of the portal."""
        users = tuple(self.portal.user(number) for number in numbers)
        began = CallBegan(app=self.portal.app, call_id=call, users=users, phone=PHONE, at=self.world.clock.now())
        await self.journal.began([began])

    async def ends(self, duration: int, status: int = 200, call: str = "c1", number: int = 0) -> None:
        """Have it end."""
        user = self.portal.user(number) if number else ""
        at = self.world.clock.now()
        ended = CallEnded(
            app=self.portal.app, call_id=call, duration=duration, status=status, at=at, reason="Bye", user=user
        )
        assert await self.journal.ended(ended)

    async def works(self) -> None:
        """Have the worker send what is due."""
        await self.worker.turn(self.portal.id)

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The portal's own record of calls."""
        return list(self.world.portal.calls.values())

    async def states(self) -> list[WriteState]:
        """What became of the writes, in their order."""
        return [write.state for write in (await self.world.store.outbox.recorded(limit=100))[::-1]]


class Told(ReadingWorld):
    """A reader that tells the journal of calls begun on the portal."""

    def __init__(self, office: Office) -> None:
        self._office = office
        super().__init__(office.world, office.portal)

    async def _place(self, installation: Installation, data: Mapping[str, object], at: int) -> None:
        await self._office.journal.placed(installation, data, at)


@pytest.fixture
async def office(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    state = tmp_path_factory.getbasetemp() / "portal-simulator"
    state.mkdir(exist_ok=True)
    async with connected(state) as world:
        yield Office(world, await world.application(telephony=True))


async def test_a_call_stands_in_the_portals_record_with_duration_and_status(office: Office) -> None:
    await office.rings(3)
    await office.works()
    [ringing] = office.calls
    office.world.clock.advance(75)
    await office.ends(75)
    await office.works()

    [ended] = office.calls
    assert (ringing["PORTAL_USER_ID"], ringing["PHONE_NUMBER"], ringing["INCOMING"]) == ("3", PHONE, "2")
    assert (ringing["EXTERNAL_CALL_ID"], "CALL_STATUS" in ringing) == ("c1", False)
    assert (ended["CALL_DURATION"], ended["CALL_FAILED_CODE"], ended["CALL_STATUS"]) == ("75", "200", "1")
    assert ended["CALL_FAILED_REASON"] == "Bye"


async def test_a_call_nobody_ends_is_finished_in_the_end(office: Office) -> None:
    await office.rings(3)
    await office.works()
    office.world.clock.advance(PATIENCE - 1)
    await office.works()
    assert "CALL_STATUS" not in office.calls[0]

    office.world.clock.advance(1)
    await office.works()

    assert (office.calls[0]["CALL_FAILED_CODE"], office.calls[0]["CALL_DURATION"]) == ("OTHER", "0")


async def test_a_group_has_one_call_and_who_answered_has_it_in_the_end(office: Office) -> None:
    await office.rings(3, 4, 5)
    await office.works()
    await office.ends(10, number=5)
    await office.works()

    [call] = office.calls
    assert call["PORTAL_USER_ID"] == "5"
    [cards] = office.world.requests(SHOW)
    assert cards["USER_ID"] == [4, 5]
    assert set(await office.states()) == {WriteState.DONE}


async def test_calls_of_an_hour_without_a_portal_are_there_when_it_is_back(office: Office) -> None:
    office.world.script(REGISTER, ScriptedAnswer(status=502, times=1))
    office.world.script("server.time", ScriptedAnswer(status=502, times=3))
    for number in range(3):
        await office.rings(3, call=f"c{number}")
        await office.works()
        await office.ends(60 + number, call=f"c{number}")
        office.world.clock.advance(1200)
    assert office.calls == []

    for _ in range(3):
        office.world.clock.advance(60)
        await office.works()

    assert [(call["EXTERNAL_CALL_ID"], call["CALL_DURATION"]) for call in office.calls] == [
        ("c0", "60"),
        ("c1", "61"),
        ("c2", "62"),
    ]
    assert [register["SHOW"] for register in office.world.requests(REGISTER)] == [1, 0, 0, 0]
    assert set(await office.states()) == {WriteState.DONE}


async def test_an_answer_that_was_lost_leaves_one_call(office: Office) -> None:
    await office.rings(3)
    await office.works()
    [write] = await office.world.store.outbox.recorded(state=WriteState.DONE, limit=10)
    await office.world.store.outbox.settle(msgspec.structs.replace(write, state=WriteState.SENT))

    await office.works()
    await office.ends(5)
    await office.works()

    [call] = office.calls
    assert call["CALL_DURATION"] == "5"


async def test_a_number_the_portal_does_not_take_costs_its_call_alone(office: Office) -> None:
    await office.rings(99, call="gone")
    await office.rings(3)
    await office.ends(1, call="gone")
    await office.ends(5)
    await office.works()

    assert await office.states() == [WriteState.REFUSED, WriteState.REFUSED, WriteState.DONE, WriteState.DONE]
    assert [call["CALL_DURATION"] for call in office.calls] == ["5"]


async def test_a_click_on_a_number_rings_the_users_own_phone_and_the_call_is_finished(office: Office) -> None:
    clicked = {"USER_ID": 3, "PHONE_NUMBER": PHONE, "TYPE": 1}
    registered = await office.world.client(office.portal).call(REGISTER, clicked)
    assert isinstance(registered.result, dict)
    call = str(registered.result["CALL_ID"])
    told = Told(office)
    await told.rule(
        event="ONEXTERNALCALLSTART",
        type=PushType.CALL,
        recipients=("call.USER_ID",),
        title="",
        caller="{{ call.PHONE_NUMBER }}",
    )

    data = {"PHONE_NUMBER": PHONE, "USER_ID": "3", "CALL_ID": call}
    number = await told.happens(0, "ONEXTERNALCALLSTART", data=data)
    await told.drain()
    await office.ends(42, call=call)
    await office.works()

    [content] = await told.sent(number)
    assert content.call is not None
    assert (content.call.id, content.call.caller) == (call, PHONE)
    assert [(one["CALL_ID"], one["CALL_DURATION"]) for one in office.calls] == [(call, "42")]


async def test_a_call_by_sip_stands_in_the_record_of_who_has_its_inner_number(office: Office) -> None:
    at, aor = office.world.clock.now(), "sip:103@example.org"
    began = CallBegan(app=office.portal.app, call_id="c1", users=(aor,), phone=PHONE, at=at)
    await office.journal.began([began])
    await office.works()
    office.world.clock.advance(9)
    ended = CallEnded(app=office.portal.app, call_id="c1", duration=9, status=200, at=at + 9000, user=aor)
    assert await office.journal.ended(ended)
    await office.works()

    [call] = office.calls
    assert (call["PORTAL_USER_ID"], call["CALL_DURATION"], call["CALL_FAILED_CODE"]) == ("3", "9", "200")
