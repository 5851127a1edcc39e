"""How a request gets to a phone: over which flow, with which Request-URI and Route, and whether the phone is awake to take it.

A phone is reached over what it registered over. A connection that is closed is no way any more, and nobody can connect to a phone
behind a NAT: that phone has to be woken. Push parameters stay here, also of the phone's own Contact (RFC 8599 section 13).
"""

from __future__ import annotations

from typing import Protocol

from wakeline.edges.sip.flows import Flow, Hop
from wakeline.model.sip.binding import Binding
from wakeline.wire.sip.headers import parse_name_addr
from wakeline.wire.sip.message import Request
from wakeline.wire.sip.push_params import hidden
from wakeline.wire.sip.uri import parse_uri


class Flows(Protocol):
    """The sockets."""

    def flow(self, name: str) -> Flow | None:
        """Return the flow of that name; None if it is gone."""


def can_be_woken(binding: Binding) -> bool:
    """Tell whether there is a push for this phone."""
    return binding.push is not None and binding.app != 0 and bool(binding.device)


def is_registered(binding: Binding, now: int) -> bool:
    """Tell whether the registration itself holds still (`now` in Unix ms); else it is kept to be woken, and for messages."""
    return binding.expires > now


def way_to(binding: Binding, flows: Flows) -> Flow | Hop | None:
    """Return how to reach a phone; None: not at all, until it registers again. Raises Broken."""
    flow = flows.flow(binding.flow)
    if flow is not None and flow.open:
        return flow
    if binding.path:
        return back_to(binding.flow, Hop.of(parse_uri(parse_name_addr(binding.path[0]).uri)))
    if binding.reg_id or can_be_woken(binding):
        return None
    return back_to(binding.flow, Hop.of(parse_uri(binding.contact)))


def back_to(flow: str, hop: Hop) -> Hop | None:
    """Return a hop if it leads to where a flow (its name) came from, whose connection is closed; None: elsewhere.

    What a Contact or a Request-URI names is its sender's choice, and nobody has us connect to somebody else by it.
    """
    address = flow.partition(":")[2].partition("#")[0]
    return hop if address.rpartition(":")[0].removeprefix("[").removesuffix("]") == hop.address.host else None


def addressed(request: Request, binding: Binding) -> Request:
    """Return a request as it goes to a phone (RFC 3261 section 16.6, RFC 3327 section 5.4). Raises Broken."""
    made = request.copy()
    made.uri = hidden(binding.contact)
    for value in reversed(binding.path):
        made.prepend("route", value)
    return made
