"""Users: the devices of one, and forgetting one."""

from __future__ import annotations

from wakeline.edges.rest import device_views
from wakeline.edges.rest.device_views import DeviceView
from wakeline.edges.rest.limits import AllowanceView, allowances
from wakeline.edges.rest.operations import Answer, Call, Operation
from wakeline.edges.rest.shapes import View
from wakeline.edges.rest.sip_forgetting import forget_phones
from wakeline.model.errors import NotFound
from wakeline.model.key import Scope

_MOST = 500


class UserView(View, frozen=True, kw_only=True):
    """A user, their devices (at most 500), and of which types of push they may have no more for now (`limited`)."""

    user: str
    limited: tuple[AllowanceView, ...]
    devices: tuple[DeviceView, ...]


class ErasedView(View, frozen=True, kw_only=True):
    """A user was forgotten: `devices` were theirs."""

    user: str
    devices: int


async def show(call: Call) -> Answer:
    """Show the devices of a user, and what limits them."""
    user = call.path["user"]
    page = await call.ports.devices.find(call.app.id, user=user, limit=_MOST)
    if not page.devices:
        raise _unknown(call)
    shown = tuple(device_views.device(one, whole_tokens=call.caller.reads_tokens) for one in page.devices)
    limited = allowances(await call.ports.pipeline.limited.of_user(call.app, user))
    return Answer(body=UserView(user=user, limited=limited, devices=shown))


async def erase(call: Call) -> Answer:
    """Forget a user and the devices that are only theirs; of a SIP address also the phones that are woken through the app."""
    user = call.path["user"]
    phones = [each.uid for each in call.ports.sip.bindings.of(user) if each.app == call.app.id]
    await forget_phones(call.ports.sip, user, phones)
    devices = await call.ports.devices.erase_user(call.app.id, user, call.now)
    if not devices:
        raise _unknown(call)
    await call.ports.pipeline.limited.forget_user(call.app, user)
    return Answer(body=ErasedView(user=user, devices=devices))


def _unknown(call: Call) -> NotFound:
    return NotFound(
        f"no device of the app {call.app.slug} is registered for the user {call.path['user'][:64]!r}",
        fix="The app registers its device after login; see `wakeline device list`.",
    )


OPERATIONS = (
    Operation(
        name="user.show",
        method="GET",
        path="/v1/apps/{app}/users/{user}",
        handler=show,
        summary="Show the devices of a user, and what limits them",
        scopes=(Scope.DEVICES, Scope.READ),
        response=UserView,
    ),
    Operation(
        name="user.erase",
        method="DELETE",
        path="/v1/apps/{app}/users/{user}",
        handler=erase,
        summary="Forget a user and the devices that are only theirs",
        scopes=(Scope.DEVICES,),
        response=ErasedView,
    ),
)
