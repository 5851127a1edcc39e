"""External calls, and calls that somebody else has to make. Source: Bitrix24 REST, `telephony.externalCall.*`, `voximplant.*`.

Where Bitrix24 shows a call card, we ring: a registered incoming call (TYPE 2 or 3, unless SHOW is 0) and `show` ring the phones
of those users in the application's app; `hide` and `finish` take back what has not gone out yet. The same call registered again
within 30 minutes is the same call and rings once; one that is finished again answers what it answered before.

We make no calls ourselves: `telephony.call.attachbyqueue` and `voximplant.infocall.startwithsound` go to the call hook.
Leads are made on the portal that is the CRM's home, not here: CRM_CREATE is answered by LEAD_CREATION_ERROR.
"""

from __future__ import annotations

import msgspec
import structlog

from wakeline.edges.bitrix24 import call_hook, event_names, external_calls, pushing, reading
from wakeline.edges.bitrix24.answers import atom
from wakeline.edges.bitrix24.call import Call, Method, MethodError, Result, Value
from wakeline.edges.bitrix24.raising import raise_event
from wakeline.edges.bitrix24.refusals import Refusal
from wakeline.edges.bitrix24.ringing import Ring
from wakeline.model.bitrix24.calls import ExternalCall
from wakeline.model.errors import NotFound, WakelineError
from wakeline.model.notification import Audience, NotificationRequest, PushType
from wakeline.model.notification import Call as RingingCall

AGAIN = 30 * 60 * 1000
"""Milliseconds within which the same call is the same one."""
MOST_RUNG = 100
"""Users to whom a call is shown at once: each is a call of its own."""
_INCOMING = frozenset({2, 3})
_ANSWERED, _MISSED = "200", "304"
_NO_CALL = "Call is not found (call should be registered prior to finishing"

_log = structlog.get_logger()


async def register(call: Call) -> Result:
    """Register a call, and ring if it comes in."""
    wanted = await external_calls.registered(call)
    kept = await call.ports.calls.register(wanted, since=wanted.begun - AGAIN)
    if kept.call_id == wanted.call_id:
        await raise_event(call.ports, event_names.CALL_BEGUN, _begun(kept), user=call.caller.user.id, by=call)
        if kept.type in _INCOMING and reading.flag(call.params, "SHOW", default=True):
            await _ring(call, kept, [kept.user])
    answer: dict[str, Value] = {
        "CALL_ID": kept.call_id,
        "CRM_CREATED_LEAD": None,
        "CRM_CREATED_ENTITIES": [],
        "CRM_ENTITY_TYPE": kept.entity_type or None,
        "CRM_ENTITY_ID": kept.entity_id or None,
    }
    if reading.flag(call.params, "CRM_CREATE") and not kept.entity_type:
        answer["LEAD_CREATION_ERROR"] = "Leads are created on the CRM's own portal"
    return Result(answer)


async def show(call: Call) -> Result:
    """Ring the phones of further users."""
    known = await _open(call)
    users = reading.numbers(call.params, "USER_ID") or [known.user]
    if len(users) > MOST_RUNG:
        raise Refusal.ARGUMENT.error(f"A call is shown to {MOST_RUNG} users at most", argument="USER_ID")
    await _ring(call, known, users)
    return Result(value=True)


async def hide(call: Call) -> Result:
    """Take back what rings for these users, or for everybody."""
    known = await _open(call)
    users = reading.numbers(call.params, "USER_ID")
    await _silence(call, known, frozenset(users) if users else None)
    return Result(value=True)


async def finish(call: Call) -> Result:
    """Write how a call ended; what still rings is taken back."""
    number = external_calls.call_id(call)
    who = await external_calls.user(call)
    known = await call.ports.calls.call(number)
    if known is None:
        raise Refusal.CORE.error(_NO_CALL)
    await _silence(call, known, None)
    if known.finished is None:
        known = _finished(call, known, who.id)
        await call.ports.calls.finish(known)
        await raise_event(call.ports, event_names.CALL_ENDED, _ended(known), user=call.caller.user.id, by=call)
    return Result(_statistic(call, known))


async def _open(call: Call) -> ExternalCall:
    known = await call.ports.calls.call(external_calls.call_id(call))
    if known is None or known.finished is not None:
        raise Refusal.CORE.error("Call is not found")
    return known


# --- ringing


async def _ring(call: Call, known: ExternalCall, users: list[int]) -> None:
    """Ring the phones of these users; the call is registered whether or not a phone can be reached."""
    caller = await external_calls.caller_name(call.ports, known)
    for user in users:
        try:
            app = pushing.app_of(call)
            wanting = await pushing.wanting(call, [user])
            if wanting:
                taken = await pushing.send(call, app, _request(known, caller, wanting))
                call.ports.rings.add(known.call_id, Ring(app=app.id, user=user, notification=taken.key))
        except (MethodError, WakelineError) as error:
            _log.warning("bitrix24.call_not_rung", request_id=call.request_id, call=known.call_id, cause=str(error))


