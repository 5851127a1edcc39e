"""Calls that somebody keeps a record of (`CallJournal`): when they ring, and how they end.

A notification of a call rings users; if one of them is of interest to the journal, the call is noted before its 202, and the
hot route leaves it to the application. The number of who calls is `data.phone_number`, else `call.caller` if that is a number;
a call without one is nobody's to note. It ends by `POST .../calls/{call}/end`, or is missed when its notification is cancelled.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from wakeline.edges.rest.operations import Answer, Call, Idempotent, Operation
from wakeline.edges.rest.ports import RestPorts
from wakeline.edges.rest.shapes import Strict, View
from wakeline.model.app import App
from wakeline.model.key import Scope
from wakeline.model.notification import Notification, NotificationRequest
from wakeline.ports.bitrix24_connector import CallBegan, CallEnded

_ANSWERED, _MISSED = 200, 304
_PHONE = re.compile(r"\+?[0-9][0-9 ()./-]{1,38}[0-9]")
_LONGEST_DAY = 7 * 86400


class CallEnd(Strict, frozen=True, kw_only=True):
    """How a call ended: `duration` in whole seconds that people talked, `user` who did.

    `status` as SIP has it: 200, 304 missed, 486 busy, 603 declined; by default 200 if people talked, else 304.
    """

    duration: Annotated[int, msgspec.Meta(ge=0, le=_LONGEST_DAY)] = 0
    status: Annotated[int, msgspec.Meta(ge=200, le=699)] | UnsetType = UNSET
    reason: Annotated[str, msgspec.Meta(max_length=255)] = ""
    user: Annotated[str, msgspec.Meta(max_length=255)] = ""


class CallEndedView(View, frozen=True, kw_only=True):
    """`noted`: somebody keeps a record of this call, and it says now how it ended."""

    call: str
    noted: bool


def rings(ports: RestPorts, app: App, request: NotificationRequest) -> CallBegan | None:
    """Return the call that a notification makes ring, if it is of interest to the journal."""
    ringing, journal = request.call, ports.calls
    if ringing is None or journal is None:
        return None
    users = tuple(user for user in request.to.users if journal.keeps(app.id, user))
    phone = _phone(request.data.get("phone_number"), ringing.caller) if users else ""
    if not phone:
        return None
    line = request.data.get("line_number")
    return CallBegan(
        app=app.id,
        call_id=ringing.id,
        users=users,
        phone=phone,
        at=ports.clock.now(),
        line=line if isinstance(line, str) else "",
    )


def _phone(*said: object) -> str:
    return next((each for each in said if isinstance(each, str) and _PHONE.fullmatch(each)), "")


async def cancelled(call: Call, notification: Notification) -> None:
    """Note that a call was missed, whose notification was cancelled. Raises StorageError."""
    ringing, journal = notification.content.call, call.ports.calls
    if ringing is not None and journal is not None:
        ended = CallEnded(app=call.app.id, call_id=ringing.id, duration=0, status=_MISSED, at=call.now)
        await journal.ended(ended)


async def end(call: Call) -> Answer:
    """Note how a call ended."""
    said: CallEnd = call.body
    usual = _ANSWERED if said.duration else _MISSED
    ended = CallEnded(
        app=call.app.id,
        call_id=call.path["call"],
        duration=said.duration,
        status=usual if said.status is UNSET else said.status,
        at=call.now,
        reason=said.reason,
        user=said.user,
    )
    noted = call.ports.calls is not None and await call.ports.calls.ended(ended)
    return Answer(body=CallEndedView(call=ended.call_id, noted=noted))


OPERATIONS = (
    Operation(
        name="call.end",
        method="POST",
        path="/v1/apps/{app}/calls/{call}/end",
        handler=end,
        summary="Say how a call ended; a portal that keeps a record of it hears of it",
        scopes=(Scope.SEND,),
        request=CallEnd,
        response=CallEndedView,
        idempotent=Idempotent.STORED,
    ),
)
