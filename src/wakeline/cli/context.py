"""What every command is given: the settings, the printer and a way to the gateway."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from wakeline.cli.printing import Printer

if TYPE_CHECKING:
    from wakeline.cli.client import Client
    from wakeline.config import Loaded


class Context:
    """One run of the command line."""

    def __init__(self, config: Path | None, printer: Printer) -> None:
        self._config = config
        self.printer = printer

    def load(self) -> Loaded:
        """Read the settings. Raises ConfigError."""
        from wakeline.config.loading import find_file, load  # noqa: PLC0415 - a command without settings starts faster

        return load(find_file(self._config, Path.cwd()), os.environ)

    @contextlib.asynccontextmanager
    async def gateway(self) -> AsyncIterator[Client]:
        """Give a client of the running gateway, or of the store if none runs."""
        from wakeline.cli.client import connect  # noqa: PLC0415 - the API's table is large; help does not need it

        async with connect(self.load()) as client:
            yield client


Ctx = Annotated[Context, Parameter(parse=False)]
"""The type of each command's `context` parameter: filled by the root, not by the user."""
