"""`user.admin`, `user.access`, `access.name`: what the caller may, by access codes.

This portal has users and no departments, workgroups or supervisors, so these are the codes that exist here:

    U<id>, IU<id>   a user; the user and his supervisors
    G1, G2          administrators; everybody
    AU              whoever is signed in: all callers
    CR              the author: it has a name and is nobody's

Source: Bitrix24 REST, pages of these methods.
"""

from __future__ import annotations

import re

from wakeline.edges.bitrix24 import reading
from wakeline.edges.bitrix24.call import Call, Method, Result, Value
from wakeline.edges.bitrix24.refusals import Refusal

_MOST_CODES = 500
_OF_USER = re.compile(r"(U|IU)([1-9][0-9]{0,17})", re.ASCII)
_PROVIDERS = {"U": ("User", "user"), "IU": ("Employee and supervisors", "intranet")}
_FIXED = {
    "G1": ("Administrators", "User group", "group"),
    "G2": ("All visitors", "", "other"),
    "AU": ("All authorized users", "", "other"),
    "CR": ("Author", "", "other"),
}


async def user_admin(call: Call) -> Result:
    """Answer whether the caller is an administrator of the portal."""
    return Result(call.caller.user.admin)


async def user_access(call: Call) -> Result:
    """Answer whether the caller has one of these codes; an administrator has every one."""
    user = call.caller.user
    own = {f"U{user.id}", f"IU{user.id}", "G2", "AU"}
    return Result(user.admin or not own.isdisjoint(reading.texts(call.params, "ACCESS")))


async def access_name(call: Call) -> Result:
    """Answer the names of those of these codes that exist; false if they are no list."""
    if not isinstance(call.params.get("ACCESS"), dict | list):
        return Result(value=False)
    codes = dict.fromkeys(reading.texts(call.params, "ACCESS"))
    if not codes:
        return Result(value=False)
    if len(codes) > _MOST_CODES:
        raise Refusal.ARGUMENT.error(f"Parameter 'ACCESS' has more than {_MOST_CODES} items.", argument="ACCESS")
    found = {code: await _named(call, code) for code in codes}
    return Result({code: named for code, named in found.items() if named is not None})


async def _named(call: Call, code: str) -> dict[str, Value] | None:
    if code in _FIXED:
        name, provider, provider_id = _FIXED[code]
        return {"provider": provider, "name": name, "provider_id": provider_id}
    match = _OF_USER.fullmatch(code)
    user = await call.ports.access.user(int(match[2])) if match else None
    if match is None or user is None:
        return None
    provider, provider_id = _PROVIDERS[match[1]]
    return {"provider": provider, "name": f"{user.name} {user.last_name}".strip(), "provider_id": provider_id}


METHODS: tuple[Method, ...] = (
    Method(name="user.admin", scope="", handler=user_admin),
    Method(name="user.access", scope="", handler=user_access),
    Method(name="access.name", scope="", handler=access_name),
)
