"""The transaction layer: what comes is matched to what is under way, what is new goes to its user (RFC 3261 section 17).

A flood from one source finds two walls: the inbox gives everybody their turns, and no source may have more than half of the
transactions that there is room for; what is beyond is answered 503, which costs no memory.

Who uses it implements `User` for what comes, and `ClientUser` for what it sends:

    layer.send(request, flow_or_hop, self)     # adds our Via; `answered` and `failed` are called later, never before it returns
    server.answer(404)                         # ours;  server.respond(response) of somebody else;  server.refuse(401, fields=...)
    layer.forward_ack(ack, flow_or_hop)        # an ACK to a 2xx belongs to no transaction
    layer.after(20.0, self.give_up)            # an alarm, by the same clock
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from wakeline.edges.sip.client_transactions import NOBODY, ClientTransaction, ClientUser, Failure
from wakeline.edges.sip.endpoint import Endpoint
from wakeline.edges.sip.flows import Flow, Hop
from wakeline.edges.sip.matching import Key, Tags, new_branch, server_key, stamp, stamp_received
from wakeline.edges.sip.outlet import Outlet
from wakeline.edges.sip.server_transactions import Kept, ServerTransaction
from wakeline.edges.sip.sources import Sources
from wakeline.edges.sip.timekeeper import Alarm, Timekeeper
from wakeline.wire.sip.broken import Broken
from wakeline.wire.sip.faults import fault
from wakeline.wire.sip.framing import BrokenStream
from wakeline.wire.sip.message import Request, Response, parse
from wakeline.wire.sip.responses import answer
from wakeline.wire.sip.timers import Timers

ROOM = 100_000
"""Server transactions at a time: over UDP each stays 32 s, so this is 3,000 requests a second."""
_RETRY_AFTER = ("retry-after", "5")

_log = structlog.get_logger()

Prepare = Callable[[Request, Flow], None]


class User(Protocol):
    """The transaction user: whoever registers and proxies. Its methods may raise: that is logged, and answered 500."""

    def request(self, server: ServerTransaction) -> None:
        """A new request came, whatever its method but ACK and CANCEL. It is answered now or later."""

    def ack(self, request: Request, flow: Flow) -> None:
        """An ACK to a 2xx came: it is forwarded, and never answered."""

    def alive(self, flow: Flow) -> None:
        """A peer sent a keep-alive."""

    def lost(self, flow: Flow) -> None:
        """A connection is closed."""


class TransactionLayer:
    """All transactions of the SIP edge. It listens to an `Endpoint`, and sends through it once attached."""

    def __init__(
        self, user: User, *, clock: Callable[[], float], timers: Timers | None = None, room: int = ROOM
    ) -> None:
        self._user = user
        self._clock = clock
        self._timers = timers or Timers()
        self._servers: dict[Key, Kept] = {}
        self._clients: dict[tuple[str, str], ClientTransaction] = {}
        self._on_flow: dict[str, set[ClientTransaction]] = {}
        self.sources = Sources(room)
        self._time = Timekeeper(clock)
        self.tags = Tags()
        self.outlet = Outlet()

    # --- for its user ------------------------------------------------------------------------------------------------

    def attach(self, endpoint: Endpoint) -> None:
        """Send through these sockets."""
        self.outlet.attach(endpoint)

    @property
    def endpoint(self) -> Endpoint:
        """Return the sockets."""
        return self.outlet.endpoint

    def send(
        self, request: Request, to: Flow | Hop, user: ClientUser, *, mark: str = "", prepare: Prepare | None = None
    ) -> ClientTransaction:
        """Send a request, which is ours from now on. What goes wrong is told to the user, and not before this returns.

        `mark` ends the branch: a proxy knows a loop by it (RFC 3261 section 16.6 step 8). `prepare` is called with the flow
        that was chosen, before our Via is put on top: to write a Record-Route.
        """
        client = ClientTransaction(self, request, user, new_branch(mark))
        self.outlet.reached(
            request, to, lambda flow: self._start(client, flow, prepare), lambda: client.fail(Failure.UNREACHABLE)
        )
        return client

    def forward_ack(self, request: Request, to: Flow | Hop, *, prepare: Prepare | None = None) -> None:
        """Send an ACK to a 2xx on, with a Via of ours."""
        self.outlet.reached(request, to, lambda flow: self._send_ack(request, flow, prepare), lambda: None)

    def after(self, seconds: float, call: Callable[[], None]) -> Alarm:
        """Call that in so many seconds, unless the alarm is cancelled."""
        return self._time.after(seconds, call)

    def run_timers(self) -> None:
        """Do what is due: for whoever moves the clock by hand."""
        self._time.run()

    def stop(self) -> None:
        """Forget what is under way; the sockets are closed by whoever opened them."""
        self._time.stop()
        self.outlet.stop()

    def __len__(self) -> int:
        """Return how many transactions there are."""
        return len(self._servers) + len(self._clients)

    # --- endpoint.Listener -------------------------------------------------------------------------------------------

    def received(self, flow: Flow, data: bytes) -> None:
        """Take a message."""
        try:
            message = parse(data)
        except Broken as wrong:
            _log.debug("sip.not_sip", source=flow.remote.host, reason=wrong.detail)
            return
        wrong_with_it = fault(message)
        try:
            if isinstance(message, Response):
                if wrong_with_it is None:
                    self._response(message)
            elif wrong_with_it is not None:
                self._answer_broken(message, flow, wrong_with_it)
            else:
                self._request(message, flow)
        except Exception:  # noqa: BLE001 - one message must not end the reading of others
            _log.exception("sip.defect", source=flow.remote.host)

    def broken(self, flow: Flow, wrong: BrokenStream) -> None:
        """Answer what can be answered of a stream that cannot be read on."""
        try:
            message = parse(wrong.header)
        except Broken:
            return
        if isinstance(message, Request):
            self._answer_broken(message, flow, wrong.wrong)

    def alive(self, flow: Flow) -> None:
        """Pass it on."""
        _guarded(lambda: self._user.alive(flow))

    def lost(self, flow: Flow) -> None:
        """End what nobody will answer any more, and pass it on."""
        for client in self._on_flow.pop(flow.name, ()):
            _guarded(client.lost)
        _guarded(lambda: self._user.lost(flow))

    # --- what comes --------------------------------------------------------------------------------------------------

    def _response(self, response: Response) -> None:
        """A response without a transaction is nobody's (RFC 6026 section 7.2 forbids proxies to forward it)."""
        client = self._clients.get((response.via.branch, response.cseq.method))
        if client is not None:
            client.received(response)

    def _request(self, request: Request, flow: Flow) -> None:
        key, via_port = server_key(request), request.via.port or flow.transport.default_port
        back = stamp_received(request, flow)
        kept = self._servers.get(key)
        if request.method == "ACK":
            self._ack(request, flow, kept)
        elif kept is not None:
            kept.repeated()
        elif self.sources.admits(flow.remote.host):
            self._new(Kept(self, key, request, back, via_port), request, flow)
        else:
            self.outlet.send(back, self._overloaded(request))

    def _ack(self, request: Request, flow: Flow, kept: Kept | None) -> None:
        if kept is not None:
            if kept.acknowledged():
                self._user.ack(request, flow)
        elif request.to.tag != self.tags.stateless(request):
            self._user.ack(request, flow)

    def _new(self, kept: Kept, request: Request, flow: Flow) -> None:
        self._servers[kept.key] = kept
        self.sources.began(flow.remote.host)
        server = kept.user = ServerTransaction(self, kept, request, flow)
        self._time.changed(kept)
        try:
            if request.method == "CANCEL":
                self._cancel(server, kept.key)
            else:
                self._user.request(server)
        except Exception:  # noqa: BLE001 - whoever asked is told all the same
            _log.exception("sip.defect", method=request.method, call_id=request.call_id)
            server.answer(500)

    def _cancel(self, server: ServerTransaction, key: Key) -> None:
        """Answer a CANCEL, and tell whoever has the INVITE (RFC 3261 sections 9.2 and 16.10)."""
        kept = self._servers.get((key[0], key[1], "INVITE"))
        if kept is None:
            server.refuse(481)  # anybody may write one: it costs no memory
            return
        server.answer(200)
        if kept.user is not None and kept.user.on_cancel is not None:
            kept.user.on_cancel(server.request)

    def _answer_broken(self, request: Request, flow: Flow, wrong: Broken) -> None:
        """Say what is wrong with a request, if there is a way to say it; no ACK is ever answered."""
        try:
            back = stamp_received(request, flow)
        except Broken:
            return
        if request.method != "ACK":
            tag = self.tags.stateless(request)
            self.outlet.send(back, answer(request, wrong.answer, phrase=wrong.detail, to_tag=tag))

    def _overloaded(self, request: Request) -> Response:
        return answer(request, 503, to_tag=self.tags.stateless(request), fields=[_RETRY_AFTER])

    # --- what goes ---------------------------------------------------------------------------------------------------

    def _start(self, client: ClientTransaction, flow: Flow, prepare: Prepare | None) -> None:
        if client.cancelled:
            client.fail(Failure.CANCELLED)
            return
        try:
            if prepare is not None:
                prepare(client.request, flow)
            client.start(flow)
        except Exception:  # noqa: BLE001 - whoever waits for an answer is told all the same
            _log.exception("sip.defect", method=client.request.method)
            self.soon(lambda: client.fail(Failure.UNREACHABLE))

    def _send_ack(self, request: Request, flow: Flow, prepare: Prepare | None) -> None:
        if prepare is not None:
            prepare(request, flow)
        stamp(request, flow, new_branch())
        self.outlet.send(flow, request)

    # --- for its transactions ----------------------------------------------------------------------------------------

    @property
    def timers(self) -> Timers:
        """Return how long transactions wait."""
        return self._timers

    def now(self) -> float:
        """Return seconds that never jump."""
        return self._clock()

    def soon(self, call: Callable[[], None]) -> None:
        """Call that when whoever is at work now is done."""
        asyncio.get_running_loop().call_soon(call)

    def sent_on(self, client: ClientTransaction) -> None:
        """Know a request of ours by its branch, and by its connection."""
        self._clients[client.branch, client.request.method] = client
        if client.flow is not None and client.flow.transport.reliable:
            self._on_flow.setdefault(client.flow.name, set()).add(client)
        self._time.changed(client)

    def send_cancel(self, cancel: Request, flow: Flow, branch: str) -> None:
        """Send a CANCEL that has its Via already."""
        ClientTransaction(self, cancel, NOBODY, branch).start_stamped(flow)

    def changed(self, item: Kept | ClientTransaction) -> None:
        """Have it called in time, or forget it."""
        if not item.over:
            self._time.changed(item)
        elif isinstance(item, Kept):
            self._forget_server(item)
        else:
            self._forget_client(item)

    def _forget_server(self, kept: Kept) -> None:
        if self._servers.pop(kept.key, None) is not None:
            self.sources.ended(kept.flow.remote.host)

    def _forget_client(self, client: ClientTransaction) -> None:
        key = client.branch, client.request.method
        if self._clients.get(key) is client:  # a CANCEL that was sent once more has the same key
            del self._clients[key]
        if client.flow is not None and (here := self._on_flow.get(client.flow.name)) is not None:
            here.discard(client)
            if not here:
                del self._on_flow[client.flow.name]


def _guarded(call: Callable[[], None]) -> None:
    """Call whoever uses us from a socket's callback, which must not raise."""
    try:
        call()
    except Exception:  # noqa: BLE001 - a defect in one must not keep the others from hearing
        _log.exception("sip.defect")
