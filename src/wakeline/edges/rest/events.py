"""The live feed: events as server-sent events, from where a client left off.

Source: WHATWG HTML, "Server-sent events". The id of an event is its number in the journal, so that a client that comes back
with `Last-Event-ID` misses nothing; without one the feed begins with what happens next.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from wakeline.edges.rest.credentials import id_of
from wakeline.edges.rest.operations import Call, Feed, Media, Operation, Reach
from wakeline.edges.rest.ports import RestPorts
from wakeline.edges.rest.shapes import Strict
from wakeline.model.errors import InvalidRequest
from wakeline.model.event import Event, EventType
from wakeline.model.key import Scope
from wakeline.observe.health import Phase
from wakeline.wire.event_json import EventView, write

_TURN = 1.0
"""Seconds after which a silent feed looks whether the process is about to stop."""


class FeedQuery(Strict, frozen=True, kw_only=True):
    """Which events: of these apps and types (comma-separated), above this number."""

    app: str = ""
    types: str = ""
    after: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | UnsetType = UNSET


async def follow(call: Call) -> Feed:
    """Follow events as they happen."""
    query: FeedQuery = call.query
    events = call.ports.events
    after = _after(call, query)
    return Feed(
        _pieces(
            call.ports, await events.last() if after is None else after, _types(query.types), _apps(call, query.app)
        )
    )


async def _pieces(
    ports: RestPorts, after: int, types: frozenset[EventType] | None, apps: frozenset[str] | None
) -> AsyncIterator[bytes]:
    yield b"retry: 2000\n\n"
    woken = ports.events.follow()
    waiting: asyncio.Future[None] | None = None
    silent_since = ports.clock.monotonic()
    try:
        while ports.health.phase is not Phase.DRAINING:
            waiting = waiting or asyncio.ensure_future(anext(woken))
            newest = await ports.events.last()
            found = await ports.events.read(after=after, types=types, apps=apps)
            for event in found:
                after = event.seq
                yield _written(ports, event)
            if found:
                silent_since = ports.clock.monotonic()
                continue
            after = max(after, newest)
            done, _ = await asyncio.wait({waiting}, timeout=min(_TURN, ports.heartbeat))
            if done:
                waiting = None
            elif ports.clock.monotonic() - silent_since >= ports.heartbeat:
                silent_since = ports.clock.monotonic()
                yield b": nothing new\n\n"
    finally:
        if waiting is not None:
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
                await waiting


def _written(ports: RestPorts, event: Event) -> bytes:
    number = event.data.credential
    credential = ports.credentials.get(number) if number else None
    public = id_of(credential) if credential else str(number or "")
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.seq, event.type.encode(), write(event, public))


def _after(call: Call, query: FeedQuery) -> int | None:
    last = call.headers.get("last-event-id")
    if not last:
        return None if query.after is UNSET else query.after
    if not (last.isascii() and last.isdigit() and len(last) < 19):
        raise InvalidRequest("Last-Event-ID is not the id of an event of this feed", pointer="/headers/Last-Event-ID")
    return int(last)


def _types(said: str) -> frozenset[EventType] | None:
    names = [name.strip() for name in said.split(",") if name.strip()]
    try:
        return frozenset(EventType(name) for name in names) or None
    except ValueError:
        raise InvalidRequest(
            "there is no such type of event", pointer="/query/types", fix=f"Use {', '.join(EventType)}."
        ) from None


def _apps(call: Call, said: str) -> frozenset[str] | None:
    """Return the apps to show: those asked for that the caller sees. Raises InvalidRequest for one that is not there."""
    names = [name.strip() for name in said.split(",") if name.strip()]
    for name in names:
        if not call.caller.sees(name) or call.ports.apps.get(name) is None:
            raise InvalidRequest(f"there is no app {name[:64]!r}", pointer="/query/app")
    return frozenset(names) or call.caller.apps


OPERATIONS = (
    Operation(
        name="event.follow",
        method="GET",
        path="/v1/events",
        handler=follow,
        summary="Follow events as they happen (server-sent events)",
        reach=Reach.FILTERED,
        scopes=(Scope.EVENTS,),
        query=FeedQuery,
        response=EventView,
        media=Media.EVENTS,
    ),
)
