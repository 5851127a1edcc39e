"""The command line: one file a noun, each a thin face of an API operation; `wakeline.cli.root` joins them.

Rule: results go to stdout, everything else to stderr; with `--json` stdout gets exactly one JSON document on one line.
"""

from __future__ import annotations


def main() -> None:
    """Run the command line and end the process with its exit code."""
    from wakeline.cli.root import run  # noqa: PLC0415 - `import wakeline.cli` alone must cost nothing

    run()
