"""The proxy: where a request goes (RFC 3261 section 16).

    within a dialog             where the route says that we gave (`dialog_routes`); without one: nowhere
    to an address-of-record     to its phones, those that sleep too (`forking`); a message is kept for them (`messages`)
    to a GRUU                   to that phone
    to a peer                   on, with a Route or a domain that is the peer's address
    of a phone, behind a PBX    to the PBX, which calls phones of its users here
    to us                       OPTIONS is answered
    to anybody else             403: this is no relay

Who sent it is known already (`door`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec
import structlog

from wakeline.config import Sip
from wakeline.edges.sip.asking import Asked, ForkPorts
from wakeline.edges.sip.authentication import Caller
from wakeline.edges.sip.bucket import Bucket
from wakeline.edges.sip.call_records import CallRecords
from wakeline.edges.sip.checking import check, count_hop, loop_mark
from wakeline.edges.sip.dialog_routes import DialogRoutes, hop_of_route
from wakeline.edges.sip.flows import Flow, Hop
from wakeline.edges.sip.forking import Fork
from wakeline.edges.sip.life import Life
from wakeline.edges.sip.messages import Messages
from wakeline.edges.sip.occasions import occasion_of
from wakeline.edges.sip.pbx import hop_of
from wakeline.edges.sip.peers import Peers
from wakeline.edges.sip.presence import Presence
from wakeline.edges.sip.refusals import Refused
from wakeline.edges.sip.relaying import Relay
from wakeline.edges.sip.server_transactions import ServerTransaction
from wakeline.edges.sip.targets import Targets
from wakeline.edges.sip.transaction_layer import TransactionLayer
from wakeline.edges.sip.waking import Wakes
from wakeline.edges.sip.ways import addressed, back_to, way_to
from wakeline.model.sip.binding import BindingChange
from wakeline.ports import Clock
from wakeline.ports.bitrix24_connector import CallJournal
from wakeline.ports.sip import SipBindings, SipMessages
from wakeline.wire.sip.broken import Broken
from wakeline.wire.sip.gruu import gruu_of
from wakeline.wire.sip.message import Request
from wakeline.wire.sip.push_params import hide

LONGEST_CALL_WAIT = 90
"""Seconds: nobody holds on for longer, whatever `call_fork_timeout` says."""
OTHER_WAIT = 10.0
"""Seconds that anything but a call waits: its sender gives up after 32 s, and wants to hear why before that (RFC 8599 5.6.2)."""
_METHODS = (
    "INVITE, ACK, BYE, CANCEL, OPTIONS, REGISTER, MESSAGE, SUBSCRIBE, NOTIFY, REFER, INFO, UPDATE, PRACK, PUBLISH"
)

_log = structlog.get_logger()


class ProxyPorts(msgspec.Struct, kw_only=True):
    """What the proxy speaks to. `secret` signs its routes and marks; the same after a restart."""

    bindings: SipBindings
    messages: SipMessages
    wakes: Wakes
    journal: CallJournal
    clock: Clock
    settings: Callable[[], Sip]
    peers: Callable[[], Peers]
    secret: bytes


class Proxy:
    """Implements `door.Onward`. `registered` hears of registrations."""

    def __init__(self, ports: ProxyPorts) -> None:
        self._ports = ports
        self._routes = DialogRoutes(ports.secret)
        self._targets = Targets(ports.bindings, ports.settings, lambda: self._layer.endpoint.bound)
        self.bucket = Bucket()
        self._records = CallRecords(ports.journal, ports.clock)
        self._presence = Presence(ports.bindings, ports.clock)
        self.messages: Messages
        self._forks: ForkPorts
        self._life: Life
        self._layer: TransactionLayer

    def attach(self, layer: TransactionLayer) -> None:
        """Send through this."""
        ports = self._ports
        self._layer = layer
        self._life = Life(layer.now)
        self._forks = ForkPorts(
            layer=layer,
            bucket=self.bucket,
            wakes=ports.wakes,
            routes=self._routes,
            life=self._life,
            clock=ports.clock,
            settings=ports.settings,
        )
        self.messages = Messages(
            layer, ports.messages, ports.bindings, ports.wakes, ports.clock, ports.settings, self._life
        )

    def end(self) -> None:
        """Answer callers whose calls nobody took yet, and stop the ringing: while there are sockets still."""
        self.bucket.stop()

    async def close(self) -> None:
        """End what is under way."""
        await self.messages.close()
        await self._records.close()
        await self._ports.wakes.close()

    # --- door.Onward -------------------------------------------------------------------------------------------------

    def request(self, server: ServerTransaction, caller: Caller) -> None:
        """Send a request on, or answer it. Raises Refused and Broken."""
        request = server.request.copy()
        mark = loop_mark(request, self._ports.secret)
        check(request, mark)
        count_hop(request)
        if request.to.tag:
            self._within_dialog(server, request, mark)
            return
        self._targets.take_own_routes(request, server.flow)
        target = request.target
        pbx = self._ports.settings().pbx
        if pbx and not caller.peer:
            self._relay(server, request, hop_of(pbx), mark)
        elif pbx and request.method == "OPTIONS":
            _to_us(server)  # it asks, every minute, whether we are there: nobody is woken for that
        elif "route" in request or not self._targets.is_ours(target, server.flow):
            self._to_peer(server, request, mark)
        elif target.user:
            self._to_user(server, request, mark, caller)
        else:
            _to_us(server)

    def ack(self, request: Request, flow: Flow) -> None:
        """Send an ACK to a 2xx on (RFC 3261 section 13.2.2.4); one that leads nowhere is dropped."""
        made = request.copy()
        try:
            count_hop(made)
            way = self._way_within(made)
            hide(made)
        except (Refused, Broken) as refused:
            # At DEBUG: anybody may send one, and a flood must not become one of lines.
            _log.debug("sip.ack_dropped", call_id=request.call_id, source=flow.remote.host, why=refused.detail)
            return
        self._layer.forward_ack(made, way)

    def alive(self, flow: Flow) -> None:
        """Let go what waits for a phone that is awake."""
        self._life.seen(flow)
        self.bucket.alive(flow)
        self.messages.alive(flow)

    def lost(self, flow: Flow) -> None:
        """Requests over a connection that is closed are ended by the transaction layer."""

    def registered(self, change: BindingChange) -> None:
        """Let go what waited for phones that registered and were told so."""
        self._presence.registered(change)
        self.bucket.registered(change)
        self.messages.registered(change)

    def connected(self, app: int, device: str) -> bool:
        """Tell whether a device of an app (row id) is connected."""
        return self._presence.connected(app, device, self._life, self._layer.endpoint)

    # --- within a dialog ---------------------------------------------------------------------------------------------

    def _within_dialog(self, server: ServerTransaction, request: Request, mark: str) -> None:
        way = self._way_within(request)
        if request.method == "BYE":
            self._records.hung_up(request.call_id)
        hide(request)
        Relay(self._layer, server).start(request, way, mark=mark)

    def _way_within(self, request: Request) -> Flow | Hop:
        """Return where a request of a dialog goes; its routes of ours are taken off. Raises Refused and Broken."""
        taken = self._routes.take(request)
        if taken is None:
            raise Refused(403, "It belongs to no dialog that began here")
        further = hop_of_route(request)
        gruu = gruu_of(request.target) if further is None else None
        binding = self._ports.bindings.by_gruu(gruu) if gruu else None
        if binding is not None:
            request.uri = addressed(request, binding).uri
            for value in reversed(binding.path):
                request.prepend("route", value)
            way = way_to(binding, self._layer.endpoint)
            if way is not None:
                return way
        flow = self._layer.endpoint.flow(taken.flow)
        if taken.direct and flow is not None and flow.open:
            return flow
        hop = Hop.of(further or request.target)
        if self._ports.peers().covers(hop.address.host):
            return hop
        found = flow if flow is not None and flow.open else back_to(taken.flow, hop)
        if found is None:
            raise Refused(430, "The other side has no connection any more")
        return found

    # --- outside of dialogs ------------------------------------------------------------------------------------------

    def _to_peer(self, server: ServerTransaction, request: Request, mark: str) -> None:
        hop = Hop.of(hop_of_route(request) or request.target)
        if not self._ports.peers().covers(hop.address.host):
            raise Refused(403, f"{hop.address.host} is neither a domain of ours nor a peer")
        self._relay(server, request, hop, mark)

    def _relay(self, server: ServerTransaction, request: Request, hop: Hop, mark: str) -> None:
        hide(request)
        came, direct = server.flow, _is_direct(server.request)
        Relay(self._layer, server).start(
            request, hop, mark=mark, prepare=lambda out, goes: self._routes.record(out, came, goes, direct=direct)
        )

    def _to_user(self, server: ServerTransaction, request: Request, mark: str, caller: Caller) -> None:
        target = request.target
        aor = self._targets.aor(target)
        gruu = gruu_of(target)
        hide(request)
        occasion = occasion_of(request)
        settings = self._ports.settings()
        is_call = request.method == "INVITE"
        asked = Asked(
            request=request,
            aor=aor,
            occasion=occasion,
            mark=mark,
            direct=_is_direct(server.request),
            patience=float(min(settings.call_fork_timeout, LONGEST_CALL_WAIT)) if is_call else OTHER_WAIT,
            gruu=gruu or "",
            caller=caller.aor or server.flow.remote.host,
        )
        if Messages.keeps(request):
            self.messages.take(server, asked, self._targets.phones(asked))
            return
        records = self._records
        fork = Fork(
            self._forks,
            server,
            asked,
            partial(records.answered, request.call_id, aor) if is_call else _nobody_wants_to_know,
        )
        self.bucket.put(aor, fork)
        try:
            bindings = self._targets.phones(asked)
        except Refused:
            self.bucket.take(aor, fork, ())
            raise
        if is_call:
            records.began(request, aor, bindings)
        fork.start(bindings)


def _is_direct(request: Request) -> bool:
    """Tell whether who sent a request made it: there is one Via."""
    return len(request.values("via")) == 1


def _nobody_wants_to_know(_: int) -> None:
    """Only calls are in anybody's journal."""


def _to_us(server: ServerTransaction) -> None:
    """Answer what is meant for this machine itself (RFC 3261 section 11)."""
    if server.request.method == "OPTIONS":
        server.answer(200, fields=[("allow", _METHODS), ("supported", "path, outbound, gruu")])
    else:
        server.answer(404)
