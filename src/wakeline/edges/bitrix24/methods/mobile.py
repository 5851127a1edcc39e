"""`mobile.push.*`: what a user wants on their phone. It counts: who wants nothing gets nothing. And `mobile.counter.*`.

    status              no push at all; null until it was said, which is yes
    config              types of pushes, one by one; `pull.application.push.add` sends none of a type
    smartfilter.status  nothing that has a type while the user is connected

Counters add up what waits in the parts of a portal (chats, tasks) to the number on its app's icon. This portal has no such parts,
so it has no counters, and what it counts is nothing; the number on an icon is the sender's affair (`badge`).

Source: Bitrix24 REST, pages of these methods. The types are those that this portal sends.
"""

from __future__ import annotations

from collections.abc import Mapping

from wakeline.edges.bitrix24 import reading
from wakeline.edges.bitrix24.call import Call, Method, MethodError, Result
from wakeline.edges.bitrix24.reading import Value
from wakeline.edges.bitrix24.refusals import Refusal
from wakeline.model.bitrix24.access import PortalUser, PushChange

NOTIFY = "rest|rest_notify"
"""The type of what applications and webhooks send by `im.notify`."""

_TYPES = {NOTIFY: ("Applications", "Notifications of applications")}


async def types(call: Call) -> Result:
    """List the types of pushes by module; with USER_VALUES also whether the user wants them."""
    muted = (await _user(call)).push.muted if reading.flag(call.params, "USER_VALUES") else None
    found: dict[str, dict[str, Value]] = {}
    for kind, (module_name, name) in _TYPES.items():
        module, _bar, type_ = kind.partition("|")
        known: dict[str, Value] = {"name": name, "type": type_, "disabled": False, "default": True}
        if muted is not None:
            known["value"] = kind not in muted
        found[module] = {"name": module_name, "module_id": module, "types": [known]}
    return Result(list(found.values()))


async def config(call: Call) -> Result:
    """Return which types the user wants."""
    user = await _user(call)
    rows: list[Value] = []
    for kind in _TYPES:
        module, _bar, type_ = kind.partition("|")
        rows.append({"module_id": module, "type": type_, "active": kind not in user.push.muted})
    return Result(rows)


async def set_config(call: Call) -> Result:
    """Take down which types the user wants; what is not named stays, what is not known is left out."""
    given = _new_config(call)
    wanted: dict[str, bool] = {}
    for row in given.values():
        said = {name.upper(): value for name, value in reading.mapped(row).items()}
        kind = f"{reading.text(said, 'MODULE_ID')}|{reading.text(said, 'TYPE')}"
        is_wanted = _switch(said)
        if is_wanted is not None and kind in _TYPES:
            wanted[kind] = is_wanted
    mute = frozenset(kind for kind, is_wanted in wanted.items() if not is_wanted)
    return await _keep(call, PushChange(mute=mute, unmute=frozenset(wanted) - mute))


async def status(call: Call) -> Result:
    """Return whether the user wants pushes."""
    return Result((await _user(call)).push.active)


async def set_status(call: Call) -> Result:
    """Take down whether the user wants pushes."""
    return await _keep(call, PushChange(active=_asked(call)))


async def smart_filter(call: Call) -> Result:
    """Return whether the user wants no pushes while connected."""
    return Result((await _user(call)).push.smart)


async def set_smart_filter(call: Call) -> Result:
    """Take down whether the user wants no pushes while connected."""
    return await _keep(call, PushChange(smart=_asked(call)))


async def no_counters(_: Call) -> Result:
    """List the counters, or which of them the user wants: there are none."""
    return Result([])


async def counted(_: Call) -> Result:
    """Return what all counters add up to."""
    return Result(0)


async def set_counters(call: Call) -> Result:
    """Take down which counters the user wants; as everywhere, what is not known is left out."""
    _new_config(call)
    return Result(value=True)


def _new_config(call: Call) -> dict[str, Value]:
    if given := reading.tree(call.params, "CONFIG"):
        return given
    raise MethodError(400, "CONFIG_ERROR", "New config is not specified")


def _asked(call: Call) -> bool:
    """Return what ACTIVE says. Raises MethodError if that is neither yes nor no: silence must not switch a phone off."""
    said = _switch(call.params)
    if said is None:
        raise Refusal.ARGUMENT.error("Argument 'ACTIVE' is null or empty", argument="ACTIVE")
    return said


def _switch(params: Mapping[str, Value]) -> bool | None:
    said = reading.flag(params, "ACTIVE")
    return said if reading.flag(params, "ACTIVE", default=True) is said else None


async def _user(call: Call) -> PortalUser:
    """Return the caller as kept now: an earlier command of the same batch may have changed them."""
    return await call.ports.access.user(call.caller.user.id) or call.caller.user


async def _keep(call: Call, change: PushChange) -> Result:
    await call.ports.access.change_push(call.caller.user.id, change)
    return Result(value=True)


METHODS: tuple[Method, ...] = tuple(
    Method(name=f"mobile.{name}", scope="mobile", handler=handler)
    for name, handler in (
        ("push.types.get", types),
        ("push.config.get", config),
        ("push.config.set", set_config),
        ("push.status.get", status),
        ("push.status.set", set_status),
        ("push.smartfilter.status.get", smart_filter),
        ("push.smartfilter.status.set", set_smart_filter),
        ("counter.types.get", no_counters),
        ("counter.get", counted),
        ("counter.config.get", no_counters),
        ("counter.config.set", set_counters),
    )
)
