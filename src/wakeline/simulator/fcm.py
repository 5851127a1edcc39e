"""The fake FCM HTTP v1 API: `POST /v1/projects/<project>/messages:send`.

Checked in this order: path, access token, JSON against the schema, the rules of the message, the target's script.
`validate_only` does all of it and answers with a message id that is none.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from email.utils import formatdate
from urllib.parse import unquote, urlsplit

import msgspec

from wakeline.simulator import fcm_errors as errors
from wakeline.simulator.exchange import JSON_TYPE, Answer, Request
from wakeline.simulator.fcm_schema import Violation, normalised, violations
from wakeline.simulator.script import performed
from wakeline.simulator.state import State

PROVIDER = "fcm"
_SEND = re.compile(r"/v1/projects/([^/]+)/messages:send")
_TARGETS = ("token", "fid", "topic", "condition")
_TOPIC = re.compile(r"[a-zA-Z0-9\-_.~%]{1,900}")
_LABEL = re.compile(r"[a-zA-Z0-9\-_.~%]{1,50}")
_MESSAGE_LIMIT = 4096  # bytes of data and notification
_TOPIC_MESSAGE_LIMIT = 2048
_MAX_TTL_S = 4 * 7 * 24 * 3600
_RESERVED_KEYS = ("from", "message_type")
_RESERVED_PREFIXES = ("google.", "gcm.notification.")

Document = dict[str, object]


def send_answer(request: Request, state: State) -> Answer:
    """The answer to one request under `/v1/`."""
    found = _SEND.fullmatch(unquote(urlsplit(request.path).path))
    if found is None or request.method != "POST":
        return _named(_dated(errors.html_page(404), state), {})
    refusal = _auth_fault(request, found[1], state)
    if refusal is not None:
        return _named(refusal, {})
    try:
        document = normalised(msgspec.json.decode(request.body))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _named(errors.malformed([Violation("", "Invalid JSON payload received.")]), {})
    wrong = list(violations(document))
    if wrong or not isinstance(document, dict):
        return _named(errors.malformed(wrong), {})
    message = _document(document, "message")
    broken = next(_broken_rules(message), None)
    if broken is not None:
        return _named(errors.invalid(broken), message)
    if _size(message) > (_TOPIC_MESSAGE_LIMIT if "topic" in message else _MESSAGE_LIMIT):
        return _named(errors.too_large(), message)
    return _named(_played(found[1], message, state, validate_only=bool(document.get("validateOnly"))), message)


def _dated(answer: Answer, state: State) -> Answer:
    """Return an answer with the time of this service, as Google's front end tells it; clients compare it with their own."""
    return msgspec.structs.replace(answer, headers=(*answer.headers, ("date", formatdate(state.clock(), usegmt=True))))


def _auth_fault(request: Request, project: str, state: State) -> Answer | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        return errors.unauthenticated("CREDENTIALS_MISSING")
    grant = state.grants.get(token)
    if grant is not None and grant.expires_at < state.clock():
        return errors.unauthenticated("ACCESS_TOKEN_EXPIRED")
    if state.trust.service_accounts is None:
        return None
    account = None if grant is None else state.trust.account(grant.client_email)
    if account is None:
        return errors.unauthenticated("ACCESS_TOKEN_TYPE_UNSUPPORTED")
    return None if account.project_id in ("", project) else errors.permission_denied(project)


def _broken_rules(message: Document) -> Iterator[Violation]:
    """What the schema cannot say, in the order in which FCM is known to look."""
    yield from _target_faults(message)
    yield from _data_faults(message)
    if "android" in message and "androidV2" in message:
        yield Violation("message", "Only one of android and android_v2 may be set.")
    for name in ("android", "androidV2"):
        ttl = _document(message, name).get("ttl")
        if isinstance(ttl, str) and not 0 <= float(ttl.removesuffix("s")) <= _MAX_TTL_S:
            yield Violation(f"message.{name}.ttl", "Invalid value for ttl: it is 0 to 2419200 seconds.")
    link = _document(_document(message, "webpush"), "fcmOptions").get("link")
    if isinstance(link, str) and not link.startswith("https://"):
        yield Violation("message.webpush.fcm_options.link", "The link is an https URL.")
    yield from _label_faults(message)


