"""`/rest/app.info` of the OAuth host: what a token is. By it an application checks an event's origin before it believes it.

The same path on the portal's host has another shape; see `edges.bitrix24.methods`.
"""

from __future__ import annotations

import msgspec

from wakeline.edges.bitrix24.answers import atom
from wakeline.edges.bitrix24.call import BitrixPorts
from wakeline.edges.bitrix24.oauth.asked import Asked
from wakeline.edges.bitrix24.oauth.failure import no_token
from wakeline.edges.bitrix24.refusals import Refusal
from wakeline.edges.bitrix24.secrets import digest
from wakeline.model.bitrix24.access import Grant, PortalApplication

_SECOND = 1000


class Install(msgspec.Struct, frozen=True, kw_only=True):
    """The application on the portal. `domain` is the portal's host without a port; `member_type` is its licence."""

    installed: bool
    version: str
    status: str
    scope: str
    domain: str
    uri: str
    client_endpoint: str
    member_id: str
    member_type: str


class Info(msgspec.Struct, frozen=True, kw_only=True):
    """A token: whose, for what, until when (`expires` in ISO 8601)."""

    client_id: str
    scope: str
    expires: str
    install: Install
    user_id: int


async def info(ports: BitrixPorts, asked: Asked) -> Info:
    """Return what a token is. Raises MethodError, with the codes that methods have."""
    text = asked.bearer or asked.params.get("auth") or asked.params.get("access_token")
    if not text:
        raise Refusal.NO_AUTH.error()
    grant = await ports.access.grant_by_access(digest(text))
    application = None if grant is None else ports.access.application(grant.application)
    if grant is None or application is None:
        raise no_token()
    if grant.access_expires <= asked.now:
        raise Refusal.EXPIRED.error()
    return _described(ports, asked, grant, application)


def _described(ports: BitrixPorts, asked: Asked, grant: Grant, application: PortalApplication) -> Info:
    portal = ports.access.portal()
    return Info(
        client_id=application.client_id,
        scope=",".join(grant.scopes),
        expires=atom(grant.access_expires / _SECOND),
        install=Install(
            installed=True,
            version=str(application.version),
            status=application.status,
            scope=",".join(application.scopes),
            domain=asked.addresses.portal_name,
            uri="",
            client_endpoint=asked.addresses.client_endpoint,
            member_id=portal.member_id,
            member_type=portal.license,
        ),
        user_id=grant.user,
    )
