"""`wakeline bitrix24 key`: licence keys of self-hosted portals that use this gateway as their push service."""

from __future__ import annotations

from wakeline.cli.choosing import AppOption, chosen
from wakeline.cli.context import Ctx
from wakeline.cli.noun import noun
from wakeline.cli.printing import facts, table
from wakeline.edges.rest.bitrix24.keys import BoundPortalKey, NewPortalKey, PortalKeyList, PortalKeyView

key = noun("key", "Licence keys of self-hosted portals that use this gateway as their push service.")


@key.command
async def add(*, app: AppOption = None, key: str | None = None, name: str = "", topic: str = "", context: Ctx) -> None:
    """Bind a portal's licence key to an app; the key is shown this once.

    Parameters
    ----------
    key
        What the portal sends as `?key=`. Without it a key is made, to be part of the URL that the portal is given.
    name
        To recognise the portal by.
    topic
        The bundle id of the portal's mobile app, if the app has credentials for several.
    """
    async with context.gateway() as gateway:
        new = NewPortalKey(app=await chosen(gateway, app), key=key, name=name, topic=topic)
        bound: BoundPortalKey = await gateway.call("bitrix24.key.add", body=new)
    context.printer.result(
        {"id": bound.id, "key": bound.key, "url": bound.url},
        lambda: facts(
            [
                ("id", bound.id),
                ("app", bound.app),
                ("key", bound.key),
                ("push service URL", bound.url),
                ("", "Keep it now: it is not shown again."),
            ]
        ),
    )


@key.command(name="list")
async def list_(*, context: Ctx) -> None:
    """List licence keys, and from where each was used; their texts are not kept."""
    async with context.gateway() as gateway:
        found: PortalKeyList = await gateway.call("bitrix24.key.list")
    context.printer.result(
        found,
        lambda: table(
            ("id", "app", "name", "ends with", "bundle id", "created", "host", "address", "last used"),
            [row for one in found.keys for row in _rows(one)],
        ),
    )


@key.command
async def remove(key: str, /, *, context: Ctx) -> None:
    """Make a licence key useless, at once.

    Parameters
    ----------
    key
        Its id, from `wakeline bitrix24 key list`.
    """
    async with context.gateway() as gateway:
        await gateway.call("bitrix24.key.remove", key=key)
    context.printer.result({"removed": key}, lambda: f"The licence key {key} is removed.")


def _rows(one: PortalKeyView) -> list[tuple[object, ...]]:
    """Return a row for each source, the newest first; what is of the key itself stands in the first."""
    first = (one.id, one.app, one.name, one.ending, one.topic, one.created)
    places: list[tuple[object, ...]] = [(source.host, source.address, source.seen) for source in one.sources]
    return [
        (*(first if number == 0 else ("",) * len(first)), *place)
        for number, place in enumerate(places or [("", "", None)])
    ]
