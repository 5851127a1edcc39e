"""Fetching offline events. Source: Bitrix24 REST, `event.offline.get`, `.list`, `.clear` and `.error`.

A reader reserves events under a process id, works on them, and clears them or gives them back as failed; with `clear` (the
default) they are its own at once. Two readers never get the same event. Where documentation and product disagree about
`event.offline.clear` with both `id` and `message_id`, the documentation counts: `message_id` is ignored then.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import msgspec

from wakeline.edges.bitrix24 import listing, paging, reading
from wakeline.edges.bitrix24.answers import atom
from wakeline.edges.bitrix24.call import Auth, Call, Method, Result, Value
from wakeline.edges.bitrix24.methods.events import application_of, required
from wakeline.edges.bitrix24.refusals import Refusal
from wakeline.model.bitrix24.events import OfflineEvent
from wakeline.model.bitrix24.records import Condition, Order

_MESSAGE_LENGTH = 32
_LARGEST_PORTION = 1_000
_FIELDS = frozenset({"ID", "TIMESTAMP_X", "EVENT_NAME", "MESSAGE_ID"})
_FIELDS_OF_LIST = _FIELDS | {"PROCESS_ID", "ERROR"}


async def get(call: Call) -> Result:
    """Answer the next events, or those of a reservation."""
    application = _reader(call)
    limit = _limit(call)
    process = reading.text(call.params, "PROCESS_ID")
    if process:
        return _portion(process, await call.ports.events.reserved(application, process), call)
    filters = _filters(call, _FIELDS)
    if filters is None:
        return _portion(None, (), call)
    process = secrets.token_hex(_MESSAGE_LENGTH // 2)
    found = await call.ports.events.reserve(
        application,
        reading.text(call.params, "AUTH_CONNECTOR"),
        process,
        limit=limit,
        failed=reading.flag(call.params, "ERROR"),
        filters=filters,
    )
    if reading.flag(call.params, "CLEAR", default=True):
        await call.ports.events.clear(application, process)
        return _portion(None, found, call)
    return _portion(process, found, call)


async def list_events(call: Call) -> Result:
    """Answer a page of the queue, and change nothing."""
    application = _reader(call)
    page = paging.asked(call)
    filters = _filters(call, _FIELDS_OF_LIST)
    if filters is None:
        return paging.listed((), page, 0)
    found, total = await call.ports.events.waiting(
        application,
        reading.text(call.params, "AUTH_CONNECTOR"),
        filters=filters,
        order=_orders(call, _FIELDS_OF_LIST),
        start=page.offset,
        limit=paging.SIZE,
    )
    rows = [
        _row(event) | {"PROCESS_ID": event.process or None, "ERROR": "1" if event.failed else "0"} for event in found
    ]
    return paging.listed(rows, page, total)


async def clear(call: Call) -> Result:
    """Forget events of a reservation: all, those with these ids, or those with these message ids."""
    application = _reader(call)
    process = required(call, "PROCESS_ID")
    ids = reading.numbers(call.params, "ID") if _is_given(call, "ID") else None
    messages = _messages(call) if ids is None and _is_given(call, "MESSAGE_ID") else None
    await call.ports.events.clear(application, process, messages=messages, ids=ids)
    return Result(value=True)


async def error(call: Call) -> Result:
    """Give events of a reservation back as failed: `event.offline.get` with `error` has them."""
    application = _reader(call)
    process = required(call, "PROCESS_ID")
    if not _is_given(call, "MESSAGE_ID"):
        raise Refusal.ARGUMENT.error("Argument 'MESSAGE_ID' is null or empty", argument="MESSAGE_ID")
    await call.ports.events.fail(application, process, _messages(call))
    return Result(value=True)


def _reader(call: Call) -> int:
    if not call.caller.user.admin:
        raise Refusal.DENIED.error()
    return application_of(call).id


def _limit(call: Call) -> int:
    limit = reading.number(call.params, "LIMIT") if _is_given(call, "LIMIT") else paging.SIZE
    if limit is None or limit <= 0:
        raise Refusal.ARGUMENT.error("Value must be positive integer", argument="LIMIT")
    return min(limit, _LARGEST_PORTION)


def _is_given(call: Call, name: str) -> bool:
    return call.params.get(name) not in (None, "")


def _messages(call: Call) -> list[str]:
    messages = reading.texts(call.params, "MESSAGE_ID")
    if any(len(message) != _MESSAGE_LENGTH for message in messages):
        raise Refusal.ARGUMENT.error("Value must be array of MESSAGE_ID values", argument="MESSAGE_ID")
    return messages


def _filters(call: Call, known: frozenset[str]) -> list[Condition] | None:
    filters = listing.conditions(call)
    for condition in filters or ():
        if condition.field not in known:
            raise Refusal.ARGUMENT.error(f"Field {condition.field} is not filterable", argument="FILTER")
    return filters


def _orders(call: Call, known: frozenset[str]) -> list[Order]:
    return [order for order in listing.orders(call) if order.field in known]


def _portion(process: str | None, events: Sequence[OfflineEvent], call: Call) -> Result:
    """Return what a reader gets; the order is that of the answer, the oldest are taken in any case."""
    rows = [_row(event) for event in events]
    for order in reversed(_orders(call, _FIELDS)):
        rows.sort(key=lambda row: _sortable(row, order.field), reverse=order.descending)
    return Result({"process_id": process, "events": rows})


def _sortable(row: dict[str, Value], field: str) -> tuple[int, str]:
    return (int(str(row["ID"])), "") if field == "ID" else (0, str(row[field]))


def _row(event: OfflineEvent) -> dict[str, Value]:
    return {
        "ID": str(event.id),
        "TIMESTAMP_X": atom(event.at / 1000),
        "EVENT_NAME": event.event,
        "EVENT_DATA": _decoded(event.data),
        "EVENT_ADDITIONAL": _decoded(event.additional),
        "MESSAGE_ID": event.message,
    }


def _decoded(stored: bytes) -> Value:
    """Return a map as it was; an empty one is false."""
    return msgspec.json.decode(stored) or False


METHODS: tuple[Method, ...] = (
    Method(name="event.offline.get", scope="", handler=get, auth=Auth.APPLICATION),
    Method(name="event.offline.list", scope="", handler=list_events, auth=Auth.APPLICATION),
    Method(name="event.offline.clear", scope="", handler=clear, auth=Auth.APPLICATION),
    Method(name="event.offline.error", scope="", handler=error, auth=Auth.APPLICATION),
)
