"""Deals, leads, contacts and activities as our portal keeps them. Source: Bitrix24 REST, `crm.deal.list`, `crm.lead.get` and so on.

Statuses are those of the documentation. Its error code for these methods is the empty text, by which one widespread client
(@bitrix24/b24jssdk) takes a failure inside a batch for a success; so the codes here are ERROR_NOT_FOUND and ERROR_ARGUMENT,
with the documented texts. All clients treat them as they treat the empty one otherwise.

Older list methods know whole pages only: `start` is rounded down to one. Lists leave out custom fields and those with several
values unless they are selected; `get` answers everything.
"""

from __future__ import annotations

from collections.abc import Iterator

from wakeline.edges.bitrix24 import listing, paging, reading
from wakeline.edges.bitrix24.call import Call, Method, MethodError, Result
from wakeline.edges.bitrix24.refusals import Refusal
from wakeline.model.bitrix24.records import RecordKind

_APART = frozenset({"PHONE", "EMAIL", "WEB", "IM", "LINK", "COMMUNICATIONS", "BINDINGS"})
"""Fields with several values."""


async def list_records(call: Call) -> Result:
    """Answer a page of records."""
    page = paging.asked(call, rounded=True)
    filters = listing.conditions(call)
    if filters is None:
        return paging.listed((), page, 0)
    found = await call.ports.records.find(
        _kind(call),
        filters=filters,
        order=listing.orders(call),
        start=page.offset,
        limit=paging.SIZE,
        count=page.counted,
    )
    wanted = listing.selection(call)
    rows = [listing.shown(record.id, record.fields, wanted, apart=_APART) for record in found.records]
    return paging.listed(rows, page, found.total)


async def get_record(call: Call) -> Result:
    """Answer one record."""
    number = reading.number(call.params, "ID") or 0
    if number <= 0:
        raise Refusal.ARGUMENT.error("ID is not defined or invalid.", argument="ID")
    record = await call.ports.records.get(_kind(call), number)
    if record is None:
        raise MethodError(400, "ERROR_NOT_FOUND", "Not found")
    return Result(listing.everything(record.id, record.fields))


def _kind(call: Call) -> RecordKind:
    return RecordKind(call.method.rpartition(".")[0])


def _methods() -> Iterator[Method]:
    for kind in (RecordKind.DEAL, RecordKind.LEAD, RecordKind.CONTACT, RecordKind.ACTIVITY):
        yield Method(name=f"{kind}.list", scope="crm", handler=list_records)
        yield Method(name=f"{kind}.get", scope="crm", handler=get_record)


METHODS: tuple[Method, ...] = tuple(_methods())
