"""A pool of HTTP/2 connections to one origin with one credential: takes batches, reports what became of each request.

Theory. Batches wait in two lanes, calls and others. A *turn* runs at most once per loop iteration: it sends requests,
calls first, to the connection with the fewest in flight, as far as streams, windows and buffers allow, and writes once
per connection. Turns are short (250 requests, 100 while calls are about), so a call waits for one turn at most; a tenth
of each connection's streams is kept free for calls.

What was surely not processed (REFUSED_STREAM, above the last stream of a GOAWAY) is sent again by the pool, with the
same bytes. A call that stays unanswered is sent once more beside (`http2_hedge`). Everything else that goes wrong is told to
the caller, who knows whether a repetition is harmless.

While connecting fails, `room` is 0 between the attempts and batches are answered at once with `Lost.CONNECT`: the
caller's own queue is the place to wait, and the one that lets a call fail early. `room(call=True)` stays open for that.
"""

from __future__ import annotations

import asyncio
import random as chance
from collections.abc import Callable, Sequence

import msgspec
import structlog

from wakeline.transport.http2_connect import Origin, read_proxy
from wakeline.transport.http2_fleet import Fleet, PoolSettings, never
from wakeline.transport.http2_hedge import Hedges, hedge_of
from wakeline.transport.http2_lanes import Lane, Waiting
from wakeline.transport.http2_link import Link
from wakeline.wire.http2 import Answer, Answered, ConnectFailure, Fields, GoAway, Lost, RequestBatch

__all__ = ["Origin", "Pool", "PoolSettings", "PoolStats"]

log = structlog.get_logger()

