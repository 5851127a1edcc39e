"""The control port's part for the portal.

POST /portal/set          see `memory.SwitchChange`
POST /portal/application  see `memory.Application`: an application that the portal knows
POST /portal/expire       every access token expires now
POST /portal/install      {"handler", "client_id"?}: the application is installed; ONAPPINSTALL is posted
POST /portal/change       {"kind", "id"?, "fields", "user"?}, or a list: a record changes, or is made; its event goes out
POST /portal/event        {"event", "data"?, "user"?, "handler"?, "auth"?}: any event, to who bound it or to one handler
GET  /portal/records      ?kind= &id=   rows as they are
GET  /portal/deliveries   events posted, and what handlers answered
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from wakeline.simulator.exchange import Answer, Request, json_answer
from wakeline.simulator.portal.courier import Courier
from wakeline.simulator.portal.memory import CLIENT_ID, Application, SwitchChange
from wakeline.simulator.portal.methods.changing import Change
from wakeline.simulator.portal.oauth import expire_all
from wakeline.simulator.portal.raising import Cause, Events
from wakeline.simulator.portal.records import Kind
from wakeline.simulator.state import State

Route = Callable[[Request, dict[str, str]], Answer]


class Install(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /portal/install`."""

    handler: str
    client_id: str = CLIENT_ID


class RecordChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /portal/change`; without an id a record is made."""

    kind: Kind
    fields: dict[str, object]
    id: int | None = None
    user: int | None = 1
    """Who does it; null is a robot, whose events carry no tokens."""


class Raised(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /portal/event`."""

    event: str
    data: dict[str, object] = {}
    user: int | None = 1
    handler: str = ""
    """Only to this address, as an outgoing webhook does, whoever bound what."""
    client_id: str = CLIENT_ID
    auth: dict[str, object] = {}
    """In place of what `auth` would say there, to forge it; null takes a member away."""


class PortalControl:
    """Routes of the control port."""

    def __init__(self, state: State, courier: Courier) -> None:
        self._state = state
        self._courier = courier
        self.routes: Mapping[tuple[str, str], Route] = {
            ("POST", "/portal/set"): self._set,
            ("POST", "/portal/application"): self._application,
            ("POST", "/portal/expire"): self._expire,
            ("POST", "/portal/install"): self._install,
            ("POST", "/portal/change"): self._change,
            ("POST", "/portal/event"): self._event,
            ("GET", "/portal/records"): self._records,
            ("GET", "/portal/deliveries"): self._deliveries,
        }

    @property
    def _lifetime_s(self) -> int:
        return self._state.behaviours["portal"].expires_in_s

    def _events(self) -> Events:
        return Events(self._state.portal, self._courier, self._state.clock(), self._lifetime_s)

    def _set(self, request: Request, _query: dict[str, str]) -> Answer:
        self._state.portal.change(msgspec.json.decode(request.body, type=SwitchChange))
        return json_answer(200, self._state.portal.switches)

    def _application(self, request: Request, _query: dict[str, str]) -> Answer:
        application = msgspec.json.decode(request.body, type=Application)
        self._state.portal.applications[application.client_id] = application
        return json_answer(200, application)

    def _expire(self, _request: Request, _query: dict[str, str]) -> Answer:
        return json_answer(200, {"tokens": expire_all(self._state.portal)})

    def _install(self, request: Request, _query: dict[str, str]) -> Answer:
        wish = msgspec.json.decode(request.body, type=Install)
        known = self._state.portal.applications.get(wish.client_id)
        if known is None:
            raise ValueError(f"there is no application {wish.client_id}")
        application = msgspec.structs.replace(known, installed=True)
        self._state.portal.applications[wish.client_id] = application
        return json_answer(200, self._events().installed(application, wish.handler))

    def _change(self, request: Request, _query: dict[str, str]) -> Answer:
        wishes = msgspec.json.decode(request.body, type=RecordChange | list[RecordChange])
        if isinstance(wishes, list):
            return json_answer(200, [self._changed(wish) for wish in wishes])
        return json_answer(200, self._changed(wishes))

    def _changed(self, wish: RecordChange) -> dict[str, object]:
        portal, now = self._state.portal, self._state.clock()
        change = Change(portal, self._courier, Cause(wish.user), now, self._lifetime_s)
        if wish.id is None:
            number, event, handlers = change.add(wish.kind, wish.fields)
        elif wish.id in portal.records[wish.kind]:
            number, (event, handlers) = wish.id, change.update(wish.kind, wish.id, wish.fields)
        else:
            raise ValueError(f"there is no {wish.kind} {wish.id}")
        return {"id": number, "event": event, "handlers": handlers}

    def _event(self, request: Request, _query: dict[str, str]) -> Answer:
        wish = msgspec.json.decode(request.body, type=Raised)
        events = self._events()
        if not wish.handler:
            return json_answer(200, {"handlers": events.raised(wish.event, wish.data, Cause(wish.user))})
        auth = {**events.bare_auth(wish.client_id), **wish.auth}
        events.post(wish.event.upper(), wish.handler, wish.data, auth, self._state.portal.number())
        return json_answer(200, {"handlers": 1})

    def _records(self, _request: Request, query: dict[str, str]) -> Answer:
        rows = self._state.portal.records[Kind(query.get("kind", ""))]
        wanted = query.get("id", "")
        return json_answer(200, [row for number, row in rows.items() if wanted in ("", str(number))])

    def _deliveries(self, _request: Request, _query: dict[str, str]) -> Answer:
        return json_answer(200, list(self._state.portal.deliveries))
