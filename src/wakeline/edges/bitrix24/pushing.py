"""From a method's effect to a notification: whose app, which users want it, and what a portal's push looks like to a phone.

A user of the portal is the user of the same number, as text, in the registry of the application's app.

Repeats: this protocol has no idempotency key, and the same text twice may be meant. A refusal (503) is only ever said of a push
of which nothing is kept, so a client that tries again after one sends it once. Where an answer was lost, Bitrix24's own SDKs
for JavaScript and PHP repeat their `bx24_request_id`: the same request under the same id within ten minutes is one push (not
longer, for some programs give every call the same id). Without that id, and in a batch, a repeat is a second push.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
import structlog

from wakeline.edges.bitrix24.call import Call, MethodError
from wakeline.edges.bitrix24.reading import Value, text
from wakeline.edges.bitrix24.refusals import Refusal
from wakeline.model.app import App
from wakeline.model.bitrix24.access import PortalApplication, PortalUser
from wakeline.model.errors import IdempotencyRunning
from wakeline.model.ids import parse_key, uuid_of
from wakeline.model.notification import Alert, Audience, NotificationRequest, Override, PushType
from wakeline.pipeline import Submission, Taken
from wakeline.ports import IdempotencyKey, Replayed, Reply

LIFETIME = 43_200
"""Seconds that a portal's push is worth showing."""

REPEATED_WITHIN = 600
"""Seconds in which a request of the same id is a repeat: an SDK gives up after two minutes."""

_LONGEST_NAME = 200
_LONGEST_TEXT = 4096
"""Characters; no push bears as many, what is left is shortened to what fits."""
_LONGEST_URL = 1024
_HTTPS = re.compile(r"https://[^\s\x00-\x1f/?#]+[^\s\x00-\x1f]*", re.IGNORECASE)

_log = structlog.get_logger()


def application_of(call: Call, wrong_auth: str) -> PortalApplication:
    """Return the application that calls. Raises MethodError with this text if it is none."""
    application = call.caller.application
    if application is None:
        raise MethodError(403, "WRONG_AUTH_TYPE", wrong_auth)
    return application


def app_of(call: Call) -> App:
    """Return the app that a call sends through: the calling application's; a webhook's is the only one the portal has.

    Raises MethodError if there is none, or more than one.
    """
    caller = call.caller.application
    bound = [caller] if caller is not None else call.ports.access.applications()
    found = {app.id: app for one in bound if (app := call.ports.apps.by_id(one.app)) is not None}
    if len(found) == 1:
        return next(iter(found.values()))
    why = (
        "no application of the portal leads to an app"
        if not found
        else "the portal's applications lead to several apps"
    )
    raise MethodError(
        400,
        "ERROR_CORE",
        f"It is not known which app to send through: {why}. Call with the token of an application,"
        " or keep exactly one: wakeline bitrix24 application create",
    )


async def wanting(call: Call, numbers: Iterable[int], kind: str = "") -> tuple[str, ...]:
    """Return the users of the registry behind these users of the portal, without those who want no push of this kind.

    Who is not known to the portal may still be to the registry; who is blocked here gets nothing.
    """
    wanted = [number for number in numbers if number > 0]
    match wanted:
        case []:
            return ()
        case [number]:
            user = await call.ports.access.user(number)
            known = {} if user is None else {number: user}
        case _:
            known = {user.id: user for user in await call.ports.access.users()}
    return tuple(str(number) for number in wanted if number not in known or wants(known[number], kind))


def wants(user: PortalUser, kind: str) -> bool:
    """Tell whether a user is to get a push; `kind` is `module|type`, empty: a push without a type."""
    return user.active and user.push.active is not False and kind not in user.push.muted


