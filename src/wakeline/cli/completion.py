"""`wakeline completion`: the script with which a shell completes our commands and flags."""

from __future__ import annotations

import sys
from typing import Literal

from wakeline.cli.context import Ctx


def completion(shell: Literal["bash", "zsh", "fish"], /, *, context: Ctx) -> None:
    """Print a completion script, such as for `source <(wakeline completion bash)`.

    Parameters
    ----------
    shell
        Which shell reads it.
    """
    from wakeline.cli.root import root  # noqa: PLC0415 - the root loads this file

    script = root.generate_completion(prog_name="wakeline", shell=shell)
    if context.printer.as_json:
        context.printer.result({"shell": shell, "script": script}, str)
    else:
        sys.stdout.write(script)
