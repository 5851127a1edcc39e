"""What the pusher prints: the lines of Flexisip's tool on stdout, why a push failed and what `--debug` shows on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

import msgspec

from wakeline.cli.context import Context
from wakeline.cli.failures import Failure
from wakeline.model.outcome import Outcome
from wakeline.model.sip.push import PushParams
from wakeline.observe.masking import masked_token
from wakeline.ports import Preview
from wakeline.service.lone_push import Said
from wakeline.wire.flexisip.pusher import Wording, advice, failure_line, last_lines

WRONG = 255
"""What Flexisip's tool ends with where it cannot begin; else it ends with the number of pushes that failed."""

_MOST_FAILED = 254
"""More do not fit below `WRONG`: an exit code is one byte, and 256 failures must not read as none."""


class Pushed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One push: whom to, what with, the request (authorization redacted, token masked) and what was answered."""

    token: str
    outcome: Outcome
    credential: str = ""
    request: Preview | None = None


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """All pushes of a run."""

    sent: int
    successful: int
    failed: int
    pushes: tuple[Pushed, ...]


class Report:
    """Collects what became of each push. `debug`: show requests and answers."""

    def __init__(self, context: Context, wording: Wording, *, debug: bool) -> None:
        self._context = context
        self._wording = wording
        self.debug = debug
        self._pushes: list[Pushed] = []

    def unused(self, flags: Mapping[str, bool]) -> None:
        """Say which of the given flags do nothing."""
        for flag, given in flags.items():
            if given:
                _say(f"Warning: {flag} has no effect.")

    def remark(self, text: str) -> None:
        """Say something that matters to whoever looks for a mistake."""
        if self.debug:
            _say(text)

    def wrong(self, why: str, fix: str = "") -> int:
        """Say why there is no push at all; returns the exit code."""
        self._context.printer.failure(Failure(code="no_push", cause=f"Error: {why}", fix=fix, exit_code=WRONG))
        return WRONG

    def parameters(self, params: PushParams) -> None:
        """Show what was understood against its letter."""
        for warning in params.warnings:
            _say(f"Warning: {warning}.")

    def pushed(self, params: PushParams, said: Said) -> None:
        """Show what became of a push."""
        request = said.request if self.debug else None
        token = masked_token(params.prid)
        self._pushes.append(Pushed(token=token, outcome=said.outcome, credential=said.credential, request=request))
        if self.debug:
            for line in _exchange(said):
                _say(line)
        if not said.outcome.accepted:
            _say(failure_line(id(said), len(self._pushes), said.outcome))
            for line in advice(params.provider, said.outcome):
                _say(f"   {line}")

    def end(self) -> int:
        """Print the last lines, or with `--json` the document; returns the exit code."""
        sent = len(self._pushes)
        failed = sum(not one.outcome.accepted for one in self._pushes)
        if self._context.printer.as_json:
            summary = Summary(sent=sent, successful=sent - failed, failed=failed, pushes=tuple(self._pushes))
            self._context.printer.result(summary, str)
        else:
            lines = last_lines(self._wording, sent=sent, failed=failed, program=self._context.program)
            sys.stdout.write("".join(f"{line}\n" for line in lines))
            sys.stdout.flush()
        return min(failed, _MOST_FAILED)


def _exchange(said: Said) -> Iterator[str]:
    """Draw a request and its answer."""
    if said.credential:
        yield f"with {said.credential}"
    if said.request is not None:
        yield f"> {said.request.method} {said.request.url}"
        for name, value in said.request.headers:
            yield f"> {name}: {value}"
        yield f"> {said.request.body}"
        for warning in said.request.warnings:
            yield f"! {warning}"
    status = said.outcome.status or "no answer"
    yield f"< {status} {said.outcome.reason}".rstrip()


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