def alert(
    users: tuple[str, ...],
    *,
    title: str,
    body: str,
    group: str,
    avatar: str = "",
    identity: str = "",
    collapse_id: str = "",
    only_if_absent: bool = False,
) -> NotificationRequest:
    """Return a portal's notification: `group`, `id` and `avatarUrl` are the keys its apps read beside what a phone shows.

    `avatar` counts if it is an https URL; phones fetch it, the gateway never does.
    """
    picture = avatar if len(avatar) <= _LONGEST_URL and _HTTPS.fullmatch(avatar) else ""
    data = {"group": group, "id": identity, "avatarUrl": picture}
    mutable: dict[str, Any] = {"aps": {"mutable-content": 1}}
    return NotificationRequest(
        to=Audience(users=users),
        type=PushType.ALERT,
        alert=Alert(title=_plain(title)[:_LONGEST_NAME], body=_plain(body)[:_LONGEST_TEXT], thread=group),
        data={key: said for key, said in data.items() if said},
        ttl=LIFETIME,
        truncate=True,
        collapse_id=collapse_id,
        only_if_absent=only_if_absent,
        apns=Override(payload=mutable) if picture else Override(),
        fcm=Override(payload={"notification": {"image": picture}, "apns": {"payload": mutable}})
        if picture
        else Override(),
        webpush=Override(payload={"icon": picture}) if picture else Override(),
    )


def background(users: tuple[str, ...], data: dict[str, Value]) -> NotificationRequest:
    """Return a push that wakes an app and shows nothing."""
    return NotificationRequest(to=Audience(users=users), type=PushType.BACKGROUND, data=data)


def _plain(text: str) -> str:
    """Return text without halves of characters: JSON can name one, UTF-8 cannot hold it."""
    return text.encode("utf-8", "replace").decode()


class Sent(NamedTuple):
    """A notification that is kept; `recipients` None: so many that they are still being found."""

    key: int
    recipients: int | None


async def send(call: Call, app: App, request: NotificationRequest) -> Sent:
    """Have a notification kept and sent; a repeat is what was sent. Raises WakelineError or MethodError if nothing is kept.

    The protocol has no word for a push that reaches nobody: the reason is in our own API, and a line of the log leads there.
    """
    submission = Submission(
        request=request,
        idempotency=_repeats(call, request),
        reply=_reply,
        request_id=call.request_id,
        keeps_unserved=True,
    )
    [answer] = await call.ports.pipeline.accept.accept(app, [submission])
    match answer:
        case Taken():
            _tell(call, app, answer)
            return Sent(answer.key, answer.recipients)
        case Replayed():
            name, recipients = msgspec.json.decode(answer.reply.body, type=tuple[str, int | None])
            return Sent(parse_key(name), recipients)
        case IdempotencyRunning():
            raise Refusal.QUERY_LIMIT.error()
        case _:
            raise answer


def _repeats(call: Call, request: NotificationRequest) -> IdempotencyKey | None:
    """Return what a repeat of this call has in common with it, if its SDK said which request it is."""
    said = text(call.params, "BX24_REQUEST_ID")
    if not said:
        return None
    caller = call.caller
    who = f"application {caller.application.id}" if caller.application is not None else f"user {caller.user.id}"
    seen = f"{call.now // 1000 // REPEATED_WITHIN}/{call.method}/{said}/".encode("utf-8", "replace")
    digest = hashlib.sha256(seen + msgspec.json.encode(request))
    return IdempotencyKey(scope=f"bitrix24 {who}", key=digest.hexdigest(), fingerprint=b"")


def _reply(taken: Taken) -> Reply:
    return Reply(status=202, body=msgspec.json.encode((uuid_of(taken.key), taken.recipients)))


def _tell(call: Call, app: App, taken: Taken) -> None:
    """Write down whom a notification does not reach, as far as that is known now."""
    facts = {"request_id": call.request_id, "method": call.method, "app": app.slug, "notification": uuid_of(taken.key)}
    if taken.recipients == 0:
        _log.info("bitrix24.nobody_reached", **facts)
    for code, cause in {(one.code, one.cause) for one in taken.failures}:
        _log.warning("bitrix24.not_sent", **facts, code=code, cause=cause)
