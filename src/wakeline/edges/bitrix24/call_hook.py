"""The operator's call hook: a program of his that makes the calls which clients ask the portal for.

It gets a POST with JSON: `{"method", "params", "user", "application", "member_id", "request_id"}`. It answers 200 with
`{"result": ...}`, which the client gets as it is, or with `{"error", "error_description"}`, which becomes a refusal (400).
"""

from __future__ import annotations

from typing import Any

import msgspec
import structlog

from wakeline.edges.bitrix24.call import Call, MethodError, Value
from wakeline.edges.bitrix24.refusals import Refusal
from wakeline.model.errors import TransportError

TIMEOUT = 10.0
"""Seconds the hook may take."""
_HEADERS = {"content-type": "application/json", "user-agent": "Wakeline"}
_FAILED = "Infocall failure"

_log = structlog.get_logger()


class _Answer(msgspec.Struct, frozen=True):
    result: Any = msgspec.UNSET
    error: str = ""
    error_description: str = ""


async def ask(call: Call, *, nobody: str) -> Value:
    """Return what the hook answers. Raises MethodError: its own refusal, its failure, or `nobody` if there is no hook."""
    url = call.ports.settings.bitrix24.call_hook
    if not url:
        raise Refusal.CORE.error(nobody)
    try:
        answer = await call.ports.hook.post(url, _body(call), _HEADERS, timeout=TIMEOUT)
    except TransportError as error:
        raise _failed(call, error.detail) from None
    if answer.status != 200:
        raise _failed(call, f"answered {answer.status}")
    try:
        said = msgspec.json.decode(answer.body, type=_Answer)
    except msgspec.DecodeError:
        raise _failed(call, "the answer is not the JSON that was asked for") from None
    if said.error:
        raise MethodError(400, said.error, said.error_description)
    if said.result is msgspec.UNSET:
        raise _failed(call, "the answer has neither `result` nor `error`")
    return said.result


def _body(call: Call) -> bytes:
    caller = call.caller
    return msgspec.json.encode(
        {
            "method": call.method,
            "params": call.params,
            "user": str(caller.user.id),
            "application": None if caller.application is None else caller.application.client_id,
            "member_id": call.ports.access.portal().member_id,
            "request_id": call.request_id,
        }
    )


def _failed(call: Call, cause: str) -> MethodError:
    _log.warning("bitrix24.call_hook_failed", request_id=call.request_id, method=call.method, cause=cause)
    return Refusal.CORE.error(_FAILED)
