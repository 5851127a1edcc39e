"""The reader: events that wait in the inbox become notifications, portal by portal, side by side.

It polls nothing: a bell is rung for new events, and the inbox says when the next ones are due. A portal that cannot be asked rests,
with all its events, for as long as it said, or longer with each failure; a store that cannot be read is tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

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
        self._resting: dict[int, int] = {}
        self._failures: dict[int, int] = {}

    def ring(self) -> None:
        """Say that events wait; returns at once."""
        self._bell.ring()

    async def run(self) -> None:
        """Work until cancelled; what is under way then is done again, and sent once."""
        try:
            while True:
                await self._bell.wait(await self._step())
        finally:
            tasks = list(self._at_work.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _step(self) -> float | None:
        """Begin with what is due; returns in how many seconds something else is (None: when the bell rings)."""
        try:
            due = await self._inbox.next_due()
        except WakelineError as error:
            _log.warning("bitrix24.inbox_unreadable", cause=error.detail)
            return _AGAIN
        now = self._clock.now()
        coming: list[int] = []
        for number, first in due.items():
            at = max(first, self._resting.get(number, 0))
            if number in self._at_work:
                continue
            if at <= now:
                self._begin(number)
            else:
                coming.append(at)
        return (min(coming) - now) / 1000 if coming else None

    def _begin(self, number: int) -> None:
        task = asyncio.create_task(self._work(number), name=f"bitrix24 events of installation {number}")
        self._at_work[number] = task
        task.add_done_callback(lambda _: self._end(number))

    def _end(self, number: int) -> None:
        del self._at_work[number]
        self._bell.ring()

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

    async def drain(self, number: int) -> bool:
        """Work off some events of an installation; False: there are none, or it has to rest. Raises StoreUnavailable."""
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
