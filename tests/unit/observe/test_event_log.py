"""One line for each event of the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from storing import NOW, ToldClock
from wakeline.model.errors import StoreUnavailable
from wakeline.model.event import Event, EventData, EventType, ReceivedResponse, SentRequest
from wakeline.observe.event_log import PACE, PAGE, WARNINGS, EventLog, write
from wakeline.storage.memory.events import MemoryEvents
from wakeline.wire.outcomes import apns

pytestmark = pytest.mark.anyio

GONE = apns(410, "Unregistered")


def failure(device: str = "ios-1") -> Event:
    request = SentRequest(method="POST", url="https://example.com/3/device/...abcdef", headers=(), body="Dear Ann")
    data = EventData(
        notification="n-1",
        device=device,
        users=("ann",),
        outcome=GONE,
        attempts=1,
        request=request,
        response=ReceivedResponse(code=410, body="Dear Ann"),
    )
    return Event(type=EventType.PUSH_FAILED, at=NOW, app="acme", data=data)


async def until(met: Callable[[], bool]) -> None:
    for _ in range(1000):
        if met():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never comes")


async def test_what_happens_is_logged_once_and_what_had_happened_is_not() -> None:
    events, clock = MemoryEvents(), ToldClock()
    await events.append([failure("before")])
    log = EventLog(events, clock)
    with capture_logs() as lines:
        await log.begin()
        await events.append([failure("first"), failure("second")])
        await until(lambda: len(lines) == 2)
        await events.append([failure("third")])
        await until(lambda: len(lines) == 3)
        await log.end()

    assert [line["device"] for line in lines] == ["first", "second", "third"]
    assert [line["seq"] for line in lines] == [2, 3, 4]


def test_a_line_says_what_happened_to_whom_and_why() -> None:
    with capture_logs() as lines:
        write(failure())

    assert lines == [
        {
            "event": "push.failed",
            "log_level": "info",
            "seq": 0,
            "at": "2026-09-21T14:13:20.000+00:00",
            "app": "acme",
            "notification": "n-1",
            "device": "ios-1",
            "attempts": 1,
            "outcome": "token_dead",
            "code": 911,
            "status": 410,
            "reason": "Unregistered",
        }
    ]


def test_what_was_recorded_is_not_in_the_log() -> None:
    with capture_logs() as lines:
        write(failure())

    assert "Dear Ann" not in str(lines)


@pytest.mark.parametrize("event_type", EventType)
def test_what_an_operator_must_look_at_is_a_warning(event_type: EventType) -> None:
    with capture_logs() as lines:
        write(Event(type=event_type, at=NOW, data=EventData(outcome=GONE)))

    assert lines[0]["event"] == event_type.value
    assert lines[0]["log_level"] == ("warning" if event_type in WARNINGS else "info")
    assert ("cause" in lines[0]) is (event_type in WARNINGS)
    assert ("fix" in lines[0]) is (event_type in WARNINGS)


async def test_a_flood_is_logged_later_and_not_left_out() -> None:
    events, clock = MemoryEvents(), ToldClock()
    log = EventLog(events, clock)
    with capture_logs() as lines:
        await log.begin()
        begun = clock.monotonic()
        await events.append([failure(str(number)) for number in range(20 * PAGE)])
        await until(lambda: len(lines) == 20 * PAGE)
        await log.end()

    assert clock.monotonic() - begun >= 20 * PAGE / PACE - 0.001
    assert [line["device"] for line in lines] == [str(number) for number in range(20 * PAGE)]


class Unreadable(MemoryEvents):
    """A journal that cannot be read for a while."""

    troubles = 2

    async def read(self, **which: Any) -> list[Event]:
        if self.troubles:
            self.troubles -= 1
            raise StoreUnavailable("the disk is gone")
        return await super().read(**which)


async def test_trouble_with_the_journal_is_told_and_loses_nothing() -> None:
    events, clock = Unreadable(), ToldClock()
    log = EventLog(events, clock)
    with capture_logs() as lines:
        await log.begin()
        await events.append([failure()])
        await until(lambda: len(lines) == 3)
        await log.end()

    assert [line["event"] for line in lines] == ["events.cannot_be_logged", "events.cannot_be_logged", "push.failed"]


async def test_the_end_writes_what_is_left_and_says_what_is_not() -> None:
    events, clock = MemoryEvents(), ToldClock()
    log = EventLog(events, clock)
    with capture_logs() as lines:
        await log.begin()
        await events.append([failure(str(number)) for number in range(1100)])
        await log.end()

    assert len(lines) == 1001
    assert (lines[-1]["event"], lines[-1]["events"]) == ("events.not_logged", 100)
