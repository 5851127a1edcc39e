"""The root of the command line: global flags, the nouns (loaded when used), and how every command ends."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Group, Parameter

from wakeline import __version__
from wakeline.cli import failures
from wakeline.cli.context import Context
from wakeline.cli.failures import Failure, Refused
from wakeline.cli.noun import NO_NEGATIVE
from wakeline.cli.printing import Printer
from wakeline.model.errors import WakelineError

_SERVE = """\
Run the gateway.

SIGTERM stops taking, finishes what is in flight and ends with 0; a second one ends at once. SIGHUP reads the settings again.
Prints one line to stderr when it serves.
"""
_DEMO = """\
See it work: gateway and stand-ins of the push services, on this machine.

Shows for each notification what the push service received and how it is explained. Exit code 0 only if everything came out
as it must.
"""
_SIMULATE = """\
Run stand-ins of the push services.

They answer like APNs, FCM and Web Push, and on request like a Bitrix24 portal, on loopback ports; prints one JSON line when
they listen.
"""
_BACKUP = """\
Copy the store into one file, also while the gateway runs.

Secrets stay sealed in it: keep the master key as well, elsewhere.
"""
_RESTORE = """\
Bring a copy of the store back, while no gateway runs.

It starts held, since what waits in it may have been sent meanwhile; `wakeline queue release` lets it go once you have looked.
"""

_PUSH = """\
Push to a phone by its SIP push parameters (RFC 8599), and say what the push service answered.

Flags, last lines and exit codes are those of Flexisip's `flexisip_pusher`, a program that comes along.
"""

NOUNS: tuple[tuple[str, str, str], ...] = (
    ("serve", "wakeline.cli.serve:serve", _SERVE),
    ("demo", "wakeline.cli.demo:demo", _DEMO),
    ("simulate", "wakeline.cli.simulate:simulate", _SIMULATE),
    ("send", "wakeline.cli.send:send", "Send a notification."),
    ("push", "wakeline.cli.pusher.command:push", _PUSH),
    ("explain", "wakeline.cli.explain:explain", "Say why a push did or did not arrive."),
    ("doctor", "wakeline.cli.doctor:doctor", "Say what works and what does not."),
    ("app", "wakeline.cli.apps:app", "Mobile applications."),
    ("credential", "wakeline.cli.credential:app", "APNs keys and certificates, FCM service accounts, VAPID keys."),
    ("device", "wakeline.cli.device:app", "Devices and their tokens."),
    ("user", "wakeline.cli.user:app", "Users: the callers' own ids of people."),
    ("key", "wakeline.cli.key:app", "API keys."),
    ("bitrix24", "wakeline.cli.bitrix24:app", "Our own Bitrix24 portal: its users, applications and webhooks."),
    ("sip", "wakeline.cli.sip:app", "The SIP edge: who may register, and who is registered."),
    ("queue", "wakeline.cli.queue:app", "What waits to be sent."),
    ("route", "wakeline.cli.route:app", "Routes and the holds on them."),
    ("brake", "wakeline.cli.brake:app", "Routes stopped because too many tokens looked dead."),
    ("webhook", "wakeline.cli.webhook:app", "Programs of yours that are told of events."),
    ("events", "wakeline.cli.events:app", "What happens, as it happens."),
    ("import", "wakeline.cli.importing:app", "Bring in what another push server left."),
    ("backup", "wakeline.cli.backup:backup", _BACKUP),
    ("restore", "wakeline.cli.backup:restore", _RESTORE),
    ("db", "wakeline.cli.db:app", "The store's schema and master key."),
    ("config", "wakeline.cli.config:app", "Settings."),
    ("completion", "wakeline.cli.completion:completion", "Print a completion script for a shell."),
)
"""Each noun or verb, where it is and what it does: loaded when it is used, so that help and completion start at once."""

_HELP = """\
A self-hosted push gateway: it keeps, delivers and explains every push.

Administrative commands speak to the running gateway, or work on its store when none runs.
Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 refused, 5 unavailable.
"""

root = App(name="wakeline", help=_HELP, version=__version__, default_parameter=NO_NEGATIVE)
_EVERYWHERE = Group("Everywhere", sort_key=0)
for _name, _where, _what in NOUNS:
    root.command(_where, name=_name, help=_what)


@root.meta.default
def _launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    config: Annotated[
        Path | None, Parameter(group=_EVERYWHERE, help="Settings file; ./wakeline.toml if present.")
    ] = None,
    json: Annotated[bool, Parameter(group=_EVERYWHERE, help="Print one JSON document on one line of stdout.")] = False,
) -> int:
    command, bound, ignored = root.parse_args(tokens)
    context = Context(config, Printer(as_json=json))
    extra = {"context": context} if "context" in ignored else {}
    return perform(lambda: command(*bound.args, **bound.kwargs, **extra), context.printer)


def perform(command: Callable[[], Any], printer: Printer) -> int:
    """Run a command and return its exit code; failures are printed as cause and fix."""
    try:
        code = command()
        if inspect.iscoroutine(code):
            code = asyncio.run(code)
    except Refused as refused:
        return _failed(refused.failure, printer)
    except WakelineError as error:
        return _failed(failures.of_error(error), printer)
    except (KeyboardInterrupt, BrokenPipeError):
        return failures.INTERRUPTED
    return code if isinstance(code, int) else 0


def _failed(failure: Failure, printer: Printer) -> int:
    printer.failure(failure)
    return failure.exit_code


def run() -> None:
    """Run what the arguments say and end the process."""
    sys.exit(root.meta(result_action="return_value"))
