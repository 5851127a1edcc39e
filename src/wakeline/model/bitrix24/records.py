"""What our own Bitrix24 portal keeps of a CRM and of tasks: flat maps of texts, as Bitrix24 gives them."""

from __future__ import annotations

from enum import StrEnum

import msgspec

Fields = dict[str, object]
"""A record's fields by Bitrix24's names: texts, numbers as texts, lists of maps (PHONE), null."""


class RecordKind(StrEnum):
    """What a record is; the value is how REST methods name it."""

    DEAL = "crm.deal"
    LEAD = "crm.lead"
    CONTACT = "crm.contact"
    ACTIVITY = "crm.activity"
    TASK = "tasks.task"


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One record. `changed` is when we learnt its present content (Unix ms)."""

    kind: RecordKind
    id: int
    fields: Fields
    changed: int = 0


class Operator(StrEnum):
    """How a filter compares: the prefix of a key, from Bitrix24's list methods."""

    EQUAL = "="
    NOT = "!="
    MORE = ">"
    LEAST = ">="
    LESS = "<"
    MOST = "<="
    IN = "@"
    NOT_IN = "!@"
    LIKE = "%"
    NOT_LIKE = "!%"
    PATTERN = "=%"
    NOT_PATTERN = "!=%"


class Condition(msgspec.Struct, frozen=True):
    """One term of a filter; all terms have to hold. `values` has one text, or several for IN and NOT_IN.

    Numbers compare as numbers where both sides are numbers, anything else as text without regard to case.
    """

    field: str
    operator: Operator
    values: tuple[str, ...]


class Order(msgspec.Struct, frozen=True):
    """One key of a sort."""

    field: str
    descending: bool = False


class RecordPage(msgspec.Struct, frozen=True):
    """A page of records; `total` is 0 if it was not to be counted."""

    records: tuple[Record, ...]
    total: int
