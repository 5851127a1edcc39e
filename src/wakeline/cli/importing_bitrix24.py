"""`wakeline import bitrix24`: the phones that a self-hosted Bitrix24 portal knows, from a dump of its device table."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from wakeline.cli.choosing import AppOption
from wakeline.cli.context import Ctx
from wakeline.cli.device_intake import bring_in
from wakeline.cli.device_list.kind import Placed, Rows
from wakeline.cli.device_list.portal import PortalColumns
from wakeline.cli.device_list.reading import rows_of
from wakeline.cli.device_list.sql_dump import SqlDump, is_dump


async def bitrix24(
    file: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    app: AppOption = None,
    rejected: Path | None = None,
    topic: str = "",
    context: Ctx,
) -> int:
    """Register the phones of a Bitrix24 portal: a dump of b_pull_push (SQL, CSV); exit code 4 if rows were kept aside.

    Dumps of mysqldump and pg_dump, with other tables in them too, and CSV with a header; the table b_mobile_device is read as
    well. An import that was interrupted goes on where it was when the same command is given again. Dates count as UTC.

    Parameters
    ----------
    file
        The dump; - is standard input, which cannot be gone on with.
    rejected
        Where rows are kept that cannot be taken, with line number and cause; FILE.rejected if not given.
    topic
        The bundle id of the portal's mobile app, if the app has credentials for several.
    """
    return await bring_in(
        file,
        app=app,
        rejected=rejected,
        columns=PortalColumns(topic),
        reading=("bitrix24", topic),
        rows_of=portal_rows,
        context=context,
    )


def portal_rows(stream: io.BufferedReader) -> tuple[Placed, Rows]:
    """Return the rows of a dump or table. Raises MalformedRequest."""
    if is_dump(stream.peek(1024)):
        dump = SqlDump(stream)
        return dump, dump
    return rows_of(stream)
