"""Raising an event of our portal: it is posted to the handlers that are bound, and queued where an application fetches.

Source: Bitrix24 REST, "Events" and "Offline events". Rules:
once        the same event comes once in one request of a caller, also if a batch causes it twice
steps       a call made with an event's token may raise events again, seven steps far; then the chain ends
tokens      an event comes with an access token of the user for whom the handler is bound, else of the user who caused it;
            without either, or if the application is closed to him, it comes with the application token alone
connector   what an application changes itself under a connector's name is not queued for that connector

A method that raises an event succeeds whatever becomes of the event.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial

import msgspec
import structlog

from wakeline.edges.bitrix24 import addresses, event_names, granting, reading
from wakeline.edges.bitrix24.addresses import Addresses
from wakeline.edges.bitrix24.call import BitrixPorts, Call, Value
from wakeline.edges.bitrix24.delivering import Posting
from wakeline.model.bitrix24.access import PortalApplication
from wakeline.model.bitrix24.events import EventHandler, OfflineEvent
from wakeline.model.errors import WakelineError
from wakeline.wire import php_form

STEPS = 7
"""How far a chain of events and calls may go."""

_log = structlog.get_logger()


class _Raised(msgspec.Struct, frozen=True, kw_only=True):
    """An event on its way: `user` 0 is nobody, `steps` those that its token has left, `connector` the cause's own."""

    event: str
    data: Mapping[str, Value]
    user: int
    steps: int
    at: int
    where: Addresses
    application: int = 0
    connector: str = ""


async def raise_event(
    ports: BitrixPorts,
    event: str,
    data: Mapping[str, Value],
    *,
    user: int = 0,
    by: Call | None = None,
    application: int | None = None,
) -> None:
    """Tell an event to those who want to hear of it: all, or one `application` (row id).

    `user` caused it (0: nobody), by the call `by` if there was one. Raises nothing.
    """
    raised = _raised(ports, event.upper(), data, user, by)
    if raised.steps < 0:
        _log.warning("bitrix24.event_chain_ended", event_name=raised.event, application=raised.application)
        return
    if by is not None and not ports.deliveries.is_new(by.caller, _digest(raised, application)):
        return
    handlers = _handlers(ports, raised.event, application)
    await _queue(ports, raised, [handler for handler in handlers if handler.offline])
    for handler in handlers:
        if not handler.offline:
            await _post(ports, raised, handler)


def _raised(ports: BitrixPorts, event: str, data: Mapping[str, Value], user: int, by: Call | None) -> _Raised:
    now = ports.clock.now()
    # Not as the caller names it: handlers take tokens of others to this address, and a Host header says whatever one likes.
    where = addresses.public(ports.settings, ports.access.portal())
    if by is None:
        return _Raised(event=event, data=data, user=user, steps=STEPS, at=now, where=where)
    grant = by.caller.grant
    return _Raised(
        event=event,
        data=data,
        user=user,
        steps=STEPS if grant is None else grant.session - 1,
        at=now,
        where=where,
        application=0 if by.caller.application is None else by.caller.application.id,
        connector=reading.text(by.params, "AUTH_CONNECTOR") or reading.text(by.params, "auth_connector"),
    )


def _handlers(ports: BitrixPorts, event: str, application: int | None) -> list[EventHandler]:
    """Return the handlers of an event whose applications may still hear of it."""
    found = ports.events.handlers(application=application, event=event)
    known = {each.id: each for each in ports.access.applications()}
    return [
        handler
        for handler in found
        if handler.application in known and event_names.is_open(event, known[handler.application].scopes)
    ]


# --- online


