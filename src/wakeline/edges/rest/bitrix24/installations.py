"""Connected portals: which there are, forgetting one, and reading a mirrored one anew."""

from __future__ import annotations

from datetime import datetime

from wakeline.edges.rest.bitrix24.connected import ConnectedView, found, view
from wakeline.edges.rest.moments import moment, moment_or_none
from wakeline.edges.rest.operations import Answer, Call, Idempotent, Operation, Reach
from wakeline.edges.rest.shapes import View
from wakeline.model.errors import Conflict, NotFound
from wakeline.model.key import Scope
from wakeline.ports.bitrix24_connector import SyncProgress
from wakeline.wire.bitrix24.endpoints import host_of


class ConnectedList(View, frozen=True, kw_only=True):
    """All connected portals, oldest first."""

    installations: tuple[ConnectedView, ...]


class KindProgress(View, frozen=True, kw_only=True):
    """How many records of one kind were read; `total` 0: the portal did not say."""

    kind: str
    done: int
    total: int


class SyncView(View, frozen=True, kw_only=True):
    """How far a synchronisation is. `cause` says why it ended early."""

    running: bool
    began: datetime
    ended: datetime | None
    kinds: tuple[KindProgress, ...]
    cause: str


async def list_all(call: Call) -> Answer:
    """List the connected portals."""
    known = call.ports.connected.installations.all()
    return Answer(body=ConnectedList(installations=tuple(view(call, one) for one in known)))


async def show(call: Call) -> Answer:
    """Show a connected portal."""
    return Answer(body=view(call, found(call)))


async def remove(call: Call) -> Answer:
    """Forget a connected portal, with its rules, recorded events and writes."""
    one = found(call)
    await call.ports.connected.installations.delete(one.id)
    call.ports.connected.portals.disconnected(one.id)
    return Answer(status=204)


async def sync(call: Call) -> Answer:
    """Begin to read all users and records of the mirrored portal anew, unless that runs."""
    one = found(call)
    if not one.mirror:
        raise Conflict(
            f"the portal {host_of(one.client_endpoint)} is not mirrored, so nothing of it is kept here",
            fix=f"`PATCH /v1/bitrix24/installations/{one.id}` with `mirror` true makes it the mirrored one.",
        )
    return Answer(status=202, body=_progress(call.ports.connected.portals.synchronise(one.id)))


async def synced(call: Call) -> Answer:
    """Say how far the last synchronisation is."""
    one = found(call)
    progress = call.ports.connected.portals.progress(one.id)
    if progress is None:
        raise NotFound(
            f"the portal {host_of(one.client_endpoint)} was not synchronised since the gateway started",
            fix=f"`POST /v1/bitrix24/installations/{one.id}/sync` begins.",
        )
    return Answer(body=_progress(progress))


def _progress(progress: SyncProgress) -> SyncView:
    names = dict.fromkeys((*progress.done, *progress.total))
    return SyncView(
        running=not progress.ended,
        began=moment(progress.began),
        ended=moment_or_none(progress.ended),
        kinds=tuple(
            KindProgress(kind=name, done=progress.done.get(name, 0), total=progress.total.get(name, 0))
            for name in names
        ),
        cause=progress.cause,
    )


_ONE = "/v1/bitrix24/installations/{installation}"

OPERATIONS = (
    Operation(
        name="bitrix24.installation.list",
        method="GET",
        path="/v1/bitrix24/installations",
        handler=list_all,
        summary="List the connected Bitrix24 portals",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        response=ConnectedList,
    ),
    Operation(
        name="bitrix24.installation.show",
        method="GET",
        path=_ONE,
        handler=show,
        summary="Show a connected Bitrix24 portal",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        response=ConnectedView,
    ),
    Operation(
        name="bitrix24.installation.remove",
        method="DELETE",
        path=_ONE,
        handler=remove,
        summary="Forget a connected Bitrix24 portal, with its rules, events and writes",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        status=(204,),
    ),
    Operation(
        name="bitrix24.installation.sync",
        method="POST",
        path=f"{_ONE}/sync",
        handler=sync,
        summary="Read all users and records of the mirrored Bitrix24 portal anew",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        response=SyncView,
        status=(202,),
        idempotent=Idempotent.STORED,
    ),
    Operation(
        name="bitrix24.installation.synced",
        method="GET",
        path=f"{_ONE}/sync",
        handler=synced,
        summary="Say how far the last synchronisation of a Bitrix24 portal is",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        response=SyncView,
    ),
)
