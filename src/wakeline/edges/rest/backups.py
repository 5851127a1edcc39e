"""Backups: `wakeline backup` copies the store beside the gateway, and says here that it did, for the doctor."""

from __future__ import annotations

from datetime import datetime

from wakeline.edges.rest.moments import Moment, milliseconds, moment
from wakeline.edges.rest.operations import Answer, Call, Operation, Reach
from wakeline.edges.rest.shapes import Strict, View
from wakeline.model.key import Scope
from wakeline.ports import BACKED_UP_AT


class BackupBody(Strict, frozen=True, kw_only=True):
    """When the copy was begun: what came later is not in it."""

    taken_at: Moment


class BackupView(View, frozen=True, kw_only=True):
    """When the store was last copied."""

    taken_at: datetime


async def note(call: Call) -> Answer:
    """Keep the time of a backup, if it is the newest."""
    body: BackupBody = call.body
    at = max(milliseconds(body.taken_at), int(await call.ports.facts.get(BACKED_UP_AT) or 0))
    await call.ports.facts.set(BACKED_UP_AT, str(at))
    return Answer(body=BackupView(taken_at=moment(at)))


OPERATIONS = (
    Operation(
        name="backup.note",
        method="PUT",
        path="/v1/backup",
        handler=note,
        summary="Note that the store was copied",
        reach=Reach.MACHINE,
        scopes=(Scope.ADMIN,),
        request=BackupBody,
        response=BackupView,
    ),
)
