"""`app.option.*`, `user.option.*`: what an application keeps on the portal, for itself and for each user.

What is set is added to what is there, and nothing takes an option away, as on a portal. Only administrators set those of the
application as a whole; a webhook has none.

Source: Bitrix24 REST, pages of these methods.
"""

from __future__ import annotations

from wakeline.edges.bitrix24 import reading
from wakeline.edges.bitrix24.call import Call, Method, MethodError, Result
from wakeline.edges.bitrix24.refusals import Refusal
from wakeline.model.bitrix24.access import PortalApplication
from wakeline.model.errors import NotFound

MOST = 64 * 1024
"""Bytes of JSON that an application keeps for itself, or for one user."""
_ITS_OWN = 0


async def get_of_application(call: Call) -> Result:
    """Return one option of the application, null if it was never set; without a name, all of them."""
    return await _get(call, _ITS_OWN)


async def set_of_application(call: Call) -> Result:
    """Set options of the application."""
    _application(call)
    if not call.caller.user.admin:
        raise Refusal.DENIED.error("Access denied! Administrator authorization required")
    return await _set(call, _ITS_OWN)


async def get_of_user(call: Call) -> Result:
    """Return options that the application keeps for the caller, as `get_of_application`."""
    return await _get(call, call.caller.user.id)


async def set_of_user(call: Call) -> Result:
    """Set options that the application keeps for the caller."""
    return await _set(call, call.caller.user.id)


async def _get(call: Call, user: int) -> Result:
    options = await call.ports.access.options(_application(call).id, user)
    name = reading.text(call.params, "OPTION")
    return Result(options.get(name) if name else options)


async def _set(call: Call, user: int) -> Result:
    application = _application(call)
    options = reading.tree(call.params, "OPTIONS")
    if not options:
        raise _wrong("Argument 'OPTIONS' is null or empty")
    try:
        kept = await call.ports.access.change_options(application.id, user, options, most=MOST)
    except NotFound:
        raise Refusal.NO_APPLICATION.error() from None
    if not kept:
        raise _wrong(f"Options are longer than {MOST} bytes")
    return Result(value=True)


def _wrong(text: str) -> MethodError:
    return Refusal.ARGUMENT.error(text, argument="OPTIONS")


def _application(call: Call) -> PortalApplication:
    if call.caller.application is None:
        raise Refusal.DENIED.error("Access denied! Application context required")
    return call.caller.application


METHODS: tuple[Method, ...] = (
    Method(name="app.option.get", scope="", handler=get_of_application),
    Method(name="app.option.set", scope="", handler=set_of_application),
    Method(name="user.option.get", scope="", handler=get_of_user),
    Method(name="user.option.set", scope="", handler=set_of_user),
)
