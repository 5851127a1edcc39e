"""Apps: make, list, change, forget."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from wakeline.edges.rest.moments import moment
from wakeline.edges.rest.operations import Answer, Call, Idempotent, Operation, Reach
from wakeline.edges.rest.shapes import Name, Slug, Strict, View
from wakeline.model.app import ApnsEnvironment, App, AppSettings, CallsBy
from wakeline.model.device import TargetState
from wakeline.model.errors import Conflict
from wakeline.model.key import Scope

_ANY = (Scope.READ, Scope.SEND, Scope.DEVICES, Scope.CREDENTIALS)


class NewApp(Strict, frozen=True, kw_only=True):
    """An app to be made. `id` is its slug for ever; `name` is for people and defaults to it."""

    id: Slug
    name: Name = ""


class SettingsPatch(Strict, frozen=True, kw_only=True):
    """Settings to change; what is absent stays."""

    calls_by: CallsBy | UnsetType = UNSET
    apns_environment: ApnsEnvironment | UnsetType = UNSET
    limits: bool | UnsetType = UNSET
    keep_content: bool | UnsetType = UNSET
    receipts: bool | UnsetType = UNSET
    max_devices_per_user: Annotated[int, msgspec.Meta(ge=0, le=1000, description="0: no limit")] | UnsetType = UNSET


class AppPatch(Strict, frozen=True, kw_only=True):
    """What to change of an app; what is absent stays. A paused app sends nothing: its pushes are held with code 902.

    `canary`: have the first pushes try another `apns_environment` before it is trusted, if the present one works.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | UnsetType = UNSET
    settings: SettingsPatch | UnsetType = UNSET
    paused: bool | UnsetType = UNSET
    canary: bool = True


class AppView(View, frozen=True, kw_only=True):
    """An app."""

    id: str
    name: str
    settings: AppSettings
    paused: bool
    created: datetime


class TargetsView(View, frozen=True, kw_only=True):
    """How the targets of an app fare.

    `stale`: those of `stale_devices` devices that kept silent for `[devices] stale_after`, as the daily walk over all devices
    found at `stale_at`; null before the first walk has ended.
    """

    active: int
    quarantined: int
    retired: int
    stale: int | None
    stale_devices: int | None
    stale_at: datetime | None


class AppStatus(AppView, frozen=True, kw_only=True):
    """An app, and how its targets fare."""

    targets: TargetsView


class AppList(View, frozen=True, kw_only=True):
    """The apps that a key sees, by id."""

    apps: tuple[AppView, ...]


def view(app: App) -> AppView:
    """Return an app as the world sees it."""
    return AppView(id=app.slug, name=app.name, settings=app.settings, paused=app.paused, created=moment(app.created))


async def create(call: Call) -> Answer:
    """Make an app; the same one again is answered as it is."""
    new: NewApp = call.body
    name = new.name or new.id
    there = call.ports.apps.get(new.id)
    if there is None:
        return Answer(status=201, body=view(await call.ports.apps.create(new.id, name, call.now)), resource=new.id)
    if there.name != name:
        raise Conflict(
            f"the app {new.id} exists, with the name {there.name!r}", pointer="/name", fix="PATCH changes the name."
        )
    return Answer(body=view(there))


async def list_all(call: Call) -> Answer:
    """List the apps that this key sees."""
    return Answer(body=AppList(apps=tuple(view(app) for app in call.ports.apps.all() if call.caller.sees(app.slug))))


async def show(call: Call) -> Answer:
    """Show an app and how its targets fare."""
    shown, counts = view(call.app), await call.ports.devices.app_counts(call.app.id)
    stale = await call.ports.pipeline.maintain.stale.known(call.app.id)
    targets = TargetsView(
        active=counts[TargetState.ACTIVE],
        quarantined=counts[TargetState.QUARANTINED],
        retired=counts[TargetState.RETIRED],
        stale=stale.targets if stale is not None else None,
        stale_devices=stale.devices if stale is not None else None,
        stale_at=moment(stale.at) if stale is not None else None,
    )
    return Answer(body=AppStatus(**{name: getattr(shown, name) for name in shown.__struct_fields__}, targets=targets))


async def change(call: Call) -> Answer:
    """Change name, settings or pause of an app."""
    patch: AppPatch = call.body
    settings = None
    if patch.settings is not UNSET:
        settings = msgspec.structs.replace(call.app.settings, **_given(patch.settings))
    app = await call.ports.apps.update(
        call.app.id,
        name=None if patch.name is UNSET else patch.name,
        settings=settings,
        paused=None if patch.paused is UNSET else patch.paused,
    )
    if not patch.canary:
        call.ports.pipeline.insist(app)
    return Answer(body=view(app))


async def delete(call: Call) -> Answer:
    """Forget an app with its credentials, devices and whatever waits."""
    await call.ports.apps.delete(call.app.id)
    return Answer(status=204)


def _given(patch: SettingsPatch) -> dict[str, object]:
    return {name: value for name, value in msgspec.structs.asdict(patch).items() if value is not UNSET}


OPERATIONS = (
    Operation(
        name="app.create",
        method="POST",
        path="/v1/apps",
        handler=create,
        summary="Make an app",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        request=NewApp,
        response=AppView,
        status=(201, 200),
        idempotent=Idempotent.STORED,
        problems=(Conflict,),
    ),
    Operation(
        name="app.list",
        method="GET",
        path="/v1/apps",
        handler=list_all,
        summary="List apps",
        reach=Reach.FILTERED,
        scopes=_ANY,
        response=AppList,
    ),
    Operation(
        name="app.show",
        method="GET",
        path="/v1/apps/{app}",
        handler=show,
        summary="Show an app and how its targets fare",
        scopes=_ANY,
        response=AppStatus,
    ),
    Operation(
        name="app.change",
        method="PATCH",
        path="/v1/apps/{app}",
        handler=change,
        summary="Change an app's name or settings, or pause it",
        scopes=(Scope.ADMIN,),
        request=AppPatch,
        response=AppView,
    ),
    Operation(
        name="app.delete",
        method="DELETE",
        path="/v1/apps/{app}",
        handler=delete,
        summary="Forget an app with its credentials and devices",
        scopes=(Scope.ADMIN,),
        status=(204,),
    ),
)
