"""Programs of others are told of what happened: in order, once, as long as it takes."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from stories.post import unregistered
from stories.telling import DAY, Telling
from wakeline.model.errors import Conflict, InvalidRequest
from wakeline.model.event import EventType
from wakeline.model.webhook import Disabled, MessageState, Shape
from wakeline.pipeline.webhooks.courier import MOST_ASIDE
from wakeline.pipeline.webhooks.journal import MOST_REPLAYED
from wakeline.ports.webhooks import Said
from webhook_listener import DOWN, TAKEN

pytestmark = pytest.mark.anyio

BROKEN = Said(status=500, detail="Internal Server Error", duration=2)


@pytest.fixture
def telling() -> Telling:
    return Telling()


async def test_an_endpoint_is_told_what_it_asked_for_and_no_more(telling: Telling) -> None:
    await telling.endpoint(events=(EventType.PUSH_FAILED,), apps=("acme",))
    await telling.happen("a")
    await telling.happen("a", app="other")
    await telling.happen("a", kind=EventType.PUSH_EXPIRED)
    await telling.tell()
    assert telling.seqs() == [1]


async def test_what_happened_before_an_endpoint_was_made_is_not_told(telling: Telling) -> None:
    await telling.happen("a")
    await telling.endpoint()
    await telling.happen("a")
    await telling.tell()
    assert telling.seqs() == [2]


async def test_the_failure_of_a_real_push_is_told(telling: Telling) -> None:
    await telling.world.open()
    await telling.endpoint(events=(EventType.PUSH_FAILED, EventType.NOTIFICATION_COMPLETED))
    await telling.world.device("phone", "alice")
    telling.world.apple.to_token["phone"].append(unregistered(telling.world.clock.now() + 1000))
    await telling.world.send("alice")
    await telling.world.run()
    await telling.tell()
    told = [event for _, event in telling.listener.taken]
    assert [event.type for event in told] == [EventType.PUSH_FAILED, EventType.NOTIFICATION_COMPLETED]
    assert told[0].data.outcome is not None
    assert (told[0].data.outcome.code, told[0].data.device) == (911, "phone")


async def test_messages_of_a_device_never_overlap_and_those_of_others_do(telling: Telling) -> None:
    await telling.endpoint()
    telling.listener.turns = 30
    await telling.happen(*("a" * 20), *("bcdefghijk"))
    await telling.tell()
    assert sorted(telling.seqs()) == list(range(1, 31))
    mine = [event.seq for _, event in telling.listener.taken if event.data.device == "a"]
    assert mine == sorted(mine)
    assert telling.listener.most_at_once == 8


async def test_a_receiver_that_is_down_for_a_day_gets_everything_once_and_in_order(telling: Telling) -> None:
    await telling.endpoint()
    telling.listener.answer = lambda *_: DOWN
    for hour in range(24):
        await telling.happen(*(f"phone-{(hour + place) % 7}" for place in range(40)), "")
        await telling.later(3600.0)
    assert len(telling.listener.asked) < 200
    telling.listener.answer = lambda *_: TAKEN
    await telling.later(660.0)
    assert sorted(telling.seqs()) == list(range(1, 24 * 41 + 1))
    assert len(set(telling.listener.ids())) == 24 * 41
    for device in {event.data.device for _, event in telling.listener.taken} - {""}:
        mine = [event.seq for _, event in telling.listener.taken if event.data.device == device]
        assert mine == sorted(mine)


async def test_a_receiver_whose_program_answers_errors_for_a_day_gets_everything_in_order(telling: Telling) -> None:
    endpoint = await telling.endpoint()
    telling.listener.answer = lambda *_: Said(status=502, detail="Bad Gateway")
    for hour in range(24):
        await telling.happen(*(f"phone-{(hour + place) % 7}" for place in range(40)))
        await telling.later(3600.0)
    assert await telling.world.store.endpoints.waiting(endpoint.id, limit=5000)
    telling.listener.answer = lambda *_: TAKEN
    await telling.later(660.0)  # it is asked every ten minutes, and who takes one is told at once what was set aside
    assert sorted(telling.seqs()) == list(range(1, 24 * 40 + 1))
    for device in {event.data.device for _, event in telling.listener.taken}:
        mine = [event.seq for _, event in telling.listener.taken if event.data.device == device]
        assert mine == sorted(mine)


async def test_while_it_fails_one_message_at_a_time_asks_at_growing_intervals(telling: Telling) -> None:
    endpoint = await telling.endpoint()
    await telling.happen(*"abcdefghijklmnop")
    began = telling.world.clock.now()
    times: list[int] = []

    def down(*_: object) -> Said:
        times.append(telling.world.clock.now() - began)
        return DOWN

    telling.listener.answer = down
    await telling.later(1200.0)
    assert times[:8] == [0] * 8  # were on their way together
    assert [round(at / 1000) for at in times[8:]] == [1, 3, 8, 23, 53, 113, 233, 533, 1133]
    health = telling.world.store.endpoints.health(endpoint.id)
    assert (health.failing_since, health.status) == (began, 0)
    assert health.retry_at == began + 1_733_000


async def test_what_was_under_way_before_a_failure_does_not_say_that_the_endpoint_is_well(telling: Telling) -> None:
    endpoint = await telling.endpoint()
    telling.listener.turns = 20
    telling.listener.answer = lambda _, event: BROKEN if event.seq == 1 else TAKEN
    await telling.happen("a", "b", "c")
    await telling.tell()
    assert telling.seqs() == [2, 3]
    assert telling.world.store.endpoints.health(endpoint.id).failing_since is not None
    await telling.happen("d")
    await telling.tell()
    assert telling.seqs() == [2, 3]


async def test_retry_after_is_the_least_wait(telling: Telling) -> None:
    await telling.endpoint()
    telling.listener.answer = lambda *_: Said(status=503, detail="Service Unavailable", retry_after=120.0)
    await telling.happen("a")
    await telling.later(119.0)
    assert len(telling.listener.asked) == 1
    await telling.later(2.0)
    assert len(telling.listener.asked) == 2


async def test_a_poisonous_message_stops_its_device_and_nobody_else(telling: Telling) -> None:
    endpoint = await telling.endpoint()
    telling.listener.answer = lambda _, event: BROKEN if event.seq == 1 else TAKEN
    await telling.happen("a", "a", "b", "")
    await telling.later(30.0)
    await telling.happen("b", "a")
    await telling.tell()
    assert telling.seqs() == [3, 4, 5]
    assert telling.world.store.endpoints.health(endpoint.id).failing_since is None
    assert (await telling.row(endpoint, 1)).status == 500
    assert [row.seq for row in await telling.world.store.endpoints.waiting(endpoint.id, limit=9)] == [2, 6, 1]
    telling.listener.answer = lambda *_: TAKEN
    await telling.later(1300.0)
    assert telling.seqs() == [3, 4, 5, 1, 2, 6]


async def test_a_message_that_makes_its_receiver_hang_stops_its_device_and_nobody_else_for_long(
    telling: Telling,
) -> None:
    endpoint = await telling.endpoint()
    telling.listener.answer = lambda _, event: DOWN if event.data.device == "a" else TAKEN
    await telling.happen("a", "a", "b", "", "c")
    await telling.later(600.0)
    assert telling.seqs() == [3, 4, 5]
    await telling.happen("b")
    await telling.later(700.0)
    assert telling.seqs() == [3, 4, 5, 6]
    assert telling.world.store.endpoints.health(endpoint.id).failing_since is None, "it rests, and holds nobody up"
    await telling.happen("c")
    await telling.tell()
    assert telling.seqs() == [3, 4, 5, 6, 7]
    telling.listener.answer = lambda *_: TAKEN
    await telling.later(1300.0)
    assert telling.seqs() == [3, 4, 5, 6, 7, 1, 2]


async def test_a_poisonous_message_is_given_up_in_the_end_and_its_device_goes_on(telling: Telling) -> None:
    endpoint = await telling.endpoint()
    telling.listener.answer = lambda _, event: BROKEN if event.seq == 1 else TAKEN
    await telling.happen("a", "a")
    await telling.later(3 * DAY + 7200)
    row = await telling.row(endpoint, 1)
    assert (row.state, row.status) == (MessageState.GIVEN_UP, 500)
    assert row.tries < 3 * 24 * 6 + 20  # every ten minutes
    assert telling.seqs() == [2]


async def test_an_endpoint_that_stays_down_is_spared_what_is_older_than_three_days(telling: Telling) -> None:
    endpoint = await telling.endpoint()
    telling.listener.answer = lambda *_: DOWN
    await telling.happen("a", "b")
    await telling.later(2 * DAY)
    await telling.happen("c")
    await telling.later(1.5 * DAY)
    telling.listener.answer = lambda *_: TAKEN
    await telling.later(3600)
    assert telling.seqs() == [3]
    assert (await telling.row(endpoint, 1)).state is MessageState.GIVEN_UP
    assert (await telling.row(endpoint, 2)).state is MessageState.GIVEN_UP


async def test_too_many_that_are_set_aside_stop_the_reading_and_nothing_is_lost(telling: Telling) -> None:
    endpoint = await telling.endpoint()
    telling.listener.answer = lambda _, event: BROKEN if event.data.device == "a" else TAKEN
    for _ in range(10):
        await telling.happen(*("a" * 200))
        await telling.later(5.0)
    await telling.later(600.0)
    aside = await telling.world.store.endpoints.waiting(endpoint.id, limit=5000)
    assert MOST_ASIDE <= len(aside) < MOST_ASIDE + 300
    telling.listener.answer = lambda *_: TAKEN
    await telling.later(3600.0)
    assert telling.seqs() == list(range(1, 2001))


async def test_410_disables_and_gives_up_what_waits(telling: Telling) -> None:
    endpoint = await telling.endpoint()
    telling.listener.answer = lambda _, event: Said(status=410) if event.seq == 2 else BROKEN
    await telling.happen("a")
    await telling.tell()
    await telling.happen("b", "c")
    await telling.later(60.0)
    known = telling.world.store.endpoints.get(endpoint.id)
    assert known is not None
    assert known.disabled is Disabled.GONE
    assert not await telling.world.store.endpoints.waiting(endpoint.id, limit=10)
    asked = len(telling.listener.asked)
    await telling.happen("d")
    await telling.later(DAY)
    assert len(telling.listener.asked) == asked


async def test_who_is_enabled_again_hears_what_happens_from_then_on_and_may_replay_the_rest(telling: Telling) -> None:
    endpoint = await telling.endpoint()
    webhooks = telling.world.pipeline.webhooks
    await webhooks.disable(endpoint, Disabled.OPERATOR)
    await telling.happen("a", "b")
    await telling.tell()
    off = telling.world.store.endpoints.get(endpoint.id)
    assert off is not None
    with pytest.raises(Conflict):
        await webhooks.replay(off, seqs=(1,))
    await webhooks.enable(off)
    await telling.happen("c")
    await telling.tell()
    assert telling.seqs() == [3]
    on = telling.world.store.endpoints.get(endpoint.id)
    assert on is not None
    assert await webhooks.replay(on, since=0) == 3
    await telling.tell()
    assert telling.seqs() == [3, 1, 2, 3]


@pytest.mark.parametrize("why", list(Disabled))
async def test_who_goes_on_from_where_it_stopped_misses_nothing_and_is_told_nothing_twice(
    telling: Telling, why: Disabled
) -> None:
    endpoint = await telling.endpoint()
    webhooks = telling.world.pipeline.webhooks
    await telling.happen("a")
    await telling.tell()
    telling.listener.answer = lambda _, event: BROKEN if event.data.device == "a" else TAKEN
    await telling.happen("a", "a", "b")
    await telling.later(60.0)
    assert telling.seqs() == [1, 4]
    if why is Disabled.GONE:
        telling.listener.answer = lambda *_: Said(status=410)
        await telling.happen("b")
        await telling.tell()
    else:
        await webhooks.disable(endpoint, why)
        await telling.happen("b")
        await telling.tell()
    telling.listener.answer = lambda *_: TAKEN
    await telling.happen("c")
    await telling.later(60.0)
    off = telling.world.store.endpoints.get(endpoint.id)
    assert off is not None
    assert off.disabled is why
    assert telling.seqs() == [1, 4]
    telling.world.restarted()
    await telling.world.pipeline.webhooks.start()
    await telling.world.pipeline.webhooks.enable(off, resume=True)
    await telling.tell()
    assert sorted(telling.seqs()) == [1, 2, 3, 4, 5, 6]
    assert [event.seq for _, event in telling.listener.taken if event.data.device == "a"] == [1, 2, 3]


async def test_who_was_disabled_for_longer_than_the_log_is_kept_still_misses_nothing(telling: Telling) -> None:
    endpoint = await telling.endpoint()
    telling.listener.answer = lambda *_: BROKEN
    await telling.happen("a", "b")
    await telling.later(60.0)
    await telling.world.pipeline.webhooks.disable(endpoint, Disabled.GONE)
    telling.world.clock.advance(4 * DAY)
    await telling.world.pipeline.maintain.prune_webhook_log()
    telling.listener.answer = lambda *_: TAKEN
    await telling.world.pipeline.webhooks.enable(endpoint, resume=True)
    await telling.tell()
    assert sorted(telling.seqs()) == [1, 2]


async def test_going_on_from_where_it_stopped_may_be_asked_for_again_after_a_failure(telling: Telling) -> None:
    endpoint = await telling.endpoint()
    webhooks = telling.world.pipeline.webhooks
    telling.listener.answer = lambda *_: BROKEN
    await telling.happen(*("a" * 600))
    await telling.later(60.0)
    await webhooks.disable(endpoint, Disabled.OPERATOR)
    telling.listener.answer = lambda *_: TAKEN
    gone_on = asyncio.create_task(webhooks.enable(endpoint, resume=True))
    await asyncio.sleep(0)  # half of it is taken up by now
    gone_on.cancel()
    await asyncio.gather(gone_on, return_exceptions=True)
    await webhooks.enable(endpoint, resume=True)
    await telling.tell()
    assert telling.seqs() == list(range(1, 601))


async def test_replays_have_the_ids_they_had_and_count_by_time_or_number(telling: Telling) -> None:
    endpoint = await telling.endpoint(apps=("acme",))
    await telling.happen("a", "b")
    await telling.happen("a", app="other")
    await telling.tell()
    telling.world.clock.advance(3600)
    noon = telling.world.clock.now()
    await telling.happen("a", "c")
    await telling.tell()
    before = telling.listener.ids()
    webhooks = telling.world.pipeline.webhooks
    assert await webhooks.replay(endpoint, since=noon, until=noon) == 2
    await telling.tell()
    assert telling.listener.ids() == [*before, *before[2:]]
    assert await webhooks.replay(endpoint, seqs=(2, 3, 99)) == 1  # 3 belongs to another app, 99 never happened
    await telling.tell()
    assert telling.listener.ids()[-1] == before[1]


async def test_a_replay_has_a_limit_and_says_so(telling: Telling) -> None:
    endpoint = await telling.endpoint()
    await telling.happen(*("" for _ in range(MOST_REPLAYED + 1)))
    await telling.tell()
    with pytest.raises(InvalidRequest, match="more than 10000"):
        await telling.world.pipeline.webhooks.replay(endpoint, since=0)


async def test_what_the_journal_has_forgotten_is_given_up(telling: Telling) -> None:
    endpoint = await telling.endpoint()
    telling.listener.answer = lambda *_: DOWN
    await telling.happen("a")
    await telling.tell()
    await telling.world.store.events.prune(telling.world.clock.now() + 1)
    telling.listener.answer = lambda *_: TAKEN
    await telling.later(5.0)
    row = await telling.row(endpoint, 1)
    assert (row.state, row.detail) == (MessageState.GIVEN_UP, "the journal has forgotten the event")


async def test_a_test_event_is_told_at_once_and_logged_below_zero(telling: Telling) -> None:
    endpoint = await telling.endpoint(events=(EventType.PUSH_FAILED,), shape=Shape.MESIBO)
    said = await telling.world.pipeline.webhooks.try_now(endpoint)
    again = await telling.world.pipeline.webhooks.try_now(endpoint)
    assert said.taken
    assert again.taken
    page = await telling.world.store.endpoints.log(endpoint.id)
    assert [row.type for row in page.messages] == [EventType.WEBHOOK_TEST] * 2
    assert all(row.seq < 0 and row.state is MessageState.TAKEN for row in page.messages)


async def test_after_a_crash_only_what_was_not_written_is_told_once_more(telling: Telling) -> None:
    await telling.endpoint()
    telling.listener.answer = lambda _, event: DOWN if event.seq == 1 else TAKEN
    await telling.happen("a", "b", "c", "a")
    await telling.tell()
    assert telling.seqs() == [2, 3]
    telling.world.restarted()
    await telling.world.pipeline.webhooks.start()
    telling.listener.answer = lambda *_: TAKEN
    await telling.later(5.0)
    assert telling.seqs() == [2, 3, 1, 4]


async def test_a_changed_endpoint_is_asked_at_once(telling: Telling) -> None:
    endpoint = await telling.endpoint()
    telling.listener.answer = lambda known, _: TAKEN if known.url.endswith("new") else DOWN
    await telling.happen("a")
    await telling.later(3000.0)
    await telling.world.store.endpoints.change(msgspec.structs.replace(endpoint, url="https://example.com/new"))
    await telling.tell()
    assert telling.seqs() == [1]


async def test_a_deleted_endpoint_is_told_nothing_more(telling: Telling) -> None:
    endpoint = await telling.endpoint()
    await telling.world.store.endpoints.delete(endpoint.id)
    await telling.happen("a")
    assert await telling.tell() is None
    assert telling.listener.asked == []


async def test_both_secrets_sign_while_one_is_rotated(telling: Telling) -> None:
    endpoint = await telling.endpoint()
    await telling.world.store.endpoints.rotate(endpoint.id, b"n" * 32, until=telling.world.clock.now() + 86_400_000)
    await telling.happen("a")
    await telling.tell()
    assert telling.listener.signed == [2]


async def test_one_that_is_down_keeps_no_other_waiting(telling: Telling) -> None:
    down = await telling.endpoint(url="https://down.example.com/")
    up = await telling.endpoint(url="https://up.example.com/")
    telling.listener.answer = lambda endpoint, _: DOWN if endpoint.id == down.id else TAKEN
    await telling.happen(*"abc")
    await telling.tell()
    assert [(endpoint.id, event.seq) for endpoint, event in telling.listener.taken] == [
        (up.id, 1),
        (up.id, 2),
        (up.id, 3),
    ]
