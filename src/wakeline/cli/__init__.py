"""The command line: one file a noun, each a thin face of an API operation; `wakeline.cli.root` joins them.

Rule: results go to stdout, everything else to stderr; with `--json` stdout gets exactly one JSON document on one line.
"""

from __future__ import annotations

import atexit
import gc


def main() -> None:
    """Run the command line and end the process with its exit code."""
    from wakeline.cli.root import run  # noqa: PLC0415 - `import wakeline.cli` alone must cost nothing

    _end_well()
    run()


def flexisip_pusher() -> None:
    """Run the program `flexisip_pusher` and end the process with its exit code."""
    from wakeline.cli.pusher.program import run  # noqa: PLC0415 - `import wakeline.cli` alone must cost nothing

    _end_well()
    run()


def _end_well() -> None:
    # The interpreter's last collection frees struct types in an order that msgspec (0.22) does not survive: one command in
    # four ended in a crash after its work was done (https://github.com/msgspec/msgspec/issues/717). Frozen objects are left
    # to the end of the process.
    atexit.register(gc.freeze)
