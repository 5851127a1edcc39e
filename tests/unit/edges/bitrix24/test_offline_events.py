"""The queue of offline events: what gets in, and how readers share it."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest

from unit.edges.bitrix24.portal import ADMIN, MEMBER, Portal
from unit.edges.bitrix24.test_event_binding import URL, bound, posted
from wakeline.edges.bitrix24.call import Call, Caller
from wakeline.edges.bitrix24.raising import raise_event
from wakeline.model.bitrix24.access import PortalUser
from wakeline.model.errors import AddressRefused

pytestmark = pytest.mark.anyio

EVENT = "ONCRMDEALUPDATE"


async def changed(portal: Portal, number: int, *, user: int = MEMBER) -> None:
    await raise_event(portal.ports, EVENT, {"FIELDS": {"ID": str(number)}}, user=user)


@pytest.fixture
async def reading(portal: Portal) -> Portal:
    await bound(portal, EVENT, event_type="offline")
    return portal


async def got(portal: Portal, **params: Any) -> dict[str, Any]:
    found: dict[str, Any] = portal.result(await portal.call("event.offline.get", params))
    return found


def numbers(found: dict[str, Any]) -> list[str]:
    return [event["EVENT_DATA"]["FIELDS"]["ID"] for event in found["events"]]


async def test_repeated_changes_of_one_thing_are_one_event(reading: Portal) -> None:
    for number in (5, 6, 5):
        reading.clock.advance(1)
        await changed(reading, number)
    found = await got(reading)
    assert numbers(found) == ["6", "5"]
    assert found["process_id"] is None
    event = found["events"][0]
    assert event["EVENT_NAME"] == EVENT
    assert event["EVENT_ADDITIONAL"] == {"user_id": str(MEMBER)}
    told = f'{EVENT}|{{"FIELDS":{{"ID":"6"}}}}'.encode()
    assert event["MESSAGE_ID"] == hashlib.md5(told, usedforsecurity=False).hexdigest()
    assert (await got(reading))["events"] == []


async def test_what_nobody_did_has_no_additional_data(reading: Portal) -> None:
    await changed(reading, 5, user=0)
    assert (await got(reading))["events"][0]["EVENT_ADDITIONAL"] is False


async def test_readers_at_the_same_time_get_different_events(reading: Portal) -> None:
    for number in range(60):
        await changed(reading, number)
    found = await asyncio.gather(*(got(reading, clear=0, limit=20) for _ in range(4)))
    every = [number for one in found for number in numbers(one)]
    assert len(every) == len(set(every)) == 60
    assert len({one["process_id"] for one in found}) == 4
    assert all(len(one["process_id"]) == 32 for one in found)


async def test_a_reservation_is_read_again_cleared_and_given_back(reading: Portal) -> None:
    for number in range(4):
        await changed(reading, number)
    found = await got(reading, clear=0)
    process, events = found["process_id"], found["events"]
    assert await got(reading, process_id=process) == found
    assert (await got(reading))["events"] == []

    async def done(method: str, **params: Any) -> None:
        assert reading.result(await reading.call(method, {"process_id": process, **params})) is True

    await done("event.offline.clear", id=[events[0]["ID"]], message_id=[events[1]["MESSAGE_ID"]])
    await done("event.offline.clear", message_id=[events[1]["MESSAGE_ID"]])
    assert numbers(await got(reading, process_id=process)) == ["2", "3"]
    await done("event.offline.error", message_id=[events[2]["MESSAGE_ID"]])
    assert numbers(await got(reading, error=1)) == ["2"]
    await done("event.offline.clear")
    assert (await got(reading, process_id=process))["events"] == []


async def test_the_list_shows_reserved_events_too_and_changes_nothing(reading: Portal) -> None:
    for number in range(52):
        await changed(reading, number)
    process = (await got(reading, clear=0, limit=1))["process_id"]
    first = (await reading.call("event.offline.list", {"order": {"ID": "ASC"}})).json()
    assert (len(first["result"]), first["next"], first["total"]) == (50, 50, 52)
    assert (first["result"][0]["PROCESS_ID"], first["result"][0]["ERROR"]) == (process, "0")
    only = (await reading.call("event.offline.list", {"filter": {"PROCESS_ID": process}})).json()
    assert only["total"] == 1


async def test_events_are_chosen_by_filter_and_answered_in_order(reading: Portal) -> None:
    for number in range(12):
        await changed(reading, number)
    assert numbers(await got(reading, filter={"<=ID": 3}, order={"ID": "DESC"}, clear=0)) == ["2", "1", "0"]
    assert numbers(await got(reading, filter={"EVENT_NAME": "ONCRMDEALADD"})) == []
    assert numbers(await got(reading, filter={">ID": [["x"]]})) == []


@pytest.mark.parametrize(
    ("method", "params", "text"),
    [
        ("get", {"limit": 0}, "Value must be positive integer"),
        ("get", {"limit": "many"}, "Value must be positive integer"),
        ("get", {"filter": {"SECRET": "1"}}, "Field SECRET is not filterable"),
        ("clear", {}, "Argument 'PROCESS_ID' is null or empty"),
        ("clear", {"process_id": "p", "message_id": ["short"]}, "Value must be array of MESSAGE_ID values"),
        ("error", {"process_id": "p"}, "Argument 'MESSAGE_ID' is null or empty"),
    ],
)
async def test_what_makes_no_sense_is_refused(reading: Portal, method: str, params: dict[str, Any], text: str) -> None:
    answer = await reading.call(f"event.offline.{method}", params)
    assert reading.refusal(answer) == (400, "ERROR_ARGUMENT", text)


@pytest.mark.parametrize("method", ["get", "list", "clear", "error"])
async def test_the_queue_belongs_to_administrators(reading: Portal, method: str) -> None:
    answer = await reading.call(f"event.offline.{method}", token=reading.member)
    assert reading.refusal(answer) == (403, "ACCESS_DENIED", "Access denied!")


async def test_what_a_reader_changes_itself_is_not_queued_for_it(portal: Portal) -> None:
    for connector in ("mine", "other"):
        await bound(portal, EVENT, event_type="offline", auth_connector=connector)
    call = Call(
        ports=portal.ports,
        caller=Caller(user=PortalUser(id=ADMIN), scopes=frozenset(), application=portal.application),
        method="crm.deal.update",
        params={"AUTH_CONNECTOR": "mine"},
        now=portal.clock.now(),
        base="https://portal.test",
    )
    await raise_event(portal.ports, EVENT, {"FIELDS": {"ID": "1"}}, user=ADMIN, by=call)
    assert numbers(await got(portal, auth_connector="mine")) == []
    assert numbers(await got(portal, auth_connector="other")) == ["1"]


async def test_readers_are_told_once_in_a_pause_and_once_more_for_what_came_meanwhile(reading: Portal) -> None:
    await bound(reading, "ONOFFLINEEVENT", options={"minTimeout": 10})
    began = reading.clock.now()
    for number in range(20):
        await changed(reading, number)
    events = await posted(reading)
    assert 1 <= len(events) <= 2
    assert all(event["event"] == "ONOFFLINEEVENT" and "data" not in event for event in events)
    assert "refresh_token" in events[0]["auth"]
    assert reading.clock.now() - began >= 10_000 * len(events)


async def test_a_hostile_url_is_not_logged(reading: Portal, capsys: pytest.CaptureFixture[str]) -> None:
    await bound(reading, EVENT, url=f"{URL}?secret=hunter2hunter2")
    reading.world.answers[f"{URL}?secret=hunter2hunter2"] = AddressRefused("handler.test: a private address")
    await changed(reading, 1)
    await reading.ports.deliveries.idle()
    said = capsys.readouterr()
    assert "bitrix24.event_failed" in said.out + said.err
    assert "hunter2" not in said.out + said.err