async def _post(ports: BitrixPorts, raised: _Raised, handler: EventHandler) -> None:
    application = ports.access.application(handler.application)
    if application is None:
        return
    if ports.deliveries.is_full(handler.handler):
        ports.deliveries.drop(handler.id, raised.event)
        return
    try:
        auth = await _auth(ports, raised, handler, application)
    except WakelineError as error:
        _log.warning("bitrix24.event_failed", event_name=raised.event, handler=handler.id, cause=error.detail)
        return
    body = php_form.build_query(
        {
            "event": raised.event,
            "event_handler_id": handler.id,
            "data": dict(raised.data),
            "ts": raised.at // 1000,
            "auth": auth,
        }
    )
    ports.deliveries.post(
        Posting(handler=handler.id, event=raised.event, url=handler.handler, body=body.encode("ascii"))
    )


async def _auth(
    ports: BitrixPorts, raised: _Raised, handler: EventHandler, application: PortalApplication
) -> dict[str, Value]:
    """Return the block `auth`, in the order of Bitrix24's own."""
    where = raised.where
    portal = {
        "domain": where.portal_host,
        "server_endpoint": where.server_endpoint,
        "status": application.status,
        "client_endpoint": where.client_endpoint,
        "member_id": ports.access.portal().member_id,
    }
    user = await ports.access.user(handler.user or raised.user)
    if user is None or not granting.may_use(application, user):
        del portal["status"]
        return {**portal, "application_token": application.application_token}
    pair = granting.new_pair(application.id, user.id, application.scopes, ports.settings, raised.at)
    is_pair = raised.event in event_names.WITH_REFRESH_TOKEN
    # A refresh token that nobody is told is of no use to anybody.
    expires = pair.grant.refresh_expires if is_pair else 0
    grant = await ports.access.issue(msgspec.structs.replace(pair.grant, session=raised.steps, refresh_expires=expires))
    return {
        "access_token": pair.access,
        "expires": grant.access_expires // 1000,
        "expires_in": (grant.access_expires - raised.at) // 1000,
        "scope": ",".join(application.scopes),
        **portal,
        "user_id": user.id,
        "refresh_token": pair.refresh if is_pair else None,
        "application_token": application.application_token,
    }


# --- offline


async def _queue(ports: BitrixPorts, raised: _Raised, handlers: list[EventHandler]) -> None:
    """Queue an event for those who fetch, and tell them that there is something to fetch."""
    wanted = [handler for handler in handlers if not _is_own(raised, handler)]
    if not wanted:
        return
    data = msgspec.json.encode(raised.data)
    message = hashlib.md5(raised.event.encode() + b"|" + data, usedforsecurity=False).hexdigest()
    additional = msgspec.json.encode({"user_id": str(raised.user)} if raised.user else {})
    rows = [
        OfflineEvent(
            id=0,
            application=handler.application,
            connector=handler.connector,
            event=raised.event,
            message=message,
            data=data,
            additional=additional,
            at=raised.at,
        )
        for handler in wanted
    ]
    try:
        await ports.events.queue(rows)
    except WakelineError as error:
        _log.error("bitrix24.offline_event_lost", event_name=raised.event, cause=error.detail)
        return
    for application in dict.fromkeys(handler.application for handler in wanted):
        _tell_readers(ports, raised, application)


def _is_own(raised: _Raised, handler: EventHandler) -> bool:
    """Tell whether a change is the reader's own: made by its application under its connector's name."""
    mine = raised.application, raised.connector
    return bool(raised.connector) and mine == (handler.application, handler.connector)


def _tell_readers(ports: BitrixPorts, raised: _Raised, application: int) -> None:
    """Post ONOFFLINEEVENT, which has no data, at most once in the handler's pause."""
    notice = msgspec.structs.replace(raised, event=event_names.OFFLINE, data={})
    for handler in _handlers(ports, event_names.OFFLINE, application):
        if not handler.offline:
            ports.deliveries.ring(handler.id, handler.pause, partial(_notice, ports, notice, handler))


async def _notice(ports: BitrixPorts, notice: _Raised, handler: EventHandler) -> None:
    await _post(ports, msgspec.structs.replace(notice, at=ports.clock.now()), handler)


def _digest(raised: _Raised, application: int | None) -> bytes:
    told = msgspec.json.encode((raised.event, raised.data, raised.user, application))
    return hashlib.sha256(told).digest()
