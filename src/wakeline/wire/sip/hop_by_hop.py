"""Requests that go one hop, after one that was sent: ACK for a failure, CANCEL (RFC 3261 sections 17.1.1.3 and 9.1).

Both say what the request said on its last hop: its Request-URI, its topmost Via alone, its Route, From, Call-ID and number.
"""

from __future__ import annotations

from collections.abc import Iterable

from wakeline.wire.sip.message import VERSION, Request, Response

_HOPS = ("max-forwards", "70")


def ack_of(request: Request, response: Response) -> Request:
    """Return the ACK to a final response that is no 2xx, to an INVITE as it was sent: To is the response's."""
    return _after(request, "ACK", response.lines("to"))


def cancel_of(request: Request, fields: Iterable[tuple[str, str]] = ()) -> Request:
    """Return the CANCEL of a request as it was sent. `fields` may give a Reason (RFC 3326)."""
    cancel = _after(request, "CANCEL", request.lines("to"))
    for name, value in fields:
        cancel.append(name, value)
    return cancel


def _after(request: Request, method: str, to: list[str]) -> Request:
    made = Request(method, request.uri, VERSION, [], [], b"")
    made.append("via", request.via.text)
    made.append_lines("route", request.lines("route"))
    made.append(*_HOPS)
    made.append_lines("from", request.lines("from"))
    made.append_lines("to", to)
    made.append("call-id", request.call_id)
    made.append("cseq", f"{request.cseq.number} {method}")
    made.append("content-length", "0")
    return made
