"""What a record of a portal is: the methods that give it, the events that tell of it, and what their answers look like.

Pure. Rules:
names     a record is kept by the older names (`RESPONSIBLE_ID`), whatever an answer calls them (`responsibleId`); values are
          those of the older methods: numbers are texts, flags Y and N
wrapping  tasks and `crm.item.*` wrap what they answer in a map of one key
gone      `crm.deal.get` and its like are deprecated in favour of `crm.item.get`, which takes an entity type
Source: Bitrix24 REST, `crm.deal.get`, `crm.item.get`, `tasks.task.get`, `user.get`, and "Events" of CRM and tasks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

import msgspec

from wakeline.model.bitrix24.access import PortalUser
from wakeline.model.bitrix24.records import Fields, Record, RecordKind

Command = tuple[str, dict[str, object]]
"""A method and its parameters."""


class Change(StrEnum):
    """What an event says that happened to a record."""

    ADD = "ADD"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    REMARK = "COMMENT"
    """Somebody wrote something about it."""


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of record.

    `alias` is its name in templates. `created`, `changed` and `responsible` are fields; by the first two lists can be filtered
    and sorted. `select` is what a list has to be asked for so that nothing is missing. `entity_type` is the number by which
    `crm.item.*` knows it, 0: it does not.
    """

    record: RecordKind
    alias: str
    prefix: str
    created: str = "DATE_CREATE"
    changed: str = "DATE_MODIFY"
    responsible: str = "ASSIGNED_BY_ID"
    select: tuple[str, ...] = ("*", "UF_*")
    id_param: str = "id"
    row_key: str = ""
    rows_key: str = ""
    entity_type: int = 0
    items: dict[str, str] = {}

    @property
    def get_method(self) -> str:
        """Return the method that answers one record."""
        return f"{self.record.value}.get"

    @property
    def list_method(self) -> str:
        """Return the method that answers pages of records."""
        return f"{self.record.value}.list"

    def event(self, change: Change) -> str:
        """Return the event that tells of a change."""
        return f"{self.prefix}{change.value}"

    def responsible_in(self, key: str, *, of_item: bool) -> str:
        """Return a reference to the responsible user in the answer to the command `key` of the same batch."""
        if of_item:
            return f"$result[{key}][item][assignedById]"
        return f"$result[{key}][task][responsibleId]" if self.row_key else f"$result[{key}][{self.responsible}]"

    def get(self, number: int) -> Command:
        """Return what asks for one record."""
        return self.get_method, {self.id_param: number}

    def get_item(self, number: int) -> Command | None:
        """Return what asks for one record where `get` is gone; None: there is nothing."""
        return ("crm.item.get", {"entityTypeId": self.entity_type, "id": number}) if self.entity_type else None


_PERSON = ("*", "UF_*", "PHONE", "EMAIL", "WEB", "IM")
_ITEMS = {
    "createdTime": "DATE_CREATE",
    "updatedTime": "DATE_MODIFY",
    "createdBy": "CREATED_BY_ID",
    "updatedBy": "MODIFY_BY_ID",
}

KINDS: tuple[Kind, ...] = (
    Kind(record=RecordKind.DEAL, alias="deal", prefix="ONCRMDEAL", entity_type=2, items=_ITEMS),
    Kind(
        record=RecordKind.LEAD,
        alias="lead",
        prefix="ONCRMLEAD",
        select=_PERSON,
        entity_type=1,
        # The stage of a lead is its status.
        items={**_ITEMS, "stageId": "STATUS_ID"},
    ),
    Kind(
        record=RecordKind.CONTACT, alias="contact", prefix="ONCRMCONTACT", select=_PERSON, entity_type=3, items=_ITEMS
    ),
    Kind(
        record=RecordKind.ACTIVITY,
        alias="activity",
        prefix="ONCRMACTIVITY",
        created="CREATED",
        changed="LAST_UPDATED",
        responsible="RESPONSIBLE_ID",
        select=("*", "COMMUNICATIONS"),
    ),
    Kind(
        record=RecordKind.TASK,
        alias="task",
        prefix="ONTASK",
        created="CREATED_DATE",
        changed="CHANGED_DATE",
        responsible="RESPONSIBLE_ID",
        id_param="taskId",
        row_key="task",
        rows_key="tasks",
    ),
)

BY_RECORD: dict[RecordKind, Kind] = {kind.record: kind for kind in KINDS}

CALL_ALIAS = "call"
CALL_EVENTS = frozenset(
    {
        "ONEXTERNALCALLSTART",
        "ONEXTERNALCALLBACKSTART",
        "ONVOXIMPLANTCALLINIT",
        "ONVOXIMPLANTCALLSTART",
        "ONVOXIMPLANTCALLEND",
    }
)
"""Events whose data is a call."""

CALL_PLACED = "ONEXTERNALCALLSTART"
"""A user clicked a number on the portal: we are to make the call."""

_COMMENTED = "ONTASKCOMMENTADD"
_TOLD: dict[str, tuple[Kind, Change]] = {
    kind.event(change): (kind, change) for kind in KINDS for change in (Change.ADD, Change.UPDATE, Change.DELETE)
} | {_COMMENTED: (BY_RECORD[RecordKind.TASK], Change.REMARK)}


class Subject(msgspec.Struct, frozen=True):
    """The record that an event is about."""

    kind: Kind
    number: int
    change: Change


def told(event: str) -> tuple[Kind, Change] | None:
    """Return which kind of record an event tells of, and what happened to it; None: it is about no record that we know."""
    return _TOLD.get(event)


def subject(event: str, data: Mapping[str, object]) -> Subject | None:
    """Return the record that an event is about."""
    found = _TOLD.get(event)
    if found is None:
        return None
    kind, change = found
    number = _number_in(data, "TASK_ID" if change is Change.REMARK else "ID")
    return Subject(kind, number, change) if number else None


_ENTITIES = {"DEAL": RecordKind.DEAL, "LEAD": RecordKind.LEAD, "CONTACT": RecordKind.CONTACT}


def caller(data: Mapping[str, object]) -> Subject | None:
    """Return whom the portal takes the other side of a call for, as a telephony event says it."""
    record = _ENTITIES.get(str(data.get("CRM_ENTITY_TYPE", "")).upper())
    number = number_of(data.get("CRM_ENTITY_ID"))
    return Subject(BY_RECORD[record], number, Change.UPDATE) if record is not None and number else None


def _number_in(data: Mapping[str, object], name: str) -> int:
    """Return a number in the data of an event; tasks say `undefined` where there is nothing to say."""
    for block in ("FIELDS", "FIELDS_AFTER", "FIELDS_BEFORE"):
        fields = data.get(block)
        found = number_of(fields.get(name)) if isinstance(fields, Mapping) else 0
        if found:
            return found
    return 0


def number_of(value: object) -> int:
    """Return a positive number that is given as one or as text; 0: it is none."""
    if isinstance(value, bool):
        return 0
    if isinstance(value, int):
        return max(value, 0)
    if isinstance(value, str) and 0 < len(value) < 19 and value.isascii() and value.isdigit():
        return int(value)
    return 0


# --- answers


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
