"""From what went wrong to what the command line prints and ends with.

Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 refused, 5 unavailable (trying again makes sense), 130 interrupted.
They belong to the error classes; an answer of the API finds its class by its `code`.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from wakeline.model.errors import WakelineError

INTERRUPTED = 130


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong, for people and machines: `errors` are "pointer: detail" of single fields."""

    code: str
    cause: str
    fix: str = ""
    errors: tuple[str, ...] = ()
    exit_code: int = 1


class FieldProblem(msgspec.Struct, frozen=True):
    """One field of a problem document."""

    pointer: str = ""
    detail: str = ""


class ProblemDocument(msgspec.Struct, frozen=True):
    """What a client reads of a problem document (RFC 9457)."""

    code: str = "unreadable"
    title: str = ""
    detail: str = ""
    fix: str = ""
    errors: tuple[FieldProblem, ...] = ()


class Refused(Exception):
    """The API answered with a problem."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.cause)
        self.failure = failure


def of_error(error: WakelineError) -> Failure:
    """Return the failure that one of our errors is."""
    return Failure(code=error.code, cause=error.detail, fix=error.fix, exit_code=error.exit_code)


def of_answer(status: int, body: bytes) -> Failure:
    """Return the failure that an API answer is."""
    try:
        problem = msgspec.json.decode(body, type=ProblemDocument)
    except msgspec.MsgspecError:
        problem = ProblemDocument(detail=f"The gateway answered {status} without saying why.")
    return Failure(
        code=problem.code,
        cause=problem.detail or problem.title,
        fix=problem.fix,
        errors=tuple(f"{field.pointer}: {field.detail}" for field in problem.errors if _tells_more(field, problem)),
        exit_code=_exit_code(problem.code, status),
    )


def _tells_more(field: FieldProblem, problem: ProblemDocument) -> bool:
    """Tell whether the cause does not say already what is wrong, and with which field."""
    return field.detail != problem.detail or field.pointer.rpartition("/")[2] not in problem.detail


def _exit_code(code: str, status: int) -> int:
    known = {error.code: error.exit_code for error in _tree(WakelineError)}
    if code in known:
        return known[code]
    match status:
        case 404:
            return 3
        case 429 | 502 | 503 | 504:
            return 5
        case _ if 400 <= status < 500:
            return 4
        case _:
            return 1


def _tree(error: type[WakelineError]) -> Iterator[type[WakelineError]]:
    yield error
    for child in error.__subclasses__():
        yield from _tree(child)
