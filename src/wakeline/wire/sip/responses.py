"""Responses that we make ourselves, their reason phrases (RFC 3261 section 8.2.6), and which of several goes on (section 16.7)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wakeline.wire.sip.broken import Broken
from wakeline.wire.sip.message import VERSION, Request, Response

PHRASES = {
    100: "Trying",
    110: "Push sent",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    200: "OK",
    202: "Accepted",
    302: "Moved Temporarily",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    413: "Request Entity Too Large",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    423: "Interval Too Brief",
    430: "Flow Failed",
    439: "First Hop Lacks Outbound Support",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    487: "Request Terminated",
    500: "Server Internal Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    555: "Push Notification Service Not Supported",
    600: "Busy Everywhere",
    603: "Decline",
    606: "Not Acceptable",
}
"""What the status of a response of ours says. 110 is no status of an RFC: Belledonne's proxies and clients use it."""

_COPIED = ("via", "from", "to", "call-id", "cseq")


def answer(
    request: Request,
    status: int,
    *,
    phrase: str = "",
    to_tag: str = "",
    fields: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> Response:
    """Return a response to a request: its Via, From, To, Call-ID and CSeq as they came, and `fields`.

    `to_tag` is added where the request has none in To; 100 takes none. Timestamp is copied into 100 (RFC 3261 section 8.2.6.1).
    Works on a request that has a fault: what it lacks is left out.
    """
    copied = (*_COPIED, "timestamp") if status == 100 else _COPIED
    found = [(name, line) for name in copied for line in request.lines(name)]
    phrase = phrase or PHRASES.get(status, "Unknown")
    response = Response(status, phrase, VERSION, [name for name, _ in found], [line for _, line in found], body)
    if to_tag and status != 100 and _lacks_tag(request):
        response.set("to", f"{request.get('to')};tag={to_tag}")
    for name, value in fields:
        response.append(name, value)
    response.append("content-length", str(len(body)))
    return response


def _lacks_tag(request: Request) -> bool:
    try:
        return not request.to.tag
    except Broken:
        return False


_CHALLENGES = ("www-authenticate", "proxy-authenticate")
_USEFUL = frozenset({401, 407, 415, 420, 484})
"""They tell the caller what to do better (RFC 3261 section 16.7 step 6)."""
_WEAKEST = frozenset({408, 480, 487})
"""They only say that a branch came to nothing: a phone that said something else said more."""


def rank(status: int) -> int:
    """Return how good a final status is for the caller, the lowest best: 2xx, 6xx, what helps, then the lowest class."""
    if status < 300:
        return 0
    if status >= 600:
        return 1
    if status in _USEFUL:
        return 2
    return status // 100 * 10 + (status in _WEAKEST)


def best(responses: Sequence[Response]) -> Response | None:
    """Return the final response that goes on to the caller, of all that came; None: none did.

    One 401 or 407 takes the challenges of all of them with it (RFC 3261 section 16.7 step 7); 503 becomes 500, since it would
    tell the caller that this proxy is overloaded (step 6).
    """
    if not responses:
        return None
    chosen = min(responses, key=lambda response: rank(response.status))
    if chosen.status in (401, 407):
        return _with_challenges(chosen, responses)
    if chosen.status == 503:
        changed = chosen.restated(500, PHRASES[500])
        changed.remove("retry-after")
        return changed
    return chosen


def _with_challenges(chosen: Response, responses: Sequence[Response]) -> Response:
    made = chosen.copy()
    for other in responses:
        if other is not chosen and other.status in (401, 407):
            for name in _CHALLENGES:
                made.append_lines(name, other.lines(name))
    return made
