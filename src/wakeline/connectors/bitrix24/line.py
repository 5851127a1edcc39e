"""The line to one portal: requests take their turn, go out one by one at most four at a time, and come back as answers.

What failed on the way is an error that says when to try again. A 503 is waited for here, with everybody else who asks this portal;
a method that is blocked for its running time (429) is not asked again before the time that the portal named.
A portal that does not answer is asked one thing at a time until it does: all portals share the connections that there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

import msgspec

from wakeline.connectors.bitrix24.bucket import Bucket
from wakeline.model.errors import AddressRefused, ConnectFailed, PortalUnreachable, TimedOut, TransportError
from wakeline.ports import Clock, HttpAnswer, HttpClient
from wakeline.wire.bitrix24.answer import Answered, Refusal, read

TIMEOUT = 65.0
"""Seconds for an answer: a portal works on a request for 60 at most."""

_AT_ONCE = 4
_TRIES = 4
_JSON = {"content-type": "application/json", "accept": "application/json", "user-agent": "Wakeline"}
_BLOCKED = 429
_USUAL_BLOCK = 60.0
_LONGEST_BLOCK = 900.0
_LONGEST_WAIT = 300.0


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One request. `work` names what a 429 blocks. `once`: what broke is not tried again; `bulk`: nobody waits for it."""

    url: str
    body: bytes
    work: Hashable
    once: bool = False
    bulk: bool = False

    def __repr__(self) -> str:
        """Leave out the request: it bears tokens."""
        return f"Ask(work={self.work!r})"


class Line:
    """Everybody's line to one portal."""

    def __init__(self, http: HttpClient, clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self._bucket = Bucket()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._single = asyncio.Lock()
        self._hangs = False
        self._failures = 0
        self._blocked: dict[Hashable, int] = {}

    async def ask(self, ask: Ask) -> Answered:
        """Return what the portal answers, a 503 only if it still said so after some waiting. Raises PortalUnreachable."""
        self._check_block(ask.work)
        for _ in range(_TRIES):
            answer = await self._in_turn(ask)
            answered = read(answer.status, answer.headers, answer.body)
            if not isinstance(answered, Refusal) or not answered.busy:
                self._bucket.served(self._clock.monotonic())
                broken = isinstance(answered, Refusal) and (answered.failed or answered.foreign)
                self._failures = self._failures + 1 if broken else 0
                return answered
            if answered.status == _BLOCKED:
                self._block(ask.work, answered)
                return answered
            self._bucket.refused(self._clock.monotonic())
        return answered

    def retry_after(self) -> float:
        """Return in how many seconds it is worth trying again: longer with each failure, up to five minutes."""
        growing = min(2.0 ** min(self._failures, 10), _LONGEST_WAIT)
        return max(growing, self._bucket.resting(self._clock.monotonic()))

    def free_in(self, work: Hashable) -> float:
        """Return for how many seconds a method is blocked."""
        return max(0.0, (self._blocked.get(work, 0) - self._clock.now()) / 1000)

    async def _in_turn(self, ask: Ask) -> HttpAnswer:
        wait = self._bucket.take(self._clock.monotonic(), bulk=ask.bulk)
        while wait > 0:
            await self._clock.sleep(wait)
            wait = self._bucket.resting(self._clock.monotonic())
        async with self._slots:
            if not self._hangs:
                return await self._posted(ask)
            async with self._single:
                return await self._posted(ask)

    async def _posted(self, ask: Ask) -> HttpAnswer:
        answer = await self._answer(ask)
        self._hangs = False
        return answer

    async def _answer(self, ask: Ask) -> HttpAnswer:
        try:
            return await self._http.post(ask.url, ask.body, _JSON, timeout=TIMEOUT)
        except (ConnectFailed, AddressRefused, TimedOut) as error:
            raise self._failed(error) from None
        except TransportError as error:
            # A portal may hang up on an idle connection just when it is used again.
            if ask.once:
                raise self._failed(error) from None
        try:
            return await self._http.post(ask.url, ask.body, _JSON, timeout=TIMEOUT)
        except TransportError as error:
            raise self._failed(error) from None

    def _failed(self, error: TransportError) -> PortalUnreachable:
        self._failures += 1
        self._hangs = self._hangs or isinstance(error, TimedOut)
        doubtful = not isinstance(error, ConnectFailed | AddressRefused)
        return PortalUnreachable(error.detail, retry_after=self.retry_after(), doubtful=doubtful, fix=error.fix)

    def _check_block(self, work: Hashable) -> None:
        if left := self.free_in(work):
            raise PortalUnreachable("The portal has blocked this method for its running time", retry_after=left)
        self._blocked.pop(work, None)

    def _block(self, work: Hashable, refusal: Refusal) -> None:
        now = self._clock.now()
        until = refusal.resets if refusal.resets > now else now + int(1000 * _USUAL_BLOCK)
        self._blocked[work] = min(until, now + int(1000 * _LONGEST_BLOCK))
