"""`wakeline events tail`: what happens, as it happens."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from rich.text import Text

from wakeline.cli.context import Ctx
from wakeline.cli.noun import noun
from wakeline.model.errors import StoreUnavailable
from wakeline.wire.event_json import EventView

app = noun("events", "What happens, as it happens.")
_DATA = "data: "


@app.command
async def tail(
    *,
    app: str | None = None,
    types: str | None = None,
    after: int | None = None,
    count: int | None = None,
    context: Ctx,
) -> None:
    """Print events of the running gateway until interrupted; with --json one document a line.

    Parameters
    ----------
    app
        Only those of these apps, separated by commas.
    types
        Only these types, such as push.failed,target.retired.
    after
        Begin after the event with this number, instead of now.
    count
        End after so many.
    """
    async with context.gateway() as gateway:
        if not gateway.online:
            raise StoreUnavailable(
                "No gateway runs on this data directory, so nothing happens.", fix="Start `wakeline serve`."
            )
        query = {"app": app, "types": types, "after": after}
        async with gateway.stream("event.follow", query) as lines:
            printed = 0
            async for event in _events(lines):
                context.printer.line(event, functools.partial(_line, event))
                printed += 1
                if printed == count:
                    return


async def _events(lines: AsyncIterator[str]) -> AsyncIterator[EventView]:
    async for line in lines:
        if line.startswith(_DATA):
            yield msgspec.json.decode(line.removeprefix(_DATA), type=EventView)


def _line(event: EventView) -> Text:
    data: dict[str, Any] = msgspec.to_builtins(event.data)
    outcome = data.pop("outcome", None)
    words = [f"{name}={value}" for name, value in data.items()]
    if outcome:
        words.append(f"{outcome['class']} {outcome.get('reason', '')}".strip())
    moment = event.timestamp.astimezone().strftime("%H:%M:%S")
    return Text.assemble((moment, "dim"), " ", (event.type.value, "bold"), " ", " ".join(words))
