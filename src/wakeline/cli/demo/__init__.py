"""`wakeline demo`: see it work on this machine, without an account anywhere.

stack.py      the processes        scenario.py   what is sent and what must come of it
material.py   credentials          play.py       sends it and compares
listener.py   is told by webhook
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import httpx2
from rich.console import Group, RenderableType
from rich.text import Text

from wakeline.cli.context import Ctx
from wakeline.cli.demo.listener import listening
from wakeline.cli.demo.play import Play, Seen
from wakeline.cli.demo.stack import Stack, running
from wakeline.cli.printing import table

_FAILED = 1


async def demo(*, keep: bool = False, context: Ctx) -> int:
    """Start gateway and stand-ins, send through them, and compare what arrived with what must be.

    Parameters
    ----------
    keep
        Stay up afterwards, and print addresses and a key to play with.
    """
    with tempfile.TemporaryDirectory(prefix="wakeline-demo-") as name:
        context.printer.remark(
            "Starting a gateway and stand-ins of Apple's, Google's and the browsers' push services ..."
        )
        async with (
            running(Path(name)) as stack,
            listening() as listener,
            httpx2.AsyncClient(timeout=30, trust_env=False) as http,
        ):
            seen = await Play(stack, http, listener).perform()
            wrong = [f"{one.case.name}: {what}" for one in seen for what in one.wrong]
            context.printer.result({"ok": not wrong, "wrong": wrong, "cases": seen}, lambda: _drawn(seen))
            for what in wrong:
                context.printer.remark(f"Not as it must be: {what}")
            if keep:
                context.printer.note(_addresses(stack))
                await asyncio.Event().wait()
    return _FAILED if wrong else 0


def _drawn(seen: list[Seen]) -> RenderableType:
    columns = ("notification", "the push service received", "delivery", "explain says", "as it must be")
    rows = [(one.case.name, one.received, one.state, one.verdict, "; ".join(one.wrong) or "ok") for one in seen]
    return table(columns, rows)


def _addresses(stack: Stack) -> RenderableType:
    return Group(
        Text(f"Gateway    {stack.gateway} (API at /docs)"),
        Text(f"Key        {stack.key}"),
        Text(f"Portal     https://{stack.portal} (Bitrix24; POST /portal/change at the stand-ins)"),
        Text(f"Stand-ins  {stack.control} (GET /requests, POST /script)"),
        Text(f"Files      {stack.directory}"),
        Text("Ctrl-C ends it."),
    )