def _target_faults(message: Document) -> Iterator[Violation]:
    named = [name for name in _TARGETS if message.get(name) is not None]
    if not named:
        yield Violation("message", "Recipient of the message is not set.")
    elif len(named) > 1:
        why = f"oneof field 'target' is already set. Cannot set '{named[1]}'"
        yield Violation("message", f"Invalid value at 'message' (oneof), {why}")
    elif named[0] in ("token", "fid") and not message[named[0]]:
        yield Violation(f"message.{named[0]}", errors.BAD_TOKEN)
    elif named[0] == "topic" and not _TOPIC.fullmatch(str(message["topic"]).removeprefix("/topics/")):
        yield Violation("message.topic", "Malformed topic name")
    elif named[0] == "condition" and "in topics" not in str(message["condition"]):
        yield Violation("message.condition", "Malformed condition")


def _data_faults(message: Document) -> Iterator[Violation]:
    for where in (("data",), ("android", "data"), ("androidV2", "data")):
        data = message
        for name in where:
            data = _document(data, name)
        for key in data:
            if not key or key in _RESERVED_KEYS or key.startswith(_RESERVED_PREFIXES):
                yield Violation(f"message.{'.'.join(where)}", f"Invalid data payload key: {key}")


def _label_faults(message: Document) -> Iterator[Violation]:
    holders = (("", message), *((name, _document(message, name)) for name in ("android", "apns", "webpush")))
    for name, holder in holders:
        label = _document(holder, "fcmOptions").get("analyticsLabel")
        if isinstance(label, str) and label and not _LABEL.fullmatch(label):
            yield Violation(f"message.{name}.fcm_options.analytics_label".replace("..", "."), "Malformed label")


def _size(message: Document) -> int:
    """Bytes that count against the limit: keys and values of data, and the notification as JSON."""
    android = _document(message, "android")
    data = {**_document(message, "data"), **_document(android, "data")}
    notification = {**_document(message, "notification"), **_document(android, "notification")}
    texts = sum(len(key.encode()) + len(str(value).encode()) for key, value in data.items())
    payload = _document(_document(message, "apns"), "payload")
    return texts + sum(len(msgspec.json.encode(part)) for part in (notification, payload) if part)


def _played(project: str, message: Document, state: State, *, validate_only: bool) -> Answer:
    scripted = state.scripts.next(PROVIDER, _target(message))
    accepted = _accepted(project, state, validate_only=validate_only)
    if scripted is None:
        return accepted
    return performed(accepted if scripted.status == 200 else errors.scripted_error(scripted), scripted)


def _accepted(project: str, state: State, *, validate_only: bool) -> Answer:
    sent = f"0:{int(state.clock() * 1_000_000)}%{secrets.token_hex(8)}"
    name = f"projects/{project}/messages/{'fake_message_id' if validate_only else sent}"
    return Answer(200, msgspec.json.encode({"name": name}), headers=(JSON_TYPE,))


def _named(answer: Answer, message: Document) -> Answer:
    """`answer` with what the journal says of the message."""
    android = _document(message, "android")
    collapse = android.get("collapseKey") or _document(android, "notification").get("tag") or ""
    return msgspec.structs.replace(answer, provider=PROVIDER, target=_target(message), collapse=str(collapse))


def _target(message: Document) -> str:
    return next((str(message[name]) for name in _TARGETS if message.get(name)), "")


def _document(parent: Document, name: str) -> Document:
    child = parent.get(name)
    return child if isinstance(child, dict) else {}
