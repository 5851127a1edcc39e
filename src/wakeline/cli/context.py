"""What every command is given: the settings, the printer and a way to the gateway."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter

from wakeline.cli.printing import Printer

if TYPE_CHECKING:
    from wakeline.cli.client import Client
    from wakeline.config import Loaded, Settings


class Context:
    """One run of the command line; `program` is the name it was called by."""

    def __init__(self, config: Path | None, printer: Printer, *, program: str = "wakeline") -> None:
        self._config = config
        self.printer = printer
        self.program = program

    def load(self) -> Loaded:
        """Read the settings. Raises ConfigError."""
        from wakeline.config.loading import find_file, load  # noqa: PLC0415 - a command without settings starts faster

        return load(find_file(self._config, Path.cwd()), os.environ)

    def quiet(self) -> Settings:
        """Read the settings for work in this process, whose logs are warnings on stderr. Raises ConfigError."""
        from wakeline.observe import logs  # noqa: PLC0415 - a command without a store needs no logs

        settings = self.load().settings
        logs.configure(msgspec.structs.replace(settings.logs, level="warning"))
        return settings

    @contextlib.asynccontextmanager
    async def gateway(self) -> AsyncIterator[Client]:
        """Give a client of the running gateway, or of the store if none runs."""
        from wakeline.cli.client import connect  # noqa: PLC0415 - the API's table is large; help does not need it

        async with connect(self.quiet()) as client:
            yield client


Ctx = Annotated[Context, Parameter(parse=False)]
"""The type of each command's `context` parameter: filled by the root, not by the user."""
