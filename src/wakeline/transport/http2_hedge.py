"""Calls without an answer: after `PATIENCE` seconds a copy goes out on another connection, and the first answer counts.

A phone that should ring cannot wait for the end of a silent connection: a dead one is found after ten seconds at the
earliest, which is a third of the ring time. So a call that was written and not answered is written once more, with the same
bytes (the same `apns-id` and collapse id), on a connection that has spoken since, or on a new one if there is none. The
second answer is nobody's business; of two losses the one counts after which the push may have been shown.

Bounds: one copy a call; `MOST_OPEN` copies without an answer, so that a service that went silent as a whole is not asked
twice for everything; `MOST_A_SECOND`. Batches that are no calls never come here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from wakeline.wire.http2 import Answer, Lost, RequestBatch

if TYPE_CHECKING:
    from wakeline.transport.http2_link import Link

PATIENCE = 0.8
"""Seconds. Apple and Google answer within a few tens of milliseconds, and rarely take half a second; a whole second more of
silence is what a caller notices."""

MOST_OPEN = 100
MOST_A_SECOND = 100

_AGAIN = 0.25
_HARMLESS = frozenset({Lost.CONNECT, Lost.NOT_WRITTEN, Lost.REFUSED})
"""Losses after which the provider surely has not processed the request."""


class Hedge:
    """A batch of calls under way: it takes the answers to all copies in the place of the batch's own `on_answers`."""

    __slots__ = ("_batch", "_hedges", "_losses", "copied", "open", "timer", "written")

    def __init__(self, hedges: Hedges, batch: RequestBatch) -> None:
        self._hedges = hedges
        self._batch = batch
        self._losses: dict[int, Answer] = {}
        self.open = set(range(len(batch.paths)))
        """Positions that nothing was told about."""
        self.written: dict[int, tuple[Link, float]] = {}
        """Where and when each was written last; seconds on the pool's clock."""
        self.copied: set[int] = set()
        """Positions of which there are two copies, both without an answer and neither lost."""
        self.timer: asyncio.TimerHandle | None = None

    def __call__(self, _: RequestBatch, accepted: Sequence[int], others: list[tuple[int, Answer]]) -> None:
        """Tell what is news (`RequestBatch.on_answers`)."""
        accepted = [position for position in accepted if position in self.open]
        told: list[tuple[int, Answer]] = []
        for position, answer in others:
            if position not in self.open:
                continue
            if answer.lost is None:
                told.append((position, answer))
            elif position in self.copied:
                self._hedges.open -= 1
                self.copied.discard(position)
                self._losses[position] = answer
            else:
                told.append((position, _graver(answer, self._losses.get(position))))
        self._close([*accepted, *(position for position, _ in told)])
        if accepted or told:
            self._batch.on_answers(self._batch, accepted, told)

    def _close(self, positions: Iterable[int]) -> None:
        for position in positions:
            self.open.discard(position)
            if position in self.copied:
                self.copied.discard(position)
                self._hedges.open -= 1
        if not self.open and self.timer is not None:
            self.timer.cancel()

    def still(self, positions: Sequence[int]) -> Sequence[int]:
        """Return those of these positions that are worth sending."""
        if len(self.open) == len(self._batch.paths):
            return positions
        return [position for position in positions if position in self.open]

    def sent(self, positions: Iterable[int], link: Link, now: float) -> None:
        """Note that requests were written."""
        for position in positions:
            self.written[position] = link, now

    def carriers(self, positions: Iterable[int]) -> tuple[list[Link], float]:
        """Return the connections on which these were written, and when the last of them was."""
        written = [self.written[position] for position in positions]
        return [link for link, _ in written], max(at for _, at in written)

    def overdue(self, now: float) -> list[int]:
        """Return what was written at least `PATIENCE` ago, is not answered, and has no copy yet."""
        return [
            position
            for position in self.open
            if position not in self.copied
            and position not in self._losses
            and position in self.written
            and now - self.written[position][1] >= PATIENCE
        ]

    def next(self, now: float) -> float | None:
        """Return the seconds until something may be overdue; None: everything has had its copy."""
        left = [position for position in self.open if position not in self.copied and position not in self._losses]
        if not left:
            return None
        waits = [self.written[one][1] + PATIENCE - now if one in self.written else PATIENCE for one in left]
        return max(min(waits), _AGAIN / 10)


class Hedges:
    """The calls of a pool. `late(batch, positions)` sends copies; `stuck()` is told that a call could not be written."""

    def __init__(
        self,
        clock: Callable[[], float],
        late: Callable[[RequestBatch, list[int]], None],
        stuck: Callable[[], None],
    ) -> None:
        self.open = 0
        """Copies without an answer."""
        self._clock = clock
        self._late = late
        self._stuck = stuck
        self._second = 0
        self._in_second = 0

    def watch(self, batch: RequestBatch) -> RequestBatch:
        """Return what is to be sent in the place of a batch of calls."""
        hedge = Hedge(self, batch)
        watched = RequestBatch(
            stable=batch.stable,
            paths=batch.paths,
            body=batch.body,
            deadline=batch.deadline,
            on_answers=hedge,
            extra=batch.extra,
            literal=batch.literal,
            call=True,
            keep_bodies=batch.keep_bodies,
        )
        self._arm(hedge, watched, PATIENCE)
        return watched

    def _arm(self, hedge: Hedge, batch: RequestBatch, wait: float) -> None:
        hedge.timer = asyncio.get_running_loop().call_later(wait, self._look, hedge, batch)

    def _look(self, hedge: Hedge, batch: RequestBatch) -> None:
        """Send copies of what is overdue, and look again later if there is more to come."""
        now = self._clock()
        if batch.deadline <= now:
            return
        late = hedge.overdue(now)
        if late and self._allowed(len(late), now):
            hedge.copied.update(late)
            self.open += len(late)
            self._late(batch, late)
            late = []
        if any(position not in hedge.written for position in hedge.open):
            self._stuck()
        wait = _AGAIN if late else hedge.next(now)
        if wait is not None:
            self._arm(hedge, batch, wait)

    def _allowed(self, count: int, now: float) -> bool:
        if int(now) != self._second:
            self._second, self._in_second = int(now), 0
        if self.open + count > MOST_OPEN or self._in_second + count > MOST_A_SECOND:
            return False
        self._in_second += count
        return True


def hedge_of(batch: RequestBatch) -> Hedge:
    """Return who watches over a batch of calls."""
    watcher = batch.on_answers
    if not isinstance(watcher, Hedge):
        raise TypeError("this batch is not watched")
    return watcher


def _graver(second: Answer, first: Answer | None) -> Answer:
    """Return the loss after which the push may have been shown."""
    return first if first is not None and second.lost in _HARMLESS else second
