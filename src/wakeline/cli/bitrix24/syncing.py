"""`wakeline bitrix24 portal sync`: the mirrored portal is read anew, and how far that is."""

from __future__ import annotations

import asyncio
from typing import Annotated

from cyclopts import Parameter

from wakeline.cli.bitrix24.portal import portal
from wakeline.cli.client import Client
from wakeline.cli.context import Context, Ctx
from wakeline.cli.printing import table
from wakeline.edges.rest.bitrix24.installations import SyncView
from wakeline.model.errors import StoreUnavailable

_LOOK_AGAIN = 0.5
"""Seconds between two looks at how far a synchronisation is."""


@portal.command
async def sync(portal: str, /, *, wait: Annotated[bool, Parameter(negative="--no-wait")] = True, context: Ctx) -> int:
    """Read all users and records of the mirrored portal anew; exit code 1 if it ended early.

    Parameters
    ----------
    portal
        Its number, from `wakeline bitrix24 portal list`.
    wait
        Until it has ended.
    """
    async with context.gateway() as gateway:
        if not gateway.online:
            raise StoreUnavailable("No gateway runs on this data directory to read it.", fix="Start `wakeline serve`.")
        seen: SyncView = await gateway.call("bitrix24.installation.sync", installation=portal)
        if wait:
            seen = await _ended(gateway, portal, seen, context)
    rows = [(kind.kind, kind.done, kind.total or None) for kind in seen.kinds]
    context.printer.result(seen, lambda: table(("kind", "read", "of"), rows, title=seen.cause))
    return int(bool(seen.cause))


async def _ended(gateway: Client, portal: str, seen: SyncView, context: Context) -> SyncView:
    """Wait until a synchronisation has ended, and draw how far it is."""
    with context.printer.progress() as bar:
        task = bar.add_task("Reading the portal", total=None)
        while seen.running:
            await asyncio.sleep(_LOOK_AGAIN)
            seen = await gateway.call("bitrix24.installation.synced", installation=portal)
            total = sum(kind.total for kind in seen.kinds)
            bar.update(task, completed=sum(kind.done for kind in seen.kinds), total=total or None)
    return seen
