"""`wakeline config`: what the settings are, where they came from, what is wrong with them."""

from __future__ import annotations

import sys

from wakeline.cli.context import Ctx
from wakeline.cli.noun import noun
from wakeline.cli.printing import table
from wakeline.config.reference import effective, example, toml

app = noun("config", "Settings.")


@app.command
def check(*, context: Ctx) -> None:
    """Read the settings and say what is wrong with them; exit code 2 if anything is."""
    loaded = context.load()
    read = str(loaded.file) if loaded.file else ""
    context.printer.result(
        {"ok": True, "file": read}, lambda: f"The settings are right ({read or 'no file; defaults and environment'})."
    )


@app.command
def show(*, context: Ctx) -> None:
    """Show every setting in force and where its value came from; passwords are masked."""
    found = list(effective(context.load()))
    context.printer.result(
        {one.key: {"value": one.value, "origin": one.origin} for one in found},
        lambda: table(("setting", "value", "from"), [(one.key, toml(one.value), one.origin) for one in found]),
    )


@app.command(name="example")
def example_(*, context: Ctx) -> None:
    """Print the commented settings file, every key with its meaning and default."""
    if context.printer.as_json:
        context.printer.result({"toml": example()}, str)
    else:
        sys.stdout.write(example())
