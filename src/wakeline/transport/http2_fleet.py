"""The connections of a pool: when to make one, which one to use, when to give one up.

A connection is made when requests wait and none is there, and another when all streams of the others are in use.
Failures, also of connections that end before their first answer, delay the next attempt (`Dialer`). A connection that
takes no more requests (GOAWAY, a goodbye in an answer, ids used up) finishes what it has and is closed; silent ones are
asked for a sign of life.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Protocol

import msgspec
import structlog

from wakeline.transport.backoff import Backoff
from wakeline.transport.http2_connect import Origin, failure_of
from wakeline.transport.http2_dialer import Dialer
from wakeline.transport.http2_hedge import PATIENCE
from wakeline.transport.http2_link import Link
from wakeline.wire.http2 import Answer, Answered, ConnectFailure, Connection, GoAway

log = structlog.get_logger()

CALL_SHARE = 10  # one stream in ten is for calls
GROW_SECONDS = 0.4
"""Between a new connection and one more: a few round trips, after which the last one has shown that it is not enough."""
_GOODBYE_SECONDS = 2.0
_ASIDE_SECONDS = 5.0  # between two connections made beside silent ones


class PoolSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a pool behaves; times in seconds.

    `idle_ping`: a connection on which nothing was read for so long is asked for a sign of life, `silence_ping` the same
    while requests are in flight; without one within `ping_timeout` it is given up. One that answers pings and for as long as
    `silence_ping` no request gets no more of them once the first is overdue.
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


def never(_: Answer) -> bool:
    """Take no answer for a goodbye: this server says it with a GOAWAY alone."""
    return False


class Desk(Protocol):
    """The pool, as its connections see it."""

    def deliver(self, told: list[Answered]) -> None:
        """Requests were answered, lost or refused."""

    def stir(self) -> None:
        """Something changed: there may be room, or none any more."""


class Fleet:
    """Makes, chooses and ends connections to one origin."""

    def __init__(
        self,
        desk: Desk,
        origin: Origin,
        settings: PoolSettings,
        clock: Callable[[], float],
        random: Callable[[], float],
        farewell: Callable[[Answer], bool] = never,
    ) -> None:
        self.links: list[Link] = []
        self.last_failure: ConnectFailure | None = None
        self.last_goaway: GoAway | None = None
        self._desk = desk
        self._origin = origin
        self._settings = settings
        self._clock = clock
        self._farewell = farewell
        self._dialer = Dialer(self, origin, settings.connect_timeout, clock, Backoff(random))
        self._aside_at = float("-inf")
        self._closing = False

    # --- what there is -----------------------------------------------------------------------------------------------

    @property
    def failure(self) -> ConnectFailure | None:
        """Why there is no connection, while the next attempt has to wait."""
        return self._dialer.failure

    @property
    def in_flight(self) -> int:
        """How many requests have no answer yet."""
        return sum(link.connection.in_flight for link in self.links)

    @property
    def calls_in_flight(self) -> bool:
        """Whether a call is among them."""
        return any(link.connection.calls_in_flight for link in self.links)

    @property
    def peer_limit(self) -> int | None:
        """The smallest MAX_CONCURRENT_STREAMS announced; None: nobody did."""
        limits = [link.connection.peer_limit for link in self.links]
        return min((limit for limit in limits if limit is not None), default=None)

    def usable(self) -> list[Link]:
        """Return the connections that take requests, now or once others are answered."""
        return [link for link in self.links if link.connection.usable]

    def free(self, link: Link, *, call: bool) -> int:
        """Return how many more requests a connection can take; others than calls leave a tenth of the streams free."""
        capacity = link.connection.capacity
        return capacity if call else max(0, capacity - link.connection.limit // CALL_SHARE)

    def choose(self, *, call: bool) -> Link | None:
        """Return the connection with the fewest requests in flight that can take one more; for calls one that is not silent."""
        able = [link for link in self.links if link.spare and self.free(link, call=call)]
        if call and len(able) > 1:
            heard = self._clock() - PATIENCE
            able = [
                link for link in able if not link.connection.in_flight or link.connection.last_received > heard
            ] or able
        return min(able, key=_in_flight, default=None)

    def choose_other(self, avoid: Collection[Link], since: float) -> Link | None:
        """Return a connection for a call that went unanswered on others: one that has spoken `since`."""
        able = [link for link in self.links if link not in avoid and link.connection.last_received > since]
        return min((link for link in able if link.spare and self.free(link, call=True)), key=_in_flight, default=None)

    def flush(self) -> bool:
        """Write everything that waits to be written; return whether there were requests among it."""
        written = False
        for link in self.links:
            written = written or link.connection.unwritten > 0
            link.flush()
        return written

    # --- making ------------------------------------------------------------------------------------------------------

    def connect_by_need(self, *, waiting: bool) -> None:
        """Connect if requests wait and nothing can carry them, or if no connection takes more."""
        usable = self.usable()
        if not usable:
            if waiting:
                self._dialer.start()
        elif self._may_grow(len(usable)) and all(_is_full(link) for link in usable):
            self._dialer.start()

    def connect_aside(self) -> None:
        """Connect for a call that the present connections leave unanswered: one more than usual, and not in a row."""
        now, usable = self._clock(), len(self.usable())
        if self._closing or self._dialer.busy or not 0 < usable <= self._settings.max_connections:
            return
        if now - self._aside_at < _ASIDE_SECONDS:
            return
        self._dialer.start()
        if self._dialer.busy:  # else it has to wait, and this is asked again
            self._aside_at = now

    def _may_grow(self, usable: int) -> bool:
        recently = self._clock() - self._dialer.started < GROW_SECONDS
        return usable < self._settings.max_connections and not recently and not self._closing

    def new_link(self) -> Link:
        """See `Asker`."""
        settings = self._settings
        connection = Connection(
            now=self._clock(), start_streams=settings.start_streams, max_streams=settings.max_streams
        )
        return Link(self, connection, self._clock)

    def link_made(self, link: Link) -> None:
        """See `Asker`."""
        if link.gone.done():  # it ended between its SETTINGS and this call
            self.link_failed(failure_of(None, self._origin))
            return
        self.links.append(link)
        self._desk.stir()

    def link_failed(self, failure: ConnectFailure) -> None:
        """See `Asker`."""
        self.last_failure = failure
        self._dialer.failed(failure)
        self._desk.stir()

    def may_connect(self) -> None:
        """See `Asker`."""
        self._desk.stir()

    # --- using -------------------------------------------------------------------------------------------------------

    def link_received(self, link: Link, told: list[Answered]) -> None:
        """See `Owner`."""
        connection = link.connection
        if connection.goaway is not None:
            self.last_goaway = connection.goaway
        if told and connection.answers:
            self._dialer.worked()
        if any(part.others and self._is_farewell(part) for part in told):
            connection.leaving = True
        self._desk.deliver(told)
        if link not in self.links:  # it is not connected yet, or was given up
            return
        if connection.error is not None:
            log.warning("connection_broken", host=self._origin.host, detail=connection.error.detail)
            self._drop(link, connection.error.detail)
            link.close()
        else:
            self._retire_if_done(link)
        self._desk.stir()

    def _is_farewell(self, part: Answered) -> bool:
        return any(answer.status and self._farewell(answer) for _, answer in part.others)

    def link_writable(self, link: Link) -> None:
        """See `Owner`."""
        del link
        self._desk.stir()

    def tick(self, now: float) -> None:
        """Give up overdue requests and dead connections."""
        for link in list(self.links):
            self._expire(link, now)
            self._look_after(link, now)
            self._retire_if_done(link)
            link.flush()

    def _expire(self, link: Link, now: float) -> None:
        """Give up overdue requests; a connection that has answered none for long gets no more, though it answers pings."""
        connection = link.connection
        late = connection.expire(now)
        if late and connection.usable and now - connection.last_answered >= self._settings.silence_ping:
            log.warning(
                "connection_answers_nothing", host=self._origin.host, seconds=round(now - connection.last_answered)
            )
            connection.leaving = True
        self._desk.deliver(late)

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

    # --- ending ------------------------------------------------------------------------------------------------------

    def link_lost(self, link: Link, error: Exception | None) -> None:
        """See `Owner`."""
        if link not in self.links:
            return
        goaway = link.connection.goaway
        detail = "the connection was lost" + (f": {error}" if error is not None else "")
        self._drop(link, f"{detail}; the server had said {goaway}" if goaway is not None else detail, error)

    def _drop(self, link: Link, detail: str, error: Exception | None = None) -> None:
        """Forget a connection and give up what is in flight on it."""
        self.links.remove(link)
        failure = None
        if not link.connection.answers and link.connection.in_flight:
            if link.connection.goaway is None:
                failure = self.last_failure = failure_of(error, self._origin)
            self._dialer.failed(failure)
        self._desk.deliver(link.connection.abandon(detail, failure))
        self._desk.stir()

    def _retire_if_done(self, link: Link) -> None:
        """Close a connection that takes no more requests and has none in flight."""
        connection = link.connection
        if connection.usable or connection.in_flight or link not in self.links:
            return
        self.links.remove(link)
        if not connection.answers:
            self._dialer.failed(None)
        connection.close()
        link.close()

    async def stop_connecting(self) -> None:
        """Make no more connections."""
        self._closing = True
        await self._dialer.close()

    async def close(self, detail: str) -> None:
        """Give up what is in flight and close all connections with a GOAWAY."""
        links, self.links = self.links, []
        for link in links:
            link.connection.close()
            self._desk.deliver(link.connection.abandon(detail))
            link.close()
        if links:
            await asyncio.wait([link.gone for link in links], timeout=_GOODBYE_SECONDS)
        for link in links:
            link.abort()


def _in_flight(link: Link) -> int:
    return link.connection.in_flight


def _is_full(link: Link) -> bool:
    """Whether a connection that has proved to work takes no more: no stream is left, or its window is closed.

    A limit of 1 is a server that does not trust us yet.
    """
    connection = link.connection
    return connection.limit > 1 and connection.answers > 0 and connection.capacity <= connection.limit // CALL_SHARE
