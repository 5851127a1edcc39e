"""`wakeline db`: the store's schema."""

from __future__ import annotations

import msgspec

from wakeline.cli.context import Ctx
from wakeline.cli.noun import noun
from wakeline.cli.printing import table
from wakeline.service import store_care
from wakeline.service.store_care import SchemaStatus

app = noun("db", "The store's schema.")


class Databases(msgspec.Struct, frozen=True):
    """What `db` commands print: how each database file stands."""

    databases: tuple[SchemaStatus, ...]


@app.command
async def status(*, context: Ctx) -> None:
    """Show which migrations are applied and which are missing; changes nothing."""
    _print(context, await store_care.schema(context.quiet()))


@app.command
async def migrate(*, context: Ctx) -> None:
    """Bring the store to this release's schema, as `serve` does when it starts."""
    _print(context, await store_care.migrate(context.quiet()))


def _print(context: Ctx, found: list[SchemaStatus]) -> None:
    columns = ("database", "schema", "of this release", "missing")
    context.printer.result(
        Databases(tuple(found)),
        lambda: table(columns, [(one.kind, one.version, one.latest, one.pending) for one in found]),
    )
