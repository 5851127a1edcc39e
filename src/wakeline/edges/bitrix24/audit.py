"""What of our own portal is configured and what is missing before clients can use it, in sentences.

Pure: facts in, findings out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from urllib.parse import urlsplit

import msgspec

from wakeline.config import Settings
from wakeline.edges.bitrix24.addresses import public
from wakeline.edges.bitrix24.scopes import ALL
from wakeline.model.bitrix24.access import IncomingWebhook, PortalApplication, PortalState, PortalUser

_IDLE_DAYS = 90
_DAY = 86_400_000
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Grade(StrEnum):
    """How a finding is meant."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at: what it is about, how it is, what to do."""

    name: str
    status: Grade
    cause: str
    fix: str = ""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All that is looked at. `apps`: slugs by row id; `credentials`: apps that have one; `now` in Unix ms."""

    now: int
    settings: Settings
    portal: PortalState
    users: tuple[PortalUser, ...]
    applications: tuple[PortalApplication, ...]
    webhooks: tuple[IncomingWebhook, ...]
    apps: Mapping[int, str]
    credentials: frozenset[int]


def audit(facts: Facts) -> Iterator[Finding]:
    """Yield what there is to say, from the outside in."""
    yield _address(facts)
    yield _https(facts)
    yield _oauth_host(facts)
    yield _switches(facts.portal)
    yield _users(facts)
    yield _logins(facts)
    yield from _applications(facts)
    yield from _webhooks(facts)


def _address(facts: Facts) -> Finding:
    where = public(facts.settings, facts.portal)
    if facts.portal.domain or facts.settings.server.public_url:
        return _ok("address", f"Clients find the portal at {where.portal}.")
    return Finding(
        name="address",
        status=Grade.WARNING,
        cause=f"The portal has no name of its own: addresses that are printed or sent begin with {where.portal}.",
        fix="Set [server] public_url, or `wakeline bitrix24 portal set --domain HOST`.",
    )


def _https(facts: Facts) -> Finding:
    if public(facts.settings, facts.portal).portal.startswith("https:"):
        return _ok("https", "The portal is reached over TLS.")
    if facts.settings.bitrix24.require_https:
        return Finding(
            name="https",
            status=Grade.FAILED,
            cause="The portal is reached without TLS, and incoming webhooks are refused so (INVALID_REQUEST).",
            fix="Set [server] tls_certificate, or put a TLS proxy in front and name it in public_url and trusted_proxies.",
        )
    return Finding(
        name="https",
        status=Grade.WARNING,
        cause="The portal is reached without TLS: tokens and passwords can be read on the way.",
        fix="Leave it so in a test or a trusted network only.",
    )


def _oauth_host(facts: Facts) -> Finding:
    names = facts.settings.bitrix24.oauth_hosts
    if not names:
        return _ok("oauth", "The portal is its own OAuth server; clients follow `server_endpoint` in its replies.")
    return _ok("oauth", f"The OAuth server answers as {', '.join(names)}; these names have to lead here.")


def _switches(portal: PortalState) -> Finding:
    shut = [
        *(["its public part is closed (PORTAL_DELETED)"] if portal.closed else []),
        *(["its REST is blocked (OVERLOAD_LIMIT)"] if portal.blocked else []),
        *([] if portal.commercial else ["its plan has no REST (ACCESS_DENIED)"]),
    ]
    if not shut:
        return _ok("portal", "The portal is open.")
    return Finding(
        name="portal",
        status=Grade.FAILED,
        cause=f"The portal refuses every call: {', '.join(shut)}.",
        fix="`wakeline bitrix24 portal set --open --unblocked --plan commercial`.",
    )


def _users(facts: Facts) -> Finding:
    active = [user for user in facts.users if user.active]
    if not active:
        return Finding(
            name="users",
            status=Grade.FAILED,
            cause="The portal has no user, and every call is in the name of one.",
            fix="`wakeline bitrix24 user create --id 1 --admin`.",
        )
    if not any(user.admin for user in active):
        return Finding(
            name="users",
            status=Grade.WARNING,
            cause="No user is an administrator: nobody can send with pull.application.push.add.",
            fix="`wakeline bitrix24 user set 1 --admin`.",
        )
    return _ok("users", f"The portal has {len(active)} users.")


def _logins(facts: Facts) -> Finding:
    able = sum(bool(user.active and user.login and user.password) for user in facts.users)
    if able:
        return _ok("logins", f"{able} users can sign in for an application.")
    return Finding(
        name="logins",
        status=Grade.WARNING,
        cause="No user has a login and a password, so that /oauth/authorize/ lets nobody in.",
        fix="`wakeline bitrix24 user set 1 --login anna --password ...`; tokens without a browser need none.",
    )


def _applications(facts: Facts) -> Iterator[Finding]:
    if not facts.applications:
        yield Finding(
            name="applications",
            status=Grade.WARNING,
            cause="There is no application, and pushes are sent by applications only.",
            fix="`wakeline bitrix24 application create --name NAME --app APP --redirect-uri ADDRESS`.",
        )
    for one in facts.applications:
        found = list(_of_application(one, facts))
        name = f"application {one.client_id}"
        yield from found or [_ok(name, f"{one.name!r} sends through the app {facts.apps.get(one.app, '')}.")]


def _of_application(one: PortalApplication, facts: Facts) -> Iterator[Finding]:
    name, change = f"application {one.client_id}", f"`wakeline bitrix24 application set {one.client_id}"
    if one.app not in facts.credentials:
        app = facts.apps.get(one.app, "")
        cause = f"Its app {app} has no credential, so that nothing it sends can leave."
        yield Finding(name=name, status=Grade.FAILED, cause=cause, fix=f"`wakeline credential add FILE --app {app}`.")
    if not one.name:
        cause = "It has no name, and push.add refuses such an application (EMPTY_APP_NAME)."
        yield Finding(name=name, status=Grade.FAILED, cause=cause, fix=f"{change} --name NAME`.")
    if not one.manifest:
        cause = "It is marked as one without a manifest (ERROR_MANIFEST_IS_NOT_AVAILABLE)."
        yield Finding(name=name, status=Grade.FAILED, cause=cause, fix=f"{change} --manifest`.")
    if not one.redirect_uri:
        cause = "No address is registered to which its users come back, so that nobody can sign in for it."
        yield Finding(name=name, status=Grade.WARNING, cause=cause, fix=f"{change} --redirect-uri ADDRESS`.")
    elif _in_clear(one.redirect_uri):
        cause = "Its users come back over plain http: codes can be read on the way."
        yield Finding(name=name, status=Grade.WARNING, cause=cause, fix=f"{change} --redirect-uri https://...`.")
    if "pull" not in one.scopes:
        cause = "It has no scope pull, which push.add asks for."
        yield Finding(name=name, status=Grade.WARNING, cause=cause, fix=f"{change} --scope LIST`.")
    yield from _strange(name, one.scopes)


def _webhooks(facts: Facts) -> Iterator[Finding]:
    active = {user.id for user in facts.users if user.active}
    for one in facts.webhooks:
        name = f"webhook {one.id}"
        if one.user not in active:
            cause = f"It works in the name of user {one.user}, who is not active (INVALID_CREDENTIALS)."
            fix = f"`wakeline bitrix24 user set {one.user} --active`, or delete it."
            yield Finding(name=name, status=Grade.FAILED, cause=cause, fix=fix)
        elif (idle := (facts.now - max(one.used, one.created)) // _DAY) >= _IDLE_DAYS:
            cause = f"Nobody has used it for {idle} days, and its address still opens the portal."
            fix = f"`wakeline bitrix24 webhook delete {one.id}`, unless it is still needed."
            yield Finding(name=name, status=Grade.WARNING, cause=cause, fix=fix)
        elif strange := list(_strange(name, one.scopes)):
            yield from strange
        else:
            yield _ok(name, f"It works in the name of user {one.user} with {', '.join(one.scopes)}.")


def _strange(name: str, scopes: tuple[str, ...]) -> Iterator[Finding]:
    """Yield a finding about scopes that open nothing: misspelt, mostly."""
    if strange := sorted(set(scopes) - set(ALL)):
        cause = f"No method here asks for its scopes {', '.join(strange)}."
        yield Finding(name=name, status=Grade.WARNING, cause=cause, fix=f"Known are {', '.join(ALL)}.")


def _in_clear(uri: str) -> bool:
    parts = urlsplit(uri)
    return parts.scheme == "http" and parts.hostname not in _LOOPBACK


def _ok(name: str, cause: str) -> Finding:
    return Finding(name=name, status=Grade.OK, cause=cause)
