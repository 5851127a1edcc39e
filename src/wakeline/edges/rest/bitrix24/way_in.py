"""How we get into a portal, as an operator says it: read, judged, and compared with what is connected already.

The portals of one app have prefixes by which their users differ: whoever is named so by two would get the pushes of both.
"""

from __future__ import annotations

import re
from typing import Protocol

from wakeline.edges.rest.operations import Call
from wakeline.model.bitrix24.installation import (
    Access,
    ApplicationAccess,
    Installation,
    WebhookAccess,
)
from wakeline.model.errors import AddressRefused, Conflict, InvalidRequest
from wakeline.wire.bitrix24.endpoints import host_of, rest_endpoint, same_origin, webhook_address

_WITH_METHOD = re.compile(r"(?P<webhook>.*/rest/[0-9]+/[A-Za-z0-9_-]+/)[A-Za-z0-9_.]+/?")
"""A webhook as the portal's page shows it: with a method's name behind it."""

_DOMAIN = re.compile(r"(?P<origin>(?:https?://)?[^/]+)(?:/.*)?")


class Said(Protocol):
    """What an operator says of a portal: a webhook's address, or an application."""

    @property
    def url(self) -> str:
        """Return the webhook's address; empty: it is an application."""

    @property
    def domain(self) -> str:
        """Return the portal's host."""

    @property
    def client_id(self) -> str:
        """Return the application's id."""

    @property
    def client_secret(self) -> str:
        """Return the application's secret."""


def read(call: Call, new: Said) -> tuple[Access, str]:
    """Return how to get in, and where the portal's REST is. Raises InvalidRequest for the field that is wrong or missing."""
    if new.url:
        for name in ("domain", "client_id", "client_secret"):
            if getattr(new, name):
                raise InvalidRequest(
                    f"`url` of a webhook and `{name}` of an application exclude each other",
                    pointer=f"/{name}",
                    fix="Give the webhook alone, or domain, client_id and client_secret.",
                )
        return _webhook(call, new.url)
    for name in ("domain", "client_id", "client_secret"):
        if not getattr(new, name):
            raise InvalidRequest(
                f"`{name}` is missing",
                pointer=f"/{name}",
                fix="Give `url` of an incoming webhook, or domain, client_id and client_secret of an application.",
            )
    access = ApplicationAccess(client_id=new.client_id, client_secret=new.client_secret)
    return access, _endpoint(call, new.domain)


def _webhook(call: Call, url: str) -> tuple[WebhookAccess, str]:
    shown = _WITH_METHOD.fullmatch(url.strip())
    try:
        address, endpoint = webhook_address(shown["webhook"] if shown else url.strip(), named=_named(call))
    except AddressRefused as error:
        fix = error.fix or "Copy it from the portal's page of the webhook: https://portal/rest/1/code/."
        raise InvalidRequest(error.detail, pointer="/url", fix=fix) from None
    return WebhookAccess(url=address), endpoint


def _endpoint(call: Call, domain: str) -> str:
    said = _DOMAIN.fullmatch(domain.strip())
    where = said["origin"] if said else ""
    try:
        return rest_endpoint(f"{'' if '://' in where else 'https://'}{where}/rest/", named=_named(call))
    except AddressRefused as error:
        fix = error.fix or "Such as acme.bitrix24.com."
        raise InvalidRequest(error.detail, pointer="/domain", fix=fix) from None


def _named(call: Call) -> tuple[str, ...]:
    return call.ports.settings.bitrix24.connected_hosts


def only_one(call: Call, access: Access, endpoint: str) -> None:
    """Raise Conflict if this very access is there already."""
    for one in call.ports.connected.installations.all():
        match one.access, access:
            case WebhookAccess(url=there), WebhookAccess(url=new):
                same = there == new
            case ApplicationAccess(client_id=there), ApplicationAccess(client_id=new):
                same = there == new and host_of(one.client_endpoint) == host_of(endpoint)
            case _:
                same = False
        if same:
            raise Conflict(
                f"this portal is connected so already, as number {one.id}",
                fix=f"`PATCH /v1/bitrix24/installations/{one.id}` changes it, `POST .../verify` tries it again.",
            )


def no_other_mirror(call: Call, but: Installation | None) -> None:
    """Raise Conflict if another portal is mirrored."""
    for one in call.ports.connected.installations.all():
        if one.mirror and (but is None or one.id != but.id):
            raise Conflict(
                f"the portal {one.id} ({host_of(one.client_endpoint)}) is mirrored, and our own portal mirrors one",
                pointer="/mirror",
                fix=f"Take it from that one first: `PATCH /v1/bitrix24/installations/{one.id}` with `mirror` false.",
            )


def users_of_its_own(call: Call, wanted: Installation) -> None:
    """Raise Conflict if a user of another portal may be called as one of this."""
    for one in call.ports.connected.installations.all():
        if one.id != wanted.id and one.app == wanted.app and not _is_same_portal(one, wanted) and _mixes(one, wanted):
            raise Conflict(
                f"users of the portal {one.id} ({host_of(one.client_endpoint)}) may be called the same in this app",
                pointer="/prefix",
                fix="Choose another prefix, or leave it to the portal's member id; or take another app.",
            )


def _is_same_portal(one: Installation, other: Installation) -> bool:
    is_known = bool(one.member_id and other.member_id)
    return one.member_id == other.member_id if is_known else same_origin(one.client_endpoint, other.client_endpoint)


def _mixes(one: Installation, other: Installation) -> bool:
    """Tell whether prefix and number can be the same text: `1` and 7 are what nothing and 17 are."""
    if not (one.names_users and other.names_users):
        return False
    short, long = sorted((one.prefix, other.prefix), key=len)
    rest = long.removeprefix(short)
    return long.startswith(short) and (not rest or (rest.isascii() and rest.isdigit()))


def changed(call: Call, one: Installation, url: str | None, secret: str | None) -> Access:
    """Return how to get in from now on. Raises InvalidRequest for what does not fit how we got in before."""
    match one.access:
        case WebhookAccess() if secret is not None:
            raise InvalidRequest("a webhook has no client secret", pointer="/client_secret", fix="Change its `url`.")
        case WebhookAccess() if url is not None:
            access, endpoint = _webhook(call, url)
            if not same_origin(endpoint, one.client_endpoint):
                raise InvalidRequest(
                    f"this webhook is of another portal than {host_of(one.client_endpoint)}",
                    pointer="/url",
                    fix="Connect that portal: `POST /v1/bitrix24/installations`.",
                )
            return access
        case ApplicationAccess() if url is not None:
            raise InvalidRequest("an application has no webhook", pointer="/url", fix="Change its `client_secret`.")
        case ApplicationAccess(client_id=client_id, tokens=tokens) if secret is not None:
            return ApplicationAccess(client_id=client_id, client_secret=secret, tokens=tokens)
        case access:
            return access
