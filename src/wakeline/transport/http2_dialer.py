"""When a pool may connect, and what a failure costs: one attempt at a time, never in a tight loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import structlog

from wakeline.model.errors import WakelineError
from wakeline.transport.backoff import Backoff
from wakeline.transport.http2_connect import DialFailed, Origin, dial
from wakeline.transport.http2_link import Link
from wakeline.wire.http2 import ConnectFailure

log = structlog.get_logger()

_SHORTEST = 0.2
"""Seconds between the starts of two attempts, also if nothing failed."""


class Asker(Protocol):
    """The pool that wants connections."""

    def new_link(self) -> Link:
        """Return a link to connect."""

    def link_made(self, link: Link) -> None:
        """The link is ready."""

    def link_failed(self, failure: ConnectFailure) -> None:
        """No connection could be made."""

    def may_connect(self) -> None:
        """The wait after a failure is over."""


class Dialer:
    """Makes connections for a pool. `failure`: the last attempt failed, and the next one has to wait."""

    def __init__(
        self, asker: Asker, origin: Origin, timeout: float, clock: Callable[[], float], backoff: Backoff
    ) -> None:
        self.failure: ConnectFailure | None = None
        self.started = 0.0
        """When the last attempt began."""
        self._asker = asker
        self._origin = origin
        self._timeout = timeout
        self._clock = clock
        self._backoff = backoff
        self._not_before = 0.0
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def busy(self) -> bool:
        """Whether an attempt is running."""
        return self._task is not None

    def start(self) -> None:
        """Begin an attempt, now or when the wait is over; does nothing if one is running."""
        if self._task is not None or self._timer is not None:
            return
        wait = self._not_before - self._clock()
        if wait > 0:
            self._wait(wait)
            return
        self.started = self._clock()
        self._not_before = self.started + _SHORTEST
        self._task = asyncio.get_running_loop().create_task(self._attempt())

    def failed(self, failure: ConnectFailure | None) -> None:
        """Delay the next attempt; with a `failure`, requests need not wait for it."""
        self._not_before = max(self._not_before, self._clock() + self._backoff.next())
        if failure is not None:
            self.failure = failure
            self._wait(self._not_before - self._clock())

    def worked(self) -> None:
        """A connection brought an answer: forget the failures."""
        self._backoff.reset()
        self.failure = None

    async def close(self) -> None:
        """Stop trying."""
        self._cancel_timer()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def _wait(self, seconds: float) -> None:
        self._cancel_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._wait_is_over)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait_is_over(self) -> None:
        self._timer = None
        self.failure = None
        self._asker.may_connect()

    async def _attempt(self) -> None:
        link = self._asker.new_link()
        failure: ConnectFailure | None = None
        try:
            await dial(self._origin, link, self._timeout)
        except DialFailed as error:
            failure = error.failure
        except WakelineError as error:  # the caller's ssl_context function
            failure = ConnectFailure("closed", error.detail)
        except Exception as error:
            log.exception("connect_crashed", host=self._origin.host)
            failure = ConnectFailure("closed", f"connecting failed inside the gateway: {error!r}")
        finally:
            self._task = None
        if failure is None:
            self._asker.link_made(link)
        else:
            log.warning("connect_failed", host=self._origin.host, kind=failure.kind, detail=failure.detail)
            self._asker.link_failed(failure)
