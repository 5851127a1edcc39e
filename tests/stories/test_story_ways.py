"""The short way of a push to one recipient decides nothing of its own: the long way says the same."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stories.world import World
from wakeline.config import Limits, Settings
from wakeline.model.delivery import JobKind, pack, unpack_all
from wakeline.model.errors import WakelineError
from wakeline.model.notification import NotificationRequest
from wakeline.pipeline.draft import Drafting
from wakeline.pipeline.limits import UserLimits
from wakeline.pipeline.ready import Ready
from wakeline.pipeline.remembered import Remembered

TOKEN = "ab" * 32


class LongWay(Drafting):
    """Drafting that knows no short way."""

    def _short_way(self, *_: Any) -> None:
        return None


_audiences = st.sampled_from(
    [
        {"users": ["ann"]},
        {"users": ["bob"]},
        {"users": ["cid"]},
        {"users": ["dan"]},
        {"users": ["eve"]},
        {"users": ["nobody"]},
        {"users": ["ann", "cid"]},
        {"users": ["ann", "nobody"]},
        {"devices": ["a1"]},
        {"devices": ["none"]},
        {"targets": [{"kind": "apns", "value": TOKEN, "topic": "com.acme"}]},
        {"targets": [{"kind": "fcm", "fcm_topic": "news"}]},
        {"users": ["ann"], "targets": [{"kind": "apns", "value": TOKEN}]},
        {"tags": ["team"]},
        {"everyone": True},
        {},
    ]
)
_alerts = st.fixed_dictionaries(
    {"title": st.sampled_from(["", "hello"])},
    optional={"body": st.sampled_from(["more", "x" * 5000]), "badge": st.sampled_from([3, -1, "+1", "+2"])},
)
_requests = st.fixed_dictionaries(
    {"to": _audiences},
    optional={
        "alert": _alerts,
        "type": st.sampled_from(["alert", "background", "call", "location"]),
        "call": st.just({"id": "c1"}),
        "data": st.sampled_from([{"a": 1}, {"aps": 1}]),
        "priority": st.sampled_from(["high", "low"]),
        "ttl": st.sampled_from([0, 60, 10**9]),
        "collapse_id": st.sampled_from(["chat", "x" * 65]),
        "send_at": st.sampled_from(["2000-01-01T00:00:00Z", "2026-12-21T08:00:00Z", "soon"]),
        "only_if_absent": st.booleans(),
        "truncate": st.booleans(),
    },
)


async def _world() -> World:
    world = await World(Settings(limits=Limits(alert_per_hour=2, alert_burst=2, call_per_minute=1))).open()
    await world.android()
    await world.device("a1", "ann", tags=("team",))
    await world.device("b1", "bob", "apns:b1", "fcm:b1")
    await world.device("b2", "bob", "apns:b2")
    await world.device("c1", "cid", "fcm:c1")
    dan = await world.device("d1", "dan")
    await world.store.devices.set_presence(dan.app, dan.device_id, world.clock.now() + 60_000)
    await world.device("e1", "eve", "webpush:https://push.example/e1")
    return world


def _drafting(world: World, kind: type[Drafting]) -> Drafting:
    return kind(world.parts, world.pipeline.table, UserLimits(world.settings.limits), Remembered(world.store.devices))


def _told(ready: Ready | WakelineError) -> Any:
    """Return all that is kept or said, without the key and whether it shares a job."""
    if isinstance(ready, WakelineError):
        return type(ready), str(ready), getattr(ready, "pointer", "")
    deliveries = [
        (job.route, job.due, job.expires, job.lane, job.kind, job.code, job.collapse_key, unpack_all(job.recipients))
        for job in ready.jobs
    ]
    notification = msgspec.structs.replace(ready.notification, key=0)
    if ready.single is not None:
        due, expires, lane = notification.due, notification.expires, notification.lane
        deliveries.append((ready.single.route, due, expires, lane, JobKind.SEND, 0, "", [ready.single.recipient]))
    rows = [row._replace(notification=0) for row in ready.rows]
    events = [event.type for event in ready.events]
    return notification, deliveries, rows, events, ready.failures, ready.charges, ready.estimate


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests=st.lists(_requests, min_size=1, max_size=8))
def test_both_ways_say_the_same(requests: list[dict[str, Any]]) -> None:
    async def drafted() -> None:
        world = await _world()
        asked = [(msgspec.convert(request, NotificationRequest), "r") for request in requests]
        long = await _drafting(world, LongWay).drafts(world.app, asked)
        short = await _drafting(world, Drafting).drafts(world.app, asked)
        assert list(map(_told, short)) == list(map(_told, long))

    asyncio.run(drafted())


@pytest.mark.anyio
async def test_one_recipient_takes_the_short_way_unless_something_is_in_the_way() -> None:
    world = await _world()
    drafting = _drafting(world, Drafting)
    target = await world.target("a1")

    async def single(**fields: Any) -> bool:
        body = {"to": {"users": ["ann"]}, "data": {"a": 1}} | fields
        [ready] = await drafting.drafts(world.app, [(msgspec.convert(body, NotificationRequest), "")])
        assert isinstance(ready, Ready), ready
        assert ready.single is None or ready.single.recipient == pack(target.id, 1)
        return ready.single is not None

    assert not await single(), "where it goes is not known yet"
    assert await single()
    assert not await single(send_at="2026-12-21T08:00:00Z")
    assert not await single(type="call", call={"id": "c"})
    assert not await single(alert={"title": "x", "badge": "+1"})
    assert not await single(to={"users": ["bob"]})
    assert not await single(to={"tags": ["team"]})
    assert [await single(alert={"title": "x"}) for _ in range(3)] == [True, False, False], (
        "two at once, and one was counted"
    )
