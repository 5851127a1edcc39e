"""One call from its name to its answer: find the method, check the caller, count its time, turn what goes wrong into a refusal.

Rule: whatever a method raises becomes a row of the table of errors, so that a batch and a single call are told alike; a defect
of ours is INTERNAL_SERVER_ERROR for the caller and a traceback for the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus

import msgspec
import structlog

from wakeline.edges.bitrix24 import answers, auth
from wakeline.edges.bitrix24.call import BitrixPorts, Call, Caller, Method, MethodError, Params, Result, Value
from wakeline.edges.bitrix24.limits import Load, Operating
from wakeline.edges.bitrix24.refusals import Refusal
from wakeline.model.errors import StorageError, WakelineError

_log = structlog.get_logger()


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """What the calls of one request have in common."""

    caller: Caller
    base: str
    request_id: str


class Performed(msgspec.Struct, frozen=True):
    """What a call came to, in PHP's shape, and its `time`."""

    result: Result
    time: dict[str, Value]


class Performer:
    """Performs the methods of a table."""

    def __init__(self, ports: BitrixPorts, table: Mapping[str, Method]) -> None:
        self._ports = ports
        self._table = table
        self._operating = Operating()

    def method(self, name: str) -> Method:
        """Return the method of this name (in small letters). Raises MethodError."""
        method = self._table.get(name)
        if method is None:
            raise Refusal.NO_METHOD.error()
        return method

    async def perform(self, visit: Visit, method: Method, params: Params, start: int | None) -> Performed:
        """Call a method. Raises MethodError and nothing else."""
        watch = answers.Stopwatch(self._ports.clock)
        auth.check_method(visit.caller, method)
        key = (who(visit.caller), method.name)
        self._check_load(key)
        call = Call(
            ports=self._ports,
            caller=visit.caller,
            method=method.name,
            params={name.upper(): value for name, value in params.items()} if method.folded else params,
            now=self._ports.clock.now(),
            base=visit.base,
            start=start,
            request_id=visit.request_id,
            table=self._table,
        )
        watch.processing()
        began = self._ports.clock.monotonic()
        try:
            result = await _guarded(method, call)
        finally:
            self._operating.add(key, self._ports.clock.monotonic() - began, self._ports.clock.now())
        return Performed(answers.shaped(result), watch.block(self._load(key)))

    def _load(self, key: tuple[str, str]) -> Load | None:
        is_limited = self._ports.settings.bitrix24.operating_limit > 0
        return self._operating.load(key, self._ports.clock.now()) if is_limited else None

    def _check_load(self, key: tuple[str, str]) -> None:
        load = self._load(key)
        if load is not None and load.seconds > self._ports.settings.bitrix24.operating_limit:
            raise Refusal.OPERATION_TIME.error()


def who(caller: Caller) -> str:
    """Return whose limits these are: the application's or the webhook's."""
    if caller.application is not None:
        return f"application {caller.application.id}"
    return "" if caller.webhook is None else f"webhook {caller.webhook.id}"


async def _guarded(method: Method, call: Call) -> Result:
    try:
        return await method.handler(call)
    except (MethodError, asyncio.CancelledError):
        raise
    except WakelineError as error:
        raise _refusal(error, call) from None
    except Exception as error:  # noqa: BLE001 - a defect of ours is an answer in this protocol's form, too
        raise unexpected(error, call.request_id, method.name) from None


def _refusal(error: WakelineError, call: Call) -> MethodError:
    """Return what one of our own errors is here: full is full, what the caller can repair is told, the rest is ours.

    A store that cannot write for now is told apart from a defect: the one passes, the other wants to be reported.
    """
    if isinstance(error, StorageError):
        _log.error("bitrix24.store_failed", request_id=call.request_id, method=call.method, detail=error.detail)
        return Refusal.UNEXPECTED.error()
    if error.status in {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS}:
        return Refusal.QUERY_LIMIT.error()
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return unexpected(error, call.request_id, call.method)
    return Refusal.CORE.error(error.detail)


def unexpected(error: Exception, request_id: str, method: str) -> MethodError:
    """Return the refusal for a defect of ours, after writing it to the log."""
    _log.error("bitrix24.unexpected", request_id=request_id, method=method, exc_info=error)
    return Refusal.INTERNAL.error()
