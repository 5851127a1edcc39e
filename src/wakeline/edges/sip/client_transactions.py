"""A request that we sent: repeated until it is answered, acknowledged where needed, cancelled in time (RFC 3261 section 17.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Protocol

from wakeline.edges.sip.flows import Flow, FlowGone
from wakeline.edges.sip.matching import stamp
from wakeline.wire.sip.hop_by_hop import ack_of, cancel_of
from wakeline.wire.sip.message import Request, Response
from wakeline.wire.sip.timers import NEVER, Timers
from wakeline.wire.sip.transactions import Client, InviteClient, NonInviteClient, Todo


class Failure(Enum):
    """Why no final response will come."""

    TIMEOUT = "timeout"
    """Nobody answered in time: 408 to whoever asked, if it was an INVITE."""
    UNREACHABLE = "unreachable"
    """The connection was refused or lost, or there is no such host: 503 of a proxy's branch."""
    CANCELLED = "cancelled"
    """It was cancelled before it was sent, or nothing came in 64*T1 after the CANCEL."""


class ClientUser(Protocol):
    """Whoever sent a request."""

    def answered(self, client: ClientTransaction, response: Response) -> None:
        """A response came, our Via taken off: each provisional one, the final one, and of an INVITE each 2xx, repeated ones too."""

    def failed(self, client: ClientTransaction, failure: Failure) -> None:
        """No final response will come."""


class Owner(Protocol):
    """The transaction layer, as its transactions see it."""

    @property
    def timers(self) -> Timers:
        """Return how long transactions wait."""

    def now(self) -> float:
        """Return seconds that never jump."""

    def changed(self, client: ClientTransaction) -> None:
        """When it is due, or whether it is over, may have changed."""

    def sent_on(self, client: ClientTransaction) -> None:
        """It has its flow and branch: know it by them."""

    def send_cancel(self, cancel: Request, flow: Flow, branch: str) -> None:
        """Send a CANCEL that has its Via already."""

    def soon(self, call: Callable[[], None]) -> None:
        """Call that when whoever is at work now is done."""


