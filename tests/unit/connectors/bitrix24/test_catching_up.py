"""What a connected portal had to tell and did not get to us becomes events, each once."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

import msgspec
import pytest

from connected_nouns import rule
from connected_portal import Connected
from portal_weather import Way, Weather
from wakeline.connectors.bitrix24.binding import CONNECTOR
from wakeline.connectors.bitrix24.catching_up import CatchingUp
from wakeline.connectors.bitrix24.client import PortalClient
from wakeline.connectors.bitrix24.connections import Connections
from wakeline.connectors.bitrix24.late_events import SETTLING
from wakeline.model.bitrix24.inbox import Origin, ReceivedEvent, identity_of, subject_of
from wakeline.model.bitrix24.installation import Installation, InstallationState
from wakeline.model.errors import StoreUnavailable
from wakeline.ports import HttpAnswer
from wakeline.simulator.portal.courier import Courier
from wakeline.simulator.portal.memory import CLIENT_ID
from wakeline.simulator.portal.methods.changing import Change
from wakeline.simulator.portal.raising import Cause
from wakeline.simulator.portal.records import Kind
from wakeline.simulator.script import ScriptedAnswer
from wakeline.storage.memory.bitrix24 import MemoryEventInbox
from wakeline.wire.bitrix24.event_data import canonical, record_of

pytestmark = pytest.mark.anyio

EVERY = 300.0
EVENTS = ("ONCRMDEALADD", "ONCRMDEALUPDATE", "ONTASKADD", "ONTASKUPDATE")


class Listening:
    """A portal where people work, and us who may miss what they do. `ahead`: seconds by which its clock is before ours."""

    def __init__(self, world: Connected, installation: Installation, ahead: float) -> None:
        self.world = world
        self.number = installation.id
        self.ahead = ahead
        self.weather = Weather(world.ports.http)
        self.inbox = world.store.event_inbox
        self.rung: list[int] = []
        self.filled: list[int] = []
        self.told_what_we_want = True
        world.simulator.state.clock = self.there
        self.looking = self.another_process()

    def there(self) -> float:
        return self.world.clock.seconds() + self.ahead

    @property
    def installation(self) -> Installation:
        found = self.world.store.installations.by_id(self.number)
        assert found is not None
        return found

    @property
    def client(self) -> PortalClient:
        return Connections(msgspec.structs.replace(self.world.ports, http=self.weather)).of(self.number)

    def another_process(self) -> CatchingUp:
        self.looking = CatchingUp(
            self.inbox,
            self.world.store.installations,
            self.world.store.portal_rules,
            self.world.clock,
            Connections(msgspec.structs.replace(self.world.ports, http=self.weather)),
            every=lambda: EVERY,
            wake=self.rung.append,
            fill=self.filled.append,
            queues=lambda _: self.told_what_we_want,
        )
        return self.looking

    async def rules(self, *events: str) -> None:
        for name in events:
            await self.world.store.portal_rules.create(
                msgspec.structs.replace(rule(f"{name}-{len(self.world.store.portal_rules.all())}"), event=name)
            )

    async def queue(self, *events: str) -> None:
        """Have the portal queue events for us."""
        for name in events:
            how = {"event": name, "event_type": "offline", "auth_connector": CONNECTOR}
            await self.client.call("event.bind", how)
        changed = msgspec.structs.replace(self.installation, offline=True)
        await self.world.store.installations.change(changed)

    def work(self, kind: Kind, number: int | None = None, *, user: int = 3) -> tuple[str, int]:
        """Have somebody make a record, or change record `number`; returns its event and number."""
        courier = Courier(self.there, self.world.portal.deliveries)
        change = Change(self.world.portal, courier, Cause(user), self.there(), 3600)
        if number is None:
            made, event, _ = change.add(kind, {"TITLE": "new", "MODIFY_BY_ID": user})
            return event, made
        event, _ = change.update(kind, number, {"TITLE": "changed", "MODIFY_BY_ID": user})
        return event, number

    def posted(self, event: str, number: int, *, late: int = 0) -> ReceivedEvent:
        """Return what we keep of an event that the portal posts now, `late` seconds after the change."""
        fields: dict[str, object] = {"ID": str(number)}
        data: dict[str, object] = {"FIELDS": fields}
        if event.startswith("ONTASK"):
            is_new = event.endswith("ADD")
            data = {
                "IS_ACCESSIBLE_BEFORE": "N" if is_new else "undefined",
                "IS_ACCESSIBLE_AFTER": "undefined",
                "FIELDS_AFTER": fields,
                "FIELDS_BEFORE": "undefined" if is_new else fields,
            }
        at = (int(self.there()) + late) * 1000
        told = canonical(data)
        subject = subject_of(event, told)
        return ReceivedEvent(
            id=0,
            installation=self.number,
            event=event,
            data=told,
            at=at,
            received=self.world.clock.now(),
            identity=identity_of(subject, at),
            subject=subject,
            record=record_of(event, data),
        )

    async def look(self) -> float | None:
        return await self.looking.turn(self.number)

    async def look_later(self) -> float | None:
        """Look when what is there is not young any more."""
        self.world.clock.advance(SETTLING / 1000)
        return await self.look()

    async def look_twice(self) -> None:
        """Look, and again when what was young is not young any more."""
        await self.look()
        self.world.clock.advance(SETTLING / 1000)
        await self.look()

    async def kept(self) -> list[ReceivedEvent]:
        return (await self.inbox.recorded(installation=self.number, limit=100_000))[::-1]

    async def told(self) -> list[tuple[str, int, Origin]]:
        return [(event.event, event.record, event.origin) for event in await self.kept()]


@pytest.fixture
async def by_webhook(world: Connected) -> Listening:
    """Return a portal with a slow clock, connected by a webhook, looked at for the first time a while ago."""
    listening = Listening(world, await world.webhook(), -420)
    await listening.rules(*EVENTS)
    await listening.look_twice()
    world.clock.advance(600)
    await listening.look_twice()
    return listening


@pytest.fixture
async def by_application(world: Connected) -> Listening:
    """Return a portal with a fast clock on which our application is installed, and which queues events for it."""
    listening = Listening(world, await world.application(), 420)
    await listening.queue(*EVENTS)
    return listening


def by_record(told: tuple[str, int, Origin]) -> int:
    return told[1]


def queue(listening: Listening) -> int:
    return len(listening.world.portal.queue)


class TestTheQueue:
    async def test_becomes_events_and_is_empty_then(self, by_application: Listening) -> None:
        by_application.work(Kind.DEAL, 7)
        by_application.world.clock.advance(60)
        _, made = by_application.work(Kind.TASK, user=5)
        assert queue(by_application) == 2

        await by_application.look_later()

        assert await by_application.told() == [
            ("ONCRMDEALUPDATE", 7, Origin.OFFLINE),
            ("ONTASKADD", made, Origin.OFFLINE),
        ]
        first, second = await by_application.kept()
        assert (first.user, second.user) == (3, 5)
        assert second.at - first.at == 60_000
        assert second.at == int(by_application.there()) * 1000 - SETTLING
        assert queue(by_application) == 0
        assert by_application.rung == [by_application.number]

    async def test_keeps_what_may_be_on_its_way_to_us_for_the_next_look(self, by_application: Listening) -> None:
        event, _ = by_application.work(Kind.DEAL, 7)
        late = by_application.posted(event, 7, late=1)
        await by_application.look()
        await by_application.inbox.put([late])
        by_application.world.clock.advance(SETTLING / 1000)
        await by_application.look()

        assert await by_application.told() == [(event, 7, Origin.POSTED)]
        assert queue(by_application) == 0

    async def test_of_many_pages_is_taken_whole(self, by_application: Listening) -> None:
        for number in range(1, 131):
            by_application.work(Kind.DEAL, number)

        await by_application.look_later()

        assert sorted(record for _, record, _ in await by_application.told()) == list(range(1, 131))
        assert queue(by_application) == 0

    async def test_tells_nothing_anew_that_was_posted_even_a_second_later(self, by_application: Listening) -> None:
        for place, (number, late) in enumerate([(1, 0), (2, 1), (3, 0)]):
            event, _ = by_application.work(Kind.DEAL if place < 2 else Kind.TASK, number)
            await by_application.inbox.put([by_application.posted(event, number, late=late)])

        await by_application.look_later()

        assert {origin for _, _, origin in await by_application.told()} == {Origin.POSTED}
        assert queue(by_application) == 0
        assert by_application.rung == []

    async def test_and_an_event_that_is_posted_after_it_was_taken_are_one(self, by_application: Listening) -> None:
        event, _ = by_application.work(Kind.TASK, 7)
        posted = by_application.posted(event, 7)
        await by_application.look_later()

        assert await by_application.inbox.put([posted]) == [False]
        assert await by_application.told() == [(event, 7, Origin.OFFLINE)]

    async def test_tells_of_a_later_change_though_an_earlier_one_was_posted(self, by_application: Listening) -> None:
        event, _ = by_application.work(Kind.DEAL, 7)
        await by_application.inbox.put([by_application.posted(event, 7)])
        by_application.world.clock.advance(5)
        by_application.work(Kind.DEAL, 7)

        await by_application.look_later()

        assert await by_application.told() == [(event, 7, Origin.POSTED), (event, 7, Origin.OFFLINE)]

    @pytest.mark.parametrize("named", [True, False], ids=["by name", "by nobody it names"])
    async def test_that_a_dead_process_had_reserved_is_taken_by_the_next(
        self, by_application: Listening, named: bool
    ) -> None:
        for number in range(1, 61):
            by_application.work(Kind.DEAL, number)
        await by_application.client.call("event.offline.get", {"clear": 0, "auth_connector": CONNECTOR})
        if not named:
            by_application.weather = Discreet(by_application.world.ports.http)

        for _ in range(3):
            by_application.another_process()
            await by_application.look_later()

        assert sorted(record for _, record, _ in await by_application.told()) == list(range(1, 61))
        assert queue(by_application) == (0 if named else 50)

    @pytest.mark.parametrize("method", ["event.offline.get", "event.offline.clear", "event.offline.list"])
    async def test_may_be_interrupted_anywhere(self, by_application: Listening, method: str) -> None:
        for number in range(1, 61):
            by_application.work(Kind.DEAL, number)
        by_application.weather.way, by_application.weather.only = Way.LOSES_ANSWERS, method
        assert await by_application.look_later() is not None
        by_application.weather.way = Way.OPEN
        by_application.world.clock.advance(60)

        by_application.another_process()
        await by_application.look_later()

        assert sorted(record for _, record, _ in await by_application.told()) == list(range(1, 61))
        assert queue(by_application) == 0

    async def test_stays_at_the_portal_while_the_store_keeps_nothing(self, by_application: Listening) -> None:
        by_application.work(Kind.DEAL, 7)
        good, full = by_application.inbox, FullInbox(by_application.world.store.installations)
        by_application.inbox = full
        by_application.another_process()
        with pytest.raises(StoreUnavailable):
            await by_application.look_later()
        assert queue(by_application) == 1
        assert by_application.installation.reached == 0

        by_application.inbox = good
        by_application.another_process()
        await by_application.look_later()
        assert await by_application.told() == [("ONCRMDEALUPDATE", 7, Origin.OFFLINE)]

    async def test_that_was_not_there_while_we_were_not_installed_is_made_up_for_by_lists(
        self, by_application: Listening
    ) -> None:
        await by_application.rules(*EVENTS)
        await by_application.look_later()
        bindings = by_application.world.portal.bindings[:]
        by_application.world.portal.bindings.clear()
        by_application.work(Kind.DEAL, 7)
        by_application.world.clock.advance(86_400)
        by_application.world.portal.bindings += bindings
        by_application.work(Kind.DEAL, 8)
        by_application.looking.ring(by_application.number)
        await by_application.look_later()

        assert sorted(await by_application.told(), key=by_record) == [
            ("ONCRMDEALUPDATE", 7, Origin.LISTED),
            ("ONCRMDEALUPDATE", 8, Origin.OFFLINE),
        ]

    async def test_is_not_relied_on_after_a_month(self, by_application: Listening) -> None:
        await by_application.rules(*EVENTS)
        await by_application.look_later()
        by_application.work(Kind.DEAL, 7)
        by_application.world.clock.advance(35 * 86_400)
        by_application.world.portal.queue.clear()

        by_application.another_process()
        await by_application.look()

        assert await by_application.told() == [("ONCRMDEALUPDATE", 7, Origin.LISTED)]

    async def test_that_we_may_not_read_leaves_us_the_lists(self, by_application: Listening) -> None:
        await by_application.rules(*EVENTS)
        await by_application.look_later()
        refusal = ScriptedAnswer(status=403, reason="WRONG_AUTH_TYPE", times=9)
        by_application.world.script("event.offline.get", refusal)
        by_application.work(Kind.DEAL, 7)
        by_application.world.clock.advance(60)

        await by_application.look_later()

        assert await by_application.told() == [("ONCRMDEALUPDATE", 7, Origin.LISTED)]


class Discreet(Weather):
    """The way to a portal that does not say who has reserved what."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> HttpAnswer:
        answer = await super().post(url, body, headers, timeout=timeout)
        return msgspec.structs.replace(answer, body=re.sub(b'"PROCESS_ID":"[^"]*",?', b"", answer.body))


