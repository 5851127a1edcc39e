"""Long lists: by `start`, which counts, or by id, which does not.

Rules (Bitrix24: "Features of list methods", "Large amounts of data"): a page has 50 rows. `start=-1` counts nothing, and with
`filter[>ID]` the next page begins behind the last row. In a batch each page takes that id from the page before by reference
(`$result[p0][49][ID]`); behind a page that is not full the reference leads nowhere, so what follows it is not looked at.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Protocol

import msgspec

from wakeline.model.bitrix24.records import Fields
from wakeline.model.errors import PortalUnreachable
from wakeline.wire.bitrix24.answer import Refusal, Reply, whole
from wakeline.wire.bitrix24.commands import BatchReply, Call, Params, by_key

PAGE = 50
LONGEST_CHAIN = 20
"""Pages of one request: a thousand rows."""
_ODD = 300.0
"""Seconds until a list is read again whose pages made no sense."""
_ROOM = 2 * 1024 * 1024
"""Bytes that the pages of one request may have if all are like the first: a quarter of the longest answer that is read."""


class Calls(Protocol):
    """As much of a client as lists need."""

    async def call(self, method: str, params: Params, *, bulk: bool) -> Reply:
        """Call a method."""

    async def batch(self, commands: Mapping[str, Call], *, bulk: bool) -> BatchReply:
        """Call many."""

    def error(self, refusal: Refusal, method: str) -> Exception:
        """Return the error for a command that was refused."""


async def pages(client: Calls, method: str, params: Params) -> AsyncIterator[Reply]:
    """Yield the pages of a list; it ends where the portal names no next one, or one that does not lie ahead."""
    start = 0
    while True:
        reply = await client.call(method, {**params, "start": start}, bulk=True)
        yield reply
        if reply.next is None or reply.next <= start:
            return
        start = reply.next


async def rows(client: Calls, method: str, params: Params, *, after: int, id_name: str) -> AsyncIterator[list[Fields]]:
    """Yield lists of rows in the order of their ids."""
    reply = await client.call(method, _behind(params, after, id_name), bulk=True)
    found: Iterable[object] = [reply.result]
    while True:
        for page in map(rows_of, found):
            if page:
                after = _last_id(page, after)
                yield page
            if len(page) < PAGE:
                return
        found = await _chain(client, method, _starts(after, reply.result), params, id_name)


def _starts(after: int, page: object) -> list[int | str]:
    """Return what each of the next pages begins behind: an id, then references to the page before it."""
    length = max(1, min(LONGEST_CHAIN, _ROOM // len(msgspec.json.encode(page))))
    return [after, *(f"$result[p{place}]{_path(page)}" for place in range(length - 1))]


async def _chain(client: Calls, method: str, starts: list[int | str], params: Params, id_name: str) -> Iterator[object]:
    """Return the next pages; one that was refused is an error when it is looked at."""
    commands = {f"p{place}": (method, _behind(params, start, id_name)) for place, start in enumerate(starts)}
    answered = await client.batch(commands, bulk=True)
    return (_page(client, answered, key, method) for key in commands)


def rows_of(result: object) -> list[Fields]:
    """Return the rows of a list's answer, which may be the only member of a map."""
    if isinstance(result, dict):
        result = next((value for value in result.values() if isinstance(value, list)), [])
    return [row for row in result if isinstance(row, dict)] if isinstance(result, list) else []


def id_of(row: Fields) -> int:
    """Return a row's id, whatever its method calls it; 0 if there is none."""
    return whole(row.get("ID", row.get("id"))) or 0


def _behind(params: Params, after: int | str, id_name: str) -> Params:
    ordered = {} if "order" in params else {"order": {id_name: "ASC"}}
    return {**params, **ordered, "filter": {**by_key(params.get("filter")), f">{id_name}": after}, "start": -1}


def _last_id(found: list[Fields], after: int) -> int:
    last = id_of(found[-1])
    if last <= after:
        raise PortalUnreachable("The portal's list is not in the order of ids", retry_after=_ODD)
    return last


def _path(result: object) -> str:
    """Return where the id of a full page's last row is, as references have it."""
    name = "id" if "id" in rows_of(result)[-1] else "ID"
    inside = (
        next((f"[{key}]" for key, value in result.items() if isinstance(value, list)), "")
        if isinstance(result, dict)
        else ""
    )
    return f"{inside}[{PAGE - 1}][{name}]"


def _page(client: Calls, answered: BatchReply, key: str, method: str) -> object:
    refusal = answered.errors.get(key)
    if refusal is not None:
        raise client.error(refusal, method)
    return answered.results.get(key)
