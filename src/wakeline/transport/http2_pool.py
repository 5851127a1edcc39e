"""A pool of HTTP/2 connections to one origin with one credential: takes batches, reports what became of each request.

Theory. Batches wait in two lanes, calls and others. A *turn* runs at most once per loop iteration: it sends requests,
calls first, to the connection with the fewest in flight, as far as streams, windows and buffers allow, and writes once
per connection. Turns are short (250 requests, 100 while calls are about), so a call waits for one turn at most; a tenth
of each connection's streams is kept free for calls.

What was surely not processed (REFUSED_STREAM, above the last stream of a GOAWAY) is sent again by the pool, with the
same bytes. Everything else that goes wrong is told to the caller, who knows whether a repetition is harmless.

Connecting. A connection is made when requests wait and none is there, and another when all streams of the others are
in use. Failures, also of connections that end before their first answer, delay the next attempt by `Backoff`. Until it,
`room` is 0 and batches are answered at once with `Lost.CONNECT`: the caller's own queue is the place to wait, and the
one that lets a call fail early. `room(call=True)` stays open for that reason.
"""

from __future__ import annotations

import asyncio
import random as chance
from collections.abc import Callable, Iterable, Sequence

import msgspec
import structlog

from wakeline.transport.backoff import Backoff
from wakeline.transport.http2_connect import Origin, failure_of, read_proxy
from wakeline.transport.http2_dialer import Dialer
from wakeline.transport.http2_lanes import Lane, Waiting
from wakeline.transport.http2_link import Link
from wakeline.wire.http2 import Answer, Answered, ConnectFailure, Connection, Fields, GoAway, Lost, RequestBatch

log = structlog.get_logger()

_START_ROOM = 100
_TICK = 0.25
_CALL_SHARE = 10  # one stream in ten is for calls
_GROW_SECONDS = 1.0  # between a new connection and one more
_GOODBYE_SECONDS = 2.0
_SHUT = Answer(status=0, lost=Lost.NOT_WRITTEN, detail="the gateway is shutting down")


class PoolSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a pool behaves; times in seconds.

    `idle_ping`: a connection on which nothing was read for so long is asked for a sign of life, `silence_ping` the same
    while requests are in flight; without one within `ping_timeout` it is given up.
    `start_streams`: requests that may be sent before the server announced its limits (0: wait for them, which also
    means that a refused client certificate loses nothing). `max_streams`: our own limit per connection.
    `replays`: how often a request that was refused unprocessed is sent again.
    """

    max_connections: int = 4
    idle_ping: float = 300.0
    silence_ping: float = 5.0
    ping_timeout: float = 5.0
    connect_timeout: float = 10.0
    max_turn: int = 250
    max_turn_with_calls: int = 100
    start_streams: int = 0
    max_streams: int = 1000
    replays: int = 5


class PoolStats(msgspec.Struct, frozen=True, kw_only=True):
    """How a pool's connections are. `peer_limit`: the smallest MAX_CONCURRENT_STREAMS announced; None: nobody did."""

    connections: int
    in_flight: int
    queued: int
    peer_limit: int | None
    last_failure: ConnectFailure | None
    last_goaway: GoAway | None


