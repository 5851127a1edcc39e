"""What a record of a portal is: the methods that give it, and the events that tell of it. What they answer is read by `answers`.

Pure. Rule: `crm.deal.get` and its like are deprecated in favour of `crm.item.get`, which takes an entity type.
Source: Bitrix24 REST, `crm.deal.get`, `crm.item.get`, `tasks.task.get`, and "Events" of CRM and tasks.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from wakeline.model.bitrix24.records import RecordKind

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
