"""Who calls, and whether they may: token, else webhook, else nobody; then what the portal and the method ask for.

The order is that of a portal: its own state, whose credential it is, the plan, the application, the scope, the kind of
authorization. A token is looked at before a webhook's path; whichever is wrong is told alike.
"""

from __future__ import annotations

import hmac

from wakeline.edges.bitrix24 import secrets
from wakeline.edges.bitrix24.call import Auth, BitrixPorts, Caller, Method
from wakeline.edges.bitrix24.refusals import Refusal
from wakeline.edges.bitrix24.request import Asked
from wakeline.model.bitrix24.access import PortalApplication, PortalState, PortalUser


def check_portal(portal: PortalState) -> None:
    """Raise MethodError if the portal serves nobody for now."""
    if portal.closed:
        raise Refusal.PORTAL_DELETED.error()
    if portal.blocked:
        raise Refusal.OVERLOAD.error()


async def caller(ports: BitrixPorts, asked: Asked, *, is_https: bool, now: int) -> Caller:
    """Return who calls. Raises MethodError. `now` in Unix ms."""
    if asked.token:
        return await _by_token(ports, asked.token, now)
    if asked.code:
        if ports.settings.bitrix24.require_https and not is_https:
            raise Refusal.HTTPS.error()
        return await _by_webhook(ports, asked)
    raise Refusal.NO_AUTH.error()


async def _by_token(ports: BitrixPorts, token: str, now: int) -> Caller:
    grant = await ports.access.grant_by_access(secrets.digest(token))
    if grant is None:
        raise Refusal.NO_AUTH.error()
    if grant.access_expires <= now:
        raise Refusal.EXPIRED.error()
    application = ports.access.application(grant.application)
    if application is None:
        raise Refusal.NO_APPLICATION.error()
    user = await _user(ports, grant.user)
    return Caller(user=user, scopes=frozenset(grant.scopes), application=application, grant=grant)


async def _by_webhook(ports: BitrixPorts, asked: Asked) -> Caller:
    webhook = ports.access.webhook_by(secrets.digest(asked.code))
    if webhook is None or not hmac.compare_digest(str(webhook.user).encode(), asked.user.encode()):
        raise Refusal.NO_AUTH.error()
    return Caller(user=await _user(ports, webhook.user), scopes=frozenset(webhook.scopes), webhook=webhook)


async def _user(ports: BitrixPorts, number: int) -> PortalUser:
    user = await ports.access.user(number)
    if user is None or not user.active:
        raise Refusal.CREDENTIALS.error()
    return user


def check_caller(who: Caller, portal: PortalState) -> None:
    """Raise MethodError if this caller may call nothing."""
    if not portal.commercial:
        raise Refusal.PLAN.error()
    if who.application is not None:
        _check_application(who.application, who.user)


def _check_application(application: PortalApplication, user: PortalUser) -> None:
    if application.users and user.id not in application.users:
        raise Refusal.USER_ACCESS.error()
    if not application.manifest:
        raise Refusal.MANIFEST.error()


def check_method(who: Caller, method: Method) -> None:
    """Raise MethodError if this caller may not call this method."""
    if not is_in_scope(method, who.scopes):
        raise Refusal.SCOPE.error(Refusal.SCOPE.value[2].format("webhook" if who.application is None else "access"))
    fits = {
        Auth.ANY: True,
        Auth.APPLICATION: who.application is not None,
        Auth.WEBHOOK: who.webhook is not None,
    }
    if not fits[method.auth]:
        raise Refusal.WRONG_AUTH.error(method.wrong_auth)


def is_in_scope(method: Method, scopes: frozenset[str]) -> bool:
    """Tell whether these scopes open a method: its own, or a narrower one that shows less of the same."""
    return not method.scope or method.scope in scopes or not method.narrower.isdisjoint(scopes)
