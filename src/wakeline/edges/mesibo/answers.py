"""What mesibo's backend API answers: JSON with the operation, whether it worked, and the caller's own `id`.

    {"op": "someop", "result": false, "code": 422, "error": "BADOP", "cause": "...", "fix": "..."}

`error` is one word, as mesibo has it; what happened and what to do about it are sentences beside it.
"""

from __future__ import annotations

import msgspec

from wakeline.edges.rest.credentials import CredentialView
from wakeline.edges.rest.debugging import DebugView
from wakeline.edges.rest.notification_views import OutcomeView
from wakeline.edges.rest.problems import Problem
from wakeline.model.event import ReceivedResponse
from wakeline.wire.event_json import SentRequestView
from wakeline.wire.mesibo.backend import OP_POINTER

UNREACHED = "NOTREACHED"
"""The error of a test in which somebody has no device that was reached."""


class Said(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every answer has. `code`: the HTTP status; of a test that reached nobody, the first code that says why."""

    op: str
    result: bool
    code: int
    id: int | str | None = None
    error: str = ""
    cause: str = ""
    fix: str = ""


class Uploaded(Said, frozen=True, kw_only=True):
    """A credential is kept."""

    credential: CredentialView


class Debugged(Said, frozen=True, kw_only=True):
    """How the debug window is; `enable` is 1 while it is open."""

    enable: int
    debug: DebugView


class DeviceTested(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of the push to one device of an address.

    `code`: the push service's HTTP status, or one of 901 to 914 where nothing was sent; `token` is masked. `request` is there
    where it was recorded, `response` where there was one.
    """

    address: str
    result: bool
    state: str
    device: str = ""
    kind: str = ""
    token: str = ""
    notification: str = ""
    code: int
    text: str
    fix: str = ""
    outcome: OutcomeView | None = None
    request: SentRequestView | None = None
    response: ReceivedResponse | None = None


class Tested(Said, frozen=True, kw_only=True):
    """What became of a test; `result` says that each address was reached on a device at least."""

    sent: int
    accepted: int
    devices: tuple[DeviceTested, ...]


def refused(problem: Problem, op: str, mark: int | str | None) -> Said:
    """Return the answer to what cannot be done."""
    is_op = any(error.pointer == OP_POINTER for error in problem.errors)
    word = "BADOP" if is_op else problem.code.replace("_", "").upper()
    return Said(op=op, result=False, code=problem.status, id=mark, error=word, cause=problem.detail, fix=problem.fix)
