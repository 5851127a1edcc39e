"""`wakeline doctor`: what of this installation works and what does not, in sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from wakeline.cli.context import Ctx
from wakeline.cli.portal_dump import queue_in
from wakeline.cli.printing import table
from wakeline.doctor.portal_queue import judge
from wakeline.edges.rest.doctor import DoctorView
from wakeline.observe.health import Status


async def doctor(
    *,
    app: str | None = None,
    user: str | None = None,
    portal_dump: Annotated[tuple[Path, ...], Parameter(consume_multiple=False)] = (),
    context: Ctx,
) -> int:
    """Say what works and what does not, with what to do; exit code 1 if something cannot work.

    Parameters
    ----------
    app
        Look only at the credentials, routes and devices of this app.
    user
        Look only at the devices of this user.
    portal_dump
        A dump (SQL, CSV) of a self-hosted Bitrix24 portal's b_pull_push_queue: says whether its agent runs. Given twice, with a
        dump made some minutes later, it compares the two.
    """
    queue = judge([queue_in(file) for file in portal_dump]) if portal_dump else None
    async with context.gateway() as gateway:
        found: DoctorView = await gateway.call("doctor.examine", query={"app": app, "user": user})
    if queue is not None:
        found = msgspec.structs.replace(found, checks=(*found.checks, queue))
    rows = [(one.status, one.name, one.cause, one.fix) for one in found.checks]
    context.printer.result(found, lambda: table(("status", "about", "finding", "what to do"), rows))
    return int(any(one.status is Status.FAILED for one in found.checks))
