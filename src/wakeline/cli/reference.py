"""docs/reference/cli.md, drawn from the commands themselves."""

from __future__ import annotations

from wakeline.cli.root import root

_HEAD = """\
# Command line

`--config FILE` and `--json` may stand anywhere in a command. Without `--config`: `./wakeline.toml` if present, else defaults.
With `--json` stdout gets exactly one JSON document on one line (a failure as `{"error": {...}}`), all else goes to stderr.

Administrative commands go through `data_dir/wakeline.sock` when a gateway runs, else they work on its store in this process;
an absent store is made. Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 refused, 5 unavailable, 130 interrupted.

"""


def page() -> str:
    """Return the reference page."""
    body = root.generate_docs(output_format="markdown", recursive=True, heading_level=2, usage_name="wakeline")
    return _HEAD + "\n".join(line.rstrip() for line in body.strip().splitlines()) + "\n"
