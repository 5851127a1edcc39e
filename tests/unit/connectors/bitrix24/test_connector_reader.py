"""From events of a connected portal to notifications: fetched together, each sent once, nothing lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from connected_portal import connected
from connected_reading import ReadingWorld
from wakeline.model.bitrix24.inbox import EventState, Origin
from wakeline.model.bitrix24.installation import InstallationState
from wakeline.model.bitrix24.records import Record, RecordKind
from wakeline.model.errors import PortalUnreachable, StoreUnavailable
from wakeline.simulator.portal import rest
from wakeline.simulator.portal.call import Call, Found
from wakeline.simulator.portal.records import Kind
from wakeline.simulator.portal.refusal import Refusal
from wakeline.simulator.script import ScriptedAnswer

pytestmark = pytest.mark.anyio


@pytest.fixture
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.getbasetemp() / "portal-simulator"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
async def world(state: Path) -> AsyncIterator[ReadingWorld]:
    async with connected(state) as running:
        yield ReadingWorld(running, await running.application())


async def test_an_event_becomes_a_push_with_the_record_in_one_round_trip(world: ReadingWorld) -> None:
    await world.rule(
        title="{{ deal.TITLE }} of {{ responsible.NAME }}", body="{{ deal.OPPORTUNITY|money(deal.CURRENCY_ID) }}"
    )
    number = await world.happens(7)

    await world.drain()

    [content] = await world.sent(number)
    row = world.world.portal.records[Kind.DEAL][7]
    user = world.world.portal.records[Kind.USER][int(str(row["ASSIGNED_BY_ID"]))]
    assert content.alert is not None
    assert content.alert.title == f"{row['TITLE']} of {user['NAME']}"
    assert content.alert.body == "875\u00a0EUR"
    assert (await world.event(number)).state is EventState.DONE
    assert world.trips() == 1


async def test_a_task_is_asked_for_with_who_is_responsible(world: ReadingWorld) -> None:
    await world.rule(event="ONTASKADD", recipients=("responsible",), title="{{ task.TITLE }}: {{ responsible.NAME }}")
    number = await world.happens(
        9, "ONTASKADD", data={"FIELDS_BEFORE": "undefined", "FIELDS_AFTER": {"ID": "9"}, "IS_ACCESSIBLE_BEFORE": "N"}
    )

    await world.drain()

    row = world.world.portal.records[Kind.TASK][9]
    user = world.world.portal.records[Kind.USER][int(str(row["RESPONSIBLE_ID"]))]
    assert await world.titles(number) == [f"{row['TITLE']}: {user['NAME']}"]
    assert world.trips() == 1


async def test_twenty_records_are_asked_for_in_one_request(world: ReadingWorld) -> None:
    await world.rule(title="{{ deal.TITLE }} {{ responsible.NAME }}")
    numbers = [await world.happens(number) for number in range(1, 21)]

    await world.drain()

    assert world.trips() == 1
    for deal, number in enumerate(numbers, 1):
        [title] = await world.titles(number)
        assert str(world.world.portal.records[Kind.DEAL][deal]["TITLE"]) in title


async def test_sixty_records_take_two_requests(world: ReadingWorld) -> None:
    await world.rule(title="{{ deal.TITLE }}")
    numbers = [await world.happens(number) for number in range(1, 61)]

    await world.drain()

    assert world.trips() == 2
    assert all([(await world.event(number)).state is EventState.DONE for number in numbers])


async def test_of_many_records_the_users_are_asked_for_once(world: ReadingWorld) -> None:
    await world.rule(title="{{ responsible.NAME }}")
    numbers = [await world.happens(number) for number in range(1, 101)]

    await world.drain()

    deals, users = world.world.portal.records[Kind.DEAL], world.world.portal.records[Kind.USER]
    for deal, number in enumerate(numbers, 1):
        assert await world.titles(number) == [users[int(str(deals[deal]["ASSIGNED_BY_ID"]))]["NAME"]]
    assert world.trips() == 3


async def test_a_portal_that_does_not_show_users_fails_the_rules_that_want_them(world: ReadingWorld) -> None:
    known = world.world.portal.applications["local.simulator"]
    world.world.portal.applications["local.simulator"] = msgspec.structs.replace(known, scope=("crm",))
    await world.rule("named", title="{{ responsible.NAME }}")
    await world.rule("plain")
    number = await world.happens(7)

    await world.drain()

    event = await world.event(number)
    assert event.state is EventState.FAILED
    assert "named: The portal answered" in event.cause
    assert "insufficient_scope" in event.cause
    assert len(event.notifications) == 1


async def test_updates_of_one_record_become_one_push(world: ReadingWorld) -> None:
    await world.rule()
    first, other, second, last = [await world.happens(number) for number in (7, 8, 7, 7)]

    await world.drain()

    assert world.trips() == 1
    assert len(await world.sent(last)) == 1
    assert len(await world.sent(other)) == 1
    for number in (first, second):
        event = await world.event(number)
        assert (event.state, event.notifications) == (EventState.DONE, ())
        assert event.cause == f"one with event {last}, which is later"


async def test_a_second_change_within_a_second_is_a_push_and_a_repetition_is_none(world: ReadingWorld) -> None:
    await world.rule()
    world.deal(7, TITLE="first")
    numbers = [await world.happens(7)]
    await world.drain()
    for title in ("first", "second"):
        world.deal(7, TITLE=title)
        numbers.append(await world.happens_again(numbers[-1]))
        await world.drain()

    assert [await world.titles(number) for number in numbers] == [["first"], [], ["second"]]
    assert (await world.event(numbers[1])).cause == f"nothing has changed since event {numbers[0]}"
    world.world.clock.advance(1)
    assert len(await world.titles(await world.drained(7))) == 1


async def test_what_an_operator_wants_once_more_is_not_folded(world: ReadingWorld) -> None:
    await world.rule()
    again = await world.happens(7, origin=Origin.RESENT)
    later = await world.happens(7)

    await world.drain()

    assert len(await world.sent(again)) == 1
    assert len(await world.sent(later)) == 1


async def test_nothing_is_asked_of_the_portal_that_no_rule_wants_to_know(world: ReadingWorld) -> None:
    await world.rule(recipients=("7",), title="Deal {{ data.FIELDS.ID }} has changed", condition="user != 7")
    number = await world.happens(5)
    nobody = await world.happens(5, "ONCRMLEADADD")

    await world.drain()

    assert await world.titles(number) == ["Deal 5 has changed"]
    assert (await world.event(nobody)).cause == "no rule is for it"
    assert world.trips() == 0


async def test_rules_are_for_their_installation_event_and_condition(world: ReadingWorld) -> None:
    await world.rule("all", "*", recipients=("7",), title="any")
    await world.rule("own", installation=world.installation.id, recipients=("7",), title="own")
    await world.rule("off", enabled=False, title="off")
    await world.rule("lead", "ONCRMLEADUPDATE", title="lead")
    await world.rule("rich", condition="record.OPPORTUNITY|float > 999999", title="rich")
    number = await world.happens()

    await world.drain()

    assert await world.titles(number) == ["any", "own"]


async def test_a_rule_that_fails_does_not_keep_others_from_sending(world: ReadingWorld) -> None:
    await world.rule("wrong", title="{{ record.NOPE }}")
    await world.rule("right", title="{{ record.TITLE }}")
    number = await world.happens()

    await world.drain()

    event = await world.event(number)
    assert event.state is EventState.FAILED
    assert event.cause == "wrong: title: there is no NOPE in a map"
    assert len(event.notifications) == 1


async def test_pushes_for_users_who_have_no_names_yet_are_no_success(state: Path) -> None:
    async with connected(state) as running:
        world = ReadingWorld(running, await running.webhook(member_id=""))
        await world.rule()
        event = await world.event(await world.drained(7))

        assert (event.state, event.notifications) == (EventState.FAILED, ())
        assert "no names here before its first event" in event.cause


async def test_a_record_that_is_gone_is_no_failure(world: ReadingWorld) -> None:
    await world.rule()
    await world.rule("blind", recipients=("7",), title="something happened")
    number = await world.happens(999_999)

    await world.drain()

    event = await world.event(number)
    assert event.state is EventState.DONE
    assert await world.titles(number) == ["something happened"]


async def test_a_refused_record_fails_the_event_with_the_portals_words(world: ReadingWorld) -> None:
    world.world.portal.applications["local.simulator"] = msgspec.structs.replace(
        world.world.portal.applications["local.simulator"], scope=("user",)
    )
    await world.rule()
    number = await world.happens()

    await world.drain()

    event = await world.event(number)
    assert event.state is EventState.FAILED
    assert "insufficient_scope" in event.cause


async def test_a_record_that_the_portal_has_no_time_for_is_asked_for_later(world: ReadingWorld) -> None:
    await world.rule()
    limit = '{"error":"OPERATION_TIME_LIMIT","error_description":"Blocked","time":{"operating_reset_at":%d}}'
    until = world.world.clock.now() // 1000 + 120
    answer = '{"result":{"result":[],"result_error":{"r0":%s}}}' % (limit % until)
    world.world.script("batch", ScriptedAnswer(body=answer))
    number = await world.happens()

    await world.drain()
    assert (await world.event(number)).state is EventState.WAITING

    world.world.clock.advance(300)
    await world.drain()
    assert len(await world.titles(number)) == 1


async def test_a_record_that_the_portal_fails_over_keeps_no_other_waiting_and_is_given_up_in_the_end(
    world: ReadingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.rule()
    get = rest._METHODS["crm.deal.get"]

    def answer(call: Call) -> Found:
        if call.number("id") == 7:
            raise Refusal(500, "INTERNAL_SERVER_ERROR", "Something is wrong with this one")
        return get.answer(call)

    monkeypatch.setitem(rest._METHODS, "crm.deal.get", msgspec.structs.replace(get, answer=answer))
    broken = await world.happens(7)
    other = await world.happens(8)
    await world.drain()
    assert len(await world.titles(other)) == 1
    assert (await world.event(broken)).state is EventState.WAITING

    pauses: list[int] = []
    while (event := await world.event(broken)).state is EventState.WAITING:
        pauses.append(event.due - world.world.clock.now())
        world.world.clock.advance(max(pauses[-1] / 1000, 3600))
        await world.drain()
    assert (event.state, event.notifications) == (EventState.FAILED, ())
    assert "Something is wrong" in event.cause
    assert pauses == sorted(pauses)
    assert len(pauses) > 20


async def test_a_portal_that_is_down_loses_nothing_and_is_asked_less_often(world: ReadingWorld) -> None:
    await world.rule()
    world.world.script("batch", ScriptedAnswer(status=500, times=5))
    pauses: list[int] = []
    numbers: list[int] = []
    for deal in range(1, 6):
        world.world.clock.advance(400)
        numbers.append(await world.happens(deal))
        await world.drain()
        pauses.append(world.reading.reader.resting[world.installation.id] - world.world.clock.now())

    waiting = await world.event(numbers[0])
    assert (waiting.state, waiting.attempts) == (EventState.WAITING, 5)
    assert "INTERNAL_SERVER_ERROR" in waiting.cause
    assert pauses == sorted(pauses)
    assert 0 < pauses[0] < pauses[-1]

    world.world.clock.advance(600)
    await world.drain()

    assert [len(await world.titles(number)) for number in numbers] == [1] * 5


async def test_a_dead_installation_keeps_its_events_until_it_is_connected_again(world: ReadingWorld) -> None:
    await world.rule()
    store = world.world.store
    dead = msgspec.structs.replace(world.installation, state=InstallationState.DEAD, cause="uninstalled")
    await store.installations.change(dead)
    number = await world.happens()
    await world.drain()
    assert (await world.event(number)).cause == "uninstalled"

    await store.installations.change(msgspec.structs.replace(dead, state=InstallationState.ACTIVE, cause=""))
    world.world.clock.advance(600)
    await world.drain()

    assert len(await world.titles(number)) == 1


async def test_a_crash_between_sending_and_settling_sends_nothing_twice(
    world: ReadingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.rule()
    await world.rule("second", title="{{ record.TITLE }} again")
    number = await world.happens()

    async def lost(_: object) -> None:
        raise StoreUnavailable("the power went")

    with monkeypatch.context() as cut:
        cut.setattr(world.world.store.event_inbox, "settle", lost)
        with pytest.raises(StoreUnavailable):
            await world.reading.reader.drain(world.installation.id)
    before = await world.world.store.ledger.newest()
    world.deal(7, TITLE="Renamed meanwhile")
    world.restarted()
    await world.drain()

    contents = await world.sent(number)
    assert [content.alert.title for content in contents if content.alert] == [
        "Gears for customer 7",
        "Gears for customer 7 again",
    ]
    assert await world.world.store.ledger.newest() == before


async def test_events_wait_while_the_gateway_is_full(world: ReadingWorld) -> None:
    await world.rule()
    number = await world.happens()
    world.keeper.full = True
    await world.drain()

    event = await world.event(number)
    assert (event.state, event.due > world.world.clock.now()) == (EventState.WAITING, True)

    world.keeper.full = False
    world.world.clock.advance(60)
    await world.drain()
    assert len(await world.titles(number)) == 1


async def test_without_the_older_method_the_newer_one_is_asked(
    world: ReadingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(rest._METHODS, "crm.deal.get")
    await world.rule(title="{{ deal.TITLE }} {{ deal.OPPORTUNITY }} {{ responsible.NAME }}")
    first = await world.happens(7)
    await world.drain()
    assert world.trips() == 2

    second = await world.happens(8)
    await world.drain()

    deals, users = world.world.portal.records[Kind.DEAL], world.world.portal.records[Kind.USER]
    for deal, number in ((7, first), (8, second)):
        name = users[int(str(deals[deal]["ASSIGNED_BY_ID"]))]["NAME"]
        assert await world.titles(number) == [f"{deals[deal]['TITLE']} {deals[deal]['OPPORTUNITY']} {name}"]
    assert world.trips() == 3


async def test_a_mirrored_portals_records_are_kept_and_its_events_are_raised(
    world: ReadingWorld,
) -> None:
    store = world.world.store
    mirrored = msgspec.structs.replace(world.installation, mirror=True)
    await store.installations.change(mirrored)
    await store.portal_records.put(
        [Record(kind=RecordKind.DEAL, id=7, fields={"ID": "7", "STAGE_ID": "OLD"}, changed=1)]
    )
    await world.rule(title="{{ before.STAGE_ID }} > {{ deal.STAGE_ID }}", condition="before.STAGE_ID != deal.STAGE_ID")
    world.deal(7, STAGE_ID="WON")
    number = await world.happens(7, user=4)
    unruled = await world.happens(3, "ONCRMCONTACTADD")

    await world.drain()

    assert await world.titles(number) == ["OLD > WON"]
    deal = await store.portal_records.get(RecordKind.DEAL, 7)
    contact = await store.portal_records.get(RecordKind.CONTACT, 3)
    assert deal is not None
    assert contact is not None
    assert (deal.fields["STAGE_ID"], contact.fields["HAS_PHONE"]) == ("WON", "Y")
    assert world.raised == [
        ("ONCRMDEALUPDATE", {"FIELDS": {"ID": "7"}}, 4),
        ("ONCRMCONTACTADD", {"FIELDS": {"ID": "3"}}, 1),
    ]
    assert (await world.event(unruled)).state is EventState.DONE
    assert world.trips() == 1

    again = await world.happens(7)
    await world.drain()
    assert (await world.event(again)).cause == "told: the condition is not met"


async def test_what_a_record_was_is_known_until_its_pushes_are_accepted(
    world: ReadingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = world.world.store
    await store.installations.change(msgspec.structs.replace(world.installation, mirror=True))
    was = Record(kind=RecordKind.DEAL, id=7, fields={"ID": "7", "STAGE_ID": "OLD"}, changed=1)
    await store.portal_records.put([was])
    await world.rule(title="{{ before.STAGE_ID }} > {{ deal.STAGE_ID }}", condition="before.STAGE_ID != deal.STAGE_ID")
    world.deal(7, STAGE_ID="WON")
    number = await world.happens(7)

    world.keeper.full = True
    await world.drain()
    assert await store.portal_records.get(RecordKind.DEAL, 7) == was
    assert world.raised == []

    world.keeper.full = False
    world.world.clock.advance(60)

    async def lost(_: object) -> None:
        raise StoreUnavailable("the power went")

    with monkeypatch.context() as cut:
        cut.setattr(store.portal_records, "put", lost)
        with pytest.raises(StoreUnavailable):
            await world.reading.reader.drain(world.installation.id)
    await world.drain()

    assert await world.titles(number) == ["OLD > WON"]
    kept = await store.portal_records.get(RecordKind.DEAL, 7)
    assert kept is not None
    assert kept.fields["STAGE_ID"] == "WON"


async def test_a_deletion_is_mirrored_while_the_portal_cannot_be_asked(world: ReadingWorld) -> None:
    store = world.world.store
    await store.installations.change(msgspec.structs.replace(world.installation, mirror=True))
    await store.portal_records.put([Record(kind=RecordKind.DEAL, id=7, fields={"ID": "7"}, changed=1)])
    world.world.script("batch", ScriptedAnswer(status=500))
    changed = await world.happens(8)
    deleted = await world.happens(7, "ONCRMDEALDELETE")

    await world.drain()

    assert (await world.event(changed)).state is EventState.WAITING
    assert (await world.event(deleted)).state is EventState.DONE
    assert await store.portal_records.get(RecordKind.DEAL, 7) is None


async def test_what_a_mirrored_portal_deletes_is_deleted_here_and_rules_see_what_it_was(world: ReadingWorld) -> None:
    store = world.world.store
    await store.installations.change(msgspec.structs.replace(world.installation, mirror=True))
    rows = [
        Record(kind=RecordKind.DEAL, id=number, fields={"ID": str(number), "TITLE": "Old", "ASSIGNED_BY_ID": "2"})
        for number in (7, 999_999)
    ]
    await store.portal_records.put(rows)
    await world.rule(event="ONCRMDEALDELETE", title="{{ deal.TITLE }} is gone")
    deleted = await world.happens(7, "ONCRMDEALDELETE")
    await world.happens(999_999, "ONCRMDEALUPDATE")

    await world.drain()

    assert await world.titles(deleted) == ["Old is gone"]
    for number in (7, 999_999):
        assert await store.portal_records.get(RecordKind.DEAL, number) is None


async def test_users_of_a_mirrored_portal_are_kept(world: ReadingWorld) -> None:
    store = world.world.store
    await store.installations.change(msgspec.structs.replace(world.installation, mirror=True))
    await world.rule(title="{{ responsible.NAME }}")
    await world.happens(7)
    await world.happens(0, "ONUSERADD", data={"ID": "5"})

    await world.drain()

    owner = int(str(world.world.portal.records[Kind.DEAL][7]["ASSIGNED_BY_ID"]))
    for number in (owner, 5):
        user = await store.portal_access.user(number)
        assert user is not None
        assert user.name == world.world.portal.records[Kind.USER][number]["NAME"]


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what comes over a socket: so much time, and not so many turns of the loop."""
    for _ in range(20_000):
        if await is_so():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it does not come to that")


