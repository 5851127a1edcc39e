"""The mirror has what the portal has, also if it is filled while both are in use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import msgspec
import pytest

from connected_portal import Connected
from portal_weather import Way, Weather
from wakeline.connectors.bitrix24.connections import Connections
from wakeline.connectors.bitrix24.late_events import SETTLING
from wakeline.connectors.bitrix24.mirror_records import MirrorRecords
from wakeline.connectors.bitrix24.syncing import Syncing
from wakeline.model.bitrix24.access import PortalUser
from wakeline.model.bitrix24.installation import Installation, InstallationState
from wakeline.model.bitrix24.records import Record, RecordKind
from wakeline.model.errors import Conflict, NotFound, StoreUnavailable
from wakeline.ports.bitrix24_connector import SyncProgress
from wakeline.simulator.portal.records import ACTIVITIES, CONTACTS, DEALS, LEADS, TASKS, Kind
from wakeline.simulator.script import ScriptedAnswer
from wakeline.storage.memory.bitrix24 import MemoryPortalRecords

pytestmark = pytest.mark.anyio

TICK_S, TICKS = 0.001, 20_000
PORTAL = {
    RecordKind.DEAL: DEALS,
    RecordKind.LEAD: LEADS,
    RecordKind.CONTACT: CONTACTS,
    RecordKind.ACTIVITY: ACTIVITIES,
    RecordKind.TASK: TASKS,
}


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(TICKS):
        if condition():
            return
        await asyncio.sleep(TICK_S)
    pytest.fail("it did not come to pass")


class Mirror:
    """A portal, and our own that is to be like it."""

    def __init__(self, world: Connected, installation: Installation) -> None:
        self.world = world
        self.number = installation.id
        self.weather = Weather(world.ports.http)
        self.records = MirrorRecords(world.store.portal_records)
        self.syncing = self.another_process()

    def another_process(self) -> Syncing:
        connections = Connections(msgspec.structs.replace(self.world.ports, http=self.weather))
        store = self.world.store
        self.syncing = Syncing(store.installations, self.records, store.portal_access, self.world.clock, connections)
        return self.syncing

    @property
    def installation(self) -> Installation:
        found = self.world.store.installations.by_id(self.number)
        assert found is not None
        return found

    async def fill(self) -> SyncProgress:
        self.syncing.begin(self.number)
        return await self.ended()

    async def ended(self) -> SyncProgress:
        await until(lambda: (told := self.syncing.progress(self.number)) is not None and told.ended > 0)
        progress = self.syncing.progress(self.number)
        assert progress is not None
        return progress

    async def numbers(self, kind: RecordKind) -> list[int]:
        page = await self.records.find(kind, filters=(), order=(), start=0, limit=100_000, count=False)
        return [record.id for record in page.records]

    async def title(self, number: int) -> object:
        found = await self.records.get(RecordKind.DEAL, number)
        assert found is not None
        return found.fields["TITLE"]

    def deal(self, number: int, title: str, *, after: float) -> Record:
        """Return a deal that we learnt of so many seconds from now."""
        changed = self.world.clock.now() + round(1000 * after)
        return Record(kind=RecordKind.DEAL, id=number, fields={"ID": str(number), "TITLE": title}, changed=changed)


@pytest.fixture
async def mirror(world: Connected) -> Mirror:
    return Mirror(world, await world.webhook(mirror=True))


async def test_everything_is_read(mirror: Mirror) -> None:
    progress = await mirror.fill()

    for kind, count in PORTAL.items():
        assert await mirror.numbers(kind) == list(range(1, count + 1))
    deals = mirror.world.portal.records[Kind.DEAL]
    deal = await mirror.records.get(RecordKind.DEAL, 7)
    assert deal is not None
    assert deal.fields == deals[7]
    task = await mirror.records.get(RecordKind.TASK, 7)
    assert task is not None
    assert task.fields == mirror.world.portal.records[Kind.TASK][7]
    counts = {kind.value: count for kind, count in PORTAL.items()} | {"user": 8}
    assert (progress.done, progress.total, progress.cause) == (counts, counts, "")


async def test_users_come_with_their_names_and_keep_how_they_log_in_here(mirror: Mirror) -> None:
    access = mirror.world.store.portal_access
    await access.put_user(PortalUser(id=2, login="boris", password="hash", admin=True, name="B."))

    await mirror.fill()

    users = await access.users()
    assert [user.id for user in users] == list(range(1, 9))
    boris = users[1]
    assert (boris.login, boris.password, boris.admin) == ("boris", "hash", True)
    assert (boris.name, boris.last_name, boris.inner_phone) == ("Boris", "Conti", "102")
    assert not users[2].admin


async def test_what_is_gone_there_goes_here(mirror: Mirror) -> None:
    await mirror.fill()
    deals = mirror.world.portal.records[Kind.DEAL]
    gone = [1, 50, 51, 200, 322, 323]
    for number in gone:
        del deals[number]
    await mirror.records.put([mirror.deal(900, "never there", after=0)])
    mirror.world.clock.advance(60)

    await mirror.fill()

    assert await mirror.numbers(RecordKind.DEAL) == [n for n in range(1, 324) if n not in gone]


async def test_what_we_learn_while_it_is_read_is_not_overwritten_and_not_deleted(mirror: Mirror) -> None:
    mirror.syncing.begin(mirror.number)
    await mirror.records.put([mirror.deal(7, "newer", after=1), mirror.deal(900, "new", after=1)])

    await mirror.ended()

    assert await mirror.title(7) == "newer"
    assert await mirror.title(900) == "new"
    assert await mirror.title(8) == mirror.world.portal.records[Kind.DEAL][8]["TITLE"]


async def test_what_went_while_it_is_read_does_not_come_back(mirror: Mirror) -> None:
    mirror.syncing.begin(mirror.number)
    await until(lambda: bool(mirror.world.requests("crm.deal.list")))
    await mirror.records.delete(RecordKind.DEAL, [323])
    await mirror.records.delete(RecordKind.TASK, [7, 8])
    await mirror.records.put([Record(kind=RecordKind.TASK, id=8, fields={"ID": "8", "TITLE": "back again"})])

    await mirror.ended()

    assert 323 not in await mirror.numbers(RecordKind.DEAL)
    assert await mirror.numbers(RecordKind.TASK) == [n for n in range(1, TASKS + 1) if n != 7]
    mirror.world.clock.advance(60)
    await mirror.fill()
    assert await mirror.numbers(RecordKind.TASK) == list(range(1, TASKS + 1))


async def test_a_reading_goes_on_where_the_portal_broke_off(mirror: Mirror) -> None:
    mirror.world.rows(Kind.DEAL, 1500)
    mirror.weather.way, mirror.weather.only, mirror.weather.times = Way.DOWN, "/batch", 3

    progress = await mirror.fill()

    assert await mirror.numbers(RecordKind.DEAL) == list(range(1, 1501))
    assert progress.done["crm.deal"] == 1500
    listed = mirror.world.requests("crm.deal.list")
    # One that counts, the first page, and one a new beginning: what was read is not read again.
    assert len(listed) <= 2 + 3


async def test_long_lists_take_few_requests(mirror: Mirror) -> None:
    mirror.world.rows(Kind.DEAL, 2200)

    await mirror.fill()

    assert await mirror.numbers(RecordKind.DEAL) == list(range(1, 2201))
    assert len(mirror.world.requests("batch")) < 10


async def test_a_store_that_fails_is_tried_again(mirror: Mirror) -> None:
    failing = FailingRecords()
    mirror.records = MirrorRecords(failing)
    mirror.another_process()

    progress = await mirror.fill()

    assert failing.failures == 0
    assert progress.cause == ""
    assert await mirror.numbers(RecordKind.DEAL) == list(range(1, DEALS + 1))


class FailingRecords(MemoryPortalRecords):
    """Records on a disk that is full for a while."""

    failures = 4

    async def put(self, records: Sequence[Record]) -> None:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("the disk is full")
        await super().put(records)


async def test_a_kind_that_we_may_not_read_is_named_and_left_as_it_is(mirror: Mirror) -> None:
    await mirror.fill()
    mirror.world.clock.advance(60)
    refusal = ScriptedAnswer(status=403, reason="insufficient_scope", times=9)
    mirror.world.script("crm.lead.list", refusal)

    progress = await mirror.fill()

    assert "crm.lead: " in progress.cause
    assert "insufficient_scope" in progress.cause
    assert await mirror.numbers(RecordKind.LEAD) == list(range(1, LEADS + 1))
    assert progress.done["tasks.task"] == TASKS


async def test_nothing_of_another_portal_is_left_in_what_we_may_not_read(mirror: Mirror) -> None:
    await mirror.fill()
    installations, before = mirror.world.store.installations, mirror.installation
    await installations.change(msgspec.structs.replace(before, mirror=False))
    mirror.number = (await mirror.world.webhook(mirror=True)).id
    mirror.world.clock.advance(60)
    mirror.world.script("crm.lead.list", ScriptedAnswer(status=403, reason="insufficient_scope", times=9))

    progress = await mirror.fill()

    assert "crm.lead: " in progress.cause
    assert await mirror.numbers(RecordKind.LEAD) == []
    assert len(await mirror.numbers(RecordKind.DEAL)) == DEALS


async def test_a_mirror_is_reached_when_it_is_full(mirror: Mirror) -> None:
    began = mirror.world.clock.now()
    await mirror.fill()

    assert (mirror.installation.reached, mirror.installation.filled) == (began - SETTLING, began)


@pytest.mark.parametrize("away", [{"mirror": False}, {"state": InstallationState.DEAD}])
async def test_what_is_the_mirror_again_or_alive_again_is_to_be_filled_again(
    mirror: Mirror, away: dict[str, object]
) -> None:
    await mirror.fill()
    installations = mirror.world.store.installations
    await installations.change(msgspec.structs.replace(mirror.installation, **away))
    back: dict[str, object] = {"mirror": True, "state": InstallationState.ACTIVE}
    await installations.change(msgspec.structs.replace(mirror.installation, **back))

    assert mirror.installation.filled == 0


async def test_one_that_was_not_filled_to_the_end_is_not_reached(mirror: Mirror) -> None:
    mirror.world.script("crm.contact.list", ScriptedAnswer(status=403, reason="PORTAL_DELETED"))

    progress = await mirror.fill()

    assert progress.cause
    assert mirror.installation.state is InstallationState.DEAD
    assert (mirror.installation.reached, mirror.installation.filled) == (0, 0)


async def test_a_reading_that_is_stopped_says_so(mirror: Mirror) -> None:
    mirror.syncing.begin(mirror.number)
    await until(lambda: bool(mirror.world.requests("crm.deal.list")))
    await mirror.syncing.stop()

    progress = mirror.syncing.progress(mirror.number)
    assert progress is not None
    assert progress.ended
    assert progress.cause
    assert mirror.installation.reached == 0


async def test_a_portal_that_ceases_to_be_the_mirror_is_read_no_more(mirror: Mirror) -> None:
    mirror.syncing.begin(mirror.number)
    await until(lambda: bool(mirror.world.requests("crm.deal.list")))
    await mirror.world.store.installations.change(msgspec.structs.replace(mirror.installation, mirror=False))

    progress = await mirror.ended()

    assert "not the mirror" in progress.cause
    assert await mirror.numbers(RecordKind.TASK) == []


async def test_beginning_twice_is_one_reading(mirror: Mirror) -> None:
    first = mirror.syncing.begin(mirror.number)
    mirror.world.clock.advance(5)

    assert mirror.syncing.begin(mirror.number).began == first.began
    await mirror.ended()
    mirror.world.clock.advance(5)
    assert mirror.syncing.begin(mirror.number).began > first.began
    await mirror.ended()


async def test_only_an_active_mirror_is_filled(mirror: Mirror) -> None:
    other = await mirror.world.application()
    waiting = msgspec.structs.replace(mirror.installation, state=InstallationState.WAITING)

    with pytest.raises(Conflict, match="not the mirror"):
        mirror.syncing.begin(other.id)
    with pytest.raises(NotFound):
        mirror.syncing.begin(999)
    await mirror.world.store.installations.change(waiting)
    with pytest.raises(Conflict, match="not active"):
        mirror.syncing.begin(mirror.number)
    assert mirror.syncing.progress(mirror.number) is None