class Pool:
    """Connections to one origin. Needs a running event loop; all of it happens on that loop's thread.

    `wake` is called, at most once per loop iteration, when requests can be taken again.
    `random` returns numbers in [0, 1) for the jitter of reconnects. Raises ConfigError for an unusable `proxy`.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        wake: Callable[[], None],
        settings: PoolSettings | None = None,
        clock: Callable[[], float] | None = None,
        random: Callable[[], float] = chance.random,
    ) -> None:
        read_proxy(origin.proxy)
        self._loop = asyncio.get_running_loop()
        self._origin = origin
        self._settings = settings or PoolSettings()
        self._clock = clock or self._loop.time
        self._wake = wake
        self._links: list[Link] = []
        self._calls = Lane(call=True)
        self._others = Lane(call=False)
        self._dialer = Dialer(self, origin, self._settings.connect_timeout, self._clock, Backoff(random))
        self._turn_scheduled = False
        self._wake_scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._closed = False
        self._empty: asyncio.Future[None] | None = None
        self._last_failure: ConnectFailure | None = None
        self._last_goaway: GoAway | None = None

    # --- for callers -------------------------------------------------------------------------------------------------

    @property
    def stats(self) -> PoolStats:
        """How the connections are."""
        limits = [link.connection.peer_limit for link in self._links if link.connection.peer_limit is not None]
        return PoolStats(
            connections=len(self._links),
            in_flight=self._in_flight(),
            queued=self._calls.size + self._others.size,
            peer_limit=min(limits, default=None),
            last_failure=self._last_failure,
            last_goaway=self._last_goaway,
        )

    def room(self, *, call: bool = False) -> int:
        """Return how many requests may be submitted now; calls may use the reserved tenth of the streams."""
        if self._closing:
            return 0
        usable = self._usable()
        if not usable:
            if self._dialer.failure is not None and not call:
                return 0
            free = _START_ROOM
        else:
            free = sum(self._free(link, call=call) for link in usable)
        return max(0, free - self._calls.size - (0 if call else self._others.size))

    def submit(self, batch: RequestBatch) -> None:
        """Take a whole batch; its `on_answers` is called from the event loop, never from here."""
        if not batch.paths:
            return
        lane = self._calls if batch.call else self._others
        lane.append(Waiting(batch, range(len(batch.paths))))
        self._schedule_turn()
        self._schedule_tick()

    async def request(
        self,
        *,
        stable: Fields,
        path: bytes,
        timeout: float,
        body: bytes = b"",
        literal: Fields = (),
        extra: Fields = (),
        call: bool = False,
    ) -> Answer:
        """Send one request and wait for its answer (also "lost") for `timeout` seconds: for slow paths."""
        answer: asyncio.Future[Answer] = self._loop.create_future()

        def told(_: RequestBatch, __: list[int], others: list[tuple[int, Answer]]) -> None:
            if not answer.done():
                answer.set_result(others[0][1])

        batch = RequestBatch(
            stable=stable,
            paths=(path,),
            body=body,
            literal=literal,
            extra=(extra,) if extra else (),
            call=call,
            keep_bodies=True,
            deadline=self._clock() + timeout,
            on_answers=told,
        )
        self.submit(batch)
        return await answer

    async def close(self, *, drain: float) -> None:
        """Finish what was submitted within `drain` seconds, give up the rest, and close all connections."""
        if self._closing:
            return
        self._closing = True
        if not self._is_empty():
            self._empty = self._loop.create_future()
            await asyncio.wait([self._empty], timeout=drain)
        self._closed = True
        await self._dialer.close()
        self._give_up_waiting(_SHUT)
        links, self._links = self._links, []
        for link in links:
            link.connection.close()
            self._deliver(link.connection.abandon(_SHUT.detail))
            link.close()
        if self._timer is not None:
            self._timer.cancel()
        if links:
            await asyncio.wait([link.gone for link in links], timeout=_GOODBYE_SECONDS)
        for link in links:
            link.abort()

    # --- turns -------------------------------------------------------------------------------------------------------

    def _schedule_turn(self) -> None:
        if not self._turn_scheduled:
            self._turn_scheduled = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """Send what streams, windows and buffers allow, calls first, and write once per connection."""
        self._turn_scheduled = False
        if self._closed:
            self._give_up_waiting(_SHUT)
            return
        calls = bool(self._calls) or any(link.connection.calls_in_flight for link in self._links)
        budget = self._settings.max_turn_with_calls if calls else self._settings.max_turn
        budget -= self._send(self._calls, budget)
        self._send(self._others, budget)
        for link in self._links:
            link.flush()
            self._deliver(link.connection.collect())  # requests that break the server's limits
        self._connect_by_need()
        if any(lane and self._choose(call=lane.call) for lane in (self._calls, self._others)):
            self._schedule_turn()
        self._check_empty()

    def _send(self, lane: Lane, budget: int) -> int:
        """Hand requests of a lane to connections; return how many."""
        sent = 0
        while lane and sent < budget:
            item = lane.first()
            if item.batch.deadline <= self._clock():
                self._give_up_overdue(lane)
                continue
            link = self._choose(call=lane.call)
            if link is None:
                break
            share = min(budget - sent, self._free(link, call=lane.call))
            count = link.connection.send(item.batch, item.indexes[:share], attempt=item.attempt, max_bytes=link.spare)
            if not count:
                break
            lane.sent(count)
            sent += count
        return sent

    def _choose(self, *, call: bool) -> Link | None:
        """Return the connection with the fewest requests in flight that can take one more."""
        able = [link for link in self._links if link.spare and self._free(link, call=call)]
        return min(able, key=_in_flight, default=None)

    def _free(self, link: Link, *, call: bool) -> int:
        """Return how many more requests a connection can take; others than calls leave a tenth of the streams free."""
        capacity = link.connection.capacity
        return capacity if call else max(0, capacity - link.connection.limit // _CALL_SHARE)

    def _usable(self) -> list[Link]:
        return [link for link in self._links if link.connection.usable]

    def _in_flight(self) -> int:
        return sum(link.connection.in_flight for link in self._links)

    # --- results -----------------------------------------------------------------------------------------------------

    def _deliver(self, told: Iterable[Answered]) -> None:
        """Tell callers what became of their requests, and send again what was refused."""
        for part in told:
            if part.refused:
                self._replay(part)
            if part.accepted or part.others:
                self._tell(part.batch, part.accepted, part.others)
            self._schedule_wake()

    def _replay(self, part: Answered) -> None:
        if self._closing or part.attempt >= self._settings.replays:
            detail = f"refused unprocessed {part.attempt + 1} times"
            self._tell_lost(
                part.batch, part.refused, Answer(status=0, lost=Lost.REFUSED, detail=detail + self._reason())
            )
            return
        lane = self._calls if part.batch.call else self._others
        lane.put_first(Waiting(part.batch, part.refused, part.attempt + 1))
        self._schedule_turn()

    def _reason(self) -> str:
        """Return what the last GOAWAY said, to be added to a detail."""
        goaway = self._last_goaway
        return f"; the server had said {goaway}" if goaway is not None else ""

    def _tell_lost(self, batch: RequestBatch, indexes: Sequence[int], answer: Answer) -> None:
        self._tell(batch, [], [(index, answer) for index in indexes])

    def _tell(self, batch: RequestBatch, accepted: list[int], others: list[tuple[int, Answer]]) -> None:
        try:
            batch.on_answers(batch, accepted, others)
        except Exception:  # a caller's defect must not close the connection it shares with others
            log.exception("answers_handler_failed", host=self._origin.host, accepted=len(accepted), others=len(others))

    def _give_up_overdue(self, lane: Lane) -> None:
        answer = Answer(status=0, lost=Lost.NOT_WRITTEN, detail="the deadline passed before it could be sent")
        for item in lane.take(until=self._clock()):
            self._tell_lost(item.batch, item.indexes, answer)

    def _give_up_waiting(self, answer: Answer) -> None:
        for item in [*self._calls.take(), *self._others.take()]:
            self._tell_lost(item.batch, item.indexes, answer)

    def _schedule_wake(self) -> None:
        if not self._wake_scheduled and not self._closing:
            self._wake_scheduled = True
            self._loop.call_soon(self._wake_caller)

    def _wake_caller(self) -> None:
        self._wake_scheduled = False
        if not self.room(call=True):
            return
        try:
            self._wake()
        except Exception:
            log.exception("wake_failed", host=self._origin.host)

    def _check_empty(self) -> None:
        if self._empty is not None and not self._empty.done() and self._is_empty():
            self._empty.set_result(None)

    def _is_empty(self) -> bool:
        return not self._calls and not self._others and not self._in_flight()

    # --- connections -------------------------------------------------------------------------------------------------

    def _connect_by_need(self) -> None:
        """Connect if requests wait and nothing can carry them, or if all streams of all connections are in use."""
        usable = self._usable()
        if not usable:
            if not self._calls and not self._others:
                return
            if self._dialer.failure is not None:
                self._give_up_waiting(self._not_connected(self._dialer.failure))
            else:
                self._dialer.start()
        elif self._may_grow(len(usable)) and all(_is_full(link) for link in usable):
            self._dialer.start()

    def _may_grow(self, usable: int) -> bool:
        recently = self._clock() - self._dialer.started < _GROW_SECONDS
        return usable < self._settings.max_connections and not recently and not self._closing

    def _not_connected(self, failure: ConnectFailure) -> Answer:
        return Answer(status=0, lost=Lost.CONNECT, detail=failure.detail, failure=failure)

    def new_link(self) -> Link:
        """See `Asker`."""
        connection = Connection(
            now=self._clock(), start_streams=self._settings.start_streams, max_streams=self._settings.max_streams
        )
        return Link(self, connection, self._clock)

    def link_made(self, link: Link) -> None:
        """See `Asker`."""
        if link.gone.done():  # it ended between its SETTINGS and this call
            self.link_failed(failure_of(None, self._origin))
            return
        self._links.append(link)
        self._schedule_turn()
        self._schedule_tick()
        self._schedule_wake()

    def link_failed(self, failure: ConnectFailure) -> None:
        """See `Asker`."""
        self._last_failure = failure
        self._dialer.failed(failure)
        self._schedule_turn()

    def may_connect(self) -> None:
        """See `Asker`."""
        self._schedule_turn()
        self._schedule_wake()

    def link_received(self, link: Link, told: list[Answered]) -> None:
        """See `Owner`."""
        connection = link.connection
        if connection.goaway is not None:
            self._last_goaway = connection.goaway
        if told:
            if connection.answers:
                self._dialer.worked()
            self._deliver(told)
        if link not in self._links:
            return
        if self._calls or self._others:
            self._schedule_turn()
        self._schedule_wake()
        if connection.error is not None:
            log.warning("connection_broken", host=self._origin.host, detail=connection.error.detail)
            self._drop(link, connection.error.detail)
            link.close()
        elif not connection.usable and not connection.in_flight:
            self._retire(link)
        self._check_empty()

    def link_writable(self, link: Link) -> None:
        """See `Owner`."""
        del link
        self._schedule_turn()
        self._schedule_wake()

    def link_lost(self, link: Link, error: Exception | None) -> None:
        """See `Owner`."""
        if link not in self._links:
            return
        detail = "the connection was lost" + (f": {error}" if error is not None else "") + self._reason()
        self._drop(link, detail, error)

    def _retire(self, link: Link) -> None:
        """Close a connection that takes no more requests and has none in flight."""
        self._links.remove(link)
        if not link.connection.answers:
            self._dialer.failed(None)
        link.connection.close()
        link.close()
        self._schedule_turn()

    def _drop(self, link: Link, detail: str, error: Exception | None = None) -> None:
        """Forget a connection and give up what is in flight on it."""
        self._links.remove(link)
        failure = None
        if not link.connection.answers and link.connection.in_flight:
            if link.connection.goaway is None:
                failure = self._last_failure = failure_of(error, self._origin)
            self._dialer.failed(failure)
        self._deliver(link.connection.abandon(detail, failure))
        self._schedule_turn()
        self._schedule_wake()

    # --- time --------------------------------------------------------------------------------------------------------

    def _schedule_tick(self) -> None:
        """Look at deadlines every 250 ms while there are any, else only at pings."""
        busy = bool(self._calls or self._others or self._in_flight())
        wait = _TICK if busy else self._settings.ping_timeout
        if self._timer is not None:
            if self._timer.when() <= self._loop.time() + wait:
                return
            self._timer.cancel()
        self._timer = self._loop.call_later(wait, self._tick)

    def _tick(self) -> None:
        self._timer = None
        now = self._clock()
        for lane in (self._calls, self._others):
            self._give_up_overdue(lane)
        for link in list(self._links):
            self._deliver(link.connection.expire(now))
            self._look_after(link, now)
            link.flush()
        if self._links or self._calls or self._others:
            self._schedule_tick()
        self._check_empty()

    def _look_after(self, link: Link, now: float) -> None:
        """Ask a silent connection for a sign of life, and give up one that gives none."""
        connection, settings = link.connection, self._settings
        silent = now - connection.last_received
        if connection.ping_sent is None:
            if silent >= (settings.silence_ping if connection.in_flight else settings.idle_ping):
                connection.ping(now)
        elif min(silent, now - connection.ping_sent) >= settings.ping_timeout:
            self._drop(link, f"the server gave no sign of life for {silent:.0f} s")
            link.abort()
        if not connection.usable and not connection.in_flight and link in self._links:
            self._retire(link)


def _in_flight(link: Link) -> int:
    return link.connection.in_flight


def _is_full(link: Link) -> bool:
    """Whether a connection that has proved to work has no stream left. A limit of 1 is a server that does not trust us yet."""
    connection = link.connection
    share = connection.limit // _CALL_SHARE
    return connection.limit > 1 and connection.answers > 0 and connection.limit - connection.in_flight <= share
