"""What a phone may do for itself: say that it is connected; and the token that lets it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from wakeline.edges.rest import device_token
from wakeline.edges.rest.caller import DeviceGrant
from wakeline.edges.rest.devices import Users, device_id
from wakeline.edges.rest.moments import Moment, milliseconds, moment, moment_or_none
from wakeline.edges.rest.operations import Answer, Call, Idempotent, Operation
from wakeline.edges.rest.shapes import Opaque, Strict, View
from wakeline.model.key import Scope

_DAY = 86400
_DEFAULT_TTL = 30 * _DAY


class PresenceBody(Strict, frozen=True, kw_only=True):
    """Until when the device is connected and needs no push; null: it is not."""

    connected_until: Moment | None


class PresenceView(View, frozen=True, kw_only=True):
    """Until when a device counts as connected."""

    device_id: str
    connected_until: datetime | None


class NewDeviceToken(Strict, frozen=True, kw_only=True):
    """For whom: this device, held by this user. `ttl` in seconds, 30 days unless given."""

    device: Opaque
    user: Opaque | Users | None = None
    ttl: Annotated[int, msgspec.Meta(ge=60, le=device_token.LONGEST_TTL)] = _DEFAULT_TTL


class DeviceTokenView(View, frozen=True, kw_only=True):
    """A device token: the phone sends it as `Authorization: Bearer`. Nothing is stored; it ends by itself."""

    token: str
    device: str
    expires: datetime


async def put_presence(call: Call) -> Answer:
    """Say until when a device is connected."""
    body: PresenceBody = call.body
    until = 0 if body.connected_until is None else max(0, milliseconds(body.connected_until))
    device = device_id(call)
    await call.ports.devices.set_presence(call.app.id, device, until)
    return Answer(body=PresenceView(device_id=device, connected_until=moment_or_none(until)))


async def make_token(call: Call) -> Answer:
    """Make a token with which a phone may register exactly this device for exactly this user."""
    body: NewDeviceToken = call.body
    users = (body.user,) if isinstance(body.user, str) else body.user or ()
    expires = call.now + body.ttl * 1000
    grant = DeviceGrant(app=call.app.id, device_id=body.device, users=users, expires=expires)
    token = device_token.make(grant, call.ports.secrets.derive(device_token.PURPOSE))
    shown = DeviceTokenView(token=token, device=body.device, expires=moment(expires))
    return Answer(status=201, body=shown, secret=True, resource=body.device)


OPERATIONS = (
    Operation(
        name="device.presence",
        method="PUT",
        path="/v1/apps/{app}/devices/{device}/presence",
        handler=put_presence,
        summary="Say until when a device is connected and needs no push",
        scopes=(Scope.DEVICES,),
        request=PresenceBody,
        response=PresenceView,
        device_token=True,
    ),
    Operation(
        name="device.token",
        method="POST",
        path="/v1/apps/{app}/device-tokens",
        handler=make_token,
        summary="Make a token with which a phone may register itself",
        scopes=(Scope.DEVICES,),
        request=NewDeviceToken,
        response=DeviceTokenView,
        status=(201,),
        idempotent=Idempotent.STORED,
    ),
)
