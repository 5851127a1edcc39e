"""Records and users as a portal's methods answer them.

Pure. Rules:
names     a record is kept by the older names (`RESPONSIBLE_ID`), whatever an answer calls them (`responsibleId`); values are
          those of the older methods: numbers are texts, flags Y and N
wrapping  tasks and `crm.item.*` wrap what they answer in a map of one key
Source: Bitrix24 REST, `crm.deal.get`, `crm.item.get`, `tasks.task.get`, `user.get`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from wakeline.connectors.bitrix24.kinds import Command, Kind, number_of
from wakeline.model.bitrix24.access import PortalUser
from wakeline.model.bitrix24.records import Fields, Record


def record(kind: Kind, result: object, at: int) -> Record | None:
    """Return the record in the answer to `get`, learnt at `at` (Unix ms); None: there is none in it."""
    return _record(kind, _unwrapped(result, kind.row_key), at)


def record_of_item(kind: Kind, result: object, at: int) -> Record | None:
    """Return the record in the answer to `get_item`."""
    return _record(kind, _unwrapped(result, "item"), at)


def records(kind: Kind, result: object, at: int) -> list[Record]:
    """Return the records on a page that a list method answered; what is no record is left out."""
    rows = _unwrapped(result, kind.rows_key)
    found = [_record(kind, row, at) for row in rows] if isinstance(rows, list) else []
    return [one for one in found if one is not None]


def _unwrapped(result: object, key: str) -> object:
    return result.get(key) if key and isinstance(result, Mapping) and key in result else result


def _record(kind: Kind, row: object, at: int) -> Record | None:
    if not isinstance(row, Mapping):
        return None
    fields = _fields(kind, row)
    number = number_of(fields.get("ID"))
    return Record(kind=kind.record, id=number, fields=fields, changed=at) if number else None


def _fields(kind: Kind, row: Mapping[object, object]) -> Fields:
    fields: Fields = {}
    for name, value in row.items():
        if name == "fm" and isinstance(value, list):
            fields |= _reached(value)
        else:
            older = _older(kind, str(name))
            fields[older] = f"{value:.2f}" if older in _MONEY and isinstance(value, int | float) else plain(value)
    return fields


_MONEY = frozenset({"OPPORTUNITY", "TAX_VALUE"})
"""Amounts, which the older methods tell with two places."""


_SMALL = re.compile(r"[a-z]")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def _older(kind: Kind, name: str) -> str:
    """Return the older name of a field: `stageId` is STAGE_ID, `ufCrm_17` is UF_CRM_17."""
    return kind.items.get(name) or (_HUMP.sub("_", name).upper() if _SMALL.search(name) else name)


def _reached(values: list[object]) -> Fields:
    """Return telephone numbers and addresses of `crm.item.*` as the older methods have them: a list by its sort."""
    found: dict[str, list[object]] = {}
    for value in values:
        if isinstance(value, Mapping):
            entry = {_HUMP.sub("_", str(name)).upper(): plain(one) for name, one in value.items()}
            found.setdefault(str(entry.get("TYPE_ID", "")), []).append(entry)
    return {sort: entries for sort, entries in found.items() if sort}


DEEPEST = 16
"""Lists and maps in lists and maps; what a field has below is left out."""


def plain(value: object, depth: int = 0) -> object:
    """Return a value as the older methods tell it: numbers are texts, flags Y and N."""
    match value:
        case bool():
            return "Y" if value else "N"
        case int() | float():
            return str(value)
        case Mapping() | list() | tuple() if depth >= DEEPEST:
            return None
        case Mapping():
            return {str(name): plain(one, depth + 1) for name, one in value.items()}
        case list() | tuple():
            return [plain(one, depth + 1) for one in value]
        case _:
            return value


_MISSING_CODES = frozenset({"NOT_FOUND", "ERROR_NOT_FOUND", "ENTITY_NOT_FOUND", "CRM_ITEM_NOT_FOUND"})
_MISSING_TEXT = re.compile(r"not found|wrong task id", re.IGNORECASE)
_UNCODED = frozenset({"", "0", "100", "ERROR_CORE"})


def is_missing(code: str, text: str) -> bool:
    """Tell whether a refusal means that there is no such record: the CRM says so without a code, tasks with a number."""
    return code in _MISSING_CODES or (code in _UNCODED and _MISSING_TEXT.search(text) is not None)


def is_no_method(code: str) -> bool:
    """Tell whether a refusal means that the portal has no such method (any more)."""
    return code in {"ERROR_METHOD_NOT_FOUND", "ERROR_METHOD_DEPRECATED"}


# --- users

USERS_METHOD = "user.get"


def get_user(number: int) -> Command:
    """Return what asks for one user; the answer is a list."""
    return USERS_METHOD, {"ID": number}


def users(result: object) -> list[Fields]:
    """Return the users that `user.get` answered, by Bitrix24's names."""
    rows = result if isinstance(result, list) else []
    return [
        {str(name): plain(value) for name, value in row.items()}
        for row in rows
        if isinstance(row, Mapping) and number_of(row.get("ID"))
    ]


def portal_user(fields: Fields, known: PortalUser | None, now: int) -> PortalUser:
    """Return a user as our own portal keeps one; how they log in here stays as it is."""
    number = number_of(fields.get("ID"))
    was = known or PortalUser(id=number, created=now)
    return msgspec.structs.replace(
        was,
        active=fields.get("ACTIVE") != "N",
        name=_said(fields, "NAME"),
        last_name=_said(fields, "LAST_NAME"),
        email=_said(fields, "EMAIL"),
        gender=_said(fields, "PERSONAL_GENDER"),
        photo=_said(fields, "PERSONAL_PHOTO"),
        time_zone=_said(fields, "TIME_ZONE"),
        work_position=_said(fields, "WORK_POSITION"),
        personal_mobile=_said(fields, "PERSONAL_MOBILE"),
        inner_phone=_said(fields, "UF_PHONE_INNER"),
    )


def _said(fields: Fields, name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""
