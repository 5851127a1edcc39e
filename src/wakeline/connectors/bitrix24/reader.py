"""The reader: events that wait in the inbox become notifications, portal by portal, side by side.

It polls nothing: a bell is rung for new events, and the inbox says when the next ones are due. A portal that cannot be asked rests
for as long as it said, or longer with each failure; a store that cannot be read is tried again.
A call waits neither for a portal that rests nor for one that takes its time: it is worked off aside, without what only the portal
knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Mapping
from typing import Any

import structlog

from wakeline.connectors.bitrix24.drain import Drain
from wakeline.model.errors import PortalError, WakelineError
from wakeline.pipeline.bell import Bell
from wakeline.ports import Clock
from wakeline.ports.bitrix24_connector import EventInbox, Installations

LONGEST_REST = 300.0
"""Seconds."""
_AGAIN = 2.0
"""Seconds after a failure of our own."""
_SLOW = 2_500
"""Milliseconds after which calls do not wait for the go under way: above `drain.CALLER_WAIT`, so that they are no part of it."""

_log = structlog.get_logger()


class Reader:
    """Works off the inboxes of all installations, each by a task of its own while it has something to do."""

    def __init__(self, clock: Clock, installations: Installations, inbox: EventInbox, drain: Drain) -> None:
        self._clock = clock
        self._installations = installations
        self._inbox = inbox
        self._drain = drain
        self._bell = Bell(clock)
        self._at_work: dict[int, asyncio.Task[None]] = {}
        self._aside: dict[int, asyncio.Task[None]] = {}
        self._began: dict[int, int] = {}
        self._news: set[int] = set()
        self._woken: set[int] = set()
        self._resting: dict[int, int] = {}
        self._failures: dict[int, int] = {}

    def ring(self, installation: int) -> None:
        """Say that events of an installation came in; returns at once."""
        self._news.add(installation)
        self._bell.ring()

    def wake(self, installation: int) -> None:
        """Say that a portal may be asked again, whatever it said before: what waits for it is due now. Returns at once."""
        self._resting.pop(installation, None)
        self._failures.pop(installation, None)
        self._woken.add(installation)
        self.ring(installation)

    def forget(self, installation: int) -> None:
        """Know nothing any more of an installation that was deleted."""
        for known in (self._resting, self._failures, self._began):
            known.pop(installation, None)
        for told in (self._news, self._woken):
            told.discard(installation)

    async def run(self) -> None:
        """Work until cancelled; what is under way then is done again, and sent once."""
        try:
            while True:
                await self._bell.wait(await self._step())
        finally:
            tasks = [*self._at_work.values(), *self._aside.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _step(self) -> float | None:
        """Begin with what is due; returns in how many seconds something else is (None: when the bell rings)."""
        try:
            for number in [*self._woken]:
                await self._inbox.hasten(number, now=self._clock.now())
                self._woken.discard(number)
            due = await self._inbox.next_due()
        except WakelineError as error:
            _log.warning("bitrix24.inbox_unreadable", cause=error.detail)
            return _AGAIN
        now = self._clock.now()
        coming = [at for number, first in due.items() for at in self._attend(number, first, now)]
        return (min(coming) - now) / 1000 if coming else None

    def _attend(self, number: int, first: int, now: int) -> Iterator[int]:
        """Begin what is to be begun for an installation; yields when there is something else."""
        is_busy, at = number in self._at_work, max(first, self._resting.get(number, 0))
        if not is_busy and at <= now:
            self._begin(number, self._at_work, self._work(number))
            return
        if not is_busy:
            yield at
        if number in self._news and number not in self._aside:
            aside = self._began.get(number, 0) + _SLOW
            if aside <= now:
                self._begin(number, self._aside, self._work_aside(number))
            else:
                yield aside

    def _begin(self, number: int, tasks: dict[int, asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
        def end(_: asyncio.Task[None]) -> None:
            del tasks[number]
            self._bell.ring()

        self._going(number)
        tasks[number] = asyncio.create_task(work, name=f"bitrix24 events of installation {number}")
        tasks[number].add_done_callback(end)

    def _going(self, number: int) -> None:
        """Note that what came in until now is about to be looked at."""
        self._news.discard(number)
        self._began[number] = self._clock.now()

    async def _work(self, number: int) -> None:
        """Work off everything of one installation that is due."""
        worked = False
        try:
            while await self.drain(number):
                worked = True
            if not worked and self._resting.get(number, 0) <= self._clock.now():
                # The inbox says that something is due, and gives nothing: not a reason to ask without end.
                self._rest(number, _AGAIN)
        except WakelineError as error:
            _log.warning("bitrix24.events_wait", installation=number, cause=error.detail)
            self._rest(number, error.retry_after or _AGAIN)
        except Exception:  # noqa: BLE001 - one portal's trouble is not the others'; it is logged, and tried again
            _log.exception("bitrix24.reader_failed", installation=number)
            self._rest(number, _AGAIN)

    async def _work_aside(self, number: int) -> None:
        """Work off calls, whatever else is under way."""
        try:
            while (installation := self._installations.by_id(number)) is not None:
                if not (await self._drain.go(installation, aside=True)).settled:
                    return
        except WakelineError as error:
            _log.warning("bitrix24.events_wait", installation=number, cause=error.detail)
        except Exception:  # noqa: BLE001 - logged; what it left is worked off with the rest
            _log.exception("bitrix24.reader_failed", installation=number)

    async def drain(self, number: int) -> bool:
        """Work off some events of an installation; False: there are none, or it has to rest. Raises StoreUnavailable."""
        self._going(number)
        installation = self._installations.by_id(number)
        if installation is None:
            return False
        gone = await self._drain.go(installation)
        if gone.trouble is not None:
            self._tell(number, gone.trouble)
            return False
        self._failures.pop(number, None)
        return gone.settled > 0

    def _tell(self, number: int, trouble: PortalError) -> None:
        _log.warning("bitrix24.portal_not_asked", installation=number, cause=trouble.detail)
        self._rest(number, trouble.retry_after or LONGEST_REST / 5)

    def _rest(self, number: int, seconds: float) -> None:
        """Have an installation rest: longer with each failure in a row."""
        failures = self._failures[number] = self._failures.get(number, 0) + 1
        pause = min(max(seconds, 2.0 ** min(failures - 1, 10)), LONGEST_REST)
        self._resting[number] = self._clock.now() + round(1000 * pause)

    @property
    def resting(self) -> Mapping[int, int]:
        """Until when installations rest (Unix ms)."""
        return self._resting
