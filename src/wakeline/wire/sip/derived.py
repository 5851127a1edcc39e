"""Requests that follow from an INVITE at the hop that sent it: CANCEL, and ACK to a final response that is no 2xx."""

from __future__ import annotations

from wakeline.wire.sip.message import VERSION, Request, Response

MAX_FORWARDS = "70"


def cancel(request: Request, *, reason: str = "") -> Request:
    """Return the CANCEL of a request that was sent (RFC 3261 section 9.1). `reason`: a value of Reason (RFC 3326)."""
    made = _follow(request, "CANCEL")
    made.append_lines("to", request.lines("to"))
    if reason:
        made.append("reason", reason)
    made.set_body(b"")
    return made


def ack(request: Request, response: Response) -> Request:
    """Return the ACK of a response other than 2xx (RFC 3261 section 17.1.1.3): To is the response's, with its tag."""
    made = _follow(request, "ACK")
    made.append_lines("to", response.lines("to")[:1])
    made.set_body(b"")
    return made


def _follow(request: Request, method: str) -> Request:
    """Same Request-URI, topmost Via, Route, From, Call-ID and number: the next hop finds the transaction by them."""
    made = Request(method, request.uri, VERSION, [], [], b"")
    made.append("via", request.via.text)
    for name in ("route", "from", "call-id"):
        made.append_lines(name, request.lines(name))
    made.append("cseq", f"{request.cseq.number} {method}")
    made.append("max-forwards", MAX_FORWARDS)
    return made
