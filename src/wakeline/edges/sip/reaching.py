"""How a fork asks its phones: which way, again where they are now, and no more.

A phone is asked once. One that registers where it was asked already, and only did not answer yet, hears the same request again
(over UDP); one that registers elsewhere is asked there. Who is not wanted any more is cancelled: it hears CANCEL behind its first
word, so that nobody rings for a caller who has gone (RFC 3261 section 9.1).
"""

from __future__ import annotations

from wakeline.edges.sip.asking import Asked, ForkPorts
from wakeline.edges.sip.branch import Branch
from wakeline.edges.sip.client_transactions import ClientTransaction, ClientUser
from wakeline.edges.sip.decisions import decided
from wakeline.edges.sip.flows import Flow, Hop
from wakeline.edges.sip.server_transactions import ServerTransaction
from wakeline.edges.sip.ways import addressed, is_registered, way_to
from wakeline.model.sip.binding import TOKEN_GONE, Binding
from wakeline.wire.sip.message import Request


class Reaching:
    """Sends the request of one fork to phones, and knows whose answer is whose. `user` hears the answers."""

    def __init__(self, ports: ForkPorts, server: ServerTransaction, asked: Asked) -> None:
        self._ports = ports
        self._server = server
        self._asked = asked
        self._of: dict[ClientTransaction, Branch] = {}

    def branch_of(self, client: ClientTransaction) -> Branch:
        """Return the phone that was asked by it."""
        return self._of[client]

    def way(self, binding: Binding) -> Flow | Hop | None:
        """Return how to reach a phone that cannot be woken, if its registration holds; None: not at all. Raises Broken.

        One whose token is gone has most likely lost its app with it: it is there only if it says so.
        """
        if not is_registered(binding, self._ports.clock.now()):
            return None
        return self.awake_at(binding) if binding.why_not == TOKEN_GONE else self._way(binding)

    def awake_at(self, binding: Binding) -> Flow | None:
        """Return where a registered phone gave a sign of life lately; None: nowhere."""
        if not is_registered(binding, self._ports.clock.now()):
            return None
        return self._ports.life.flow_of(binding, self._ports.layer.endpoint)

    def ask(self, branch: Branch, way: Flow | Hop, user: ClientUser) -> None:
        """Ask a phone. Raises Broken."""
        request = addressed(self._asked.request, branch.binding)
        client = self._ports.layer.send(request, way, user, mark=self._asked.mark, prepare=self._record)
        self._of[client] = branch
        branch.client = client

    def ask_there(self, branch: Branch, binding: Binding, user: ClientUser) -> bool:
        """Ask a phone where it registered now; return whether there is a way. Raises Broken."""
        branch.held = False
        branch.binding = binding
        branch.result = None
        decided("released", call_id=self._asked.request.call_id, aor=self._asked.aor, uid=binding.device)
        way = self._way(binding)
        if way is not None:
            self.ask(branch, way, user)
        return way is not None

    def is_on_its_way(self, branch: Branch, binding: Binding) -> bool:
        """Tell whether the phone was asked where it is, and only did not answer yet."""
        client = branch.client
        return client is not None and not client.over and client.flow is not None and client.flow.name == binding.flow

    def hurry(self, branch: Branch) -> None:
        """Repeat what a phone was asked, which was not known to be awake then; it is wanted after all if it was given up."""
        branch.held = False
        client = branch.client
        if client is not None and not client.status:
            branch.result = None
            client.hurry()

    def give_up(self, reason: list[tuple[str, str]]) -> None:
        """Cancel what was asked wherever it is not answered: a phone that moved may still read what it was asked before."""
        for client in self._of:
            client.cancel(reason)

    def follow(self, branch: Branch, binding: Binding) -> None:
        """Have a phone that rings hear the rest where it is now: it changed its network."""
        flow = self._ports.layer.endpoint.flow(binding.flow)
        if branch.client is not None and flow is not None:
            branch.client.moved(flow)

    def call_and_cancel(
        self, branch: Branch, binding: Binding, user: ClientUser, reason: list[tuple[str, str]]
    ) -> None:
        """Let a phone show the call that it was woken for, and end it. Raises Broken."""
        branch.held = False
        if not branch.must_be_called:
            return
        branch.binding = binding
        way = self._way(binding)
        if way is not None:
            self.ask(branch, way, user)
        if branch.client is not None:
            branch.client.cancel(reason)
            asked = self._asked
            decided("called_and_cancelled", call_id=asked.request.call_id, aor=asked.aor, uid=binding.device)

    def _way(self, binding: Binding) -> Flow | Hop | None:
        return way_to(binding, self._ports.layer.endpoint)

    def _record(self, request: Request, flow: Flow) -> None:
        self._ports.routes.record(request, self._server.flow, flow, direct=self._asked.direct)