def _request(known: ExternalCall, caller: str, users: tuple[str, ...]) -> NotificationRequest:
    facts = {
        "phone_number": known.phone,
        "line_number": known.line,
        "crm_entity_type": known.entity_type,
        "crm_entity_id": str(known.entity_id or ""),
    }
    return NotificationRequest(
        to=Audience(users=users),
        type=PushType.CALL,
        call=RingingCall(id=known.call_id, caller=caller),
        data={name: said for name, said in facts.items() if said},
    )


async def _silence(call: Call, known: ExternalCall, users: frozenset[int] | None) -> None:
    for ring in call.ports.rings.take(known.call_id, users):
        app = call.ports.apps.by_id(ring.app)
        if app is None:
            continue
        try:
            await call.ports.pipeline.cancel(app, ring.notification)
        except NotFound:
            _log.info("bitrix24.ring_is_gone", request_id=call.request_id, call=known.call_id)


# --- how a call ended


def _finished(call: Call, known: ExternalCall, user: int) -> ExternalCall:
    duration = max(0, reading.number(call.params, "DURATION") or 0)
    return msgspec.structs.replace(
        known,
        user=user,
        finished=call.now,
        duration=duration,
        status=reading.text(call.params, "STATUS_CODE") or (_ANSWERED if duration else _MISSED),
        reason=reading.text(call.params, "FAILED_REASON"),
        cost=reading.text(call.params, "COST"),
        currency=reading.text(call.params, "COST_CURRENCY"),
        vote=reading.number(call.params, "VOTE"),
        record_url=reading.text(call.params, "RECORD_URL"),
    )


def _statistic(call: Call, known: ExternalCall) -> dict[str, Value]:
    """Return the row of the statistics, as `voximplant.statistic.get` names its fields."""
    application = call.ports.access.application(known.application)
    return {
        "ID": str(known.id),
        **_ended(known),
        "EXTERNAL_CALL_ID": known.external_id or None,
        "INCOMING": str(known.type),
        "CALL_STATUS": "1" if known.status == _ANSWERED else "0",
        "CALL_VOTE": None if known.vote is None else str(known.vote),
        "CALL_RECORD_URL": known.record_url or None,
        "REST_APP_ID": None if application is None else str(application.id),
        "REST_APP_NAME": None if application is None else application.name,
        "COMMENT": None,
        "CRM_ENTITY_TYPE": known.entity_type or None,
        "CRM_ENTITY_ID": str(known.entity_id) if known.entity_id else None,
    }


def _ended(known: ExternalCall) -> dict[str, Value]:
    """Return what ONVOXIMPLANTCALLEND tells; the row of the statistics begins with it."""
    return {
        "CALL_ID": known.call_id,
        "CALL_TYPE": str(known.type),
        "PHONE_NUMBER": known.phone,
        "PORTAL_NUMBER": _portal_number(known),
        "PORTAL_USER_ID": str(known.user),
        "CALL_DURATION": str(known.duration),
        "CALL_START_DATE": atom(known.begun / 1000),
        "COST": known.cost or None,
        "COST_CURRENCY": known.currency or None,
        "CALL_FAILED_CODE": known.status,
        "CALL_FAILED_REASON": known.reason or None,
        "CRM_ACTIVITY_ID": None,
    }


def _begun(known: ExternalCall) -> dict[str, Value]:
    """Return what ONVOXIMPLANTCALLINIT tells."""
    return {
        "CALL_ID": known.call_id,
        "CALL_TYPE": str(known.type),
        "ACCOUNT_SEARCH_ID": _portal_number(known),
        "PHONE_NUMBER": known.phone,
        "CALLER_ID": known.phone,
    }


def _portal_number(known: ExternalCall) -> str:
    return known.line or (f"REST_APP:{known.application}" if known.application else "")


# --- calls that somebody else makes


async def attach_by_queue(call: Call) -> Result:
    """Hand a call to the call hook, which puts it into a queue."""
    return Result(await call_hook.ask(call, nobody="Telephony is not configured"))


async def start_with_sound(call: Call) -> Result:
    """Have the call hook call a number and play a recording."""
    line, phone = reading.text(call.params, "FROM_LINE"), reading.text(call.params, "TO_NUMBER")
    for name in ("FROM_LINE", "TO_NUMBER", "URL"):
        if not reading.text(call.params, name).strip():
            raise Refusal.ARGUMENT.error(f"Argument '{name}' is null or empty", argument=name)
    if not any(char.isdigit() for char in phone):
        raise Refusal.CORE.error("Phone number is not correct")
    return Result(await call_hook.ask(call, nobody=f"Could not find config for number {line}"))


_CALLS = frozenset({"call"})

METHODS: tuple[Method, ...] = (
    Method(name="telephony.externalcall.register", scope="telephony", handler=register, folded=False),
    Method(name="telephony.externalcall.show", scope="telephony", handler=show, folded=False),
    Method(name="telephony.externalcall.hide", scope="telephony", handler=hide, folded=False),
    Method(name="telephony.externalcall.finish", scope="telephony", handler=finish, folded=False),
    Method(name="telephony.call.attachbyqueue", scope="telephony", handler=attach_by_queue, narrower=_CALLS),
    Method(name="voximplant.infocall.startwithsound", scope="telephony", handler=start_with_sound, narrower=_CALLS),
)
