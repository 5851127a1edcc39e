"""Posting events to the URLs that applications have bound: in the background, bounded, and once.

Bitrix24 never repeats an event (its documentation, "Events"): whoever must not miss one reads the queue of offline events. So
nothing here is durable, and a failure is a line in the log and a count. What it does promise is that no handler harms another:
one URL has few requests under way and few events waiting, and one that is slow or fails rests a while before its next event.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Coroutine

import msgspec
import structlog

from wakeline import ports
from wakeline.model.errors import TransportError
from wakeline.observe.metrics import Metrics

TIMEOUT = 10.0
"""Seconds an answer may take."""
SLOW = 3.0
"""An answer that took so many seconds makes the handler rest, as a failure does."""
SHORTEST_REST, LONGEST_REST = 1.0, 60.0
"""Seconds a handler rests: doubled each time until it is quick again."""
AT_ONCE = 24
"""Requests under way in all: fewer than the connections of one client."""
AT_ONCE_EACH = 4
MOST = 10_000
MOST_EACH = 2_000
"""Events that wait, in all and for one URL; what is beyond is dropped and counted."""
MOST_BYTES = 64 * 1024 * 1024
"""Bytes of events that wait in all: ONAPPTEST brings whatever a caller sends."""
REMEMBERED = 1_024
"""Requests of callers whose events are remembered, so that an event that comes twice in one is posted once."""

_FORM = {"content-type": "application/x-www-form-urlencoded", "user-agent": "Wakeline"}

_log = structlog.get_logger()


class Posting(msgspec.Struct, frozen=True, kw_only=True):
    """One event for one handler (its id). The URL and the body bear secrets: neither is ever logged."""

    handler: int
    event: str
    url: str
    body: bytes

    def __repr__(self) -> str:
        """Leave URL and body out: a repr ends in logs and tracebacks."""
        return f"Posting(handler={self.handler}, event={self.event!r})"


class _Line(msgspec.Struct, kw_only=True):
    """What waits for one URL; `rest` in seconds."""

    waiting: deque[Posting] = msgspec.field(default_factory=deque)
    senders: int = 0
    rest: float = 0.0


class EventDeliveries:
    """Posts events behind the outbound guard. `close` ends it; one that was never used has nothing to close."""

    def __init__(self, http: ports.HttpClient, clock: ports.Clock, metrics: Metrics) -> None:
        self._http = http
        self._clock = clock
        self._metrics = metrics
        self._lines: dict[str, _Line] = {}
        self._waiting = 0
        self._bytes = 0
        self._room = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._rung: set[int] = set()
        self._ringing: set[int] = set()
        self._seen: OrderedDict[int, tuple[object, set[bytes]]] = OrderedDict()

    def post_by(self, http: ports.HttpClient) -> None:
        """Post what comes now by this client; what is on its way goes on."""
        self._http = http

    def is_new(self, hit: object, key: bytes) -> bool:
        """Tell whether this was not seen yet in this request (`hit`, an object that lives as long), and remember it."""
        if hit is None:
            return True
        # The object is kept as well, so that its identity is not given to another one meanwhile.
        _, seen = self._seen.setdefault(id(hit), (hit, set()))
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        is_new = key not in seen
        seen.add(key)
        return is_new

    def post(self, posting: Posting) -> None:
        """Take an event to be posted soon; it is dropped if too many wait."""
        if self.is_full(posting.url) or self._bytes + len(posting.body) > MOST_BYTES:
            self.drop(posting.handler, posting.event)
            return
        line = self._lines.setdefault(posting.url, _Line())
        line.waiting.append(posting)
        self._waiting += 1
        self._bytes += len(posting.body)
        if line.senders < (1 if line.rest else AT_ONCE_EACH):
            line.senders += 1
            self._start(self._send(posting.url, line))

    def is_full(self, url: str) -> bool:
        """Tell whether an event for this URL would be dropped: nobody needs to make a token for it."""
        line = self._lines.get(url)
        return self._waiting >= MOST or (line is not None and len(line.waiting) >= MOST_EACH)

    def drop(self, handler: int, event: str) -> None:
        """Count and tell an event for which there is no room."""
        self._tell(handler, event, "dropped", f"{self._waiting} events wait for handlers")

    def ring(self, handler: int, pause: float, call: Callable[[], Awaitable[None]]) -> None:
        """Have `call` made soon, at most once in `pause` seconds for this handler; what comes meanwhile is one more call."""
        self._rung.add(handler)
        if handler not in self._ringing:
            self._ringing.add(handler)
            self._start(self._rings(handler, pause, call))

    async def close(self, patience: float = 5.0) -> None:
        """Give what is under way so many seconds, then end all."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def idle(self) -> None:
        """Wait until nothing waits and nothing is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _rings(self, handler: int, pause: float, call: Callable[[], Awaitable[None]]) -> None:
        try:
            while handler in self._rung:
                self._rung.discard(handler)
                await call()
                await self._clock.sleep(pause)
        finally:
            self._ringing.discard(handler)

    async def _send(self, url: str, line: _Line) -> None:
        """Post what waits for a URL, until nothing does or one sender is enough."""
        try:
            while line.waiting and not (line.rest and line.senders > 1):
                posting = line.waiting.popleft()
                self._waiting -= 1
                self._bytes -= len(posting.body)
                async with self._room:
                    is_quick = await self._post(posting)
                line.rest = 0.0 if is_quick else min(LONGEST_REST, max(SHORTEST_REST, 2 * line.rest))
                if line.rest:
                    await self._clock.sleep(line.rest)
        finally:
            line.senders -= 1
            if not line.senders and not line.waiting:
                self._lines.pop(url, None)

    async def _post(self, posting: Posting) -> bool:
        """Post one event; tell whether the handler answered well and quickly."""
        began = self._clock.monotonic()
        try:
            answer = await self._http.post(posting.url, posting.body, _FORM, timeout=TIMEOUT)
        except TransportError as error:
            self._tell(posting.handler, posting.event, "failed", error.detail)
            return False
        seconds = self._clock.monotonic() - began
        if not 200 <= answer.status < 300:
            self._tell(posting.handler, posting.event, "failed", f"answered {answer.status}")
            return False
        self._metrics.portal_event("delivered")
        return seconds < SLOW

    def _tell(self, handler: int, event: str, outcome: str, cause: str) -> None:
        self._metrics.portal_event(outcome)
        _log.warning(f"bitrix24.event_{outcome}", event_name=event, handler=handler, cause=cause)
