"""Applications of the portal: each sends through one of our apps. Its secret is shown once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from wakeline.edges.bitrix24 import secrets
from wakeline.edges.bitrix24.redirects import checked
from wakeline.edges.rest.bitrix24.shapes import Scopes, Users, once
from wakeline.edges.rest.moments import moment
from wakeline.edges.rest.operations import Answer, Call, Idempotent, Operation, Reach
from wakeline.edges.rest.shapes import Name, Slug, Strict, View
from wakeline.model.bitrix24.access import PortalApplication
from wakeline.model.errors import Conflict, InvalidRequest, NotFound
from wakeline.model.key import Scope


class NewApplication(Strict, frozen=True, kw_only=True):
    """An application to be made. `app` is the app through which it sends; `redirect_uri` where its users come back.

    `scopes` absent: all that there are. `users`: only they may use it.
    """

    name: Name
    app: Slug
    redirect_uri: str = ""
    scopes: Scopes | None = None
    users: Users = ()


class ApplicationPatch(Strict, frozen=True, kw_only=True):
    """What to change of an application; what is absent stays. `users` empty: it is open to everyone.

    `manifest` false: methods answer its tokens that its manifest is not available.
    """

    name: Name | UnsetType = UNSET
    app: Slug | UnsetType = UNSET
    redirect_uri: str | UnsetType = UNSET
    scopes: Scopes | UnsetType = UNSET
    users: Users | UnsetType = UNSET
    manifest: bool | UnsetType = UNSET


class ApplicationView(View, frozen=True, kw_only=True):
    """An application without its secret."""

    id: int
    client_id: str
    name: str
    app: str
    redirect_uri: str
    scopes: tuple[str, ...]
    users: tuple[int, ...]
    manifest: bool
    created: datetime


class MadeApplication(ApplicationView, frozen=True, kw_only=True):
    """A new application. Secret and `application_token` are shown this once; events are proved by the latter."""

    client_secret: str
    application_token: str


class ApplicationList(View, frozen=True, kw_only=True):
    """All applications, oldest first."""

    applications: tuple[ApplicationView, ...]


def found(call: Call, wanted: str) -> PortalApplication:
    """Return the application with this client id or number. Raises NotFound."""
    access = call.ports.portal
    by_number = access.application(int(wanted)) if wanted.isascii() and wanted.isdigit() and len(wanted) < 18 else None
    one = access.application_of(wanted) or by_number
    if one is None:
        raise NotFound(f"there is no application {wanted[:64]!r}", fix="`GET /v1/bitrix24/applications` lists them.")
    return one


def view(call: Call, one: PortalApplication) -> ApplicationView:
    """Return an application as the world sees it."""
    app = call.ports.apps.by_id(one.app)
    return ApplicationView(
        id=one.id,
        client_id=one.client_id,
        name=one.name,
        app=app.slug if app is not None else "",
        redirect_uri=one.redirect_uri,
        scopes=one.scopes,
        users=one.users,
        manifest=one.manifest,
        created=moment(one.created),
    )


async def create(call: Call) -> Answer:
    """Make an application; its secret is in this answer and nowhere else."""
    new: NewApplication = call.body
    secret, token = secrets.new_client_secret(), secrets.new_application_token()
    made = await call.ports.portal.create_application(
        PortalApplication(
            id=0,
            client_id=secrets.new_client_id(),
            secret=secrets.digest(secret),
            name=new.name,
            app=_app(call, new.app),
            redirect_uri=_redirect(new.redirect_uri),
            scopes=once(new.scopes),
            users=tuple(dict.fromkeys(new.users)),
            application_token=token,
            created=call.now,
        )
    )
    facts = msgspec.structs.asdict(view(call, made))
    shown = MadeApplication(**facts, client_secret=secret, application_token=token)
    return Answer(status=201, body=shown, secret=True, resource=made.client_id)


async def list_all(call: Call) -> Answer:
    """List the applications."""
    return Answer(body=ApplicationList(applications=tuple(view(call, one) for one in call.ports.portal.applications())))


async def show(call: Call) -> Answer:
    """Show an application."""
    return Answer(body=view(call, found(call, call.path["application"])))


async def change(call: Call) -> Answer:
    """Change an application; tokens that are out lose a scope that is taken away when they are renewed."""
    one = found(call, call.path["application"])
    patch: ApplicationPatch = call.body
    given: dict[str, Any] = {name: value for name, value in msgspec.structs.asdict(patch).items() if value is not UNSET}
    if "app" in given:
        given["app"] = _app(call, given["app"])
    if "redirect_uri" in given:
        given["redirect_uri"] = _redirect(given["redirect_uri"])
    for name in ("scopes", "users"):
        if name in given:
            given[name] = tuple(dict.fromkeys(given[name]))
    changed = msgspec.structs.replace(one, **given)
    await call.ports.portal.change_application(changed)
    return Answer(body=view(call, changed))


async def delete(call: Call) -> Answer:
    """Forget an application; its tokens are useless at once."""
    await call.ports.portal.delete_application(found(call, call.path["application"]).id)
    return Answer(status=204)


def _app(call: Call, slug: str) -> int:
    app = call.ports.apps.get(slug)
    if app is None:
        raise InvalidRequest(f"there is no app {slug!r}", pointer="/app", fix="Make it: `wakeline app create`.")
    return app.id


def _redirect(uri: str) -> str:
    """Return an address that may be registered; without one nobody signs in through a browser."""
    return checked(uri) if uri else ""


OPERATIONS = (
    Operation(
        name="bitrix24.application.create",
        method="POST",
        path="/v1/bitrix24/applications",
        handler=create,
        summary="Make an application of the Bitrix24 portal; its secret is shown once",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        request=NewApplication,
        response=MadeApplication,
        status=(201,),
        idempotent=Idempotent.STORED,
        problems=(NotFound,),
    ),
    Operation(
        name="bitrix24.application.list",
        method="GET",
        path="/v1/bitrix24/applications",
        handler=list_all,
        summary="List the applications of the Bitrix24 portal",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        response=ApplicationList,
    ),
    Operation(
        name="bitrix24.application.show",
        method="GET",
        path="/v1/bitrix24/applications/{application}",
        handler=show,
        summary="Show an application of the Bitrix24 portal",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        response=ApplicationView,
    ),
    Operation(
        name="bitrix24.application.change",
        method="PATCH",
        path="/v1/bitrix24/applications/{application}",
        handler=change,
        summary="Change an application of the Bitrix24 portal",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        request=ApplicationPatch,
        response=ApplicationView,
        problems=(Conflict,),
    ),
    Operation(
        name="bitrix24.application.delete",
        method="DELETE",
        path="/v1/bitrix24/applications/{application}",
        handler=delete,
        summary="Forget an application of the Bitrix24 portal and its tokens",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        status=(204,),
    ),
)
