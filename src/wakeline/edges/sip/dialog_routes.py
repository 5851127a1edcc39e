"""Record-Route of ours: how later requests of a dialog come back through us, and how we know that they belong to one.

Every request that may begin a dialog gets two (RFC 5658), one for each side: what a side sends later bears both, and the one that
we take off last is that of the other side. Its user part is a token: the flow by which that side was reached, for it may have no
other way in (RFC 5626 section 5.2), and a keyed digest over that and the Call-ID. So nobody can write a Route of ours that we did
not give, and whoever may not send through us begins no dialog; no state is kept, and a restart ends no dialog.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from hashlib import blake2b
from hmac import compare_digest

import msgspec

from wakeline.edges.sip.flows import Flow, Transport
from wakeline.wire.sip.broken import Broken
from wakeline.wire.sip.message import Request
from wakeline.wire.sip.uri import SipUri, parse_uri

DIALOGS_BEGIN_WITH = frozenset({"INVITE", "SUBSCRIBE", "REFER", "NOTIFY"})
_SIGNED = 9
"""Bytes of the digest."""
_DIRECT, _BEHIND = "d", "b"


class Taken(msgspec.Struct, frozen=True):
    """What the routes of ours said that a request bore: `flow` leads to the other side, or (not `direct`) to a proxy before it."""

    flow: str
    direct: bool


class DialogRoutes:
    """Writes and reads them. `secret` stays the same over restarts."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def record(self, request: Request, came: Flow, goes: Flow, *, direct: bool) -> None:
        """Write both: `came` is where the request came from, `goes` where it goes next.

        `direct`: who sent it wrote the only Via, so `came` leads to it, and not to a proxy that is done with this dialog.
        """
        if request.method not in DIALOGS_BEGIN_WITH:
            return
        call_id = request.call_id
        request.prepend("record-route", self._route(came, call_id, direct=direct))
        request.prepend("record-route", self._route(goes, call_id, direct="route" not in request))

    def take(self, request: Request) -> Taken | None:
        """Take the routes of ours off the top of a request; None: it bears none. Raises Broken."""
        taken: Taken | None = None
        while (route := request.route) is not None:
            found = self._read(parse_uri(route.uri), request.call_id)
            if found is None:
                break
            request.remove_first("route")
            taken = found
        return taken

    def _route(self, flow: Flow, call_id: str, *, direct: bool) -> str:
        name = (_DIRECT if direct else _BEHIND) + flow.name
        token = urlsafe_b64encode(self._digest(name, call_id) + name.encode()).decode().rstrip("=")
        transport = "" if flow.transport is Transport.UDP else f";transport={flow.transport.value}"
        return f"<sip:{token}@{flow.local}{transport};lr>"

    def _read(self, uri: SipUri, call_id: str) -> Taken | None:
        try:
            token = urlsafe_b64decode(uri.user + "=" * (-len(uri.user) % 4))
            name = token[_SIGNED:].decode()
        except (Error, ValueError):
            return None
        if not compare_digest(token[:_SIGNED], self._digest(name, call_id)):
            return None
        return Taken(name[1:], name[:1] == _DIRECT)

    def _digest(self, name: str, call_id: str) -> bytes:
        said = f"{name}\0{call_id}".encode(errors="surrogateescape")
        return blake2b(said, key=self._secret[:64], digest_size=_SIGNED).digest()


def hop_of_route(request: Request) -> SipUri | None:
    """Return the URI that a request's topmost Route names. Raises Broken; 400 for a strict router, which nobody is any more."""
    route = request.route
    if route is None:
        return None
    uri = parse_uri(route.uri)
    if not uri.is_loose_router:
        raise Broken("The next Route is no loose router")
    return uri
