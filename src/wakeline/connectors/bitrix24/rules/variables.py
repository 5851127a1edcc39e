"""What the templates of a rule may use, made from an event and what is known of its record.

Texts are cut to what a push can show, lists to what people read, and the whole is bounded: a template's cost is bounded by its
variables, and these come from a portal that is somebody else's.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from wakeline.connectors.bitrix24 import kinds
from wakeline.model.bitrix24.installation import Installation
from wakeline.model.bitrix24.records import Fields, RecordKind
from wakeline.model.errors import InvalidRequest

TEXT = 4_096
"""Characters of one text."""
ITEMS = 500
"""Members of one list."""
DEPTH = 8
"""Lists and maps in lists and maps."""
WHOLE = 400_000
"""Characters and members of all."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an event: `kind` and `record` are what it is about, as far as the portal has it."""

    event: str
    data: Mapping[str, object]
    installation: Installation
    user: int = 0
    kind: RecordKind | None = None
    record: Fields | None = None
    before: Fields | None = None
    responsible: Fields | None = None


def variables(facts: Facts) -> dict[str, object]:
    """Return the variables of templates. Raises InvalidRequest if the record is too large to look into."""
    measure = _Measure()
    data, record = measure.cut(facts.data), measure.cut(facts.record)
    found: dict[str, object] = {
        "event": facts.event,
        "data": data,
        "user": facts.user,
        "record": record,
        "before": measure.cut(facts.before),
        "responsible": measure.cut(facts.responsible),
        "portal": _portal(facts.installation),
        kinds.CALL_ALIAS: data if facts.event in kinds.CALL_EVENTS else None,
    }
    return found | {kind.alias: record if kind.record is facts.kind else None for kind in kinds.KINDS}


def _portal(installation: Installation) -> dict[str, object]:
    """Return what may be said of a portal: its place, and nothing that opens it."""
    parts = urlsplit(installation.client_endpoint)
    url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else ""
    return {"member_id": installation.member_id, "title": installation.title, "url": url}


class _Measure:
    """Cuts values, and counts what is left of them."""

    def __init__(self) -> None:
        self._left = WHOLE

    def cut(self, value: object, depth: int = 0) -> object:
        if depth > DEPTH:
            return None
        match value:
            case str():
                return self._paid(value[:TEXT], min(len(value), TEXT))
            case Mapping():
                members = list(value.items())[:ITEMS]
                return self._paid({str(name)[:TEXT]: self.cut(one, depth + 1) for name, one in members}, len(members))
            case list() | tuple():
                return self._paid([self.cut(one, depth + 1) for one in value[:ITEMS]], len(value))
            case None | bool() | int() | float():
                return value
            case _:
                return None

    def _paid(self, value: object, cost: int) -> object:
        self._left -= cost + 1
        if self._left < 0:
            raise InvalidRequest(f"the record has more than {WHOLE} characters")
        return value
