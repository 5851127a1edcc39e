"""event.bind, event.unbind and event.get: who is told of what. Applications only. events: what there is to be told of."""

from __future__ import annotations

from urllib.parse import urlsplit

from wakeline.simulator.portal.call import Call, Found, Method
from wakeline.simulator.portal.memory import Binding
from wakeline.simulator.portal.php import Tree, number
from wakeline.simulator.portal.refusal import Refusal, missing

_UNKNOWN = "Event not found"
_CRM = ("DEAL", "LEAD", "CONTACT", "COMPANY", "ACTIVITY")
_KNOWN = {
    **{f"ONCRM{kind}{what}": "crm" for kind in _CRM for what in ("ADD", "UPDATE", "DELETE")},
    **{f"ONTASK{what}": "task" for what in ("ADD", "UPDATE", "DELETE")},
    "ONEXTERNALCALLSTART": "telephony",
    "ONEXTERNALCALLBACKSTART": "telephony",
    "ONAPPUNINSTALL": "",
    "ONAPPUPDATE": "",
    "ONAPPTEST": "",
    "ONOFFLINEEVENT": "",
}


def bind(call: Call) -> Found:
    """Binds a handler, or lays the event into the offline queue from now on."""
    event, handler = call.text("event").upper(), call.text("handler")
    offline = call.text("event_type").lower() == "offline"
    if not event:
        raise missing("EVENT")
    scope = _KNOWN.get(event)
    if scope is None or (scope and scope not in call.caller.scope):
        raise Refusal(400, "ERROR_EVENT_NOT_FOUND", _UNKNOWN)
    if not offline:
        _check_handler(handler)
    new = Binding(
        id=call.memory.number(),
        client_id=call.caller.client_id,
        event=event,
        handler="" if offline else handler,
        user=call.number("auth_type"),
        offline=offline,
        connector=call.text("auth_connector"),
        min_timeout_s=float(number(call.tree("options").get("minTimeout"), 1)),
    )
    if any(_place(new) == _place(one) for one in call.memory.bindings):
        raise Refusal(400, "ERROR_CORE", "Unable to set event handler: Handler already binded")
    call.memory.bindings.append(new)
    return Found(value=True)


def _place(binding: Binding) -> tuple[str, str, str, int, str, bool]:
    one = binding
    return one.client_id, one.event, one.handler, one.user, one.connector, one.offline


def _check_handler(handler: str) -> None:
    if not handler:
        raise missing("HANDLER")
    split = urlsplit(handler)
    if split.scheme not in ("http", "https"):
        raise Refusal(400, "ERROR_UNSUPPORTED_PROTOCOL", "Unsupported handler protocol")
    if "." not in (split.hostname or ""):
        raise Refusal(400, "ERROR_WRONG_HANDLER_URL", "Wrong handler URL")


def unbind(call: Call) -> Found:
    """Forgets the caller's bindings of an event, of one handler or of all."""
    event, handler = call.text("event").upper(), call.text("handler")
    if not event:
        raise missing("EVENT")
    offline = call.text("event_type").lower() == "offline"

    def meant(one: Binding) -> bool:
        mine = (one.client_id, one.event, one.offline) == (call.caller.client_id, event, offline)
        return mine and handler in ("", one.handler)

    kept = [one for one in call.memory.bindings if not meant(one)]
    count = len(call.memory.bindings) - len(kept)
    call.memory.bindings = kept
    return Found({"count": count})


def bound(call: Call) -> Found:
    """The caller's bindings."""
    return Found([_shown(one) for one in call.memory.bindings if one.client_id == call.caller.client_id])


def _shown(one: Binding) -> Tree:
    if one.offline:
        return {"event": one.event, "connector_id": one.connector, "offline": 1}
    return {"event": one.event, "handler": one.handler, "auth_type": str(one.user), "offline": 0}


def known(call: Call) -> Found:
    """The events that the caller's scope, or another one, covers."""
    wanted = (call.text("scope"),) if "scope" in call.params else call.caller.scope
    return Found([event for event, scope in _KNOWN.items() if not scope or scope in wanted])


METHODS = (
    Method("events", known),
    Method("event.bind", bind, application_only=True),
    Method("event.unbind", unbind, application_only=True),
    Method("event.get", bound, application_only=True),
)
