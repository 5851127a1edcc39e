"""`wakeline bitrix24 portal writes` and `events`: what is written on connected portals, and what they told us."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from rich.console import RenderableType

from wakeline.cli.bitrix24.portal import portal
from wakeline.cli.context import Ctx
from wakeline.cli.printing import facts, table
from wakeline.edges.rest.bitrix24.received import ReceivedList, ReceivedView
from wakeline.edges.rest.bitrix24.writes import NewWrite, WriteList, WriteView
from wakeline.model.bitrix24.inbox import EventState
from wakeline.model.bitrix24.outbox import WriteState
from wakeline.model.errors import ConfigError

Limit = Annotated[int, Parameter(help="How many at most, up to 500; the newest first.")]

_WRITES = ("number", "method", "key", "state", "attempts", "created", "due", "cause")
_EVENTS = ("number", "event", "record", "user", "came", "state", "raised", "became", "cause")


def json_object(text: str, flag: str) -> dict[str, Any]:
    """Return the JSON object in a flag's value. Raises ConfigError (a usage error)."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError:
        raise ConfigError(f"{flag} takes a JSON object.", fix=f"""Such as {flag} '{{"ID": 7}}'.""") from None


@portal.command
async def writes(
    portal: str,
    /,
    *,
    state: WriteState | None = None,
    limit: Limit = 50,
    retry: int | None = None,
    drop: int | None = None,
    context: Ctx,
) -> None:
    """List what is written on a connected portal, or handle one write.

    Parameters
    ----------
    portal
        Its number, from `wakeline bitrix24 portal list`.
    state
        Only those in this state.
    retry
        Send this one once more: it is doubtful, refused or dropped.
    drop
        Give this one up: it waits or is doubtful.
    """
    if retry is not None and drop is not None:
        raise ConfigError("--retry and --drop exclude each other.", fix="Give one of them.")
    number, verb = (retry, "retry") if retry is not None else (drop, "drop")
    async with context.gateway() as gateway:
        if number is not None:
            one: WriteView = await gateway.call(f"bitrix24.write.{verb}", installation=portal, write=str(number))
            context.printer.result(one, lambda: _write(one))
            return
        query = {"state": None if state is None else state.value, "limit": limit}
        found: WriteList = await gateway.call("bitrix24.write.list", query=query, installation=portal)
    context.printer.result(found, lambda: table(_WRITES, [_write_row(one) for one in found.writes]))


@portal.command
async def write(
    portal: str,
    method: str,
    /,
    *,
    params: str = "{}",
    key: str = "",
    after: str = "",
    repeatable: bool = False,
    context: Ctx,
) -> None:
    """Call a method that writes on a connected portal: kept now, sent in order, once, also if the portal is down.

    Parameters
    ----------
    portal
        Its number, from `wakeline bitrix24 portal list`.
    method
        Such as crm.timeline.comment.add.
    params
        Its parameters, a JSON object.
    key
        Your name for it: the same key again is the same write.
    after
        The key of a write that has to be done before; its result stands in for $result in the parameters.
    repeatable
        Doing it twice changes nothing.
    """
    new = NewWrite(method=method, params=json_object(params, "--params"), key=key, after=after, repeatable=repeatable)
    async with context.gateway() as gateway:
        kept: WriteView = await gateway.call("bitrix24.write.put", body=new, installation=portal)
    context.printer.result(kept, lambda: _write(kept))


@portal.command
async def events(
    portal: str,
    /,
    *,
    event: str | None = None,
    state: EventState | None = None,
    limit: Limit = 50,
    resend: int | None = None,
    context: Ctx,
) -> None:
    """List events of a connected portal and what became of them, or take one once more.

    Parameters
    ----------
    portal
        Its number, from `wakeline bitrix24 portal list`.
    event
        Only those of this name, such as ONCRMDEALUPDATE.
    state
        Only those in this state.
    resend
        Take this one once more: rules as they are now are applied to the record as it is now.
    """
    async with context.gateway() as gateway:
        if resend is not None:
            again: ReceivedView = await gateway.call("bitrix24.received.resend", installation=portal, event=str(resend))
            context.printer.result(again, lambda: table(_EVENTS, [_event_row(again)]))
            return
        query = {"event": event, "state": None if state is None else state.value, "limit": limit}
        found: ReceivedList = await gateway.call("bitrix24.received.list", query=query, installation=portal)
    context.printer.result(found, lambda: table(_EVENTS, [_event_row(one) for one in found.events]))


def _write_row(one: WriteView) -> tuple[object, ...]:
    return (one.id, one.method, one.key, one.state.value, one.attempts, one.created, one.due, one.cause)


def _write(one: WriteView) -> RenderableType:
    known = list(zip(_WRITES, _write_row(one), strict=True))
    said = [("params", _json(one.params)), ("after", one.after), ("result", _json(one.result))]
    return facts([*known, *said])


def _event_row(one: ReceivedView) -> tuple[object, ...]:
    known = (one.id, one.event, one.record or None, one.user or None, one.origin.value, one.state.value)
    return (*known, one.raised, one.notifications, one.cause)


def _json(value: object) -> str:
    return "" if value is None else msgspec.json.encode(value).decode()
