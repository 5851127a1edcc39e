"""Events that nobody posted, made of what a portal tells when it is asked: rows of its offline queue, and records that changed.

Pure. Moments of events are the portal's own, as those of posted events are, so that a clock that is wrong on either side
confuses nothing. Rules:
posted    `ts` of a posted event is never before the moment of the change; that of the queue's row may be a second off
listed    a record that was made in the span that was listed is an ADD, at that moment, unless one was told; one that changed after
          it was made is an UPDATE, at its last change, unless an event of that moment or later was told
Source: Bitrix24 REST, "Offline events", `event.offline.get`; lists by DATE_MODIFY, CHANGED_DATE, LAST_UPDATED.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, tzinfo

import msgspec

from wakeline.connectors.bitrix24 import kinds
from wakeline.connectors.bitrix24.kinds import BY_RECORD, Change, Kind
from wakeline.model.bitrix24.inbox import Origin, ReceivedEvent, identity_of, subject_of
from wakeline.model.bitrix24.records import Record, RecordKind
from wakeline.wire.bitrix24.event_data import canonical, record_of

SAME = 1_000
"""Milliseconds by which two moments of one event may differ: portals stamp whole seconds, in two places."""
SETTLING = 30_000
"""Milliseconds in which a change that we find may still be posted to us."""
OVERLAP = 120_000
"""Milliseconds before `reached` that are looked at again: a transaction may end so long after the moment that it wrote."""
_UNDEFINED = "undefined"
_CHANGED_BY = ("MODIFY_BY_ID", "CHANGED_BY", "EDITOR_ID")

Known = Mapping[bytes, int]
"""When the last event with a subject was raised (Unix ms)."""
Keep = Callable[[int, Sequence[ReceivedEvent]], Awaitable[int]]
"""Keeps events of an installation (row id) on disk; returns how many are new."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the offline queue: the event, the `message` by which it is cleared, and the `process` that has reserved it."""

    event: ReceivedEvent
    message: str
    process: str


def moment(value: object) -> int:
    """Return a moment as Bitrix24 writes it, in Unix ms; 0: it is none. One without an offset is none: nobody knows which."""
    if not isinstance(value, str):
        return 0
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return 0
    return 0 if found.tzinfo is None else int(found.timestamp() * 1000)


def said(at: int, zone: tzinfo | None) -> str:
    """Return a moment (Unix ms) as Bitrix24 writes it, in the portal's own zone: not every method heeds the offset."""
    return datetime.fromtimestamp(at // 1000, zone).isoformat()


# --- the offline queue


def rows(installation: int, result: object, *, portal_now: int, now: int) -> list[Row]:
    """Return the rows that `event.offline.get` or `.list` answered. `portal_now` is the portal's own time, `now` ours."""
    reserved = result if isinstance(result, Mapping) else {"events": result}
    process, events = reserved.get("process_id"), reserved.get("events")
    maps = [one for one in events if isinstance(one, Mapping)] if isinstance(events, list) else []
    found = (_row(installation, one, process, portal_now, now) for one in maps)
    return [row for row in found if row is not None]


def _row(installation: int, row: Mapping[str, object], process: object, portal_now: int, now: int) -> Row | None:
    name, message, owner = row.get("EVENT_NAME"), row.get("MESSAGE_ID"), process or row.get("PROCESS_ID")
    if not isinstance(name, str) or not isinstance(message, str) or not name or not message:
        return None
    additional = row.get("EVENT_ADDITIONAL")
    event = _event(
        installation,
        name.upper(),
        row.get("EVENT_DATA"),
        at=moment(row.get("TIMESTAMP_X")) or portal_now,
        now=now,
        origin=Origin.OFFLINE,
        user=kinds.number_of(additional.get("user_id")) if isinstance(additional, Mapping) else 0,
    )
    return Row(event=event, message=message, process=owner if isinstance(owner, str) else "")


def untold(events: Iterable[ReceivedEvent], known: Known) -> list[ReceivedEvent]:
    """Return those of which no later event, or the event itself, was posted."""
    return [event for event in events if not _is_known(known.get(event.subject), event.at)]


# --- records that changed


def fields_needed(kind: Kind) -> tuple[str, ...]:
    """Return the fields that `listed` reads."""
    by = (
        "CHANGED_BY"
        if kind.record is RecordKind.TASK
        else "EDITOR_ID"
        if kind.record is RecordKind.ACTIVITY
        else "MODIFY_BY_ID"
    )
    return ("ID", kind.created, kind.changed, by)


def changed(record: Record) -> int:
    """Return when a record changed, by the portal's clock; 0: it does not say."""
    return moment(record.fields.get(BY_RECORD[record.kind].changed))


def subjects(record: Record) -> tuple[bytes, bytes]:
    """Return the subjects of the events that tell that this record was made, and that it changed."""
    kind = BY_RECORD[record.kind]
    made, updated = (
        subject_of(kind.event(change), canonical(_data(kind, record.id, change)))
        for change in (Change.ADD, Change.UPDATE)
    )
    return made, updated


def listed(installation: int, record: Record, known: Known, *, since: int, now: int) -> list[ReceivedEvent]:
    """Return the events of a record, found in a list of what changed since `since`, that nobody told."""
    kind, at = BY_RECORD[record.kind], changed(record)
    begun = moment(record.fields.get(kind.created))
    made, updated = subjects(record)
    found: list[tuple[Change, int]] = []
    if at and begun >= since and made not in known:
        found.append((Change.ADD, begun))
    if at > begun + SAME and not _is_known(max(known.get(made, 0), known.get(updated, 0)), at):
        found.append((Change.UPDATE, at))
    by = (kinds.number_of(record.fields.get(name)) for name in _CHANGED_BY)
    user = next((number for number in by if number), 0)
    return [
        _event(
            installation,
            kind.event(change),
            _data(kind, record.id, change),
            at=raised,
            now=now,
            origin=Origin.LISTED,
            user=user,
        )
        for change, raised in found
    ]


def _is_known(last: int | None, at: int) -> bool:
    return last is not None and last + SAME >= at // 1000 * 1000


def _data(kind: Kind, number: int, change: Change) -> dict[str, object]:
    """Return the data of a change as the portal posts it."""
    fields = {"ID": str(number)}
    if kind.record is not RecordKind.TASK:
        return {"FIELDS": fields}
    is_new = change is Change.ADD
    return {
        "FIELDS_BEFORE": _UNDEFINED if is_new else fields,
        "FIELDS_AFTER": fields,
        "IS_ACCESSIBLE_BEFORE": "N" if is_new else _UNDEFINED,
        "IS_ACCESSIBLE_AFTER": _UNDEFINED,
    }


def _event(
    installation: int, name: str, data: object, *, at: int, now: int, origin: Origin, user: int
) -> ReceivedEvent:
    told = canonical(data)
    subject = subject_of(name, told)
    return ReceivedEvent(
        id=0,
        installation=installation,
        event=name,
        data=told,
        at=at,
        received=now,
        due=now,
        identity=identity_of(subject, at),
        subject=subject,
        record=record_of(name, data),
        user=user,
        origin=origin,
    )
