"""One endpoint: what it is told next, and what its answers mean.

    OPEN   up to [webhooks] max_connections messages of different lanes are on their way at once
    HELD   after the first failure nothing new is started; one message at a time, the probe, asks whether it is up again

What fails is set aside. The probe is the message that failed, until it was answered `schedule.ANSWERED` times in a row: then the
reason may be the message and not the endpoint, so it rests, and the next one is the probe; if there is none, what rests is, at the
pace of the endpoint. A 2xx to what was started after the last failure opens the endpoint, and all that was set aside is due at
once. Messages that rest fail without holding it.

Pure: times in Unix ms and chances are arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec
import structlog

from wakeline.config import Webhooks as Rules
from wakeline.model.event import Event
from wakeline.model.webhook import Endpoint, EndpointHealth, Message, MessageState
from wakeline.pipeline.webhooks import schedule
from wakeline.pipeline.webhooks.order import Flight, Order, row_of
from wakeline.pipeline.webhooks.patience import Patience
from wakeline.ports.webhooks import Said

WINDOW = 250
"""Messages read from the journal ahead of those on their way, so that a lane that waits stops no other."""
MOST_ASIDE = 1_000
"""Messages that may be set aside (replays apart); with more, nothing new is read."""

FORGOTTEN = "the journal has forgotten the event"
_TOO_OLD = "it was not taken for as long as [webhooks] retry_for says"
_GONE = "it answered 410: it wants no more"

_log = structlog.get_logger()


class Courier:
    """Tells one endpoint. `note` hears of every change of its health, with the row of the log that changed, if one did."""

    def __init__(
        self,
        endpoint: Endpoint,
        health: EndpointHealth,
        waiting: Sequence[Message],
        above: Iterable[int],
        note: Callable[[Message | None], None],
    ) -> None:
        """Begin where a process before this one ended; `above`: numbers above the cursor that are in the log already."""
        self.endpoint = endpoint
        self.order = Order(endpoint.id, waiting, note)
        self.read_to = health.cursor
        self._health = health
        self._patience = Patience(health)
        self._above = set(above)
        self._note = note
        self._answered = {row.seq: row.tries for row in waiting if row.status}
        self._probe: int | None = None
        self._tries = min(health.failures, len(schedule.STEPS))
        """Failures since the present probe was chosen."""
        self._fresh_at = 0
        """When the next message may be the probe, if the last one was set aside (Unix ms)."""
        self._mark = 0
        """The number of the last flight that was started before the last failure."""

    # --- how it is

    @property
    def health(self) -> EndpointHealth:
        """Return how the telling goes, with the cursor as it is now."""
        first = next(iter(self.order.untold), None)
        cursor = self.read_to if first is None else first - 1
        return msgspec.structs.replace(self._health, cursor=cursor, tried_since=self._patience.since)

    @property
    def held(self) -> bool:
        """Tell whether its last answers were failures."""
        return self._health.retry_at is not None

    @property
    def hungry(self) -> bool:
        """Tell whether more of the journal may be read for it."""
        aside = len(self.order.waiting) - self.order.replays
        return len(self.order.untold) < WINDOW and aside < MOST_ASIDE

    def wait(self, now: int, most: int) -> int | None:
        """Return the ms until something may be started by itself, None: only after something comes."""
        due = self.order.next_due()
        if not self.held:
            return None if due is None or len(self.order.flying) >= most else schedule.left(due, now)
        if self.order.flying:
            return None
        rest = schedule.left(self._health.retry_at or 0, now)
        if self._probe is None and self.order.has_fresh:
            return min(rest, schedule.left(self._fresh_at, now))
        return rest if self.order.has_fresh or due is not None else None

    # --- what it is told

    def read(self, events: Sequence[Event], upto: int, now: int, rules: Rules) -> None:
        """Take what the journal has up to `upto`; what is too old for an endpoint that is held is given up at once."""
        if not self.order.flying:
            self._patience.look(now, rules)
        for event in events:
            if event.seq in self._above:
                self._above.discard(event.seq)
            elif self.endpoint.wants(event.type, event.app):
                if self.held and self._patience.is_past(event.at, now, rules):
                    self._note(_given_up(self.endpoint.id, event, now))
                else:
                    self.order.take(event, now)
        if upto > self.read_to:
            self.read_to = upto
            self._note(None)

    def start(self, now: int, most: int) -> list[Flight]:
        """Start what may be started now, so that at most `most` are on their way; fresh messages and others by turns."""
        if self.held:
            probe = self._start_probe(now)
            return [] if probe is None else [probe]
        started: list[Flight] = []
        while len(self.order.flying) < most:
            turn = (self.order.fresh, self.order.due) if self.order.started % 2 else (self.order.due, self.order.fresh)
            flight = turn[0](now) or turn[1](now)
            if flight is None:
                break
            started.append(flight)
        return started

    def hurry(self, now: int) -> None:
        """Ask an endpoint that is held now and not later: something about it was changed."""
        if self.held:
            self._tries = 0
            self._health = msgspec.structs.replace(self._health, retry_at=now)
            self._note(None)

    def _start_probe(self, now: int) -> Flight | None:
        if self.order.flying:
            return None
        flight = self.order.fresh(now) if self._probe is None and not schedule.left(self._fresh_at, now) else None
        if flight is None and not schedule.left(self._health.retry_at or 0, now):
            flight = self.order.again(self._probe) if self._probe is not None else None
            flight = flight or self.order.fresh(now) or self.order.soonest()
        if flight is not None:
            self._probe = flight.seq
        return flight

    # --- what it said

    def said(self, flight: Flight, said: Said, now: int, *, chance: float, rules: Rules) -> None:
        """Act on an answer."""
        former = flight.message
        row = msgspec.structs.replace(
            former,
            tries=former.tries + 1,
            status=said.status,
            detail=said.detail,
            duration=said.duration,
            at=now,
            first=former.first or now,
        )
        if said.taken:
            self._taken(flight, row, now)
        elif said.gone is not None:
            self._end(flight, msgspec.structs.replace(row, state=MessageState.GIVEN_UP, detail=_GONE), now)
        else:
            self._failed(flight, row, said, now, chance=chance, rules=rules)

    def drop(self, flight: Flight, why: str, now: int) -> None:
        """Give up a message that cannot be told."""
        row = msgspec.structs.replace(flight.message, state=MessageState.GIVEN_UP, detail=why, at=now)
        self._end(flight, row, now)

    def _taken(self, flight: Flight, row: Message, now: int) -> None:
        self._health = msgspec.structs.replace(self._health, status=row.status, detail="", taken_at=now)
        self._end(flight, msgspec.structs.replace(row, state=MessageState.TAKEN, due=0), now)
        if self.held and flight.number > self._mark:
            self._health = msgspec.structs.replace(self._health, failures=0, failing_since=None, retry_at=None)
            self._patience.recovered()
            self._probe, self._tries = None, 0
            self._suspect_worn()
            self.order.call_all(now)
            _log.info("webhook.recovered", endpoint=self.endpoint.public_id)

    def _end(self, flight: Flight, row: Message, now: int) -> None:
        self._answered.pop(row.seq, None)
        self.order.settled(flight, now)
        self._note(row)

    def _failed(self, flight: Flight, row: Message, said: Said, now: int, *, chance: float, rules: Rules) -> None:
        self._patience.answered(now, said.duration, rules)
        known = self._answered.get(row.seq, 0)
        answered = self._answered[row.seq] = known + 1 if said.status or known >= schedule.ANSWERED else 0
        rests = answered >= schedule.ANSWERED
        if not (rests and not self.held):
            self._hold(flight, said, now, chance, rests=rests, worn=row.tries >= schedule.ANSWERED)
        wait = schedule.rest(answered, chance, said.retry_after) * 1000 if rests else 0
        row = msgspec.structs.replace(row, due=now + round(wait) if rests else self._health.retry_at or now)
        if self._patience.is_worn(row, now, rules):
            self._end(flight, msgspec.structs.replace(row, state=MessageState.GIVEN_UP), now)
        else:
            self.order.failed(flight, row, now)
            self._note(row)
        if self.held and not rests:
            self._expire(now, rules)

    def _suspect_worn(self) -> None:
        """Take what failed often without an answer for the reason of that, now that something else was taken."""
        for row in self.order.waiting.values():
            if row.tries >= schedule.ANSWERED:
                self._answered[row.seq] = max(schedule.ANSWERED, self._answered.get(row.seq, 0))

    def _hold(self, flight: Flight, said: Said, now: int, chance: float, *, rests: bool, worn: bool) -> None:
        """Hold the endpoint, or go on holding it.

        `rests`: this message was answered often enough; `worn`: it is the turn of another one to be the probe.
        """
        health = self._health
        retry_at = health.retry_at
        if flight.number > self._mark or retry_at is None:
            self._probe = None if rests or worn else flight.seq
            self._tries = 0 if rests else self._tries + 1
            self._fresh_at = now + round(1000 * schedule.pause(1, chance, said.retry_after))
            # Where nothing else is left to ask with, an endpoint is asked at its pace with what rests.
            pause = schedule.pause(self._tries or health.failures + 1, chance, said.retry_after)
            retry_at = self._fresh_at if rests and self.order.has_fresh else now + round(1000 * pause)
            if worn and not rests:
                self._fresh_at = retry_at
            self._mark = self.order.started
        if health.failing_since is None:
            _log.warning("webhook.failing", endpoint=self.endpoint.public_id, status=said.status, detail=said.detail)
        self._health = msgspec.structs.replace(
            health,
            failures=health.failures + 1,
            failing_since=health.failing_since or now,
            retry_at=retry_at,
            status=said.status,
            detail=said.detail,
        )
        self._patience.failed(now, retry_at)

    def _expire(self, now: int, rules: Rules) -> None:
        """Give up what is too old, since nothing of it will be tried soon."""
        waiting, untold = self.order.waiting.values(), self.order.untold.values()
        for row in [row for row in waiting if self._patience.is_past(row.first or row.at, now, rules)]:
            if row.seq not in self.order.flying:
                self.order.forget(row.seq)
                self._answered.pop(row.seq, None)
                self._note(
                    msgspec.structs.replace(row, state=MessageState.GIVEN_UP, at=now, detail=row.detail or _TOO_OLD)
                )
        for event in [event for event in untold if self._patience.is_past(event.at, now, rules)]:
            if event.seq not in self.order.flying:
                self.order.forget(event.seq)
                self._note(_given_up(self.endpoint.id, event, now))


def _given_up(endpoint: int, event: Event, now: int) -> Message:
    return msgspec.structs.replace(row_of(endpoint, event, now, _TOO_OLD), state=MessageState.GIVEN_UP)
