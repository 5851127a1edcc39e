"""What messages are known by: keys of transactions, branches, tags, and what a receiver writes into Via."""

from __future__ import annotations

import secrets
from hashlib import blake2b

from wakeline.edges.sip.datagrams import DatagramFlow
from wakeline.edges.sip.flows import Flow, Transport
from wakeline.wire.sip.headers import MAGIC_COOKIE
from wakeline.wire.sip.message import Request

Key = tuple[str, str, str]
"""Branch, sent-by and method of a request that came; that of an ACK is INVITE (RFC 3261 section 17.2.3)."""


def server_key(request: Request) -> Key:
    """Return what a repeated request, and the ACK of an INVITE, is known by."""
    via = request.via
    method = "INVITE" if request.method == "ACK" else request.method
    if via.branch.startswith(MAGIC_COOKIE) and via.branch != MAGIC_COOKIE:
        return via.branch, via.sent_by, method
    # From before RFC 3261: the tag of To is left out, since that of an ACK is the response's.
    return f"{request.uri} {request.from_.tag} {request.call_id} {request.cseq.number}", via.text, method


def new_branch(mark: str = "") -> str:
    """Return a branch that nobody can guess, so that nobody forges an answer to it. `mark` ends it, behind a full stop."""
    return f"{MAGIC_COOKIE}{secrets.token_hex(8)}{mark and '.'}{mark}"


def stamp(request: Request, flow: Flow, branch: str) -> None:
    """Put our Via on top of a request that leaves by this flow; `rport` brings answers back through a NAT of ours (RFC 3581)."""
    request.prepend("via", f"SIP/2.0/{flow.transport.value.upper()} {flow.local};branch={branch};rport")


def stamp_received(request: Request, flow: Flow) -> Flow:
    """Write where a request came from into its Via; return the flow of answers (RFC 3261 section 18.2, RFC 3581). Raises Broken."""
    via = request.via
    stamped = via.came_from(flow.remote.host, flow.remote.port)
    if stamped != via.text:
        request.set_first("via", stamped)
    if isinstance(flow, DatagramFlow) and not via.wants_rport:
        return flow.at(via.port or Transport.UDP.default_port)
    return flow


class Tags:
    """Tags of To. Those of responses that no transaction repeats are made of the request, by a secret of this process."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(16)

    def new(self) -> str:
        """Return a tag."""
        return secrets.token_hex(8)

    def stateless(self, request: Request) -> str:
        """Return the tag of an answer that is forgotten at once: its ACK is known by it, and goes no further.

        Works on a request that has a fault. Raises Broken where Via cannot be read.
        """
        number = (request.get("cseq") or "").partition(" ")[0]
        said = f"{request.via.branch}\0{request.get('call-id')}\0{number}"
        return blake2b(said.encode(errors="surrogateescape"), key=self._secret, digest_size=8).hexdigest()
