"""Events that nobody posted, made of what a portal tells when it is asked: rows of its offline queue, and records that changed.

Pure. Moments of events are the portal's own, as those of posted events are, so that a clock that is wrong on either side
confuses nothing. Rules:
posted    `ts` of a posted event is never before the moment of the change; that of the queue's row may be a second off
listed    a record that changed is one event: ADD if it was made in the span that was listed and nobody told so, else UPDATE; both
          have the moment of its last change, so that the next look at the same record finds it told
Source: Bitrix24 REST, "Offline events", `event.offline.get`; lists by DATE_MODIFY, CHANGED_DATE, LAST_UPDATED.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

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
_UNDEFINED = "undefined"
_CHANGED_BY = ("MODIFY_BY_ID", "CHANGED_BY", "EDITOR_ID")

Known = Mapping[bytes, int]
"""When the last event with a subject was raised (Unix ms)."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the offline queue: the event, the `message` by which it is cleared, and the `process` that has reserved it."""

    event: ReceivedEvent
    message: str
    process: str


def moment(said: object) -> int:
    """Return a moment as Bitrix24 writes it, in Unix ms; 0: it is none. One without an offset is none: nobody knows which."""
    if not isinstance(said, str):
        return 0
    try:
        found = datetime.fromisoformat(said)
    except ValueError:
        return 0
    return 0 if found.tzinfo is None else int(found.timestamp() * 1000)


# --- the offline queue


def rows(installation: int, result: object, *, portal_now: int, now: int) -> list[Row]:
    """Return the rows that `event.offline.get` or `.list` answered. `portal_now` is the portal's own time, `now` ours."""
    reserved = result if isinstance(result, Mapping) else {"events": result}
    process, said = reserved.get("process_id"), reserved.get("events")
    maps = [one for one in said if isinstance(one, Mapping)] if isinstance(said, list) else []
    found = (_row(installation, one, process, portal_now, now) for one in maps)
    return [row for row in found if row is not None]


def _row(installation: int, said: Mapping[str, object], process: object, portal_now: int, now: int) -> Row | None:
    name, message, owner = said.get("EVENT_NAME"), said.get("MESSAGE_ID"), process or said.get("PROCESS_ID")
    if not isinstance(name, str) or not isinstance(message, str) or not name or not message:
        return None
    additional = said.get("EVENT_ADDITIONAL")
    event = _event(
        installation,
        name.upper(),
        said.get("EVENT_DATA"),
        at=moment(said.get("TIMESTAMP_X")) or portal_now,
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


def listed(installation: int, record: Record, known: Known, *, since: int, now: int) -> ReceivedEvent | None:
    """Return the event of a record that was found in a list of what changed since `since`; None: it was told."""
    kind, at = BY_RECORD[record.kind], changed(record)
    made, updated = subjects(record)
    if not at or _is_known(max(known.get(made, 0), known.get(updated, 0)), at):
        return None
    is_new = moment(record.fields.get(kind.created)) >= since and made not in known
    change = Change.ADD if is_new else Change.UPDATE
    by = (kinds.number_of(record.fields.get(name)) for name in _CHANGED_BY)
    return _event(
        installation,
        kind.event(change),
        _data(kind, record.id, change),
        at=at,
        now=now,
        origin=Origin.LISTED,
        user=next((number for number in by if number), 0),
    )


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
        identity=identity_of(subject, at),
        subject=subject,
        record=record_of(name, data),
        user=user,
        origin=origin,
    )
