"""The journal in the log: one structured line for each event, named as its type.

    {"event":"push.failed","level":"info","app":"acme","device":"ios-1","code":911,"status":410,"reason":"Unregistered",...}

Rule 1: lines are written beside the work, never in it: events are read from the journal by number, a page at a time. What
comes faster than `PACE` lines a second is logged later, not left out: the journal keeps it meanwhile.
Rule 2: what an operator must look at is a warning, all else is information. Tokens are in no event; the text of a message is
in a recorded request alone, which is not logged.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime

import structlog

from wakeline.model.event import Event, EventType
from wakeline.ports import Clock, Events

_log = structlog.get_logger()

WARNINGS = frozenset(
    {
        EventType.CREDENTIAL_EXPIRING,
        EventType.CREDENTIAL_EXPIRED,
        EventType.CREDENTIAL_FAILED,
        EventType.CHANGE_TAKEN_BACK,
        EventType.TARGETS_DYING,
        EventType.BRAKE_CLOSED,
        EventType.QUEUE_STALLED,
        EventType.PORTAL_MOVED,
        EventType.PORTAL_CLOSED,
        EventType.SILENCE_SUSPECTED,
    }
)
"""What somebody has to look at."""

PAGE = 25
"""Lines written before others have the loop: about a millisecond."""

PACE = 1000
"""Lines a second, at most: a few percent of a processor however much fails."""

_LAST = 1000
"""Lines written at the end, where nobody waits for the loop any more."""

_TRY_AGAIN = 1.0


class EventLog:
    """Follows the journal from where it was at the start; it does not count as a follower."""

    def __init__(self, events: Events, clock: Clock) -> None:
        self._events = events
        self._clock = clock
        self._after = 0
        self._bell = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        events.listen(self._bell.set)

    async def begin(self) -> None:
        """Log what happens from now on."""
        self._after = await self._events.last()
        self._task = asyncio.create_task(self._run())

    async def end(self) -> None:
        """Log the last of what happened, and say how much is left out if it was too much."""
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._task = None
        written = 0
        while written < _LAST and (count := await self.page()):
            written += count
        left = await self._events.last() - self._after
        if left > 0:
            _log.warning("events.not_logged", after=self._after, events=left)

    async def page(self) -> int:
        """Write the next lines; returns how many."""
        found = await self._events.read(after=self._after, limit=PAGE)
        for event in found:
            write(event)
            self._after = event.seq
        return len(found)

    async def _run(self) -> None:
        while True:
            await self._bell.wait()
            self._bell.clear()
            try:
                while await self.page() == PAGE:
                    await self._clock.sleep(PAGE / PACE)
            except Exception:  # noqa: BLE001 - a log that ends would hide all that comes after
                _log.exception("events.cannot_be_logged", after=self._after)
                await self._clock.sleep(_TRY_AGAIN)
                self._bell.set()


def write(event: Event) -> None:
    """Write the line of an event."""
    say = _log.warning if event.type in WARNINGS else _log.info
    say(event.type.value, **dict(_fields(event)))


def _fields(event: Event) -> Iterator[tuple[str, object]]:
    """Yield what applies."""
    data = event.data
    yield "seq", event.seq
    yield "at", datetime.fromtimestamp(event.at / 1000, UTC).isoformat(timespec="milliseconds")
    for name, said in (
        ("app", event.app),
        ("notification", data.notification),
        ("delivery", data.delivery),
        ("device", data.device),
        ("target", data.target),
        ("kind", data.kind),
        ("attempts", data.attempts),
        ("credential", data.credential),
        ("route", data.route),
        ("note", data.note),
    ):
        if said:
            yield name, said
    if data.outcome is not None:
        yield "outcome", data.outcome.outcome_class.value
        yield "code", data.outcome.code
        yield "status", data.outcome.status
        yield "reason", data.outcome.reason
        if event.type in WARNINGS:
            yield "cause", data.outcome.cause
            yield "fix", data.outcome.fix
