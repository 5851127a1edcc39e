"""`im.notify*`: a notification of the portal for one user, shown on their phones.

A personal one speaks in the caller's name, a system one in the application's (of a webhook: in its own). The answer is the
notification's id, growing; false if the user wants none, or has no phone to show it on. `TAG` replaces what it marked before,
`ATTACH` is checked and not shown: phones show text.

Source: Bitrix24 REST, pages of these methods.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

import msgspec

from wakeline.edges.bitrix24 import pushing, reading
from wakeline.edges.bitrix24.bb_code import plain
from wakeline.edges.bitrix24.call import Call, Method, MethodError, Result
from wakeline.edges.bitrix24.methods.mobile import NOTIFY
from wakeline.model.app import App
from wakeline.model.bitrix24.access import PortalUser
from wakeline.model.ids import key_at

_LARGEST_ATTACH = 30 * 1024
_LONGEST_MESSAGE = 16 * 1024
_FIRST_KEY = key_at(1_767_225_600_000, 0)
"""Of the year 2026: ids that count from here are whole numbers to JavaScript (below 2**53) until 2043."""


class Sender(StrEnum):
    """In whose name a notification speaks: the values of TYPE."""

    USER = "USER"
    SYSTEM = "SYSTEM"


async def notify(call: Call) -> Result:
    """Notify a user; TYPE says in whose name."""
    said = reading.text(call.params, "TYPE").strip().upper()
    return await _notify(call, Sender.SYSTEM if said == Sender.SYSTEM else Sender.USER)


async def notify_personal(call: Call) -> Result:
    """Notify a user in the caller's name."""
    return await _notify(call, Sender.USER)


async def notify_system(call: Call) -> Result:
    """Notify a user in the application's name."""
    return await _notify(call, Sender.SYSTEM)


async def _notify(call: Call, sender: Sender) -> Result:
    number = reading.number(call.params, "USER_ID") or reading.number(call.params, "TO") or 0
    if number <= 0:
        raise MethodError(400, "USER_ID_EMPTY", "User ID can't be empty")
    message = reading.text(call.params, "MESSAGE").strip()[:_LONGEST_MESSAGE]
    if not message:
        raise MethodError(400, "MESSAGE_EMPTY", "Message can't be empty")
    _check_attach(call)
    app = pushing.app_of(call)
    users = await pushing.wanting(call, (number,), NOTIFY)
    if not users:
        return Result(value=False)
    receiver = await call.ports.access.user(number)
    request = pushing.alert(
        users,
        title=_name(call, app, sender),
        body=plain(message),
        group=_group(call),
        avatar=call.caller.user.photo if sender is Sender.USER else "",
        identity=reading.text(call.params, "SUB_TAG")[:255],
        collapse_id=_mark(call),
        only_if_absent=receiver is not None and receiver.push.smart,
    )
    taken = await pushing.send(call, app, request)
    return Result(taken.key - _FIRST_KEY if taken.recipients else False)


def _check_attach(call: Call) -> None:
    given = call.params.get("ATTACH")
    if given in (None, "", False):
        return
    if len(given if isinstance(given, str) else msgspec.json.encode(given)) > _LARGEST_ATTACH:
        raise MethodError(400, "ATTACH_OVERSIZE", "You have exceeded the maximum allowable size of attach")
    if not reading.tree(call.params, "ATTACH"):
        raise MethodError(400, "ATTACH_ERROR", "Incorrect attach params")


def _name(call: Call, app: App, sender: Sender) -> str:
    caller = call.caller
    if sender is Sender.USER:
        return _full_name(caller.user) or app.name
    if caller.application is not None:
        return caller.application.name or app.name
    return (caller.webhook.name if caller.webhook is not None else "") or app.name


def _full_name(user: PortalUser) -> str:
    return " ".join(part for part in (user.name, user.last_name) if part) or user.login


def _group(call: Call) -> str:
    """Return what groups notifications on a phone: the application, of a webhook what it says it is."""
    application = call.caller.application
    return application.client_id if application is not None else reading.text(call.params, "CLIENT_ID")[:255]


def _mark(call: Call) -> str:
    """Return what a later notification with this tag replaces; tags are the application's own."""
    tag = reading.text(call.params, "TAG")
    return hashlib.sha256(f"{_group(call)}/{tag}".encode("utf-8", "replace")).hexdigest()[:32] if tag else ""


METHODS: tuple[Method, ...] = (
    Method(name="im.notify", scope="im", handler=notify),
    Method(name="im.notify.personal.add", scope="im", handler=notify_personal),
    Method(name="im.notify.system.add", scope="im", handler=notify_system),
)
