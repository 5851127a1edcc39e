"""Devices: register, show, list, restore, forget.

A PUT is the whole truth about a device: what it does not name is gone. A phone with a device token may do it itself.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from wakeline.edges.rest import cursors, device_views
from wakeline.edges.rest.device_views import DeviceView
from wakeline.edges.rest.moments import Moment, milliseconds
from wakeline.edges.rest.operations import Answer, Call, Idempotent, Operation
from wakeline.edges.rest.shapes import Fact, Opaque, PageQuery, Strict, View
from wakeline.edges.rest.targets import KindedTarget, TargetBody, claim, kind_of
from wakeline.model.device import RAW_PREFIX, Device, DeviceClaim, DeviceFacts, TargetClaim, TargetKind, TargetState
from wakeline.model.errors import InvalidRequest, NotAllowed, NotFound
from wakeline.model.key import Scope
from wakeline.pipeline import report
from wakeline.ports import Registered

_LONGEST_ID = 255
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

Users = Annotated[tuple[Opaque, ...], msgspec.Meta(max_length=64)]


class DeviceBody(Strict, frozen=True, kw_only=True):
    """A device as the app registers it. `user`: the caller's own id of whoever holds it; a list where several do."""

    user: Opaque | Users | None = None
    targets: Annotated[tuple[KindedTarget, ...], msgspec.Meta(max_length=32)] = ()
    tags: Annotated[tuple[Opaque, ...], msgspec.Meta(max_length=100)] = ()
    platform: Fact = ""
    os_version: Fact = ""
    model: Fact = ""
    app_version: Fact = ""
    locale: Fact = ""
    notifications_enabled: bool | None = None
    background_refresh: bool | None = None
    low_power: bool | None = None
    battery_restricted: bool | None = None


class MovedView(View, frozen=True, kw_only=True):
    """A token that belonged to another device until now."""

    kind: TargetKind
    from_device: str


class RegisteredView(DeviceView, frozen=True, kw_only=True):
    """A device after its registration; `moved`: tokens that it took over from other devices."""

    moved: tuple[MovedView, ...]


class DeviceQuery(PageQuery, frozen=True, kw_only=True):
    """Which devices: of this user, in this state."""

    user: Opaque = ""
    state: TargetState | UnsetType = UNSET


class DeviceList(View, frozen=True, kw_only=True):
    """A page of devices; `next_cursor` is null at the end."""

    devices: tuple[DeviceView, ...]
    next_cursor: str | None


class RestoreBody(Strict, frozen=True, kw_only=True):
    """Which targets: those that fell out of use in this time; none means whenever."""

    since: Moment | None = None
    until: Moment | None = None


class RestoredView(View, frozen=True, kw_only=True):
    """How many targets are active again."""

    restored: int


async def put(call: Call) -> Answer:
    """Register a device, or all of it anew."""
    done = await call.ports.devices.put([claimed(call, call.body, device_id(call))])
    return await _registered(call, done[0])


def claimed(call: Call, body: DeviceBody, device: str, confirmed: int | None = None) -> DeviceClaim:
    """Return what an app says about a device; `confirmed` (Unix ms) of an import. Raises InvalidRequest, NotAllowed."""
    return DeviceClaim(
        app=call.app.id,
        device_id=device,
        users=_users(call, body),
        targets=_claims(body.targets, allow_http=call.ports.settings.providers.webpush.allow_http),
        at=call.now,
        tags=tuple(dict.fromkeys(body.tags)),
        facts=_facts(body),
        max_devices_per_user=call.app.settings.max_devices_per_user,
        confirmed=confirmed,
    )


async def put_target(call: Call) -> Answer:
    """Register one target of a device that is there already: its token of this kind has changed."""
    allow_http = call.ports.settings.providers.webpush.allow_http
    made = claim(kind_of(call.path["kind"]), call.body, "", allow_http=allow_http)
    return await _registered(call, await call.ports.devices.put_target(call.app.id, device_id(call), made, call.now))


async def show(call: Call) -> Answer:
    """Show a device with all that is known about its targets."""
    return Answer(body=device_views.device(await existing(call), whole_tokens=call.caller.reads_tokens))


async def list_some(call: Call) -> Answer:
    """List devices by age of registration."""
    query: DeviceQuery = call.query
    state = None if query.state is UNSET else query.state
    of = f"devices {call.app.id} {state or ''} {query.user}"
    key = call.ports.secrets.derive(cursors.PURPOSE)
    page = await call.ports.devices.find(
        call.app.id, user=query.user or None, state=state, cursor=cursors.read(query.cursor, of, key), limit=query.limit
    )
    shown = tuple(device_views.device(one, whole_tokens=call.caller.reads_tokens) for one in page.devices)
    return Answer(body=DeviceList(devices=shown, next_cursor=cursors.make(page.cursor, of, key)))


async def delete(call: Call) -> Answer:
    """Forget a device and its targets."""
    if not await call.ports.devices.delete(call.app.id, device_id(call)):
        raise _unknown(call)
    return Answer(status=204)


async def restore(call: Call) -> Answer:
    """Make a device's quarantined and retired targets active again."""
    await existing(call)
    return await _restore(call, device_id(call))


async def restore_all(call: Call) -> Answer:
    """Make active again what was quarantined or retired in a range of time, on every device of the app."""
    return await _restore(call, None)