async def _done(world: ReadingWorld, number: int) -> bool:
    return (await world.event(number)).state is EventState.DONE


async def _tried(world: ReadingWorld, number: int) -> bool:
    return bool((await world.event(number)).attempts)


async def test_the_reader_works_when_the_bell_rings_and_when_an_event_is_due(world: ReadingWorld) -> None:
    await world.rule(recipients=("7",), title="rung")
    running = asyncio.create_task(world.reading.reader.run())
    number = await world.happens()
    world.reading.reader.ring(world.installation.id)
    await until(lambda: _done(world, number))
    assert await world.titles(number) == ["rung"]

    world.keeper.full = True
    later = await world.happens()
    world.reading.reader.ring(world.installation.id)
    await until(lambda: _tried(world, later))
    world.keeper.full = False
    await until(lambda: _done(world, later))
    assert await world.titles(later) == ["rung"]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_rule_is_tried_without_sending(world: ReadingWorld) -> None:
    rule = await world.rule(condition="deal.OPPORTUNITY|float > 100", body="{{ deal.NOPE|default('-') }}")
    event = await world.event(await world.happens(7))
    trying = world.reading.trying

    found = await trying.attempt(rule, event)
    assert (found.applies, found.cause) == (True, "")
    assert found.request is not None
    assert found.request.alert is not None
    assert found.request.alert.title == "Gears for customer 7"
    assert found.users == (f"{world.installation.prefix}{world.world.portal.records[Kind.DEAL][7]['ASSIGNED_BY_ID']}",)
    assert found.record is not None
    assert found.record["ID"] == "7"

    wrong = await trying.attempt(msgspec.structs.replace(rule, title="{{ deal.NOPE }}"), event)
    assert (wrong.request, wrong.cause) == (None, "title: there is no NOPE in a map")
    unmet = await trying.attempt(msgspec.structs.replace(rule, condition="false"), event)
    assert (unmet.applies, unmet.cause) == (False, "the condition is not met")
    other = await trying.attempt(msgspec.structs.replace(rule, event="ONTASKADD"), event)
    assert (other.applies, other.cause) == (False, "the rule is for ONTASKADD")
    blind = await trying.attempt(
        msgspec.structs.replace(rule, condition="", title="x", body="", recipients=("7",)), event
    )
    assert blind.request is not None
    assert blind.record is not None
    gone = await trying.attempt(rule, msgspec.structs.replace(event, data=b'{"FIELDS":{"ID":"999999"}}'))
    assert (gone.applies, gone.cause) == (False, "the record is gone")
    assert (await world.event(event.id)).state is EventState.WAITING
    assert await world.world.store.ledger.newest() == 0


async def test_a_rule_that_needs_the_portal_is_not_tried_without_it(world: ReadingWorld) -> None:
    rule = await world.rule()
    event = await world.event(await world.happens(7))
    world.world.script("batch", ScriptedAnswer(status=500, times=2))

    with pytest.raises(PortalUnreachable):
        await world.reading.trying.attempt(rule, event)
    blind = msgspec.structs.replace(rule, title="x", recipients=("7",))
    found = await world.reading.trying.attempt(blind, event)
    assert (found.applies, found.record) == (True, None)
