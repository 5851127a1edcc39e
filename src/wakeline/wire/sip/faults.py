"""What must be right in every message before anybody acts on it (RFC 3261 sections 8.1.1, 8.2 and 16.3).

Lenient where a wrong thing hurts nobody (a From without tag, an odd Date); strict where two readers could see two messages: fields
that may come once come once, lengths agree, the method is the same in both places.
"""

from __future__ import annotations

from wakeline.wire.sip.broken import Broken
from wakeline.wire.sip.fields import Message
from wakeline.wire.sip.headers import parse_via
from wakeline.wire.sip.message import VERSION, Request

MAX_VIAS = 32

_ONCE = ("from", "to", "call-id", "cseq", "max-forwards", "content-length", "expires", "content-type")


def fault(message: Message) -> Broken | None:
    """Return what is wrong with a message; None: it may be acted on. A request is answered `answer`, a response dropped."""
    try:
        if message.version != VERSION:
            return Broken("Only SIP/2.0 is spoken here", 505)
        _check_fields(message)
        if isinstance(message, Request):
            _check_request(message)
    except Broken as wrong:
        return wrong
    return None


def _check_fields(message: Message) -> None:
    """Read what every hop reads."""
    repeats = message.has_repeats
    if repeats:
        names = message.names()
        for name in _ONCE:
            if names.count(name) > 1:
                raise Broken(f"There is more than one {name}")
    _ = message.via, message.from_, message.to, message.call_id, message.cseq
    if repeats or "," in (message.get("via") or ""):
        _check_vias(message)
    length = message.content_length
    if length is not None and length != len(message.body):
        raise Broken("Content-Length is more than there is")


def _check_vias(message: Message) -> None:
    """Read the others: the topmost is read already."""
    vias = message.values("via")
    if len(vias) > MAX_VIAS:
        raise Broken("There are more than 32 Via")
    for via in vias[1:]:
        parse_via(via)


def _check_request(request: Request) -> None:
    if request.cseq.method != request.method:
        raise Broken("CSeq names another method")
    _ = request.max_forwards
    _ = request.target
