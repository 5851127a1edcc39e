"""For which requests a phone is woken (RFC 8599 section 5.6.2), and which push that takes.

Woken is for what begins a dialog or stands alone and wants the user. Not for what says itself that it can wait (`Priority:
non-urgent`), for notes that somebody is typing or has read something, for a call that replaces another one (the phone is in it, so
it is awake), and not for questions of one program to another (OPTIONS, PUBLISH).
"""

from __future__ import annotations

from wakeline.wire.flexisip.payloads import Occasion
from wakeline.wire.sip.message import Request

TYPING = "application/im-iscomposing+xml"
READ = "message/imdn+xml"
_GROUP_CHAT = "application/resource-lists+xml"
_SUMMARY = "message-summary"


def content_type(request: Request) -> str:
    """Return the type of the body, without parameters."""
    return (request.get("content-type") or "").partition(";")[0].strip().lower()


def occasion_of(request: Request) -> Occasion | None:
    """Return what a phone is woken for; None: it is not."""
    if (request.get("priority") or "").lower() == "non-urgent":
        return None
    match request.method:
        case "INVITE" if "replaces" in request:
            return None
        case "INVITE":
            return Occasion.GROUP_CHAT if content_type(request) == _GROUP_CHAT else Occasion.CALL
        case "MESSAGE":
            return None if content_type(request) in (TYPING, READ) else Occasion.MESSAGE
        case "NOTIFY":
            return Occasion.MESSAGE_WAITING if _event(request) == _SUMMARY else None
        case "REFER" | "SUBSCRIBE":
            return Occasion.OTHER
        case _:
            return None


def _event(request: Request) -> str:
    return (request.get("event") or "").partition(";")[0].strip().lower()
