"""The four transactions of SIP as state machines: events in, things to do out (RFC 3261 section 17, RFC 6026, RFC 4320).

A machine knows no message and no socket. Its owner tells it of statuses, repeated requests and the time, and does what it is told:
`SEND` (again) the request of a client, or the last response of a server; `TELL` the transaction user what came; `ACK` a failure hop
by hop; say 100 (`TRYING`); tell the user that time ran out (`TIMED_OUT`). `due` is when `tick` wants to be called next, `over`
says that the machine may be forgotten; both change with every call. Times are seconds of a clock that never jumps.

`reliable`: over TCP and TLS nothing is repeated, and nothing is waited for that a network could still deliver (Timers A, E, G
do not run, D, I, J, K are zero).
"""

from __future__ import annotations

from enum import Enum

from wakeline.wire.sip.timers import NEVER, Timers


class Todo(Enum):
    """What the owner of a machine does next."""

    SEND = "send"
    TELL = "tell"
    ACK = "ack"
    TRYING = "trying"
    TIMED_OUT = "timed_out"


class State(Enum):
    """Figures 5 to 8 of RFC 3261; ACCEPTED is RFC 6026's."""

    CALLING = "calling"
    TRYING = "trying"
    PROCEEDING = "proceeding"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    ACCEPTED = "accepted"
    OVER = "over"


Todos = tuple[Todo, ...]
_NOTHING: Todos = ()
_SEND: Todos = (Todo.SEND,)
_TELL: Todos = (Todo.TELL,)
_ACK: Todos = (Todo.ACK,)
_TELL_AND_ACK: Todos = (Todo.TELL, Todo.ACK)
_TRYING: Todos = (Todo.TRYING,)
_TIMED_OUT: Todos = (Todo.TIMED_OUT,)


class _Machine:
    """What the four share: a state, when to repeat and when to end."""

    __slots__ = ("_end_at", "_reliable", "_repeat_at", "_timers", "_wait", "state")

    def __init__(self, state: State, *, reliable: bool, timers: Timers) -> None:
        self.state = state
        self._reliable = reliable
        self._timers = timers
        self._repeat_at = NEVER
        self._end_at = NEVER
        self._wait = 0.0

    @property
    def due(self) -> float:
        """Return when `tick` is to be called."""
        return min(self._repeat_at, self._end_at)

    @property
    def over(self) -> bool:
        """Return whether nothing more can happen."""
        return self.state is State.OVER

    def abandon(self) -> None:
        """End at once, whatever comes later: for an answer that is not repeated, and for a flow that is gone."""
        self._finish()

    def _repeat(self, now: float) -> None:
        """Begin to repeat what is sent, after T1."""
        self._wait = self._timers.t1
        self._repeat_at = NEVER if self._reliable else now + self._wait

    def _repeat_again(self, now: float, longest: float) -> None:
        self._wait = min(self._wait * 2, longest)
        self._repeat_at = now + self._wait

    def _linger(self, state: State, now: float, seconds: float) -> None:
        """Stay in a last state, to meet what is still on its way."""
        self._repeat_at = NEVER
        self._end_at = now + seconds
        self.state = state if seconds > 0 else State.OVER

    def _finish(self) -> None:
        self.state = State.OVER
        self._repeat_at = self._end_at = NEVER


class InviteClient(_Machine):
    """An INVITE that was sent (RFC 3261 section 17.1.1, RFC 6026 section 7.2). Its owner sends it when it makes the machine."""

    __slots__ = ()

    def __init__(self, now: float, *, reliable: bool, timers: Timers) -> None:
        super().__init__(State.CALLING, reliable=reliable, timers=timers)
        self._repeat(now)
        self._end_at = now + timers.patience

    def response(self, status: int, now: float) -> Todos:
        """Take the status of a response."""
        match self.state:
            case State.CALLING | State.PROCEEDING:
                return self._answered(status, now)
            case State.ACCEPTED if 200 <= status < 300:
                return _TELL
            case State.COMPLETED if status >= 300:
                return _ACK
            case _:
                return _NOTHING

    def _answered(self, status: int, now: float) -> Todos:
        if status < 200:
            if self.state is State.CALLING:
                self._end_at = NEVER
            self.state = State.PROCEEDING
            self._repeat_at = NEVER
            return _TELL
        if status < 300:
            self._linger(State.ACCEPTED, now, self._timers.patience)
            return _TELL
        self._linger(State.COMPLETED, now, 0.0 if self._reliable else self._timers.patience)
        return _TELL_AND_ACK

    def cancelled(self, now: float) -> None:
        """Wait no longer than 64*T1 for the end, now that a CANCEL was sent (RFC 3261 section 9.1)."""
        if self.state is State.PROCEEDING:
            self._end_at = min(self._end_at, now + self._timers.patience)

    def tick(self, now: float) -> Todos:
        """Take the time."""
        if now >= self._end_at:
            waited = self.state in (State.CALLING, State.PROCEEDING)
            self._finish()
            return _TIMED_OUT if waited else _NOTHING
        if now >= self._repeat_at:
            self._repeat_again(now, NEVER)
            return _SEND
        return _NOTHING


