"""The program `flexisip_pusher`: `wakeline push` under the name that scripts call, whose every failure to begin ends with 255."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from wakeline import __version__
from wakeline.cli.context import Context
from wakeline.cli.failures import INTERRUPTED
from wakeline.cli.noun import NO_NEGATIVE
from wakeline.cli.printing import Printer
from wakeline.cli.pusher.command import push
from wakeline.cli.pusher.report import WRONG
from wakeline.cli.root import perform

_HELP = """\
Push to a phone by its SIP push parameters (RFC 8599), and say what the push service answered.

This is `wakeline push`. It ends with the number of pushes that failed, with 255 if it could not begin.
"""

app = App(name="flexisip_pusher", help=_HELP, version=__version__, default_parameter=NO_NEGATIVE)
app.default(push)


@app.meta.default
def _launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    config: Annotated[Path | None, Parameter(help="Wakeline's settings file; ./wakeline.toml if present.")] = None,
) -> int:
    command, bound, _ = app.parse_args(tokens)
    context = Context(config, Printer(as_json=False), program=sys.argv[0])
    begun: list[int] = []

    async def course() -> int:
        begun.append(await command(*bound.args, **bound.kwargs, context=context))
        return begun[0]

    code = perform(course, context.printer)
    return code if begun or code == INTERRUPTED else WRONG


def run() -> None:
    """Run what the arguments say and end the process."""
    try:
        code = app.meta(sys.argv[1:], result_action="return_value")
    except SystemExit as wrong_usage:
        code = WRONG if wrong_usage.code else 0
    sys.exit(code or 0)