class FullInbox(MemoryEventInbox):
    """An inbox on a disk that is full."""

    async def put(self, events: Sequence[ReceivedEvent]) -> list[bool]:
        raise StoreUnavailable(f"the disk is full: {len(events)} events")


class TestLists:
    async def test_find_what_was_made_and_what_has_changed(self, by_webhook: Listening) -> None:
        _, made = by_webhook.work(Kind.DEAL)
        by_webhook.work(Kind.DEAL, 7, user=4)
        by_webhook.work(Kind.TASK, 9)
        by_webhook.work(Kind.LEAD, 5)
        by_webhook.world.clock.advance(3600)

        await by_webhook.look()

        assert await by_webhook.told() == [
            ("ONCRMDEALUPDATE", 7, Origin.LISTED),
            ("ONCRMDEALADD", made, Origin.LISTED),
            ("ONTASKUPDATE", 9, Origin.LISTED),
        ]
        assert [event.user for event in await by_webhook.kept()] == [4, 3, 0]

    async def test_tell_of_a_record_that_was_made_and_changed_what_somebody_wants_to_hear(
        self, world: Connected
    ) -> None:
        listening = Listening(world, await world.webhook(), 0)
        await listening.rules("ONCRMDEALUPDATE", "ONTASKADD")
        await listening.look_twice()
        made = {kind: listening.work(kind)[1] for kind in (Kind.DEAL, Kind.TASK)}
        world.clock.advance(60)
        listening.work(Kind.DEAL)
        for kind, number in made.items():
            listening.work(kind, number)
        world.clock.advance(EVERY)
        await listening.look()

        assert await listening.told() == [
            ("ONCRMDEALUPDATE", made[Kind.DEAL], Origin.LISTED),
            ("ONTASKADD", made[Kind.TASK], Origin.LISTED),
        ]

    async def test_find_the_same_only_once(self, by_webhook: Listening) -> None:
        by_webhook.work(Kind.DEAL, 7)
        _, made = by_webhook.work(Kind.DEAL)
        by_webhook.world.clock.advance(40)
        for _ in range(5):
            await by_webhook.look()
            by_webhook.world.clock.advance(25)
        assert len(await by_webhook.told()) == 2

        by_webhook.work(Kind.DEAL, made)
        by_webhook.world.clock.advance(EVERY)
        await by_webhook.look()
        assert (await by_webhook.told())[2:] == [("ONCRMDEALUPDATE", made, Origin.LISTED)]

    async def test_find_nothing_that_was_posted_even_seconds_later(self, by_webhook: Listening) -> None:
        for kind, number in ((Kind.DEAL, 7), (Kind.DEAL, None), (Kind.TASK, 9), (Kind.TASK, None)):
            event, record = by_webhook.work(kind, number)
            await by_webhook.inbox.put([by_webhook.posted(event, record, late=4)])
        by_webhook.world.clock.advance(EVERY)

        await by_webhook.look()

        assert {origin for _, _, origin in await by_webhook.told()} == {Origin.POSTED}
        assert len(await by_webhook.told()) == 4

    async def test_leave_what_may_be_on_its_way_for_the_next_look(self, by_webhook: Listening) -> None:
        by_webhook.work(Kind.DEAL, 7)
        await by_webhook.look()
        assert await by_webhook.told() == []

        by_webhook.world.clock.advance(SETTLING / 1000)
        await by_webhook.look()
        assert await by_webhook.told() == [("ONCRMDEALUPDATE", 7, Origin.LISTED)]

    async def test_of_many_pages_are_read_whole(self, by_webhook: Listening) -> None:
        for number in range(1, 324):
            by_webhook.work(Kind.DEAL, number)
        by_webhook.world.clock.advance(EVERY)

        await by_webhook.look()

        assert [record for _, record, _ in await by_webhook.told()] == list(range(1, 324))

    async def test_that_break_off_are_read_anew_and_nothing_twice(self, by_webhook: Listening) -> None:
        for number in range(1, 131):
            by_webhook.work(Kind.DEAL, number)
        by_webhook.world.clock.advance(EVERY)
        reached = by_webhook.installation.reached
        by_webhook.weather.way, by_webhook.weather.only = Way.DOWN, "batch"
        assert await by_webhook.look() is not None
        assert 0 < len(await by_webhook.told()) < 130
        assert by_webhook.installation.reached == reached

        by_webhook.weather.way = Way.OPEN
        by_webhook.world.clock.advance(60)
        by_webhook.another_process()
        await by_webhook.look()

        assert [record for _, record, _ in await by_webhook.told()] == list(range(1, 131))
        assert by_webhook.installation.reached > reached

    async def test_of_a_kind_that_we_may_not_read_hold_up_no_other(self, by_webhook: Listening) -> None:
        refusal = ScriptedAnswer(status=403, reason="insufficient_scope", times=9)
        by_webhook.world.script("crm.deal.list", refusal)
        by_webhook.work(Kind.TASK, 9)
        by_webhook.world.clock.advance(EVERY)

        await by_webhook.look()

        assert await by_webhook.told() == [("ONTASKUPDATE", 9, Origin.LISTED)]

    async def test_that_are_gone_are_read_by_the_newer_method(self, by_webhook: Listening) -> None:
        for number in range(1, 61):
            by_webhook.work(Kind.DEAL, number)
        gone = ScriptedAnswer(status=404, reason="ERROR_METHOD_NOT_FOUND", times=9)
        by_webhook.world.script("crm.deal.list", gone)
        by_webhook.world.clock.advance(EVERY)

        await by_webhook.look()

        assert [record for _, record, _ in await by_webhook.told()] == list(range(1, 61))

    async def test_find_what_changed_after_the_portals_clock_was_put_back(self, by_webhook: Listening) -> None:
        by_webhook.ahead -= 600
        by_webhook.work(Kind.DEAL, 7)
        by_webhook.world.clock.advance(EVERY)
        by_webhook.work(Kind.DEAL, 8)
        by_webhook.world.clock.advance(SETTLING / 1000)
        await by_webhook.look()
        by_webhook.work(Kind.DEAL, 9)
        by_webhook.world.clock.advance(EVERY)
        await by_webhook.look()

        assert [record for _, record, _ in await by_webhook.told()] == [7, 8, 9]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("ahead", [0, 420, -420])