_START_ROOM = 100
_TICK = 0.25
_SHUT = Answer(status=0, lost=Lost.NOT_WRITTEN, detail="the gateway is shutting down")
_LATE = Answer(status=0, lost=Lost.NOT_WRITTEN, detail="the deadline passed before it could be sent")


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
    `random` returns numbers in [0, 1) for the jitter of reconnects. `farewell` tells whether an answer says that the server is
    going: its connection then finishes what it has. Raises ConfigError for an unusable `proxy`.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        wake: Callable[[], None],
        settings: PoolSettings | None = None,
        clock: Callable[[], float] | None = None,
        random: Callable[[], float] = chance.random,
        farewell: Callable[[Answer], bool] = never,
    ) -> None:
        read_proxy(origin.proxy)
        self._loop = asyncio.get_running_loop()
        self._origin = origin
        self._settings = settings or PoolSettings()
        self._clock = clock or self._loop.time
        self._wake = wake
        self._fleet = Fleet(self, origin, self._settings, self._clock, random, farewell)
        self._calls = Lane(call=True)
        self._others = Lane(call=False)
        self._copies = Lane(call=True)
        self._hedges = Hedges(self._clock, self._send_copies, self._fleet.connect_aside)
        self._turn_scheduled = False
        self._wake_scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._closed = False
        self._empty: asyncio.Future[None] | None = None

    # --- for callers -------------------------------------------------------------------------------------------------

    @property
    def stats(self) -> PoolStats:
        """How the connections are."""
        fleet = self._fleet
        return PoolStats(
            connections=len(fleet.links),
            in_flight=fleet.in_flight,
            queued=self._copies.size + self._calls.size + self._others.size,
            peer_limit=fleet.peer_limit,
            last_failure=fleet.last_failure,
            last_goaway=fleet.last_goaway,
        )

    def room(self, *, call: bool = False) -> int:
        """Return how many requests may be submitted now; calls may use the reserved tenth of the streams."""
        if self._closing:
            return 0
        usable = self._fleet.usable()
        if usable:
            free = sum(self._fleet.free(link, call=call) for link in usable)
        else:
            free = 0 if self._fleet.failure is not None and not call else _START_ROOM
        return max(0, free - self._calls.size - (0 if call else self._others.size))

    def submit(self, batch: RequestBatch) -> None:
        """Take a whole batch; its `on_answers` is called from the event loop, never from here."""
        if not batch.paths:
            return
        if batch.call:
            batch = self._hedges.watch(batch)
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

        def told(_: RequestBatch, __: Sequence[int], others: list[tuple[int, Answer]]) -> None:
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
        await self._fleet.stop_connecting()
        self._give_up_waiting(_SHUT)
        await self._fleet.close(_SHUT.detail)
        if self._timer is not None:
            self._timer.cancel()

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
        fleet = self._fleet
        calls = bool(self._calls) or fleet.calls_in_flight
        budget = self._settings.max_turn_with_calls if calls else self._settings.max_turn
        for lane in (self._copies, self._calls, self._others):
            budget -= self._send(lane, budget)
        fleet.flush()
        for link in fleet.links:
            self.deliver(link.connection.collect())  # requests that break the server's limits
        if fleet.failure is not None and not fleet.usable():
            self._give_up_waiting(_not_connected(fleet.failure))
        fleet.connect_by_need(waiting=self._waiting)
        if self._copies and self._choose(self._copies) is None:
            fleet.connect_aside()
        if any(lane and self._choose(lane) for lane in (self._copies, self._calls, self._others)):
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
            if lane.call:
                lane.narrow(hedge_of(item.batch).still(item.indexes))
                if not item.indexes:
                    continue
            link = self._choose(lane)
            if link is None:
                if self._fleet.flush():
                    continue  # what was written made room in a buffer
                break
            share = min(budget - sent, self._fleet.free(link, call=lane.call))
            count = link.connection.send(item.batch, item.indexes[:share], attempt=item.attempt, max_bytes=link.spare)
            if not count:
                break
            if lane.call:
                hedge_of(item.batch).sent(item.indexes[:count], link, self._clock())
            lane.sent(count)
            sent += count
        return sent

    def _choose(self, lane: Lane) -> Link | None:
        """Return the connection for what is first in a lane: a copy goes where its original did not go."""
        if lane is not self._copies:
            return self._fleet.choose(call=lane.call)
        item = lane.first()
        carried, written = hedge_of(item.batch).carriers(item.indexes)
        return self._fleet.choose_other(carried, written)

    def _send_copies(self, batch: RequestBatch, positions: list[int]) -> None:
        """Send calls that are not answered once more, on another connection; a new one if no other has spoken since."""
        self._copies.append(Waiting(batch, positions))
        log.info("call_sent_again", host=self._origin.host, calls=len(positions))
        self._schedule_turn()

    # --- results -----------------------------------------------------------------------------------------------------

    def deliver(self, told: list[Answered]) -> None:
        """See `Desk`: tell callers what became of their requests, and send again what was refused."""
        for part in told:
            if part.refused:
                self._replay(part)
            if part.accepted or part.others:
                self._tell(part.batch, part.accepted, part.others)
        if told:
            self._schedule_wake()
            self._check_empty()

    def stir(self) -> None:
        """See `Desk`."""
        if self._waiting:
            self._schedule_turn()
        self._schedule_wake()
        self._schedule_tick()

    def _replay(self, part: Answered) -> None:
        if self._closing or part.attempt >= self._settings.replays:
            detail = f"refused unprocessed {part.attempt + 1} times"
            if self._fleet.last_goaway is not None:
                detail += f"; the server had said {self._fleet.last_goaway}"
            self._tell_lost(part.batch, part.refused, Answer(status=0, lost=Lost.REFUSED, detail=detail))
            return
        lane = self._calls if part.batch.call else self._others
        lane.put_first(Waiting(part.batch, part.refused, part.attempt + 1))
        self._schedule_turn()

    def _tell_lost(self, batch: RequestBatch, indexes: Sequence[int], answer: Answer) -> None:
        self._tell(batch, [], [(index, answer) for index in indexes])

    def _tell(self, batch: RequestBatch, accepted: Sequence[int], others: list[tuple[int, Answer]]) -> None:
        try:
            batch.on_answers(batch, accepted, others)
        except Exception:  # a caller's defect must not close the connection it shares with others
            log.exception("answers_handler_failed", host=self._origin.host, accepted=len(accepted), others=len(others))

    def _give_up_overdue(self, lane: Lane) -> None:
        for item in lane.take(until=self._clock()):
            self._tell_lost(item.batch, item.indexes, _LATE)

    def _give_up_waiting(self, answer: Answer) -> None:
        for item in [*self._copies.take(), *self._calls.take(), *self._others.take()]:
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
        return not self._waiting and not self._fleet.in_flight

    @property
    def _waiting(self) -> bool:
        return bool(self._copies or self._calls or self._others)

    # --- time --------------------------------------------------------------------------------------------------------

    def _schedule_tick(self) -> None:
        """Look at deadlines every 250 ms while there are any, else only at pings."""
        busy = not self._is_empty()
        wait = _TICK if busy else self._settings.ping_timeout
        if self._timer is not None:
            if self._timer.when() <= self._loop.time() + wait:
                return
            self._timer.cancel()
        self._timer = self._loop.call_later(wait, self._tick)

    def _tick(self) -> None:
        self._timer = None
        for lane in (self._copies, self._calls, self._others):
            self._give_up_overdue(lane)
        self._fleet.tick(self._clock())
        if self._fleet.links or self._waiting:
            self._schedule_tick()
        self._check_empty()


def _not_connected(failure: ConnectFailure) -> Answer:
    return Answer(status=0, lost=Lost.CONNECT, detail=failure.detail, failure=failure)
