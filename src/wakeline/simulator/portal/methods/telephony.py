"""telephony.externalcall.register and .finish: a call of another telephone system, as the portal keeps it."""

from __future__ import annotations

import hashlib
from datetime import datetime

from wakeline.simulator.portal.call import Call, Found, Method
from wakeline.simulator.portal.records import Kind, moment
from wakeline.simulator.portal.refusal import Refusal
from wakeline.simulator.portal.selection import Row

_TYPES = (1, 2, 3, 4, 5)
_SAME_CALL_S = 30 * 60
_TECHNICAL = ("phone_number", "type", "call_start_date", "line_number", "external_call_id")


def _user(call: Call) -> str:
    rows = call.memory.records[Kind.USER]
    inner, wanted = call.text("user_phone_inner"), call.number("user_id")
    if not inner and not wanted:
        raise Refusal(400, "ERROR_CORE", "USER_ID or USER_PHONE_INNER should be set")
    for number, row in rows.items():
        if number == wanted or (inner and row["UF_PHONE_INNER"] == inner):
            return str(number)
    raise Refusal(400, "ERROR_CORE", "User is not found or is not active")


def register(call: Call) -> Found:
    """Makes the call known; the same one within half an hour is the same one."""
    user, phone = _user(call), call.text("phone_number")
    if call.number("type") not in _TYPES:
        raise Refusal(400, "ERROR_CORE", "Unknown TYPE")
    if sum(character.isdigit() for character in phone) < 3:
        raise Refusal(400, "ERROR_CORE", "Unsupported phone number format")
    started = _started(call)
    technical = "|".join([user, *(call.text(name) for name in _TECHNICAL)])
    digest = hashlib.md5(technical.encode()).hexdigest()  # noqa: S324 - the form of a CALL_ID
    for identity, known in call.memory.calls.items():
        if (
            identity.startswith(f"externalCall.{digest}.")
            and int(identity.rpartition(".")[2]) > call.now - _SAME_CALL_S
        ):
            return Found(_registered(identity, known))
    identity = f"externalCall.{digest}.{int(call.now)}"
    call.memory.calls[identity] = _statistics(call, identity, user, started)
    return Found(_registered(identity, call.memory.calls[identity]))


def _started(call: Call) -> str:
    said = call.text("call_start_date")
    if not said:
        return moment(call.now)
    try:
        datetime.fromisoformat(said)
    except ValueError:
        raise Refusal(400, "ERROR_CORE", "CALL_START_DATE should be in the ISO-8601 format") from None
    return said


def _registered(identity: str, row: Row) -> Row:
    return {
        "CALL_ID": identity,
        "CRM_CREATED_LEAD": None,
        "CRM_CREATED_ENTITIES": [],
        "CRM_ENTITY_TYPE": row["CRM_ENTITY_TYPE"],
        "CRM_ENTITY_ID": row["CRM_ENTITY_ID"],
    }


def _statistics(call: Call, identity: str, user: str, started: str) -> Row:
    return {
        "ID": str(call.memory.number()),
        "CALL_ID": identity,
        "EXTERNAL_CALL_ID": call.text("external_call_id") or None,
        "PORTAL_USER_ID": user,
        "PHONE_NUMBER": call.text("phone_number"),
        "PORTAL_NUMBER": call.text("line_number"),
        "INCOMING": call.text("type"),
        "CALL_START_DATE": started,
        "CRM_ENTITY_TYPE": call.text("crm_entity_type") or None,
        "CRM_ENTITY_ID": call.text("crm_entity_id") or None,
        "REST_APP_ID": call.caller.client_id or None,
    }


def finish(call: Call) -> Found:
    """Ends the call; its row of the statistics."""
    identity = call.text("call_id")
    if not identity:
        raise Refusal(400, "INVALID_ARGUMENT", "CALL_ID must be a string")
    known = call.memory.calls.get(identity)
    if known is None:
        raise Refusal(400, "ERROR_CORE", "Call is not found (call should be registered prior to finishing")
    seconds = call.number("duration")
    code = call.text("status_code") or ("200" if seconds else "304")
    call.memory.calls[identity] = {
        **known,
        "PORTAL_USER_ID": _user(call),
        "CALL_DURATION": str(seconds),
        "CALL_STATUS": "1" if code == "200" else "0",
        "CALL_FAILED_CODE": code,
        "CALL_FAILED_REASON": call.text("failed_reason"),
        "CALL_VOTE": call.text("vote") or None,
        "COST": call.text("cost") or "0.0000",
        "COST_CURRENCY": call.text("cost_currency"),
        "RECORD_URL": call.text("record_url") or None,
    }
    return Found(call.memory.calls[identity])


def card(call: Call) -> Found:
    """Shows or hides the card of a call that is going on."""
    known = call.memory.calls.get(call.text("call_id"))
    return Found(known is not None and "CALL_STATUS" not in known)


METHODS = (
    Method("telephony.externalcall.register", register, "telephony"),
    Method("telephony.externalcall.show", card, "telephony"),
    Method("telephony.externalcall.hide", card, "telephony"),
    Method("telephony.externalcall.finish", finish, "telephony"),
)
