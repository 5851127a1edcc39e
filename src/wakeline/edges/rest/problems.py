"""Errors as RFC 9457 problem details: one shape for everything that goes wrong, with a stable `code`.

`type` is the path of our page about the code, `title` never changes for a code, `detail` is about this case, `instance`
is the request's id, `errors` names fields by JSON Pointer, `retry_after` (seconds) repeats the Retry-After header.
"""

from __future__ import annotations

import math
from http import HTTPStatus

import msgspec
import structlog

from wakeline.edges.rest.operations import Answer, Media
from wakeline.model.errors import (
    BodyTooLarge,
    MethodNotAllowed,
    NotAllowed,
    SecretNotReplayed,
    StorageError,
    Unauthenticated,
    WakelineError,
)

log = structlog.get_logger()

_RETRY_STORE = 1.0


class FieldError(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with one field; `pointer` is a JSON Pointer into the body (RFC 6901)."""

    pointer: str
    detail: str


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something went wrong (RFC 9457). `code` is stable; `fix` says what to do; `id` names what exists already."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str = ""
    fix: str = ""
    errors: tuple[FieldError, ...] = ()
    retry_after: int | None = None
    id: str = ""


def problem_of(error: WakelineError, request_id: str) -> Problem:
    """Return the problem that an error is, as its caller may see it: what is inside the gateway stays there."""
    inside = error.status == HTTPStatus.INTERNAL_SERVER_ERROR
    errors = (FieldError(pointer=error.pointer, detail=error.detail),) if error.pointer else ()
    return Problem(
        type=f"/docs/problems/{error.code}",
        title=error.title,
        status=error.status,
        detail=f"something failed inside the gateway; its log has it under {request_id}" if inside else error.detail,
        code=error.code,
        instance=request_id,
        fix=error.fix,
        errors=errors,
        retry_after=_retry_after(error),
        id=error.resource if isinstance(error, SecretNotReplayed) else "",
    )


def answer(error: WakelineError, request_id: str) -> Answer:
    """Return the answer that an error is."""
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("api.failed", request_id=request_id, code=error.code, detail=error.detail)
    problem = problem_of(error, request_id)
    return Answer(
        status=error.status, body=problem, media=Media.PROBLEM, headers=tuple(_headers(error, problem.retry_after))
    )


def unexpected(error: Exception, request_id: str) -> Answer:
    """Return the answer to a defect of ours, after writing it to the log."""
    log.error("api.unexpected", request_id=request_id, exc_info=error)
    return Answer(status=500, body=problem_of(WakelineError(""), request_id), media=Media.PROBLEM)


def _headers(error: WakelineError, retry_after: int | None) -> list[tuple[str, str]]:
    """Return the headers that go with it (RFC 9110 sections 10.2.1, 10.2.3 and 11.6.1; RFC 6750 section 3)."""
    headers = []
    if retry_after is not None:
        headers.append(("retry-after", str(retry_after)))
    match error:
        case Unauthenticated():
            headers.append(("www-authenticate", 'Bearer realm="wakeline"'))
        case NotAllowed():
            headers.append(("www-authenticate", 'Bearer realm="wakeline", error="insufficient_scope"'))
        case MethodNotAllowed():
            headers.append(("allow", ", ".join(error.allowed)))
        case BodyTooLarge():
            headers.append(("connection", "close"))
    return headers


def _retry_after(error: WakelineError) -> int | None:
    seconds = error.retry_after
    if seconds is None and isinstance(error, StorageError):
        seconds = _RETRY_STORE
    return None if seconds is None else max(1, math.ceil(seconds))
