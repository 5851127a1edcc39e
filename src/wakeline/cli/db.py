"""`wakeline db`: the store's schema, and the key that its secrets are sealed with."""

from __future__ import annotations

from pathlib import Path

import msgspec

from wakeline.cli.context import Ctx
from wakeline.cli.noun import noun
from wakeline.cli.printing import facts, table
from wakeline.edges.rest.master_key import RotateBody, RotatedView
from wakeline.model.errors import NotFound
from wakeline.service import store_care
from wakeline.service.store_care import SchemaStatus

app = noun("db", "The store's schema and master key.")


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


@app.command
async def rotate_key(*, new_key_file: Path | None = None, revoke_old: bool = False, context: Ctx) -> None:
    """Seal everything in the store with a new master key, also while the gateway runs.

    The old key stays in the master key file, below the new one: backups taken before and device tokens made before need it.

    Parameters
    ----------
    new_key_file
        Takes the new key from this file (32 bytes in base64); one is made without it.
    revoke_old
        The old key may be known to others: keep nothing of it. Device tokens made before end now.
    """
    new_key = "" if new_key_file is None else _read(new_key_file)
    async with context.gateway() as gateway:
        body = RotateBody(new_key=new_key, revoke_old=revoke_old)
        done: RotatedView = await gateway.call("master_key.rotate", body=body)
    context.printer.result(
        done, lambda: facts((("master key", done.key), ("former", done.former), ("sealed anew", done.resealed)))
    )
    context.printer.remark("Put the new master key file into your backup now: what is sealed opens with nothing else.")


@app.command
def forget_secrets(*, context: Ctx) -> None:
    """Begin anew after the master key is lost for good: forget all credentials and secrets, keep the rest.

    Refused while the key is there, and while a gateway runs.
    """
    done = store_care.forget_secrets(context.quiet())
    context.printer.result(done, lambda: facts((("credentials forgotten", done.credentials), ("master key", done.key))))
    context.printer.remark("Upload the credentials again; what waits for them goes out then.")
    context.printer.remark("Connected Bitrix24 portals, if there are any, are dead until they are connected anew.")
    context.printer.remark("SIP users, if there are any, are forgotten: `wakeline sip user add` makes them anew.")
    context.printer.remark(
        "Webhooks, if there are any, are told nothing until `wakeline webhook rotate` gave each a new secret."
    )


def _read(file: Path) -> str:
    try:
        return file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NotFound(f"The file {file} cannot be read: {error}.") from None


def _print(context: Ctx, found: list[SchemaStatus]) -> None:
    columns = ("database", "schema", "of this release", "missing")
    context.printer.result(
        Databases(tuple(found)),
        lambda: table(columns, [(one.kind, one.version, one.latest, one.pending) for one in found]),
    )
