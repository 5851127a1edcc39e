"""Binding handlers of events. Source: Bitrix24 REST, `event.bind` and its neighbours; `offline_events` has those of the queue.

A handler that is bound hears what anybody does; `auth_type` says whose token comes with the event. Only administrators may
name somebody else, bind offline events, or see and unbind the handlers of others.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from wakeline.edges.bitrix24 import event_names, reading
from wakeline.edges.bitrix24.call import Auth, Call, Method, MethodError, Result, Value
from wakeline.edges.bitrix24.raising import raise_event
from wakeline.edges.bitrix24.refusals import Refusal
from wakeline.model.bitrix24.access import PortalApplication
from wakeline.model.bitrix24.events import EventHandler
from wakeline.model.errors import Conflict

MOST_HANDLERS = 1_000
"""Handlers of one application: any of its users may bind some, and every event looks at them."""
LONGEST_PAUSE = 86_400.0
_LONGEST_URL = 2_000


async def bind(call: Call) -> Result:
    """Bind a handler."""
    event = _event(call)
    application = application_of(call)
    offline = _is_offline(call)
    handler = "" if offline else _handler(call)
    user = _bound_user(call, "binding", offline=offline)
    if not event_names.is_open(event, application.scopes):
        raise MethodError(400, "ERROR_EVENT_NOT_FOUND", "Event not found")
    if not offline:
        _check_url(handler)
    if len(call.ports.events.handlers(application=application.id)) >= MOST_HANDLERS:
        raise Refusal.CORE.error("Unable to set event handler: Too many handlers")
    bound = EventHandler(
        id=0,
        application=application.id,
        event=event,
        handler=handler,
        user=user or 0,
        offline=offline,
        connector=reading.text(call.params, "AUTH_CONNECTOR") if offline else "",
        pause=_pause(reading.tree(call.params, "OPTIONS")),
    )
    try:
        await call.ports.events.bind(bound)
    except Conflict:
        raise Refusal.CORE.error("Unable to set event handler: Handler already binded") from None
    return Result(value=True)


async def unbind(call: Call) -> Result:
    """Unbind handlers; without `auth_type`, those of all users."""
    event = _event(call)
    offline = _is_offline(call)
    handler = None if offline else _handler(call)
    user = _bound_user(call, "unbinding", offline=offline)
    connector = reading.text(call.params, "AUTH_CONNECTOR") if offline and "AUTH_CONNECTOR" in call.params else None
    count = await call.ports.events.unbind(
        application_of(call).id, event, handler=handler, user=user, offline=offline, connector=connector
    )
    return Result({"count": count})


async def get(call: Call) -> Result:
    """Answer the handlers of the application; to those who are no administrators, their own."""
    who = call.caller.user
    found = call.ports.events.handlers(application=application_of(call).id)
    return Result([_row(handler) for handler in found if who.admin or handler.user == who.id])


def _row(handler: EventHandler) -> dict[str, Value]:
    if handler.offline:
        return {"event": handler.event, "connector_id": handler.connector, "offline": 1}
    return {"event": handler.event, "handler": handler.handler, "auth_type": str(handler.user), "offline": 0}


async def events(call: Call) -> Result:
    """Answer the names of events: those that the caller may bind, those of one scope, or with `full` all."""
    if reading.flag(call.params, "FULL"):
        return Result([name for names in event_names.BY_SCOPE.values() for name in names])
    if "SCOPE" in call.params:
        return Result(list(event_names.BY_SCOPE.get(reading.text(call.params, "SCOPE"), ())))
    return Result(event_names.names_for(call.caller.scopes))


async def test(call: Call) -> Result:
    """Raise ONAPPTEST for the application that asks, with whatever it sent."""
    await raise_event(
        call.ports,
        event_names.TEST,
        {"QUERY": call.params},
        user=call.caller.user.id,
        by=call,
        application=application_of(call).id,
    )
    return Result(1)


# --- what they have in common


def application_of(call: Call) -> PortalApplication:
    """Return the application that calls. Raises MethodError if none does."""
    if call.caller.application is None:
        raise Refusal.WRONG_AUTH.error()
    return call.caller.application


def required(call: Call, name: str) -> str:
    """Return a parameter that may not be missing. Raises MethodError."""
    said = reading.text(call.params, name).strip()
    if not said:
        raise Refusal.ARGUMENT.error(f"Argument '{name}' is null or empty", argument=name)
    return said


def _event(call: Call) -> str:
    return required(call, "EVENT").upper()


def _handler(call: Call) -> str:
    return required(call, "HANDLER")


def _is_offline(call: Call) -> bool:
    kind = (reading.text(call.params, "EVENT_TYPE") or "online").lower()
    if kind not in {"online", "offline"}:
        raise Refusal.ARGUMENT.error("Value must be one of {online, offline}", argument="EVENT_TYPE")
    return kind == "offline"


def _bound_user(call: Call, doing: str, *, offline: bool) -> int | None:
    """Return the user of a handler, None: not said. Raises MethodError."""
    who = call.caller.user
    asked = None if offline else reading.number(call.params, "AUTH_TYPE")
    if who.admin:
        return asked
    if offline:
        raise Refusal.DENIED.error(f"Access denied! Offline events {doing} requires administrator access rights")
    if asked not in {None, who.id}:
        raise Refusal.DENIED.error(f"Access denied! Event {doing} with AUTH_TYPE requires administrator access rights")
    return who.id


def _check_url(handler: str) -> None:
    """Raise MethodError for what is no public address. Where it may lead is judged when it is called, by the outbound guard."""
    try:
        parts = urlsplit(handler)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if "." not in host or len(handler) > _LONGEST_URL or not handler.isascii() or not handler.isprintable():
        raise MethodError(400, "ERROR_WRONG_HANDLER_URL", "Wrong handler URL")
    if parts.scheme not in {"http", "https"}:
        raise MethodError(400, "ERROR_UNSUPPORTED_PROTOCOL", "Unsupported handler protocol")


def _pause(options: Mapping[str, Value]) -> float:
    said = {name.lower(): value for name, value in options.items()}.get("mintimeout")
    asked = reading.number_of(said)
    return 1.0 if asked is None else min(LONGEST_PAUSE, max(1.0, float(asked)))


METHODS: tuple[Method, ...] = (
    Method(name="event.bind", scope="", handler=bind, auth=Auth.APPLICATION),
    Method(name="event.unbind", scope="", handler=unbind, auth=Auth.APPLICATION),
    Method(name="event.get", scope="", handler=get, auth=Auth.APPLICATION),
    Method(name="events", scope="", handler=events),
    Method(name="event.test", scope="", handler=test, auth=Auth.APPLICATION, folded=False),
)