class ClientTransaction:
    """A request of ours. `request` is what is sent, with our Via on top as soon as `flow` is known."""

    __slots__ = (
        "_ack",
        "_cancel",
        "_data",
        "_last",
        "_owner",
        "_user",
        "armed",
        "branch",
        "flow",
        "machine",
        "request",
        "status",
    )

    def __init__(self, owner: Owner, request: Request, user: ClientUser, branch: str) -> None:
        self._owner = owner
        self._user = user
        self._data = b""
        self._ack = b""
        self._cancel: list[tuple[str, str]] | None = None
        self._last: Flow | None = None
        self.request = request
        self.branch = branch
        self.flow: Flow | None = None
        self.machine: Client | None = None
        self.status = 0
        """That of the last response; 0: none."""
        self.armed = NEVER

    @property
    def due(self) -> float:
        """Return when `tick` is to be called."""
        return NEVER if self.machine is None else self.machine.due

    @property
    def over(self) -> bool:
        """Return whether nothing more can happen."""
        return self.machine is not None and self.machine.over

    @property
    def answered(self) -> bool:
        """Return whether a final response came."""
        return self.status >= 200

    def start(self, flow: Flow) -> None:
        """Send it. Called once, by the layer."""
        stamp(self.request, flow, self.branch)
        self.start_stamped(flow)

    def start_stamped(self, flow: Flow) -> None:
        """Send it with the Via that it has."""
        self.flow = self._last = flow
        reliable = flow.transport.reliable
        self._data = self.request.to_bytes(stream=reliable)
        kind = InviteClient if self.request.method == "INVITE" else NonInviteClient
        self.machine = kind(self._owner.now(), reliable=reliable, timers=self._owner.timers)
        self._owner.sent_on(self)
        self._send(self._data)

    def cancel(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        """Give up an INVITE: the CANCEL goes out as soon as it may, behind the first provisional response. `fields`: a Reason.

        The answer to expect is 487, or 200 of one who was faster. Without any in 64*T1 it has `failed` as CANCELLED.
        """
        if self.answered or self.over or self._cancel is not None or self.request.method != "INVITE":
            return
        self._cancel = list(fields)
        if self.status:
            self._send_cancel()

    def hurry(self) -> None:
        """Want it, given up or not, if nothing was said to it yet: whoever slept through it is awake now. UDP: say it again."""
        if self.flow is None or self.status or self.over:
            return
        self._cancel = None
        if not self.flow.transport.reliable:
            self._send(self._data)

    @property
    def cancelled(self) -> bool:
        """Return whether it was given up."""
        return self._cancel is not None

    def received(self, response: Response) -> None:
        """Take a response, whose topmost Via is ours."""
        if self.machine is None:
            return
        was_silent = not self.status
        todos = self.machine.response(response.status, self._owner.now())
        if Todo.TELL in todos:
            self.status = response.status
        if Todo.ACK in todos:
            self._acknowledge(response)
        self._owner.changed(self)
        if Todo.TELL not in todos:
            return
        if was_silent and self._cancel is not None and not response.is_final:
            self._send_cancel()
        response.remove_first("via")
        self._user.answered(self, response)
        if response.is_final:
            self.request.forget_parsed()
        self._let_go()

    def tick(self, now: float) -> None:
        """Do what is due."""
        if self.machine is None:
            return
        todos = self.machine.tick(now)
        self._owner.changed(self)
        if Todo.SEND in todos:
            self._send(self._data)
        if Todo.TIMED_OUT in todos:
            self._user.failed(self, Failure.CANCELLED if self.cancelled else Failure.TIMEOUT)
        self._let_go()

    def lost(self) -> None:
        """Take the end of its connection. Who said something already may say the rest over another (RFC 3261 section 18.2.2)."""
        if not self.status and not self.over:
            self.fail(Failure.UNREACHABLE)

    def moved(self, flow: Flow) -> None:
        """Send what is left, CANCEL and ACK, by this flow: the peer is there now."""
        if self.answered or self.over or self._last is None or self._last.name == flow.name:
            return
        self._last = flow
        if self._cancel is not None and self.status:
            self._send_cancel()

    def fail(self, failure: Failure) -> None:
        """End it."""
        if self.machine is not None:
            self.machine.abandon()
            self._owner.changed(self)
        self._user.failed(self, failure)
        self._user = NOBODY

    def _let_go(self) -> None:
        """Hold the user no longer than it hears anything, for it holds us: what is in no circle goes without a collection."""
        if self.over:
            self._user = NOBODY

    def _send(self, data: bytes) -> None:
        if self._last is None:
            return
        try:
            self._last.send(data)
        except FlowGone:
            self._owner.soon(self.lost)

    def _acknowledge(self, response: Response) -> None:
        if not self._ack and self._last is not None:
            self._ack = ack_of(self.request, response).to_bytes(stream=self._last.transport.reliable)
        self._send(self._ack)

    def _send_cancel(self) -> None:
        """Send the CANCEL: a transaction of its own that has our branch, and whose answer says nothing that matters."""
        if not isinstance(self.machine, InviteClient) or self._last is None:
            return
        self.machine.cancelled(self._owner.now())
        self._owner.changed(self)
        self._owner.send_cancel(cancel_of(self.request, self._cancel or ()), self._last, self.branch)


class _Nobody:
    """Whoever hears nothing: nobody asks what became of a CANCEL, or of what is over."""

    def answered(self, client: ClientTransaction, response: Response) -> None:
        """A CANCEL's answer says nothing about the INVITE."""

    def failed(self, client: ClientTransaction, failure: Failure) -> None:
        """The INVITE's own end is what counts."""


NOBODY = _Nobody()
