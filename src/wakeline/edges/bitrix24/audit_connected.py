"""What of the portals that we are connected to is configured and what is missing, in sentences.

Pure: facts in, findings out. Nothing is asked of a portal: what is known here is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import assert_never
from urllib.parse import urlsplit

import msgspec

from wakeline.config import Settings
from wakeline.edges.bitrix24.audit import Finding, Grade
from wakeline.model.bitrix24.installation import (
    ApplicationAccess,
    Installation,
    InstallationState,
    WebhookAccess,
)
from wakeline.model.bitrix24.rule import Rule
from wakeline.wire.bitrix24.endpoints import host_of

_MISSED = 3
"""Looks for what a portal did not tell us; after so many that found nobody there, people should know."""
_PATIENCE = 600_000
"""Milliseconds that an event or a write may be overdue."""
_MINUTE = 60_000
_SCOPE = "telephony"
_DAY = 86_400_000
_IDLE_DAYS = 60


class ConnectedFacts(msgspec.Struct, frozen=True, kw_only=True):
    """All that is looked at. `apps`: slugs by row id; `credentials`: apps that have one; `now` in Unix ms.

    `events` and `writes`: when the first that waits was due, by installation; `doubtful`: writes that wait for an operator.
    """

    now: int
    settings: Settings
    installations: tuple[Installation, ...]
    rules: tuple[Rule, ...]
    apps: Mapping[int, str]
    credentials: frozenset[int]
    events: Mapping[int, int]
    writes: Mapping[int, int]
    doubtful: Mapping[int, int]


def audit(facts: ConnectedFacts) -> Iterator[Finding]:
    """Yield what there is to say about connected portals; without any, nothing."""
    if facts.installations:
        yield _address(facts.settings)
    for one in facts.installations:
        found = list(_of_portal(one, facts))
        yield from found or [_fine(one)]


def _address(settings: Settings) -> Finding:
    """Portals post to us, so they have to know where."""
    name, where = "connected portals", urlsplit(settings.server.public_url)
    if not where.hostname:
        cause = "Nobody said how portals reach this gateway, so that none is asked to post events."
        fix = "Set [server] public_url to an https address that they can reach."
        return Finding(name=name, status=Grade.FAILED, cause=cause, fix=fix)
    if where.scheme != "https":
        cause = "Portals post their events in clear, and beside them what proves them."
        fix = "Set [server] public_url to an https address: tls_certificate, or a TLS proxy in front."
        return Finding(name=name, status=Grade.WARNING, cause=cause, fix=fix)
    return Finding(name=name, status=Grade.OK, cause=f"Portals post their events to {settings.server.public_url}.")


def _of_portal(one: Installation, facts: ConnectedFacts) -> Iterator[Finding]:
    match one.state:
        case InstallationState.DEAD:
            yield _failed(one, f"It lets us in no more: {one.cause or 'it did not say why'}.", _again(one))
            return
        case InstallationState.WAITING:
            cause = "The application is known here and not yet installed there."
            fix = f"Install it on the portal; `wakeline bitrix24 portal show {one.id}` shows its addresses."
            yield _failed(one, cause, fix)
            return
        case InstallationState.ACTIVE:
            yield from _tokens(one, facts)
            yield from _events(one, facts)
            yield from _app(one, facts)
            yield from _calls(one)
            yield from _delays(one, facts)


def _tokens(one: Installation, facts: ConnectedFacts) -> Iterator[Finding]:
    """An application's tokens are renewed every month at least; unrenewed they die after 180 days."""
    if not isinstance(one.access, ApplicationAccess):
        return
    if one.access.tokens is None:
        yield _failed(one, "It counts as connected, and there are no tokens to ask it with.", _again(one))
    elif (idle := (facts.now - one.access.tokens.access_expires) // _DAY) >= _IDLE_DAYS:
        cause = f"Its tokens were last renewed {idle} days ago, and should be every month; after 180 days they are worth nothing."
        fix = f"`wakeline bitrix24 portal verify {one.id}` says why it cannot be asked."
        yield _warning(one, cause, fix)


def _events(one: Installation, facts: ConnectedFacts) -> Iterator[Finding]:
    if not one.application_token and isinstance(one.access, ApplicationAccess):
        cause = "Its application token is not known yet: it comes with the first event that somebody there causes."
        yield _warning(one, cause, "Change a record there, or install the application once more.")
    elif not one.application_token:
        cause = "No application token of it is known, so that none of its events is believed."
        fix = f"`wakeline bitrix24 portal change {one.id} --application-token TOKEN`: its outgoing webhook shows it."
        yield _failed(one, cause, fix)
    elif not one.names_users:
        cause = "No event of it has come yet, and with the first one we learn its id, which its users have as prefix."
        fix = f"Change a record there, or choose a prefix: `wakeline bitrix24 portal change {one.id} --prefix TEXT`."
        yield _warning(one, cause, fix)
    wanted = any(rule.enabled and rule.installation in (0, one.id) for rule in facts.rules)
    if not (wanted or one.mirror or one.telephony):
        cause = (
            "No rule is about it, it is not mirrored, and no calls are registered there: it is connected for nothing."
        )
        yield _warning(one, cause, "`wakeline bitrix24 rule add` makes a rule.")
    if one.client_endpoint.startswith("http:"):
        yield _warning(one, "It is asked in clear: its keys can be read on the way.", "Use https there.")


def _app(one: Installation, facts: ConnectedFacts) -> Iterator[Finding]:
    if one.app not in facts.credentials:
        app = facts.apps.get(one.app, "")
        cause = f"Its app {app} has no credential, so that nothing its rules send can leave."
        yield _failed(one, cause, f"`wakeline credential add FILE --app {app}`.")


def _calls(one: Installation) -> Iterator[Finding]:
    """Bitrix24 documents `telephony.*` for applications that have the scope; not every portal is as strict with webhooks."""
    if not one.telephony:
        return
    match one.access:
        case WebhookAccess():
            cause = (
                "Calls are to be registered there, and Bitrix24 promises that to applications alone, not to webhooks."
            )
            fix = (
                f"Connect it as a local application, unless `wakeline bitrix24 portal writes {one.id}` shows them done."
            )
            yield _warning(one, cause, fix)
        case ApplicationAccess(tokens=tokens) if tokens is not None and tokens.scopes and _SCOPE not in tokens.scopes:
            cause = "Calls are to be registered there, and our application may not: it lacks the permission telephony."
            yield _failed(one, cause, "Tick it on the portal's page of the application, and install it once more.")
        case ApplicationAccess():
            return
        case _ as never:
            assert_never(never)


def _delays(one: Installation, facts: ConnectedFacts) -> Iterator[Finding]:
    behind = facts.now - one.reached
    is_looked_at = one.reached and (one.names_users or one.mirror)
    if is_looked_at and behind > _MISSED * 1000 * facts.settings.bitrix24.catch_up_every:
        cause = f"What happened there in the last {behind // _MINUTE} minutes is known only as far as it told us."
        yield _warning(one, cause, f"`wakeline bitrix24 portal verify {one.id}` says why it cannot be asked.")
    for what, due in (("event", facts.events.get(one.id)), ("write", facts.writes.get(one.id))):
        if due is not None and facts.now - due > _PATIENCE:
            late = (facts.now - due) // _MINUTE
            fix = f"`wakeline bitrix24 portal {what}s {one.id} --state waiting` shows the cause."
            yield _warning(one, f"The first {what} that waits has been due for {late} minutes.", fix)
    if doubtful := facts.doubtful.get(one.id, 0):
        cause = f"{doubtful} writes on it may have arrived or not, and doing them twice would change something."
        fix = f"`wakeline bitrix24 portal writes {one.id} --state doubtful`, then --retry or --drop each."
        yield _warning(one, cause, fix)


def _again(one: Installation) -> str:
    if isinstance(one.access, WebhookAccess):
        return f"Make a new incoming webhook there: `wakeline bitrix24 portal change {one.id} --url ADDRESS`."
    return f"Install the application there again; `wakeline bitrix24 portal show {one.id}` shows its addresses."


def _fine(one: Installation) -> Finding:
    cause = f"{one.title or host_of(one.client_endpoint)} is connected; its user 7 is our user {one.user(7)}."
    return Finding(name=_name(one), status=Grade.OK, cause=cause)


def _failed(one: Installation, cause: str, fix: str) -> Finding:
    return Finding(name=_name(one), status=Grade.FAILED, cause=cause, fix=fix)


def _warning(one: Installation, cause: str, fix: str) -> Finding:
    return Finding(name=_name(one), status=Grade.WARNING, cause=cause, fix=fix)


def _name(one: Installation) -> str:
    return f"connected portal {one.id}"