async def _restore(call: Call, device: str | None) -> Answer:
    body: RestoreBody = call.body
    restored = await call.ports.devices.restore(
        call.app.id,
        device_id=device,
        since=0 if body.since is None else milliseconds(body.since),
        until=None if body.until is None else milliseconds(body.until),
        at=call.now,
    )
    return Answer(body=RestoredView(restored=restored))


def device_id(call: Call) -> str:
    """Return the device's id of the path. Raises InvalidRequest for one that cannot be kept."""
    given = call.path["device"]
    return registrable(given) if call.operation.method == "PUT" else readable(given)


def readable(given: str) -> str:
    """Return the id that a device may have. Raises InvalidRequest for one that cannot be kept."""
    if len(given) > _LONGEST_ID or _CONTROL.search(given):
        raise InvalidRequest(
            f"a device id has at most {_LONGEST_ID} characters, and none of them is a control character"
        )
    return given


def registrable(given: str) -> str:
    """Return the id under which an app may register a device. Raises InvalidRequest for any other."""
    if given.startswith(RAW_PREFIX):
        raise InvalidRequest(
            f"device ids that begin with {RAW_PREFIX!r} are the gateway's own, for raw tokens", fix="Choose another id."
        )
    return readable(given)


def _claims(said: tuple[KindedTarget, ...], *, allow_http: bool) -> tuple[TargetClaim, ...]:
    """Return the targets in their normal form, each once."""
    made = [claim(one.kind, one, f"/targets/{at}", allow_http=allow_http) for at, one in enumerate(said)]
    if len(made) < 2:
        return tuple(made)
    return tuple({(one.kind, one.value): one for one in made}.values())


def _facts(body: DeviceBody) -> DeviceFacts:
    return DeviceFacts(
        platform=body.platform,
        os_version=body.os_version,
        model=body.model,
        app_version=body.app_version,
        locale=body.locale,
        notifications_enabled=body.notifications_enabled,
        background_refresh=body.background_refresh,
        low_power=body.low_power,
        battery_restricted=body.battery_restricted,
    )


def _users(call: Call, body: DeviceBody) -> tuple[str, ...]:
    said = (body.user,) if isinstance(body.user, str) else body.user or ()
    grant = call.caller.grant
    if grant is None:
        return tuple(dict.fromkeys(said))
    if said and not set(said) <= set(grant.users):
        raise NotAllowed("this device token is for another user", fix="Ask your backend for a token for this user.")
    return said or grant.users


async def existing(call: Call) -> Device:
    """Return the device of the path. Raises NotFound."""
    device = await call.ports.devices.get(call.app.id, device_id(call))
    if device is None:
        raise _unknown(call)
    return device


def _unknown(call: Call) -> NotFound:
    return NotFound(f"the app {call.app.slug} has no device {call.path['device'][:64]!r}")


async def _registered(call: Call, done: Registered) -> Answer:
    if done.moved:
        told = [report.moved(one, done.device, app=call.app.slug, at=call.now) for one in done.moved]
        await call.ports.events.append(told)
    shown = device_views.device(done.device, whole_tokens=call.caller.reads_tokens)
    moved = tuple(MovedView(kind=one.kind, from_device=one.from_device) for one in done.moved)
    body = RegisteredView(**{name: getattr(shown, name) for name in shown.__struct_fields__}, moved=moved)
    return Answer(status=201 if done.created else 200, body=body)


_ONE = "/v1/apps/{app}/devices/{device}"

OPERATIONS = (
    Operation(
        name="device.put",
        method="PUT",
        path=_ONE,
        handler=put,
        summary="Register a device: its user, its targets, its facts",
        scopes=(Scope.DEVICES,),
        request=DeviceBody,
        response=RegisteredView,
        status=(200, 201),
        device_token=True,
    ),
    Operation(
        name="device.put_target",
        method="PUT",
        path=f"{_ONE}/targets/{{kind}}",
        handler=put_target,
        summary="Register one target of a device",
        scopes=(Scope.DEVICES,),
        request=TargetBody,
        response=RegisteredView,
        device_token=True,
    ),
    Operation(
        name="device.show",
        method="GET",
        path=_ONE,
        handler=show,
        summary="Show a device and how its targets fare",
        scopes=(Scope.DEVICES, Scope.READ),
        response=DeviceView,
    ),
    Operation(
        name="device.list",
        method="GET",
        path="/v1/apps/{app}/devices",
        handler=list_some,
        summary="List devices",
        scopes=(Scope.DEVICES, Scope.READ),
        query=DeviceQuery,
        response=DeviceList,
    ),
    Operation(
        name="device.delete",
        method="DELETE",
        path=_ONE,
        handler=delete,
        summary="Forget a device",
        scopes=(Scope.DEVICES,),
        status=(204,),
    ),
    Operation(
        name="device.restore",
        method="POST",
        path=f"{_ONE}/restore",
        handler=restore,
        summary="Make a device's quarantined and retired targets active again",
        scopes=(Scope.DEVICES,),
        request=RestoreBody,
        response=RestoredView,
        idempotent=Idempotent.STORED,
    ),
    Operation(
        name="device.restore_all",
        method="POST",
        path="/v1/apps/{app}/restore",
        handler=restore_all,
        summary="Make active again what was quarantined or retired in a range of time",
        scopes=(Scope.DEVICES,),
        request=RestoreBody,
        response=RestoredView,
        idempotent=Idempotent.STORED,
    ),
)
