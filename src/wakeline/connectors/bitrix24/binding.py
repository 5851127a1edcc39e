"""Which events a portal posts to us: those of our rules and of the mirror, and no others that we bound.

Rules (Bitrix24: "event.bind", "Offline events"): only applications bind events; with a webhook an operator does so on the portal.
An event is bound twice: posted to our address as it happens, and queued on the portal under our connector's name, so that what was
missed can be fetched. Nobody wants to hear of a call hours later, so events of calls are not queued. Queueing takes an
administrator's tokens; without them lists by date find what was missed.
Where events are queued, the notice that there are some is bound too, in the name of whoever installed us: it is one of the few
posts that bear a refresh token, and so it brings an installation back whose own was lost (a pair whose answer never came).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
import structlog

from wakeline.connectors.bitrix24.client import PortalClient
from wakeline.connectors.bitrix24.connections import Connections
from wakeline.connectors.bitrix24.kinds import CALL_EVENTS, KINDS, Change, number_of
from wakeline.model.bitrix24.installation import ApplicationAccess, Installation, WebhookAccess
from wakeline.model.bitrix24.rule import Rule
from wakeline.model.errors import InvalidRequest
from wakeline.ports.bitrix24_connector import Rules
from wakeline.wire.bitrix24.commands import BatchReply, Call, by_key

CONNECTOR = "wakeline"
"""Our name for our part of the portal's queue of offline events."""
EVENTS_PATH = "/bitrix24/events/"

ANY = "*"
"""The event of a rule for every one."""
_GOODBYE = "ONAPPUNINSTALL"
_NOTICE = "ONOFFLINEEVENT"
_NOTICED_EVERY = 60
"""Seconds between two notices, at least."""
# What the portal says of the application and its queue, not of what people do.
_OF_ITSELF = frozenset({"ONAPPINSTALL", "ONAPPUPDATE", "ONAPPTEST", "ONAPPPAYMENT", _NOTICE, "ONAPPMETHODCONFIRM"})
_BOUND_ALREADY = "already binded"

_log = structlog.get_logger()


class Binding(msgspec.Struct, frozen=True):
    """One event: posted to `handler`, or queued if that is empty. `user`: whose tokens a notice bears; 0: does not matter."""

    event: str
    handler: str = ""
    user: int = 0

    def bind(self) -> Call:
        """Return the call that binds it."""
        options = {"options": {"minTimeout": _NOTICED_EVERY}} if self.event == _NOTICE else {}
        return "event.bind", {"event": self.event, **self._how(), **options}

    def unbind(self) -> Call:
        """Return the call that takes it back."""
        return "event.unbind", {"event": self.event, **self._how()}

    def _how(self) -> dict[str, object]:
        if self.handler:
            return {"handler": self.handler} | ({"auth_type": self.user} if self.user else {})
        return {"event_type": "offline", "auth_connector": CONNECTOR}


class Bound(msgspec.Struct, frozen=True):
    """The events that a portal posts to us, and whether some of them, or of those that it queues, are `new`."""

    events: tuple[str, ...] = ()
    new: bool = False


async def bind(connections: Connections, rules: Rules, installation: Installation) -> Bound:
    """Have the portal post the events of our rules to us; with a webhook it posts none that we bound.

    Raises InvalidRequest (nobody knows how the portal reaches us), PortalClosed, PortalRefused, PortalUnreachable.
    """
    if isinstance(installation.access, WebhookAccess):
        return Bound()
    client = connections.of(installation.id)
    handler = handler_address(connections, installation)
    wanted = await _wanted(client, rules, installation)
    queued = {Binding(event) for event in wanted if _queued(event)}
    want = {Binding(event, handler) for event in wanted} | queued | _notice(installation, handler, wished=bool(queued))
    have = set(_ours((await client.call("event.get")).result, installation))
    made = await _change(client, have - want, want - have)
    bound = (have & want) | made
    await _note_queue(connections, installation, queued=any(not one.handler for one in bound))
    posted = sorted(one.event for one in bound if one.handler and one.event != _NOTICE)
    return Bound(tuple(posted), any(one.event != _NOTICE for one in made))


def handler_address(connections: Connections, installation: Installation) -> str:
    """Return where the portal posts events. Raises InvalidRequest."""
    public = connections.ports.settings().server.public_url
    if not public:
        raise InvalidRequest(
            "Nobody has said how the portal reaches this gateway",
            fix="Set [server] public_url to an address that it can reach.",
        )
    return f"{public.rstrip('/')}{EVENTS_PATH}{installation.name}"


async def _wanted(client: PortalClient, rules: Rules, installation: Installation) -> list[str]:
    names = {_GOODBYE, *events_of(rules.all(), installation)}
    if ANY in names:
        said = by_key((await client.call("events")).result).values()
        names |= {name.upper() for name in said if isinstance(name, str)}
    return sorted(names - _OF_ITSELF - {ANY})


def events_of(rules: Iterable[Rule], installation: Installation) -> Iterator[str]:
    """Yield the events that rules and the mirror want of an installation, `*` among them if a rule says so."""
    for rule in rules:
        if rule.enabled and rule.installation in (0, installation.id):
            yield rule.event
    if installation.mirror:
        for kind in KINDS:
            yield from (kind.event(change) for change in (Change.ADD, Change.UPDATE, Change.DELETE))


def _notice(installation: Installation, handler: str, *, wished: bool) -> set[Binding]:
    """Return the binding of the notice; without a user its tokens would be those of whoever changed something."""
    access = installation.access
    tokens = access.tokens if isinstance(access, ApplicationAccess) else None
    return {Binding(_NOTICE, handler, tokens.user)} if wished and tokens is not None and tokens.user else set()


def _queued(event: str) -> bool:
    return event != _GOODBYE and event not in CALL_EVENTS


def _ours(result: object, installation: Installation) -> Iterator[Binding]:
    """Yield what `event.get` names that we bound, also at an address that we had before."""
    for row in by_key(result).values():
        named = by_key(row)
        said = {name: value for name, value in named.items() if isinstance(value, str)}
        event, handler = said.get("event", "").upper(), said.get("handler", "")
        if handler.endswith(f"{EVENTS_PATH}{installation.name}"):
            yield Binding(event, handler, number_of(named.get("auth_type")) if event == _NOTICE else 0)
        elif not handler and said.get("connector_id") == CONNECTOR:
            yield Binding(event)


async def _change(client: PortalClient, gone: set[Binding], new: set[Binding]) -> set[Binding]:
    """Take bindings back and make others; returns those that were made."""
    order = sorted(new, key=lambda one: (one.event, one.handler))
    commands = {f"u{place}": one.unbind() for place, one in enumerate(gone)}
    commands |= {f"b{place}": one.bind() for place, one in enumerate(order)}
    answered = await client.batch(commands) if commands else BatchReply()
    made: set[Binding] = set()
    for place, one in enumerate(order):
        refusal = answered.errors.get(f"b{place}")
        if refusal is None or _BOUND_ALREADY in refusal.text:
            made.add(one)
        else:
            how = "posted" if one.handler else "queued"
            _log.warning("bitrix24.not_bound", portal_event=one.event, how=how, cause=str(refusal))
    return made


async def _note_queue(connections: Connections, installation: Installation, *, queued: bool) -> None:
    installations = connections.ports.installations
    kept = installations.by_id(installation.id)
    if kept is not None and kept.offline != queued:
        await installations.change(msgspec.structs.replace(kept, offline=queued), of=kept)
