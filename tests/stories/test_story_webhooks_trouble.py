"""What can go wrong while programs of others are told: clocks, disks, messages that cannot be written, long journals."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from stories.post import Office
from stories.telling import DAY, Telling
from wakeline.model.errors import StoreUnavailable
from wakeline.model.event import Event, EventType
from wakeline.model.webhook import Disabled, Endpoint, EndpointSecret, Message, MessageState
from wakeline.pipeline.webhooks.progress import Changes
from wakeline.ports.webhooks import Endpoints, Progress, Said
from webhook_listener import DOWN, TAKEN, Listener

pytestmark = pytest.mark.anyio

BROKEN = Said(status=500, detail="Internal Server Error", duration=2)


class FullDisk:
    """Endpoints on a disk: `unchangeable` refuses changes, the first write waits for `stuck` and is refused."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self.unchangeable = False
        self.stuck: asyncio.Event | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._endpoints, name)

    async def change(self, endpoint: Endpoint) -> None:
        if self.unchangeable:
            raise StoreUnavailable("the disk is full")
        await self._endpoints.change(endpoint)

    async def record(self, progress: Sequence[Progress]) -> None:
        if self.stuck is not None:
            stuck, self.stuck = self.stuck, None
            await stuck.wait()
            raise StoreUnavailable("the disk is full")
        await self._endpoints.record(progress)


@pytest.fixture
def telling() -> Telling:
    return Telling()


async def test_a_clock_that_is_set_back_a_month_delays_nothing_for_long(telling: Telling) -> None:
    await telling.endpoint()
    telling.listener.answer = lambda _, event: BROKEN if event.seq == 1 else DOWN if event.seq == 2 else TAKEN
    await telling.happen("a")
    await telling.later(60.0)  # set aside
    await telling.happen("b")
    await telling.tell()  # held
    telling.world.clock.jump(-30 * DAY)
    telling.listener.answer = lambda *_: TAKEN
    await telling.happen("c")
    await telling.later(3600.0)
    assert sorted(telling.seqs()) == [1, 2, 3]


async def test_an_endpoint_that_takes_a_test_is_told_what_waits_at_once(telling: Telling) -> None:
    endpoint = await telling.endpoint()
    telling.listener.answer = lambda *_: DOWN
    await telling.happen("a", "b")
    await telling.later(3000.0)
    telling.listener.answer = lambda *_: TAKEN
    await telling.world.pipeline.webhooks.try_now(endpoint)
    await telling.tell()
    assert [seq for seq in telling.seqs() if seq > 0] == [1, 2]


async def test_a_message_that_cannot_be_written_is_given_up_and_the_others_go_on(telling: Telling) -> None:
    endpoint = await telling.endpoint()

    def answer(_: Endpoint, event: Event) -> Said:
        if event.seq == 1:
            raise UnicodeError("a lone surrogate")
        return TAKEN

    telling.listener.answer = answer
    await telling.happen("a", "a", "b")
    await telling.later(5.0)
    row = await telling.row(endpoint, 1)
    assert (row.state, row.detail) == (MessageState.GIVEN_UP, "a defect of the gateway: UnicodeError")
    assert sorted(telling.seqs()) == [2, 3]


async def test_a_410_that_cannot_be_written_down_is_acted_on_with_the_next(telling: Telling) -> None:
    telling.world.parts.endpoints = disk = FullDisk(telling.world.store.endpoints)
    endpoint = await telling.endpoint()
    telling.listener.answer = lambda *_: Said(status=410, detail="Gone")
    trouble: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: trouble.append(str(context["message"])))
    disk.unchangeable = True
    await telling.happen("a")
    await telling.tell()
    disk.unchangeable = False
    await telling.happen("b")
    await telling.tell()
    gc.collect()
    assert trouble == []
    known = telling.world.store.endpoints.get(endpoint.id)
    assert known is not None
    assert known.disabled is Disabled.GONE


async def test_what_was_told_while_the_disk_was_full_is_written_when_it_is_not(telling: Telling) -> None:
    disk = FullDisk(telling.world.store.endpoints)
    changes = Changes(disk, telling.world.clock, telling.world.store.endpoints.health, lambda *_: None)
    endpoint = await telling.endpoint()
    row = Message(endpoint=endpoint.id, seq=1, type=EventType.PUSH_FAILED, state=MessageState.WAITING)
    changes.note(endpoint.id, row)
    disk.stuck = stuck = asyncio.Event()
    first = asyncio.create_task(changes.flush())
    await asyncio.sleep(0)
    changes.note(endpoint.id, msgspec.structs.replace(row, state=MessageState.TAKEN))
    second = asyncio.create_task(changes.flush())
    await asyncio.sleep(0)
    stuck.set()
    with pytest.raises(StoreUnavailable):
        await first
    await second
    await changes.flush()
    assert (await telling.row(endpoint, 1)).state is MessageState.TAKEN


async def test_the_loop_has_its_turns_while_a_long_journal_is_searched_for_what_is_to_be_told_again(
    telling: Telling,
) -> None:
    endpoint = await telling.endpoint(apps=("quiet",))
    for _ in range(50):
        await telling.happen(*("" for _ in range(100)))
    await telling.tell()
    search = asyncio.create_task(telling.world.pipeline.webhooks.replay(endpoint, since=0))
    turns = 0
    while not search.done():
        await asyncio.sleep(0)
        turns += 1
    assert await search == 0
    assert turns >= 50


class Hanging(Listener):
    """Takes a message and never answers."""

    async def send(self, endpoint: Endpoint, secrets: Sequence[EndpointSecret], event: Event) -> Said:
        self.asked.append((endpoint, event))
        await asyncio.Event().wait()
        return TAKEN


async def test_at_a_stop_answers_of_programs_are_waited_for_no_longer_than_pushes_have_left_of_the_time(
    telling: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await telling.world.open()
    world.parts.webhook_sender = hanging = Hanging()
    await telling.endpoint()
    await world.device("phone", "alice")
    await world.send("alice")
    await world.run()

    async def last_moment(_: Office, *, drain: float) -> None:
        world.clock.advance(drain)

    monkeypatch.setattr(Office, "close", last_moment)
    await telling.happen("a")
    await world.pipeline.webhooks.turn()
    async with asyncio.timeout(10):
        await world.pipeline.stop(drain=40.0)
    assert hanging.asked


async def test_many_endpoints_that_hang_together_hold_few_connections_and_none_is_left_out(telling: Telling) -> None:
    endpoints = [await telling.endpoint(url=f"https://r{number}.example/") for number in range(40)]
    telling.listener.turns = 600
    await telling.happen(*"abcdefgh")
    await telling.tell()
    assert telling.listener.most_at_once < 40 * 8 / 2
    asked = [endpoint.id for endpoint, _ in telling.listener.taken]
    assert sorted(asked) == sorted(8 * [endpoint.id for endpoint in endpoints])
    assert len(set(asked[:170])) == 40, "each has one on its way while there is a crowd"
