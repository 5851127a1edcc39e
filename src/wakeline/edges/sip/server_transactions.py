"""A request that came: its repetitions are answered here, its user answers it once (RFC 3261 section 17.2).

`ServerTransaction` is what the user holds. What must outlive the answer, so that a repeated request gets it again, is small: `Kept`
has the machine, the last response and where it goes. It lets go of the request once that is answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import structlog

from wakeline.edges.sip.flows import Flow, FlowGone
from wakeline.edges.sip.matching import Key, Tags
from wakeline.edges.sip.outlet import Outlet
from wakeline.edges.sip.sources import Sources
from wakeline.wire.sip.message import Request, Response
from wakeline.wire.sip.responses import answer
from wakeline.wire.sip.timers import NEVER, Timers
from wakeline.wire.sip.transactions import InviteServer, NonInviteServer, Server, State, Todo

_log = structlog.get_logger()


class Owner(Protocol):
    """The transaction layer, as its transactions see it."""

    @property
    def timers(self) -> Timers:
        """Return how long transactions wait."""

    def now(self) -> float:
        """Return seconds that never jump."""

    def changed(self, kept: Kept) -> None:
        """When it is due, or whether it is over, may have changed."""

    @property
    def tags(self) -> Tags:
        """Return the maker of tags."""

    @property
    def sources(self) -> Sources:
        """Return the counts of who asks how much."""

    @property
    def outlet(self) -> Outlet:
        """Return the way out."""


class Kept:
    """What is kept of a request: see the module."""

    __slots__ = (
        "_awaits_ack",
        "_owner",
        "armed",
        "flow",
        "key",
        "last",
        "machine",
        "request",
        "status",
        "user",
        "via_port",
    )

    def __init__(self, owner: Owner, key: Key, request: Request, flow: Flow, via_port: int) -> None:
        self._owner = owner
        self.key = key
        self.request: Request | None = request
        self.flow = flow
        self.via_port = via_port
        self.last = b""
        self.status = 0
        self.armed = NEVER
        self._awaits_ack = False
        self.user: ServerTransaction | None = None
        kind = InviteServer if request.method == "INVITE" else NonInviteServer
        self.machine: Server = kind(owner.now(), reliable=flow.transport.reliable, timers=owner.timers)

    @property
    def due(self) -> float:
        """Return when `tick` is to be called."""
        return self.machine.due

    @property
    def over(self) -> bool:
        """Return whether it may be forgotten."""
        return self.machine.over

    def repeated(self) -> None:
        """Take the request once more."""
        if Todo.SEND in self.machine.request():
            self._send()

    def acknowledged(self) -> bool:
        """Take an ACK; return whether it is for the user."""
        if not isinstance(self.machine, InviteServer):
            return False
        todos = self.machine.ack(self._owner.now())
        self._await_no_ack()
        self._owner.changed(self)
        return Todo.TELL in todos

    def respond(self, response: Response) -> bool:
        """Send a response if it may go; return whether it did."""
        if Todo.SEND not in self.machine.response(response.status, self._owner.now()):
            self._owner.changed(self)
            return False
        self.last = response.to_bytes(stream=self.flow.transport.reliable)
        self.status = response.status
        self._send()
        if response.is_final:
            self._let_go()
            self._await_ack()
        self._owner.changed(self)
        return True

    def refuse(self, response: Response) -> None:
        """Send a final response and end at once."""
        self.last = response.to_bytes(stream=self.flow.transport.reliable)
        self.status = response.status
        self._send()
        self.machine.abandon()
        self.last = b""
        self._let_go()
        self._owner.changed(self)

    def tick(self, now: float) -> None:
        """Do what is due."""
        for todo in self.machine.tick(now):
            match todo:
                case Todo.SEND:
                    self._send()
                case Todo.TRYING if self.request is not None:
                    self.last = answer(self.request, 100).to_bytes(stream=self.flow.transport.reliable)
                    self._send()
                case _:
                    self._await_no_ack()
                    _log.debug("sip.transaction_unfinished", method=self.key[2], status=self.status)
        self._owner.changed(self)

    def _let_go(self) -> None:
        """Forget the request, and have who answered it be held by nothing of ours: no CANCEL comes through any more."""
        if self.user is not None:
            self.user.on_cancel = None
        self.request = self.user = None

    def _await_ack(self) -> None:
        """Count a failed INVITE over UDP, and leave its answer alone where too many of that source are without ACK."""
        if isinstance(self.machine, InviteServer) and self.machine.state is State.COMPLETED and self.machine.repeats:
            self._awaits_ack = True
            if not self._owner.sources.awaits_ack(self.flow.remote.host):
                self.machine.hush()

    def _await_no_ack(self) -> None:
        if self._awaits_ack:
            self._awaits_ack = False
            self._owner.sources.awaits_no_ack(self.flow.remote.host)

    def _send(self) -> None:
        if self.flow.open:
            try:
                self.flow.send(self.last)
            except FlowGone as gone:
                _log.debug("sip.response_not_sent", reason=str(gone))
        elif self.status >= 200 and self.flow.transport.reliable:
            self._owner.outlet.reply_elsewhere(self.flow, self.via_port, self.last)


class ServerTransaction:
    """A request that came over `flow`. Answer it once; provisional answers before that go out as they are, of an INVITE.

    `on_cancel` is called with the CANCEL, if one comes before the answer: the CANCEL itself is answered already, the INVITE is not.
    """

    __slots__ = ("_kept", "_owner", "_tag", "flow", "on_cancel", "request")

    def __init__(self, owner: Owner, kept: Kept, request: Request, flow: Flow) -> None:
        self._owner = owner
        self._kept = kept
        self._tag = ""
        self.request = request
        self.flow = flow
        self.on_cancel: Callable[[Request], None] | None = None

    @property
    def status(self) -> int:
        """Return the status of the last response that went out; 0: none."""
        return self._kept.status

    @property
    def answered(self) -> bool:
        """Return whether a final response went out, or none can any more."""
        return self._kept.status >= 200 or self._kept.machine.over

    @property
    def tag(self) -> str:
        """Return the tag of our own responses' To: one for all of them (RFC 3261 section 8.2.6.2)."""
        if not self._tag:
            self._tag = self._owner.tags.new()
        return self._tag

    def respond(self, response: Response) -> bool:
        """Send a response of somebody else, our Via taken off; return whether it went out.

        None may go behind a final one but 2xx behind a 2xx, and to other requests than INVITE neither 1xx nor 408 (RFC 4320).
        """
        return self._kept.respond(response)

    def answer(
        self, status: int, *, phrase: str = "", fields: Iterable[tuple[str, str]] = (), body: bytes = b""
    ) -> bool:
        """Send a response of ours; as `respond`. 100 and 110 bear no tag: they make no dialog."""
        tag = "" if status in (100, 110) else self.tag
        return self.respond(answer(self.request, status, phrase=phrase, to_tag=tag, fields=fields, body=body))

    def refuse(self, status: int, *, phrase: str = "", fields: Iterable[tuple[str, str]] = ()) -> None:
        """Send a final response of ours and forget the request: it is not repeated, a repeated request comes as a new one.

        For whom we do not know: so a flood costs no memory, and of a forged address one message makes one, not eleven
        (RFC 3261 sections 8.2.7 and 26.3.2.4).
        """
        if self.answered:
            return
        tag = self._owner.tags.stateless(self.request)
        self._kept.refuse(answer(self.request, status, phrase=phrase, to_tag=tag, fields=fields))
