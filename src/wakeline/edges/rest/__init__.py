"""The native REST API: the reference for every other way in.

    operations.py   what an operation is          table.py     all of them, one list
    asgi.py         the one way of a request      auth.py      who is it, and may they
    hot.py          the same way without ASGI, for the one route that is asked for all day
    <noun>.py       the handlers of a noun with their request and answer types

`build(ports)` returns an ASGI application. In-process callers and the service's own socket are the operator: they set
`scope["wakeline.admin"] = True`.
"""

from __future__ import annotations

from wakeline.edges.rest.asgi import RestApp
from wakeline.edges.rest.auth import ADMIN_MARK
from wakeline.edges.rest.hot import HotRoute
from wakeline.edges.rest.operations import Operation
from wakeline.edges.rest.ports import ConnectedParts, RestPorts, SipParts
from wakeline.edges.rest.table import BY_NAME, OPERATIONS

__all__ = [
    "ADMIN_MARK",
    "BY_NAME",
    "OPERATIONS",
    "ConnectedParts",
    "HotRoute",
    "Operation",
    "RestApp",
    "RestPorts",
    "SipParts",
    "build",
]


def build(ports: RestPorts) -> RestApp:
    """Return the application that serves the table over these ports."""
    return RestApp(ports, OPERATIONS)
