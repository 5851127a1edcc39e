"""Methods that every token may call: what the portal is, what it can, who is asking. Source: Bitrix24 REST, "Common methods"."""

from __future__ import annotations

from collections.abc import Iterable

from wakeline.edges.bitrix24 import batch, reading
from wakeline.edges.bitrix24.answers import atom
from wakeline.edges.bitrix24.auth import is_in_scope
from wakeline.edges.bitrix24.call import Call, Method, MethodError, Result, Value
from wakeline.edges.bitrix24.refusals import Refusal
from wakeline.model.bitrix24.access import PortalApplication

_FEATURES_OF_PLANS = frozenset({"rest_offline_extended", "rest_auth_connector"})


async def server_time(call: Call) -> Result:
    """Answer the portal's time."""
    return Result(atom(call.now / 1000))


async def profile(call: Call) -> Result:
    """Answer who the caller is, in short."""
    user = call.caller.user
    found: dict[str, Value] = {
        "ID": str(user.id),
        "ADMIN": user.admin,
        "NAME": user.name,
        "LAST_NAME": user.last_name,
        "PERSONAL_GENDER": user.gender,
        "TIME_ZONE": user.time_zone,
    }
    return Result(found | ({"PERSONAL_PHOTO": user.photo} if user.photo else {}))


async def scope(call: Call) -> Result:
    """Answer the scopes of the caller; with `full`, all there are."""
    return Result(_all_scopes(call.table.values()) if reading.flag(call.params, "FULL") else sorted(call.caller.scopes))


async def methods(call: Call) -> Result:
    """Answer the methods that the caller may call, those of one scope, or with `full` all."""
    if reading.flag(call.params, "FULL"):
        return Result(sorted({*call.table, batch.NAME}))
    if "SCOPE" in call.params:
        return Result(
            sorted(name for name, method in call.table.items() if method.scope == reading.text(call.params, "SCOPE"))
        )
    open_to = {name for name, method in call.table.items() if is_in_scope(method, call.caller.scopes)}
    return Result(sorted({*open_to, batch.NAME}))


async def method_get(call: Call) -> Result:
    """Answer whether a method exists, and whether the caller may call it."""
    name = reading.text(call.params, "NAME").lower()
    if not name:
        raise Refusal.ARGUMENT.error("Argument 'name' is null or empty", argument="name")
    method = call.table.get(name)
    is_batch = name == batch.NAME
    is_available = is_batch or (method is not None and is_in_scope(method, call.caller.scopes))
    return Result({"isExisting": is_batch or method is not None, "isAvailable": is_available})


async def feature_get(call: Call) -> Result:
    """Answer whether the plan has a feature: the commercial ones of REST, and `license` by its name."""
    code = reading.text(call.params, "CODE")
    if not code:
        raise MethodError(400, "CODE_EMPTY", "CODE can't be empty")
    if code.lower() == "license":
        return Result({"value": call.ports.access.portal().license})
    return Result({"value": "Y" if code.lower() in _FEATURES_OF_PLANS else "N"})


async def app_info(call: Call) -> Result:
    """Answer the application as it is installed; to a webhook, its scopes."""
    portal = call.ports.access.portal()
    application = call.caller.application
    if application is None:
        return Result({"SCOPE": sorted(call.caller.scopes), "LICENSE": portal.license})
    return Result(_application(application, license_name=portal.license, language=portal.language))


def _application(application: PortalApplication, *, license_name: str, language: str) -> dict[str, Value]:
    return {
        "ID": application.id,
        "CODE": application.client_id,
        "VERSION": application.version,
        "STATUS": application.status,
        "INSTALLED": True,
        "PAYMENT_EXPIRED": "N",
        "DAYS": None,
        "LANGUAGE_ID": language,
        "LICENSE": license_name,
        "LICENSE_TYPE": license_name.partition("_")[2] or license_name,
        "LICENSE_FAMILY": license_name.partition("_")[2] or license_name,
    }


def _all_scopes(table: Iterable[Method]) -> list[str]:
    return sorted({method.scope for method in table if method.scope})


METHODS: tuple[Method, ...] = (
    Method(name="server.time", scope="", handler=server_time),
    Method(name="profile", scope="", handler=profile),
    Method(name="scope", scope="", handler=scope),
    Method(name="methods", scope="", handler=methods),
    Method(name="method.get", scope="", handler=method_get),
    Method(name="feature.get", scope="", handler=feature_get),
    Method(name="app.info", scope="", handler=app_info),
)