class NonInviteClient(_Machine):
    """Another request that was sent (RFC 3261 section 17.1.2). Its owner sends it once when it makes the machine."""

    __slots__ = ()

    def __init__(self, now: float, *, reliable: bool, timers: Timers) -> None:
        super().__init__(State.TRYING, reliable=reliable, timers=timers)
        self._repeat(now)
        self._end_at = now + timers.patience

    def response(self, status: int, now: float) -> Todos:
        """Take the status of a response."""
        if self.state not in (State.TRYING, State.PROCEEDING):
            return _NOTHING
        if status < 200:
            self.state = State.PROCEEDING
            return _TELL
        self._linger(State.COMPLETED, now, 0.0 if self._reliable else self._timers.t4)
        return _TELL

    def tick(self, now: float) -> Todos:
        """Take the time."""
        if now >= self._end_at:
            waited = self.state is not State.COMPLETED
            self._finish()
            return _TIMED_OUT if waited else _NOTHING
        if now >= self._repeat_at:
            self._repeat_again(now, self._timers.t2)
            if self.state is State.PROCEEDING:
                self._repeat_at = now + self._timers.t2
            return _SEND
        return _NOTHING


class InviteServer(_Machine):
    """An INVITE that came (RFC 3261 section 17.2.1, RFC 6026 section 7.1). Unanswered it waits for ever: its user has Timer C."""

    __slots__ = ("_said", "_trying_at")

    def __init__(self, now: float, *, reliable: bool, timers: Timers) -> None:
        super().__init__(State.PROCEEDING, reliable=reliable, timers=timers)
        self._said = False
        self._trying_at = now + timers.trying

    @property
    def due(self) -> float:
        """Return when `tick` is to be called."""
        return min(self._repeat_at, self._end_at, self._trying_at)

    def request(self) -> Todos:
        """Take the INVITE, repeated."""
        return _SEND if self._said and self.state in (State.PROCEEDING, State.COMPLETED) else _NOTHING

    def response(self, status: int, now: float) -> Todos:
        """Take a response of the user; SEND if it goes out. Behind a 2xx only 2xx go, behind another final one nothing."""
        if self.state is State.ACCEPTED:
            return _SEND if 200 <= status < 300 else _NOTHING
        if self.state is not State.PROCEEDING:
            return _NOTHING
        self._said = True
        self._trying_at = NEVER
        if 200 <= status < 300:
            self._linger(State.ACCEPTED, now, self._timers.patience)
        elif status >= 300:
            self.state = State.COMPLETED
            self._repeat(now)
            self._end_at = now + self._timers.patience
        return _SEND

    @property
    def repeats(self) -> bool:
        """Return whether the answer is repeated until its ACK comes."""
        return self._repeat_at != NEVER

    def hush(self) -> None:
        """Repeat the answer only when the INVITE is repeated."""
        self._repeat_at = NEVER

    def ack(self, now: float) -> Todos:
        """Take an ACK that has the INVITE's branch: ours to keep, but for one to a 2xx from an old client."""
        if self.state is State.COMPLETED:
            self._linger(State.CONFIRMED, now, 0.0 if self._reliable else self._timers.t4)
        return _TELL if self.state is State.ACCEPTED else _NOTHING

    def tick(self, now: float) -> Todos:
        """Take the time."""
        if now >= self._end_at:
            unacknowledged = self.state is State.COMPLETED
            self._finish()
            return _TIMED_OUT if unacknowledged else _NOTHING
        if now >= self._trying_at:
            self._trying_at = NEVER
            return _TRYING
        if now >= self._repeat_at:
            self._repeat_again(now, self._timers.t2)
            return _SEND
        return _NOTHING


class NonInviteServer(_Machine):
    """Another request that came (RFC 3261 section 17.2.2, RFC 4320 section 4).

    What its user did not answer in 64*T1 is answered no more, since its sender has given up by then; 408 is never sent; 100 goes
    out over UDP only once the sender repeats so slowly that it helps, and over TCP and TLS at that time as well; no other 1xx does.
    """

    __slots__ = ("_trying_at",)

    def __init__(self, now: float, *, reliable: bool, timers: Timers) -> None:
        super().__init__(State.TRYING, reliable=reliable, timers=timers)
        self._trying_at = now + timers.late_trying
        self._end_at = now + timers.patience

    @property
    def due(self) -> float:
        """Return when `tick` is to be called."""
        return min(self._end_at, self._trying_at)

    def request(self) -> Todos:
        """Take the request, repeated."""
        return _SEND if self.state in (State.PROCEEDING, State.COMPLETED) else _NOTHING

    def response(self, status: int, now: float) -> Todos:
        """Take a response of the user; SEND if it goes out."""
        if self.state not in (State.TRYING, State.PROCEEDING) or status < 200:
            return _NOTHING
        self._trying_at = NEVER
        if status == 408:
            self._finish()
            return _NOTHING
        self._linger(State.COMPLETED, now, 0.0 if self._reliable else self._timers.patience)
        return _SEND

    def tick(self, now: float) -> Todos:
        """Take the time; TIMED_OUT: the user was too slow."""
        if now >= self._end_at:
            unanswered = self.state is not State.COMPLETED
            self._finish()
            return _TIMED_OUT if unanswered else _NOTHING
        if now >= self._trying_at:
            self._trying_at = NEVER
            self.state = State.PROCEEDING
            return _TRYING
        return _NOTHING


Client = InviteClient | NonInviteClient
Server = InviteServer | NonInviteServer
