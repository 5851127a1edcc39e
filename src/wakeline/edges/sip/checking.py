"""What a proxy looks at before it sends a request on (RFC 3261 section 16.3): hops, loops, what is asked of proxies."""

from __future__ import annotations

from hashlib import blake2b

from wakeline.edges.sip.refusals import Refused
from wakeline.wire.sip.message import Request

MAX_FORWARDS = 70


def check(request: Request, mark: str) -> None:
    """Raise Refused for what may not go on; `mark`: what its branch would bear from here."""
    if any(f".{mark}" in via for via in request.all("via")):
        raise Refused(482, "It was here before")
    extensions = request.values("proxy-require")
    if extensions:
        names = ", ".join(extensions)
        raise Refused(420, f"{names} is asked of proxies", fields=(("unsupported", names),))


def count_hop(request: Request) -> None:
    """Count one hop (RFC 3261 section 16.6 step 3). Raises Refused."""
    left = request.max_forwards
    if left == 0:
        raise Refused(483, "It made too many hops")
    request.set("max-forwards", str(MAX_FORWARDS if left is None else left - 1))


def loop_mark(request: Request, secret: bytes) -> str:
    """Return what is the same when a request comes back unchanged, and nobody else can write (RFC 3261 section 16.6 step 8)."""
    parts = (request.uri, request.from_.tag, request.to.tag, request.call_id, request.get("cseq") or "")
    said = "\0".join((*parts, *request.all("route"), *request.all("proxy-authorization")))
    return blake2b(said.encode(errors="surrogateescape"), key=secret[:64], digest_size=6).hexdigest()
