"""`wakeline backup` and `wakeline restore`: the store in one file and back."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from rich.console import RenderableType

from wakeline.cli.context import Context, Ctx
from wakeline.cli.failures import Refused
from wakeline.cli.printing import table
from wakeline.edges.rest.backups import BackupBody
from wakeline.model.errors import WakelineError
from wakeline.service import store_care
from wakeline.service.store_care import Manifest


def _view(manifest: Manifest) -> RenderableType:
    rows = [
        (part.name, part.schema, part.size, ", ".join(f"{number} {name}" for name, number in part.counts.items()))
        for part in manifest.parts.values()
    ]
    taken = datetime.fromtimestamp(manifest.taken_at / 1000, UTC)
    return table(("file", "schema", "bytes", "rows"), rows, title=f"taken {taken:%Y-%m-%d %H:%M:%S} UTC")


async def _note(manifest: Manifest, context: Context) -> None:
    """Tell the store when it was copied, for the doctor; a copy is a copy all the same."""
    body = BackupBody(taken_at=datetime.fromtimestamp(manifest.taken_at / 1000, UTC))
    try:
        async with context.gateway() as gateway:
            await gateway.call("backup.note", body=body)
    except (Refused, WakelineError) as error:
        context.printer.remark(f"The copy is complete; the doctor will not know of it: {error}")


async def backup(file: Path, /, *, context: Ctx) -> None:
    """Copy the store into one file.

    Parameters
    ----------
    file
        Where to; replaced when the copy is complete.
    """
    manifest = await store_care.backup(context.quiet(), file)
    await _note(manifest, context)
    context.printer.result(manifest, lambda: _view(manifest))


def restore(file: Path, /, *, force: bool = False, context: Ctx) -> None:
    """Bring a copy of the store back.

    Parameters
    ----------
    file
        A file that `wakeline backup` made.
    force
        Replace a store that is there.
    """
    manifest = store_care.restore(context.quiet(), file, force=force)
    context.printer.result(manifest, lambda: _view(manifest))
    context.printer.remark("Every route is held. Look with `wakeline queue show`, then `wakeline queue release`.")
