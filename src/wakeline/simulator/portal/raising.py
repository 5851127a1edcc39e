"""Events: what is posted to bound handlers and laid into the offline queue.

Bitrix24: "Event handling" and "Offline events". The form has `event`, `event_handler_id`, `data`, `ts`, `auth`; `auth` has tokens
only if a user is known to have caused the event, and a refresh token only when an application is installed.
"""

from __future__ import annotations

import hashlib
from urllib.parse import urlsplit

import msgspec

from wakeline.simulator.portal.courier import Courier
from wakeline.simulator.portal.memory import ADMIN, Application, Binding, Memory, Queued
from wakeline.simulator.portal.oauth import access_token, granted, surroundings
from wakeline.simulator.portal.php import Tree, form
from wakeline.simulator.portal.records import Kind

# Bitrix24 says these names of tasks' fields where there is nothing to say.
_UNDEFINED = "undefined"
_CRM = (Kind.DEAL, Kind.LEAD, Kind.CONTACT, Kind.ACTIVITY)
OFFLINE_EVENT = "ONOFFLINEEVENT"


class Cause(msgspec.Struct, frozen=True):
    """Who made an event happen: no user for robots and agents, no application for people."""

    user: int | None = None
    client_id: str = ""
    connector: str = ""


def change_event(kind: Kind, number: int, *, added: bool) -> tuple[str, Tree]:
    """The name and the data of the event that a record's change raises; no name if it raises none."""
    what = "ADD" if added else "UPDATE"
    if kind in _CRM:
        return f"ONCRM{kind.upper()}{what}", {"FIELDS": {"ID": str(number)}}
    if kind is not Kind.TASK:
        return "", {}
    task = {"ID": str(number)}
    return f"ONTASK{what}", {
        "FIELDS_BEFORE": _UNDEFINED if added else task,
        "FIELDS_AFTER": task,
        "IS_ACCESSIBLE_BEFORE": "N" if added else _UNDEFINED,
        "IS_ACCESSIBLE_AFTER": _UNDEFINED,
    }


class Events:
    """Raises events at one moment."""

    def __init__(self, memory: Memory, courier: Courier, now: float, lifetime_s: int) -> None:
        self._memory = memory
        self._courier = courier
        self._now = now
        self._lifetime_s = lifetime_s

    def raised(self, event: str, data: Tree, cause: Cause) -> int:
        """Tells everybody who bound the event; how many handlers it is posted to."""
        name, posted = event.upper(), 0
        if not self._memory.switches.paid:
            return 0
        for binding in list(self._memory.bindings):
            application = self._memory.applications.get(binding.client_id)
            if binding.event != name or application is None or not application.installed:
                continue
            if binding.offline:
                self._queue(binding, application, name, data, cause)
            else:
                user = binding.user or cause.user
                self.post(name, binding.handler, data, self._auth(application, user), binding.id)
                posted += 1
        return posted

    def post(self, event: str, handler: str, data: Tree, auth: Tree, number: int) -> None:
        """Posts one event to one handler."""
        body = {"event": event, "event_handler_id": number, "data": data, "ts": int(self._now), "auth": auth}
        self._courier.post(event, handler, form(body))

    def installed(self, application: Application, handler: str) -> Tree:
        """Posts ONAPPINSTALL; the tokens that it carried."""
        auth = self._lasting_auth(application, ADMIN)
        data: Tree = {"VERSION": "1", "ACTIVE": "Y", "INSTALLED": "Y", "LANGUAGE_ID": "en"}
        self.post("ONAPPINSTALL", handler, data, auth, self._memory.number())
        return auth

    def bare_auth(self, client_id: str) -> Tree:
        """The `auth` of an outgoing webhook, or of an event that no user caused."""
        memory = self._memory
        return {
            "domain": urlsplit(memory.client_endpoint).netloc,
            "client_endpoint": memory.client_endpoint,
            "server_endpoint": memory.server_endpoint,
            "member_id": memory.member_id,
            "application_token": memory.application_token(client_id),
        }

    def _auth(self, application: Application, user: int | None) -> Tree:
        if user is None:
            return self.bare_auth(application.client_id)
        return {
            "access_token": access_token(self._memory, application, user, self._now, self._lifetime_s),
            **surroundings(self._memory, application, user, self._now, self._lifetime_s),
            "application_token": self._memory.application_token(application.client_id),
        }

    def _lasting_auth(self, application: Application, user: int) -> Tree:
        """With a refresh token, for the few events that carry one."""
        return {
            **granted(self._memory, application, user, self._now, self._lifetime_s),
            "domain": urlsplit(self._memory.client_endpoint).netloc,
            "application_token": self._memory.application_token(application.client_id),
        }

    def _queue(self, binding: Binding, application: Application, event: str, data: Tree, cause: Cause) -> None:
        """An event that is there already, and that nobody works on, is only made younger."""
        if (cause.client_id, cause.connector) == (binding.client_id, binding.connector):
            # What an application does by itself is no news to it.
            return
        message = hashlib.md5(event.encode() + b"|" + msgspec.json.encode(data)).hexdigest()  # noqa: S324 - Bitrix24's form
        for queued in self._memory.queue:
            owner = (queued.client_id, queued.connector, queued.message_id)
            if owner == (binding.client_id, binding.connector, message) and not queued.process_id:
                queued.at = self._now
                break
        else:
            number = self._memory.number()
            user = cause.user or 0
            self._memory.queue.append(
                Queued(number, binding.client_id, binding.connector, event, data, user, message, self._now)
            )
        self._announce(application)

    def _announce(self, application: Application) -> None:
        """ONOFFLINEEVENT says that the queue has something, at most once in the handler's own interval."""
        for binding in self._memory.bindings:
            if binding.event != OFFLINE_EVENT or binding.client_id != application.client_id or binding.offline:
                continue
            if self._now - self._memory.announced.get(binding.id, 0.0) >= binding.min_timeout_s:
                self._memory.announced[binding.id] = self._now
                auth = self._lasting_auth(application, binding.user or ADMIN)
                self.post(OFFLINE_EVENT, binding.handler, {}, auth, binding.id)
