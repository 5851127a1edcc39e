"""One node, loop step by loop step: a broadcast, single pushes and calls on one core, some connections and one disk.

The loop is the machine that everything waits for. A step reads the answers that have come, takes the singles that are at
their next stage, hands over a turn of the broadcast (250; 100 while calls are about) as far as streams are free, and takes
the CPU time of all that; what it wrote is answered a round trip later. Commits run beside the loop, one at a time, and who
comes meanwhile shares the next one. A connection is added when all are full, once in a while, as the pool does it.

CPU time is what was measured; what a step costs beyond its pushes is in it. Left out: retries, losses, stream errors.
"""

from __future__ import annotations

import heapq
import random
from collections import deque

import msgspec

from bench.scale import given
from bench.scale.around import NEVER, Arrivals, Disk, Far, Link, Work
from wakeline.pipeline.feed import CALLS_ABOUT, TURN, TURN_BESIDE_CALLS
from wakeline.pipeline.story import FLUSH_AFTER
from wakeline.transport.http2_fleet import GROW_SECONDS

PIECE = 50
"""Pushes that share one round trip's length: a frame or two of a connection."""

_READS = 0.3
"""Part of a push's CPU time that its answer takes; the rest is before it leaves."""

_IDLE_STEP = 0.00005


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it: `drained` is when the last result of the broadcast was on disk. Times in seconds."""

    drained: float
    ended: float
    busy: float
    """CPU seconds of the loop."""
    sent: int
    commits: int
    connections: int
    calls: list[float]
    """From arrival to written, for each call."""
    singles: list[float]


class _Single:
    """A push of its own on its way."""

    __slots__ = ("arrived", "call", "left")

    def __init__(self, arrived: float, *, call: bool, left: int) -> None:
        self.arrived = arrived
        self.call = call
        self.left = left


class Node:
    """Runs one piece of work; `commit`: seconds that the disk takes."""

    def __init__(self, far: Far, work: Work, *, commit: float = given.FSYNC.value / 1000, seed: int = 1) -> None:
        self._far = far
        self._work = work
        self._random = random.Random(seed)  # noqa: S311 - a simulation, and it must repeat
        self._disk = Disk(commit)
        self._now = 0.0
        self._busy = 0.0
        self._sent = 0
        self._left = work.broadcast
        self._walked = 3 * commit if work.broadcast else 0.0  # accepted, then the first step of the walk
        self._unanswered = work.broadcast
        self._flight: list[tuple[float, int, Link, int, bool]] = []
        self._links = [Link(far, 0.0, trusted=True) for _ in range(work.connected)]
        self._dialed = -NEVER
        self._unflushed = 0
        self._flush_at = NEVER
        self._drained = 0.0
        self._called = 0.0 if work.calls else -NEVER
        # A source of its own: the same pushes come, whatever becomes of them.
        self._arrivals = Arrivals(work, random.Random(-seed))  # noqa: S311 - as above
        self._stages: list[_Single] = []
        self._committing: deque[tuple[float, list[_Single]]] = deque()
        self._written: list[_Single] = []
        self._latencies: dict[bool, list[float]] = {True: [], False: []}
        self._order = 0

    def run(self) -> Done:
        """Work until all is sent, answered and on disk."""
        while self._step():
            pass
        return Done(
            drained=self._drained,
            ended=self._now,
            busy=self._busy,
            sent=self._sent,
            commits=self._disk.commits,
            connections=len(self._links),
            calls=self._latencies[True],
            singles=self._latencies[False],
        )

    # --- a step of the loop

    def _step(self) -> bool:
        cpu = self._answers() + self._singles()
        cpu += self._turn()
        self._dial()
        if not cpu and all(single.left < 0 for single in self._stages):
            return self._wait()
        self._now += max(cpu, _IDLE_STEP)
        self._busy += cpu
        self._leave()
        if self._unflushed and self._now >= self._flush_at:
            self._flush()
        return True

    def _wait(self) -> bool:
        """Nothing to do now: go to whatever comes next; False: nothing will."""
        coming = [self._arrivals.next, self._flush_at if self._unflushed else NEVER]
        coming += [self._flight[0][0] if self._flight else NEVER, self._committing[0][0] if self._committing else NEVER]
        if self._left or self._stages:
            coming += [link.up for link in self._links if link.up > self._now]
            coming += [self._walked] if self._walked > self._now else []
        if (then := min(coming)) >= NEVER:
            return False
        self._now = max(self._now, then)
        if self._unflushed and self._now >= self._flush_at:
            self._flush()
        return True

    def _answers(self) -> float:
        cpu = 0.0
        while self._flight and self._flight[0][0] <= self._now:
            _, _, link, count, of_broadcast = heapq.heappop(self._flight)
            link.in_flight -= count
            if not link.trusted:
                link.trusted, link.allowed = True, self._far.streams
            if of_broadcast:
                self._unanswered -= count
            cpu += count * _READS * (self._work.broadcast_cost if of_broadcast else self._work.single_cost)
            if not self._unflushed:
                self._flush_at = self._now + FLUSH_AFTER
            self._unflushed += count
        return cpu

    def _flush(self) -> None:
        end = self._disk.join(self._now)
        self._unflushed, self._flush_at = 0, NEVER
        if self._work.broadcast and not self._unanswered and not self._drained:
            self._drained = end

    def _singles(self) -> float:
        """Take those that came, those whose commit is done, and move all a stage on; what enters the commit costs."""
        cpu = 0.0
        half = self._work.stages // 2
        self._stages += [_Single(at, call=call, left=self._work.stages) for at, call in self._arrivals.until(self._now)]
        while self._committing and self._committing[0][0] <= self._now:
            self._stages += self._committing.popleft()[1]
        staying, entering = [], []
        for single in self._stages:
            single.left -= 1
            if single.left == half:
                cpu += self._work.single_cost * (1 - _READS) / 2
                entering.append(single)
            elif single.left < 0 and self._carry(single):
                cpu += self._work.single_cost * (1 - _READS) / 2
                self._written.append(single)
            else:
                staying.append(single)
        self._stages = staying
        if entering:
            self._committing.append((self._disk.join(self._now + cpu), entering))
        return cpu

    def _carry(self, single: _Single) -> bool:
        """Give it a stream if there is one; a call may use those that are kept for calls."""
        link = self._roomiest(call=single.call)
        if link is None:
            return False
        if single.call:
            self._called = self._now
        self._put(link, 1, of_broadcast=False)
        return True

    def _turn(self) -> float:
        """Hand over a turn of the broadcast."""
        if not self._left or self._now < self._walked:
            return 0.0
        budget = TURN_BESIDE_CALLS if self._now - self._called < CALLS_ABOUT else TURN
        sent = 0
        while sent < min(budget, self._left):
            link = self._roomiest(call=False)
            if link is None:
                break
            count = min(budget - sent, self._left - sent, PIECE, link.room(self._now, call=False))
            self._put(link, count, of_broadcast=True)
            sent += count
        self._left -= sent
        return sent * self._work.broadcast_cost * (1 - _READS)

    def _leave(self) -> None:
        """What was handed over in this step is written at its end."""
        for single in self._written:
            self._latencies[single.call].append(self._now - single.arrived)
        self._written = []

    # --- connections

    def _roomiest(self, *, call: bool) -> Link | None:
        best = max(self._links, key=lambda link: link.room(self._now, call=call), default=None)
        return best if best is not None and best.room(self._now, call=call) > 0 else None

    def _put(self, link: Link, count: int, *, of_broadcast: bool) -> None:
        trip = max(0.0, self._far.trip * (1.0 + self._random.gauss(0.0, self._far.jitter)))
        self._order += 1
        heapq.heappush(self._flight, (self._now + trip, self._order, link, count, of_broadcast))
        link.in_flight += count
        self._sent += count

    def _dial(self) -> None:
        """Make a connection if there is none, or one more if all are full and the last one is not new."""
        wanted = bool(self._left or self._stages)
        if self._links and not (len(self._links) < self._far.most and all(link.full for link in self._links)):
            return
        if not wanted or self._now - self._dialed < GROW_SECONDS:
            return
        self._dialed = self._now
        self._links.append(Link(self._far, self._now + self._far.dial * self._far.trip, trusted=self._far.trusted))
