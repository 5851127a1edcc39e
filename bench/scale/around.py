"""What a node's loop has around it: the way to a push service, what it is asked to do, connections, the disk, arrivals."""

from __future__ import annotations

import math
import random

import msgspec

from bench import payload
from bench.scale import given
from wakeline.transport.http2_fleet import CALL_SHARE, PoolSettings

NEVER = 1e9
"""Seconds: later than anything that is simulated."""


class Far(msgspec.Struct, frozen=True):
    """The way to a push service: round trip in seconds and its spread; what a connection allows and how they are made.

    `window`: bytes of bodies under way on a connection. What was sent is given back with its answer.
    """

    trip: float = 0.0
    jitter: float = given.JITTER.value
    streams: int = int(given.STREAMS.value)
    most: int = PoolSettings().max_connections
    window: int = int(given.WINDOW.value)
    body: int = len(payload.BODY)
    dial: float = given.DIAL_TRIPS.value
    """Round trips until a new connection takes its first request."""
    trusted: bool = False
    """Whether a connection has all streams before its first request was answered."""


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What the node is asked to do. Costs in CPU seconds a push, rates a second, `seconds` for which singles come.

    `stages`: loop steps that a single passes on its way besides the one that writes it.
    """

    broadcast: int = 0
    broadcast_cost: float = 0.0
    singles: float = 0.0
    calls: float = 0.0
    single_cost: float = 0.0
    seconds: float = 0.0
    stages: int = 8
    connected: int = 0
    """Connections that are up and full of trust when it begins."""


class Link:
    """One connection: how many streams it allows now, how many are in use, how many bodies its window takes."""

    __slots__ = ("allowed", "bodies", "in_flight", "trusted", "up")

    def __init__(self, far: Far, up: float, *, trusted: bool) -> None:
        self.up = up
        self.allowed = far.streams if trusted else int(given.FIRST_STREAMS.value)
        self.bodies = far.window // far.body
        self.trusted = trusted
        self.in_flight = 0

    def room(self, now: float, *, call: bool) -> int:
        """Return how many pushes it takes now; calls may use the streams that are kept for them."""
        if now < self.up:
            return 0
        kept = 0 if call else self.allowed // CALL_SHARE
        return min(self.allowed - kept, self.bodies) - self.in_flight

    @property
    def full(self) -> bool:
        """Whether another connection is wanted: no stream is left, or the window is closed."""
        left = min(self.allowed, self.bodies) - self.in_flight
        return self.trusted and (left <= 0 or self.allowed - self.in_flight <= self.allowed // CALL_SHARE)


class Disk:
    """Group commit: who comes while one runs shares the next."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends = 0.0
        self._next = 0.0
        self.commits = 0

    def join(self, now: float) -> float:
        """Return when what is joined now is on disk."""
        if now >= self._ends:
            if self._next > self._ends and now < self._next:
                self._ends = self._next
            else:
                self.commits += 1
                self._ends = self._next = now + self._seconds
                return self._ends
        if self._next <= self._ends:
            self.commits += 1
            self._next = self._ends + self._seconds
        return self._next


class Arrivals:
    """Singles come by chance (Poisson), calls by the clock."""

    def __init__(self, work: Work, chance: random.Random) -> None:
        self._work = work
        self._random = chance
        self._single = self._after(0.0)
        self._call = 0.5 / work.calls if work.calls else NEVER

    @property
    def next(self) -> float:
        """When the next one comes."""
        return min(self._single, self._call)

    def until(self, now: float) -> list[tuple[float, bool]]:
        """Return those that came, and whether each is a call."""
        found = []
        while self.next <= now:
            if self._call <= self._single:
                found.append((self._call, True))
                self._call = self._kept(self._call + 1 / self._work.calls)
            else:
                found.append((self._single, False))
                self._single = self._after(self._single)
        return found

    def _after(self, at: float) -> float:
        if not self._work.singles:
            return NEVER
        return self._kept(at - math.log(1.0 - self._random.random()) / self._work.singles)

    def _kept(self, at: float) -> float:
        return at if at <= self._work.seconds else NEVER
