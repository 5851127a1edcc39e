"""`wakeline import devices`: the registry of another push server, from a CSV or NDJSON file of any length."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from wakeline.cli.choosing import AppOption
from wakeline.cli.context import Ctx
from wakeline.cli.device_intake import bring_in
from wakeline.cli.device_list.columns import Columns
from wakeline.cli.device_list.reading import rows_of


async def devices(
    file: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    app: AppOption = None,
    rejected: Path | None = None,
    map: list[str] | None = None,  # noqa: A002 - the name of the flag
    ignore_unknown: bool = False,
    context: Ctx,
) -> int:
    """Register the devices of a list: CSV with a header, or one JSON object a line; exit code 4 if rows were kept aside.

    An import that was interrupted goes on where it was when the same command is given again. Rows that tell of one device, one
    after the other and of the same date, make one device. What an app registered itself after a row's date stands.

    Parameters
    ----------
    file
        The list; - is standard input, which cannot be gone on with.
    rejected
        Where rows are kept that cannot be taken, with line number and cause; FILE.rejected if not given.
    map
        FIELD=COLUMN for a column whose name is not known, such as value=apns_tok; may be given several times.
    ignore_unknown
        Leave out columns that mean nothing here.
    """
    reading = (*sorted(map or ()), "--ignore-unknown" if ignore_unknown else "")
    columns = Columns(map or (), ignore_unknown=ignore_unknown)
    return await bring_in(
        file, app=app, rejected=rejected, columns=columns, reading=reading, rows_of=rows_of, context=context
    )