async def test_whatever_is_lost_on_the_way_every_change_is_told_in_the_end_and_none_twice(
    world: Connected, seed: int, ahead: int
) -> None:
    """Posts are lost, late or come twice; looks fail or come at any time; processes end."""
    luck = random.Random(seed)  # noqa: S311 - fate in a test is no secret
    queued = seed % 2 == 0
    installation = await (world.application() if queued else world.webhook())
    listening = Listening(world, installation, ahead)
    await listening.rules(*EVENTS)
    if queued:
        await listening.queue(*EVENTS)
    await listening.look_twice()
    world.clock.advance(EVERY)
    await listening.look_twice()
    # An OAuth server's answer that is lost takes the tokens with it: another story.
    listening.weather.only = "/rest/"
    under_way: list[tuple[float, ReceivedEvent]] = []
    changed: dict[tuple[str, int], int] = {}
    for _ in range(60):
        world.clock.advance(luck.choice([2, 7, 40, 200]))
        kind = luck.choice([Kind.DEAL, Kind.TASK])
        event, number = listening.work(kind, luck.choice([None, *range(1, 10)]))
        changed[kind.value, number] = int(listening.there())
        if luck.random() < 0.5:
            came = world.clock.monotonic() + luck.choice([0, 0, 1, 15])
            under_way += [(came, listening.posted(event, number, late=luck.choice([0, 0, 1])))] * luck.choice([1, 1, 2])
        arrived = [post for came, post in under_way if came <= world.clock.monotonic()]
        under_way = [(came, post) for came, post in under_way if came > world.clock.monotonic()]
        await listening.inbox.put(arrived)
        if luck.random() < 0.3:
            listening.weather.way = luck.choice([Way.OPEN, Way.OPEN, Way.DOWN, Way.LOSES_ANSWERS])
            await listening.look()
        if luck.random() < 0.1:
            listening.another_process()
    listening.weather.way = Way.OPEN
    await listening.inbox.put([post for _, post in under_way])
    world.clock.advance(EVERY)
    await listening.look_twice()

    told: dict[tuple[str, int], list[tuple[int, bool]]] = {}
    for one in await listening.kept():
        kind = Kind.TASK if one.event.startswith("ONTASK") else Kind.DEAL
        told.setdefault((kind.value, one.record), []).append((one.at // 1000, one.origin is Origin.POSTED))
    # Two moments a second apart are one to us.
    missed = [what for what, at in changed.items() if max(told.get(what, [(0, False)]))[0] < at - 1]
    assert missed == []
    assert told.keys() == changed.keys()
    for moments in told.values():
        for (earlier, was_posted), (later, is_posted) in pairwise(sorted(moments)):
            assert later - earlier > 1 or (was_posted and is_posted)
    assert queue(listening) == 0


class TestFirst:
    async def test_a_portal_that_was_never_read_has_no_past(self, world: Connected) -> None:
        listening = Listening(world, await world.webhook(), 0)
        await listening.rules("*")
        listening.work(Kind.DEAL, 7)
        world.clock.advance(3600)

        await listening.look()

        assert await listening.told() == []
        assert listening.installation.reached == world.clock.now() - SETTLING

    async def test_an_empty_mirror_is_filled_and_not_reached_before(self, world: Connected) -> None:
        listening = Listening(world, await world.webhook(mirror=True), 0)

        await listening.look()

        assert listening.filled == [listening.number]
        assert listening.installation.reached == 0

    async def test_one_that_was_reached_is_filled_anew_when_it_becomes_the_mirror(self, world: Connected) -> None:
        listening = Listening(world, await world.webhook(), 0)
        await listening.look()
        # It becomes the mirror while no gateway runs.
        await world.store.installations.change(msgspec.structs.replace(listening.installation, mirror=True))
        listening.another_process()
        await listening.look()
        assert listening.filled == [listening.number]
        assert listening.installation.reached == world.clock.now() - SETTLING

        full = msgspec.structs.replace(listening.installation, filled=world.clock.now())
        await world.store.installations.change(full)
        await listening.look_twice()

        assert listening.filled == [listening.number]

    async def test_what_has_no_users_here_yet_is_found_as_soon_as_it_has(self, world: Connected) -> None:
        listening = Listening(world, await world.webhook(member_id=""), 0)
        await listening.rules("ONCRMDEALUPDATE")
        await listening.look()
        world.clock.advance(3600)
        listening.work(Kind.DEAL, 7)
        world.clock.advance(3600)
        await listening.look()
        assert await listening.told() == []

        await world.store.installations.change(msgspec.structs.replace(listening.installation, member_id="abc"))
        listening.looking.ring(listening.number)
        await listening.look()

        assert [event for event, _, _ in await listening.told()] == ["ONCRMDEALUPDATE"]

    async def test_a_mirror_hears_of_every_kind_and_others_of_what_rules_want(self, world: Connected) -> None:
        mirror = Listening(world, await world.webhook(mirror=True, reached=world.clock.now()), 0)
        for kind in (Kind.DEAL, Kind.LEAD, Kind.CONTACT, Kind.ACTIVITY, Kind.TASK):
            mirror.work(kind, 7)
        world.clock.advance(60)

        await mirror.look()

        assert [event for event, _, _ in await mirror.told()] == [
            "ONCRMDEALUPDATE",
            "ONCRMLEADUPDATE",
            "ONCRMCONTACTUPDATE",
            "ONCRMACTIVITYUPDATE",
            "ONTASKUPDATE",
        ]


class TestTurns:
    async def test_the_second_look_comes_soon_and_others_as_often_as_is_set(self, world: Connected) -> None:
        listening = Listening(world, await world.webhook(), 0)

        assert [await listening.look() for _ in range(3)] == [SETTLING / 1000, EVERY, EVERY]
        listening.looking.ring(listening.number)
        assert await listening.look() == SETTLING / 1000

    async def test_a_portal_that_is_down_is_asked_until_it_answers(self, world: Connected) -> None:
        listening = Listening(world, await world.webhook(), 0)
        await listening.look_twice()
        listening.weather.way = Way.DOWN
        pauses = [await listening.look() for _ in range(12)]
        listening.weather.way = Way.OPEN

        assert all(pause is not None and 1 <= pause <= 60 for pause in pauses)
        assert await listening.look() == SETTLING / 1000

    async def test_a_portal_that_lets_us_in_no_more_is_left_alone(self, world: Connected) -> None:
        listening = Listening(world, await world.application(), 0)
        world.portal.applications[CLIENT_ID] = msgspec.structs.replace(
            world.portal.applications[CLIENT_ID], installed=False
        )
        world.expire()

        assert await listening.look() is None
        assert listening.installation.state is InstallationState.DEAD
        left = listening.weather.left
        assert await listening.look() is None
        assert listening.weather.left == left

    async def test_all_portals_are_looked_at_from_the_start_until_it_is_stopped(self, world: Connected) -> None:
        queued, listed = Listening(world, await world.application(), 0), Listening(world, await world.webhook(), 0)
        await queued.queue("ONCRMDEALUPDATE")
        await listed.rules("ONTASKUPDATE")
        await listed.look_twice()
        queued.work(Kind.DEAL, 7)
        queued.work(Kind.TASK, 9)
        world.clock.advance(60)

        looking = queued.another_process()
        running = asyncio.create_task(looking.run())
        for _ in range(10_000):
            if await queued.told() and await listed.told():
                break
            await asyncio.sleep(0.001)
        await looking.stop(5.0)
        await running

        assert await queued.told() == [("ONCRMDEALUPDATE", 7, Origin.OFFLINE)]
        assert await listed.told() == [("ONTASKUPDATE", 9, Origin.LISTED)]
