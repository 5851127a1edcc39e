"""The order in which one endpoint is told: no message of a lane overtakes another, and nothing else waits for it.

    journal -> ready -> on its way -> taken
                 |          |
                 |      set aside, with a time at which it is due
                 +-- behind it: what comes later in its lane

A lane is a device of an app. A message that is on its way keeps its lane: what follows waits in memory, and is set aside behind it
if it fails. What is about no device has no lane and waits for nothing. Pure: the clock is an argument (Unix ms).
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable, Iterable
from heapq import heappop, heappush

import msgspec

from wakeline.model.event import Event
from wakeline.model.webhook import Message, MessageState, lane_of
from wakeline.pipeline.webhooks.schedule import left

BEHIND = "it waits for an earlier message about the same device"
REPLAYED = "it is told again"


class Flight(msgspec.Struct, frozen=True, kw_only=True):
    """A message on its way. `number` grows with every start; `event` is None for one that was set aside: it is read again."""

    number: int
    message: Message
    event: Event | None

    @property
    def seq(self) -> int:
        """Return the event's number in the journal."""
        return self.message.seq


class Order:
    """What an endpoint is to be told. `note` hears of every row of the delivery log that this makes or changes."""

    def __init__(self, endpoint: int, waiting: Iterable[Message], note: Callable[[Message], None]) -> None:
        self._endpoint = endpoint
        self._note = note
        self.waiting: dict[int, Message] = {}
        """What is set aside, also while it is on its way, by the event's number."""
        self.untold: dict[int, Event] = {}
        """What was read from the journal and is neither told nor set aside, oldest first."""
        self.flying: dict[int, Flight] = {}
        self.started = 0
        self.replays = 0
        self._ready: deque[Event] = deque()
        self._followers: dict[str, deque[Event]] = {}
        self._lanes: dict[str, list[int]] = {}
        self._due: list[tuple[int, int]] = []
        for row in waiting:
            self.put(row)

    # --- what comes

    def take(self, event: Event, now: int) -> None:
        """Take the next event of the journal."""
        lane = lane_of(event)
        self.untold[event.seq] = event
        if lane in self._lanes:
            self._set_behind(event, now)
        elif lane in self._followers:
            self._followers[lane].append(event)
        else:
            if lane:
                self._followers[lane] = deque()
            self._ready.append(event)

    def put(self, row: Message) -> None:
        """Set a message aside, or change one that is."""
        former = self.waiting.get(row.seq)
        self.replays += (row.detail == REPLAYED) - (former is not None and former.detail == REPLAYED)
        self.waiting[row.seq] = row
        if row.lane and former is None:
            insort(self._lanes.setdefault(row.lane, []), row.seq)
        self._call(row)

    def forget(self, seq: int) -> None:
        """Expect a message no more that is not on its way: it is given up."""
        row = self.waiting.get(seq)
        self._remove(seq)
        if row is not None:
            self._come_forward(row.lane)

    # --- what goes

    def fresh(self, now: int) -> Flight | None:
        """Start the next message that was never tried; None: there is none whose lane is free."""
        while self._ready:
            event = self._ready.popleft()
            known = event.seq in self.untold
            if known and lane_of(event) not in self._lanes:
                return self._start(row_of(self._endpoint, event, now), event)
            if known:  # something older of its lane is told again
                self._set_behind(event, now)
            self._let_follow(event, now)
        return None

    def due(self, now: int) -> Flight | None:
        """Start the message that was set aside and is due longest; None: there is none."""
        row = self._first()
        return None if row is None or left(row.due, now) else self.soonest()

    def soonest(self) -> Flight | None:
        """Start the message that was set aside and is due next, due or not."""
        row = self._first()
        if row is None:
            return None
        heappop(self._due)
        return self._start(row, None)

    def again(self, seq: int) -> Flight | None:
        """Start this message that was set aside, due or not; None if it is not the next of its lane."""
        row = self.waiting.get(seq)
        return self._start(row, None) if row is not None and self._may_start(row) else None

    def next_due(self) -> int | None:
        """Return when the next message that was set aside is due (Unix ms)."""
        row = self._first()
        return None if row is None else row.due

    @property
    def has_fresh(self) -> bool:
        """Tell whether something waits that was never tried, and whose lane was free when it came."""
        return bool(self._ready)

    # --- what comes back

    def settled(self, flight: Flight, now: int) -> None:
        """Note that a message was taken or given up."""
        del self.flying[flight.seq]
        self._remove(flight.seq)
        self._landed(flight, now)

    def failed(self, flight: Flight, row: Message, now: int) -> None:
        """Set a message aside that was on its way."""
        del self.flying[flight.seq]
        self.untold.pop(row.seq, None)
        self.put(row)
        self._landed(flight, now)

    def call_all(self, now: int) -> None:
        """Make everything due that was set aside."""
        for seq, row in self.waiting.items():
            self.waiting[seq] = msgspec.structs.replace(row, due=now)
        self._due.clear()
        for row in self.waiting.values():
            self._call(row)

    # --- within

    def _start(self, row: Message, event: Event | None) -> Flight:
        self.started += 1
        flight = self.flying[row.seq] = Flight(number=self.started, message=row, event=event)
        return flight

    def _set_behind(self, event: Event, now: int) -> None:
        del self.untold[event.seq]
        row = row_of(self._endpoint, event, now, BEHIND)
        self.put(row)
        self._note(row)

    def _remove(self, seq: int) -> None:
        self.untold.pop(seq, None)
        row = self.waiting.pop(seq, None)
        if row is None:
            return
        self.replays -= row.detail == REPLAYED
        if row.lane:
            lane = self._lanes[row.lane]
            lane.remove(seq)
            if not lane:
                del self._lanes[row.lane]

    def _landed(self, flight: Flight, now: int) -> None:
        if flight.event is not None:
            self._let_follow(flight.event, now)
        self._come_forward(flight.message.lane)

    def _let_follow(self, event: Event, now: int) -> None:
        """Let those come forward that followed an event, or set them aside behind what of their lane is."""
        lane = lane_of(event)
        followers = self._followers.get(lane)
        while followers:
            follower = followers.popleft()
            if follower.seq not in self.untold:
                continue
            if lane not in self._lanes:
                self._ready.append(follower)
                return
            self._set_behind(follower, now)
        self._followers.pop(lane, None)

    def _come_forward(self, lane: str) -> None:
        if lane in self._lanes:
            self._call(self.waiting[self._lanes[lane][0]])

    def _call(self, row: Message) -> None:
        if self._may_start(row):
            heappush(self._due, (row.due, row.seq))

    def _may_start(self, row: Message) -> bool:
        """Tell whether it is the first of its lane, and nothing of the lane is on its way."""
        if not row.lane:
            return row.seq not in self.flying
        return self._lanes[row.lane][0] == row.seq and not self._is_flying(row.lane)

    def _is_flying(self, lane: str) -> bool:
        return any(flight.message.lane == lane for flight in self.flying.values())

    def _first(self) -> Message | None:
        while self._due:
            due, seq = self._due[0]
            row = self.waiting.get(seq)
            if row is not None and row.due == due and self._may_start(row):
                return row
            heappop(self._due)
        return None


def row_of(endpoint: int, event: Event, now: int, detail: str = "") -> Message:
    """Return the row of the delivery log of a message that is due now."""
    return Message(
        endpoint=endpoint,
        seq=event.seq,
        type=event.type,
        state=MessageState.WAITING,
        app=event.app,
        lane=lane_of(event),
        detail=detail,
        at=now,
        due=now,
    )
