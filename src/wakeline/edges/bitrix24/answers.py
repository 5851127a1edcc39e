"""Answers in Bitrix24's form: envelope, `time`, errors, headers.

Clients read `time` strictly: six keys always, dates in ATOM form with an offset, never Z. A success has no key `error`, not even
an empty one. Every answer says that it is JSON, since some clients refuse to read anything else.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from starlette.types import Send

from wakeline.edges.bitrix24.call import MethodError, Result, Value
from wakeline.edges.bitrix24.limits import Load
from wakeline.edges.bitrix24.refusals import Refusal
from wakeline.ports import Clock
from wakeline.wire import php_form

_HEADERS = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-headers", b"origin, content-type, accept"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
)
_JSON = (b"content-type", b"application/json; charset=utf-8")

_VERSION3 = {
    Refusal.NO_METHOD.value[1]: "BITRIX_REST_V3_EXCEPTION_METHODNOTFOUNDEXCEPTION",
}


class Stopwatch:
    """The times of one request or of one command of a batch: all of it, and the method's own part."""

    def __init__(self, clock: Clock) -> None:
        """Begin now."""
        self._clock = clock
        self._began = clock.now() / 1000
        self._mark = clock.monotonic()
        self._processing_from = self._mark

    def processing(self) -> None:
        """Begin the method's own part."""
        self._processing_from = self._clock.monotonic()

    def block(self, load: Load | None = None) -> dict[str, Value]:
        """Return `time` as of now; `load`: what the method has cost, where that is limited."""
        now = self._clock.monotonic()
        duration = now - self._mark
        found: dict[str, Value] = {
            "start": self._began,
            "finish": self._began + duration,
            "duration": duration,
            "processing": now - self._processing_from,
            "date_start": atom(self._began),
            "date_finish": atom(self._began + duration),
        }
        if load is not None:
            found |= {"operating_reset_at": load.resets, "operating": load.seconds}
        return found


def atom(seconds: float) -> str:
    """Return a Unix time in PHP's ATOM form, `2024-07-23T08:11:02+00:00`."""
    return datetime.fromtimestamp(int(seconds), UTC).isoformat(timespec="seconds")


def success(result: Result, time: dict[str, Value]) -> bytes:
    """Return the body of a success."""
    body: dict[str, Value] = {"result": result.value}
    if result.next is not None:
        body["next"] = result.next
    if result.total is not None:
        body["total"] = result.total
    return msgspec.json.encode({**body, "time": time})


def failure(error: MethodError, *, version3: bool = False) -> bytes:
    """Return the body of a refusal."""
    if version3:
        code = _VERSION3.get(error.error, error.error)
        return msgspec.json.encode({"error": {"code": code, "message": error.description}})
    return msgspec.json.encode(refused(error))


def refused(error: MethodError) -> dict[str, str]:
    """Return a refusal as it stands in an answer or in a batch's `result_error`."""
    return {"error": error.error, "error_description": error.description, **error.more}


def shaped(result: Result) -> Result:
    """Return a result whose maps and lists are those that PHP would print."""
    return msgspec.structs.replace(result, value=php_form.shape(result.value))


async def send(send: Send, status: int, body: bytes, request_id: str, *, head: bool = False) -> None:
    """Send an answer; `head`: without its body."""
    headers = [*_HEADERS, (b"x-request-id", request_id.encode()), (b"content-length", b"%d" % len(body))]
    if body:
        headers.append(_JSON)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else body})
