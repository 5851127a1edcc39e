"""Pushes that we have somebody else send: an external push URI with all its placeholders filled in.

Where values come from: what is the phone's own stands in the value of its target, as in a query (`type=apple&token=...&app-id=`
and so on); names with `call.` before them are for calls alone, since a phone of Apple has a token of its own for those. What is of
one push is in the notification: `call`, and `data` by the names of placeholders. The text of an alert is the body of a POST.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from urllib.parse import parse_qsl, urlencode

import msgspec

from wakeline.model.errors import InvalidRequest
from wakeline.model.notification import Content, PushType
from wakeline.model.outcome import Outcome
from wakeline.model.sip.push import PushParams
from wakeline.wire import outcomes
from wakeline.wire.flexisip.payloads import Occasion, Push
from wakeline.wire.flexisip.placeholders import NAMES, fill, token_for, values
from wakeline.wire.outcomes.body import seconds

TEXT_LIMIT = 4096
"""Bytes of text that a push takes along."""

_FOR_CALLS = "call."
_OF_PHONES = ("type", "token", "app-id", "uid", "msgid", "sound")
_KNOWN = frozenset((*NAMES, *(f"{_FOR_CALLS}{name}" for name in NAMES)))


class Method(StrEnum):
    """How the URI is called."""

    GET = "GET"
    POST = "POST"


class Template(msgspec.Struct, frozen=True):
    """An external push URI with its placeholders, and its method."""

    uri: str
    method: Method = Method.GET

    def __repr__(self) -> str:
        """Leave the URI out: a key may stand in it, and a repr ends in logs."""
        return f"Template({self.method})"


class Request(msgspec.Struct, frozen=True):
    """What is sent."""

    method: Method
    url: str
    body: bytes


def template_of(secret: bytes) -> Template:
    """Return the URI out of a credential's secret."""
    return msgspec.json.decode(secret, type=Template)


def phone_of(params: PushParams, uid: str = "") -> str:
    """Return a phone's own values, as the value of its target."""
    calls = _own(params, Occasion.CALL, uid)
    if token_for(params, Occasion.MESSAGE) is None:
        return urlencode(calls)
    usual = _own(params, Occasion.MESSAGE, uid)
    return urlencode(
        usual | {f"{_FOR_CALLS}{name}": value for name, value in calls.items() if usual.get(name) != value}
    )


def read_phone(value: str, pointer: str = "") -> dict[str, str]:
    """Return a phone's own values. Raises InvalidRequest."""
    try:
        found = dict(parse_qsl(value, strict_parsing=True, max_num_fields=len(_KNOWN)))
    except ValueError:
        found = {}
    if not found.get("token") or not _KNOWN.issuperset(found):
        raise InvalidRequest(
            "This is no phone behind an external push URI",
            pointer=pointer,
            fix="Write its placeholders as in a query, at least token: token=...&type=apple&app-id=org.example.phone.prod.",
        )
    return found


def request(template: Template, content: Content, phone: Mapping[str, str]) -> Request:
    """Return what to send for a push to a phone (`read_phone`)."""
    body = text_of(content) if template.method is Method.POST else b""
    return Request(template.method, fill(template.uri, said(content, phone)), body)


def said(content: Content, phone: Mapping[str, str]) -> dict[str, str]:
    """Return the values of placeholders for a push to a phone."""
    own = {name: value for name, value in phone.items() if not name.startswith(_FOR_CALLS)}
    if content.type is PushType.CALL:
        own |= {name.removeprefix(_FOR_CALLS): phone[name] for name in phone if name.startswith(_FOR_CALLS)}
    return _of_push(content) | own


def text_of(content: Content) -> bytes:
    """Return the text that a POST bears."""
    return content.alert.body.encode() if content.alert is not None else b""


def read(status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
    """Classify an answer; header names in lower case."""
    wait = seconds(headers.get("retry-after", "").encode(), headers.get("date", "").encode())
    return outcomes.external(status, body, wait)


def _own(params: PushParams, occasion: Occasion, uid: str) -> dict[str, str]:
    found = values(params, Push(occasion=occasion, ttl=0, at=0, uuid=uid))
    return {name: found[name] for name in _OF_PHONES if found.get(name)}


def _of_push(content: Content) -> dict[str, str]:
    found = {name: value for name in NAMES if isinstance(value := content.data.get(name), str)}
    call = content.call
    if call is not None:
        found = {"call-id": call.id, "from-name": call.caller} | found
    match content.type:
        case PushType.CALL:
            event = "call"
        case PushType.BACKGROUND:
            event = ""
        case _:
            event = "message"
    return {"event": event} | found
