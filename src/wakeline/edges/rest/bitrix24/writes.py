"""What is written on connected portals: kept before the answer, sent in order, once; and what waits for an operator."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from wakeline.edges.rest import cursors
from wakeline.edges.rest.bitrix24.connected import found, list_key
from wakeline.edges.rest.bitrix24.shapes import number_in
from wakeline.edges.rest.moments import moment, moment_or_none
from wakeline.edges.rest.operations import Answer, Call, Idempotent, Operation, Reach
from wakeline.edges.rest.shapes import PRINTABLE, PageQuery, Strict, View
from wakeline.model.bitrix24.outbox import PortalWrite, WriteState
from wakeline.model.errors import Conflict, InvalidRequest, NotFound
from wakeline.model.key import Scope

_OURS = ("auth", "access_token", "refresh_token")
"""Parameters by which a method is told who asks; the connection says that."""

_RETRIED = frozenset({WriteState.DOUBTFUL, WriteState.REFUSED, WriteState.DROPPED})
_DROPPED = frozenset({WriteState.WAITING, WriteState.DOUBTFUL})

WriteKey = Annotated[str, msgspec.Meta(max_length=200, pattern=PRINTABLE)]


class NewWrite(Strict, frozen=True, kw_only=True):
    """A method to be called. `key` is your name for it: the same key again is the same write, 409 if it is to do something else.

    `after`: the key of a write that has to be done before; its result stands in for `$result` and `$result[NAME]` among the
    values of `params`. `repeatable`: doing it twice changes nothing, so it is sent again where nobody knows whether it arrived.
    """

    method: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*(?!\n)$", max_length=100)]
    params: dict[str, Any] = msgspec.field(default_factory=dict)
    key: WriteKey = ""
    after: WriteKey = ""
    repeatable: bool = False


class WriteQuery(PageQuery, frozen=True, kw_only=True):
    """Which writes: those in this state."""

    state: WriteState | UnsetType = UNSET


class WriteView(View, frozen=True, kw_only=True):
    """A write. `due`: not before then; `cause` says what went wrong, `result` what the portal answered."""

    id: int
    method: str
    params: Any
    key: str
    after: str
    repeatable: bool
    state: WriteState
    attempts: int
    created: datetime
    due: datetime | None
    cause: str
    result: Any


class WriteList(View, frozen=True, kw_only=True):
    """Writes, the newest first."""

    writes: tuple[WriteView, ...]
    next_cursor: str | None


def view(write: PortalWrite) -> WriteView:
    """Return a write as the world sees it."""
    return WriteView(
        id=write.id,
        method=write.method,
        params=_read(write.params),
        key=write.key,
        after=write.after,
        repeatable=write.repeatable,
        state=write.state,
        attempts=write.attempts,
        created=moment(write.at),
        due=moment_or_none(write.due),
        cause=write.cause,
        result=_read(write.result),
    )


async def put(call: Call) -> Answer:
    """Keep a call of a method; it is sent as soon as those before it are done."""
    one, new = found(call), call.body
    outbox = call.ports.connected.outbox
    for name in new.params:
        if name.lower() in _OURS:
            raise InvalidRequest(
                f"`{name}` is the connection's to say", pointer=f"/params/{name}", fix="Leave it out of the parameters."
            )
    if new.after and await outbox.by_key(one.id, new.after) is None:
        raise InvalidRequest(
            f"there is no write with the key {new.after!r}", pointer="/after", fix="Put that one first, with its `key`."
        )
    asked = PortalWrite(
        id=0,
        installation=one.id,
        method=new.method,
        params=msgspec.json.encode(new.params),
        key=new.key,
        after=new.after,
        repeatable=new.repeatable,
        at=call.now,
    )
    (kept,) = await outbox.put([asked])
    if not _does_the_same(kept, asked):
        raise Conflict(
            f"the write {kept.id} has the key {new.key!r} and does something else",
            pointer="/key",
            fix="Give this one another key, or none.",
        )
    call.ports.connected.portals.ring(one.id)
    return Answer(status=202, body=view(kept))


def _does_the_same(kept: PortalWrite, asked: PortalWrite) -> bool:
    named = (kept.method.lower(), kept.after) == (asked.method.lower(), asked.after)
    return named and _read(kept.params) == _read(asked.params)


async def list_some(call: Call) -> Answer:
    """List writes, the newest first."""
    one, query = found(call), call.query
    state = None if query.state is UNSET else query.state
    of = f"writes {one.id} {state or ''}"
    writes = await call.ports.connected.outbox.recorded(
        installation=one.id,
        state=state,
        before=cursors.read(query.cursor, of, list_key(call)) or None,
        limit=query.limit,
    )
    more = writes[-1].id if len(writes) == query.limit else None
    shown = tuple(view(write) for write in writes)
    return Answer(body=WriteList(writes=shown, next_cursor=cursors.make(more, of, list_key(call))))


async def show(call: Call) -> Answer:
    """Show a write."""
    return Answer(body=view(await _existing(call)))


async def retry(call: Call) -> Answer:
    """Send a write once more."""
    write = await _existing(call)
    if write.state not in _RETRIED:
        raise Conflict(
            f"the write {write.id} is {write.state.value}",
            fix="Those that are doubtful, refused or dropped can be sent once more.",
        )
    again = msgspec.structs.replace(write, state=WriteState.WAITING, attempts=0, due=call.now, cause="", result=b"")
    return await _settled(call, again, write.state)


async def drop(call: Call) -> Answer:
    """Give a write up; what refers to it is refused."""
    write = await _existing(call)
    if write.state not in _DROPPED:
        raise Conflict(
            f"the write {write.id} is {write.state.value}", fix="Those that wait or are doubtful can be dropped."
        )
    dropped = msgspec.structs.replace(write, state=WriteState.DROPPED, cause="an operator dropped it")
    return await _settled(call, dropped, write.state)


async def _settled(call: Call, write: PortalWrite, before: WriteState) -> Answer:
    """Write what an operator decided, unless the write went on meanwhile. Raises Conflict."""
    if not await call.ports.connected.outbox.settle(write, instead_of=before):
        raise Conflict(f"the write {write.id} is not {before.value} any more", fix="Look at it, and decide again.")
    call.ports.connected.portals.ring(write.installation)
    return Answer(body=view(write))


async def _existing(call: Call) -> PortalWrite:
    one = found(call)
    write = await call.ports.connected.outbox.by_id(number_in(call.path["write"]))
    if write is None or write.installation != one.id:
        raise NotFound(
            f"the portal {one.id} has no write {call.path['write'][:64]!r}",
            fix=f"`GET /v1/bitrix24/installations/{one.id}/writes` lists them; old ones are forgotten.",
        )
    return write


def _read(text: bytes) -> Any:
    return msgspec.json.decode(text) if text else None


_ALL = "/v1/bitrix24/installations/{installation}/writes"
_ONE = f"{_ALL}/{{write}}"

OPERATIONS = (
    Operation(
        name="bitrix24.write.put",
        method="POST",
        path=_ALL,
        handler=put,
        summary="Call a method that writes on a connected Bitrix24 portal: kept now, sent in order, once",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        request=NewWrite,
        response=WriteView,
        status=(202,),
        idempotent=Idempotent.STORED,
    ),
    Operation(
        name="bitrix24.write.list",
        method="GET",
        path=_ALL,
        handler=list_some,
        summary="List what is written on a connected Bitrix24 portal",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        query=WriteQuery,
        response=WriteList,
    ),
    Operation(
        name="bitrix24.write.show",
        method="GET",
        path=_ONE,
        handler=show,
        summary="Show a write on a connected Bitrix24 portal",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        response=WriteView,
    ),
    Operation(
        name="bitrix24.write.retry",
        method="POST",
        path=f"{_ONE}/retry",
        handler=retry,
        summary="Send a write on a connected Bitrix24 portal once more",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        response=WriteView,
        idempotent=Idempotent.STORED,
    ),
    Operation(
        name="bitrix24.write.drop",
        method="POST",
        path=f"{_ONE}/drop",
        handler=drop,
        summary="Give up a write on a connected Bitrix24 portal",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        response=WriteView,
        idempotent=Idempotent.STORED,
    ),
)
