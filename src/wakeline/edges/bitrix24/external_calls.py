"""What register and finish of an external call read from their parameters. Source: Bitrix24 REST, `telephony.externalCall.*`.

Names of these parameters count in capitals only, as on a portal. Refusals have the texts that its telephony module gives.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import UTC, datetime

from wakeline.edges.bitrix24 import reading
from wakeline.edges.bitrix24.call import BitrixPorts, Call, MethodError
from wakeline.edges.bitrix24.refusals import Refusal
from wakeline.model.bitrix24.access import PortalUser
from wakeline.model.bitrix24.calls import ExternalCall
from wakeline.model.bitrix24.records import Record, RecordKind

TYPES = range(1, 6)
_LATEST = 4_102_444_800_000
"""The year 2100 in Unix ms: a date beyond it is a mistake."""
_NEVER = datetime(1, 1, 1, tzinfo=UTC)
_PHONE = re.compile(r"\+?[0-9 ()./*#-]{1,40}")
_NAMED = (RecordKind.CONTACT, RecordKind.LEAD)
_ENTITIES = {"CONTACT": RecordKind.CONTACT, "LEAD": RecordKind.LEAD, "DEAL": RecordKind.DEAL}


def call_id(call: Call) -> str:
    """Return CALL_ID. Raises MethodError."""
    given = call.params.get("CALL_ID")
    if not isinstance(given, str):
        raise MethodError(400, "INVALID_ARGUMENT", "CALL_ID must be a string")
    return given


async def user(call: Call) -> PortalUser:
    """Return the user that USER_ID or USER_PHONE_INNER means. Raises MethodError."""
    check_user_given(call)
    number = reading.number(call.params, "USER_ID")
    if number:
        found = await call.ports.access.user(number)
    else:
        inner = reading.text(call.params, "USER_PHONE_INNER").strip()
        found = next((each for each in await call.ports.access.users() if inner and each.inner_phone == inner), None)
    if found is None or not found.active:
        raise Refusal.CORE.error("User is not found or is not active")
    return found


def check_user_given(call: Call) -> None:
    """Raise MethodError if no user is named."""
    if not reading.number(call.params, "USER_ID") and not reading.text(call.params, "USER_PHONE_INNER").strip():
        raise Refusal.CORE.error("USER_ID or USER_PHONE_INNER should be set")


async def registered(call: Call) -> ExternalCall:
    """Return the call that is to be registered, with an id of its own. Raises MethodError."""
    check_user_given(call)
    kind = reading.number(call.params, "TYPE") or 0
    if kind not in TYPES:
        raise Refusal.CORE.error("Unknown TYPE")
    begun = _begun(call)
    phone = _phone(call)
    who = await user(call)
    entity_type, entity = await _entity(call.ports, call, phone)
    application = call.caller.application
    return ExternalCall(
        id=0,
        call_id=f"externalCall.{secrets.token_hex(16)}.{call.now // 1000}",
        fingerprint=_fingerprint(call, who, phone, kind),
        user=who.id,
        phone=phone,
        type=kind,
        begun=begun,
        application=0 if application is None else application.id,
        line=reading.text(call.params, "LINE_NUMBER"),
        entity_type=entity_type,
        entity_id=entity,
        external_id=reading.text(call.params, "EXTERNAL_CALL_ID"),
    )


def _fingerprint(call: Call, who: PortalUser, phone: str, kind: int) -> bytes:
    """Return a digest of what makes two calls the same one."""
    application = call.caller.application
    parts = (
        str(0 if application is None else application.id),
        str(who.id),
        phone,
        str(kind),
        *(reading.text(call.params, name) for name in ("CALL_START_DATE", "LINE_NUMBER", "EXTERNAL_CALL_ID")),
    )
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).digest()


def _begun(call: Call) -> int:
    said = reading.text(call.params, "CALL_START_DATE").strip()
    if not said:
        return call.now
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        moment = _NEVER
    begun = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    if not 0 <= begun < _LATEST:
        raise Refusal.CORE.error("CALL_START_DATE should be in the ISO-8601 format")
    return begun


def _phone(call: Call) -> str:
    said = reading.text(call.params, "PHONE_NUMBER").strip()
    if not _PHONE.fullmatch(said) or not any(char.isdigit() for char in said):
        raise Refusal.CORE.error("Unsupported phone number format")
    return said


# --- who is calling


async def _entity(ports: BitrixPorts, call: Call, phone: str) -> tuple[str, int]:
    """Return type and id of the record that the call belongs to: the named one, else a contact or lead with this number."""
    kind = reading.text(call.params, "CRM_ENTITY_TYPE").strip().upper()
    number = reading.number(call.params, "CRM_ENTITY_ID") or 0
    if kind and number > 0:
        return kind, number
    found = await _by_phone(ports, phone)
    return ("", 0) if found is None else (found.kind.value.partition(".")[2].upper(), found.id)


async def _by_phone(ports: BitrixPorts, phone: str) -> Record | None:
    for kind in _NAMED:
        found = await ports.records.by_phone(kind, phone)
        if found is not None:
            return found
    return None


async def caller_name(ports: BitrixPorts, external: ExternalCall) -> str:
    """Return what a phone shows: the name in the CRM, else the number."""
    kind = _ENTITIES.get(external.entity_type)
    record = None if kind is None else await ports.records.get(kind, external.entity_id)
    if record is None:
        return external.phone
    names = (reading.text(record.fields, name).strip() for name in ("NAME", "LAST_NAME"))
    return " ".join(name for name in names if name) or reading.text(record.fields, "TITLE").strip() or external.phone
