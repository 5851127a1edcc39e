"""Rows of the main file as values and back."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import repeat
from typing import Any

import msgspec

from wakeline.model.delivery import (
    STATE_NUMBERS,
    STATES_BY_NUMBER,
    Attempt,
    DeliveryRow,
    DeliveryState,
    Job,
    JobKind,
    NewJob,
)
from wakeline.model.event import Event, EventData, EventType
from wakeline.model.notification import Audience, Content, Notification
from wakeline.model.outcome import OutcomeClass
from wakeline.model.receipt import Receipt, ReceiptKind
from wakeline.model.route import Lane
from wakeline.ports import AcceptedRun
from wakeline.storage.sqlite.lanes import Entry, Lease
from wakeline.storage.waiting import WRITTEN_STATES

_json = msgspec.json.Encoder()
_content = msgspec.json.Decoder(Content)
_audience = msgspec.json.Decoder(Audience)
_data = msgspec.json.Decoder(EventData)
_attempt = msgspec.json.Decoder(Attempt)
_LANES = tuple(Lane)
_ACCEPTED = STATE_NUMBERS[DeliveryState.ACCEPTED]
_column = {state: place for place, state in enumerate(WRITTEN_STATES)}


def notification_row(value: Notification, parcel: int = 0) -> tuple[Any, ...]:
    """Return the columns of a notification in the order of `insert_notification`; `parcel` is the job it shares with others."""
    return (
        value.key,
        value.app,
        int(value.lane),
        value.due,
        value.expires,
        value.created,
        value.bulk,
        value.only_if_absent,
        value.recipients,
        value.walked,
        value.cancelled,
        value.request_id,
        _json.encode(value.content),
        None if value.audience is None else _json.encode(value.audience),
        parcel,
    )


def notification_of(row: Any) -> Notification:
    """Return the notification of a row."""
    return Notification(
        key=row[0],
        app=row[1],
        lane=_LANES[row[2]],
        due=row[3],
        expires=row[4],
        created=row[5],
        bulk=bool(row[6]),
        only_if_absent=bool(row[7]),
        recipients=row[8],
        walked=bool(row[9]),
        cancelled=bool(row[10]),
        request_id=row[11],
        content=_content.decode(row[12]),
        audience=None if row[13] is None else _audience.decode(row[13]),
    )


def content_form(content: Content) -> bytes:
    """Return content as it is kept."""
    return _json.encode(content)


def job_row(number: int, job: NewJob, chunk: int) -> tuple[Any, ...]:
    """Return the columns of a job in the order of `insert_job`."""
    return (
        number,
        job.notification,
        job.app,
        job.route,
        int(job.lane),
        job.due,
        job.expires,
        job.kind is JobKind.FANOUT,
        chunk,
        job.attempt,
        job.cursor,
        job.code,
        job.collapse_key,
        job.recipients,
        job.members,
    )


def job_of(row: Any) -> Job:
    """Return the job of a row; where a count stands for the recipients there are neither these nor members."""
    return Job(
        id=row[0],
        notification=row[1],
        app=row[2],
        route=row[3],
        lane=_LANES[row[4]],
        due=row[5],
        expires=row[6],
        kind=JobKind.FANOUT if row[7] else JobKind.SEND,
        chunk=row[8],
        attempt=row[9],
        cursor=row[10],
        code=row[11],
        collapse_key=row[12],
        recipients=row[13] if isinstance(row[13], bytes) else b"",
        members=row[14] if isinstance(row[13], bytes) else b"",
    )


def entry_of(job: Job) -> Entry:
    """Return a job as the counters see it."""
    return Entry(job.id, (job.route, int(job.lane)), job.due, len(job.recipients) // 8)


def lease_of(job: Job) -> Lease:
    """Return the lease of a job."""
    return Lease((job.route, int(job.lane)), (job.due, job.id), job.notification, len(job.recipients) // 8)


def accepted_rows(run: AcceptedRun) -> Iterable[tuple[Any, ...]]:
    """Return the columns of deliveries that were accepted in the same attempt, in the order of `upsert_delivery`."""
    attempt, accepted = run.attempt, OutcomeClass.ACCEPTED.value
    line = _json.encode(attempt).decode() + "\n"
    shared = (_ACCEPTED, 0, attempt.status, attempt.reason, accepted, "", attempt.number, run.at, line)
    return zip(run.notifications, run.targets, *map(repeat, shared), strict=False)


def delivery_row(row: DeliveryRow) -> tuple[Any, ...]:
    """Return the columns of a delivery in the order of `upsert_delivery`."""
    attempt = "" if row.attempt is None else _json.encode(row.attempt).decode() + "\n"
    return (row[0], row[1], STATE_NUMBERS[row[2]], *row[3:10], attempt)


def delivery_of(row: Any) -> tuple[DeliveryRow, tuple[Attempt, ...]]:
    """Return a written delivery and its attempts."""
    state = STATES_BY_NUMBER[row[2]]
    attempts = tuple(_attempt.decode(line) for line in row[10].splitlines())
    return DeliveryRow(row[0], row[1], state, *row[3:10]), attempts


def event_row(event: Event) -> tuple[Any, ...]:
    """Return the columns of an event in the order of `insert_event`."""
    return (event.at, event.type.value, event.app, _json.encode(event.data))


def event_of(row: Any) -> Event:
    """Return the event of a row."""
    return Event(seq=row[0], at=row[1], type=EventType(row[2]), app=row[3], data=_data.decode(row[4]))


def early_row(receipt: Receipt, target: int) -> tuple[Any, ...]:
    """Return the columns of a receipt that is kept, in the order of `keep_early`."""
    return (
        receipt.notification,
        target,
        receipt.app,
        receipt.device,
        receipt.kind.value,
        receipt.at,
        receipt.certain,
    )


def early_of(row: Any) -> Receipt:
    """Return the receipt of a row of `early`."""
    return Receipt(
        notification=row[0], app=row[2], device=row[3], kind=ReceiptKind(row[4]), at=row[5], certain=bool(row[6])
    )


def increments(counted: dict[DeliveryState, int]) -> list[int]:
    """Return what to add to the counters of a notification, in the order of its columns."""
    columns = [0] * len(WRITTEN_STATES)
    for state, number in counted.items():
        place = _column.get(state)
        if place is None:
            raise ValueError(f"Deliveries {state.value} are derived, never counted")
        columns[place] = number
    return columns


def written_of(columns: Any) -> dict[DeliveryState, int]:
    """Return the counters of a notification by state."""
    return dict(zip(WRITTEN_STATES, columns, strict=True))


def json_list(values: Iterable[int | str]) -> str:
    """Return values as the JSON list that a statement reads."""
    return _json.encode(list(values)).decode()
