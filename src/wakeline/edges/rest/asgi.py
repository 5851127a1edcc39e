"""The REST edge as an ASGI application: one way for every request, plain ASGI throughout, since it is the hot path.

request id -> route -> who is it -> which app -> query -> body -> Idempotency-Key -> handler -> answer
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import structlog
from starlette.types import Receive, Scope, Send

from wakeline.edges.rest import idempotency, multipart, problems, reading, writing
from wakeline.edges.rest.auth import Gate
from wakeline.edges.rest.decode import json_value, query_value
from wakeline.edges.rest.operations import Answer, Call, Feed, Idempotent, Media, Operation, Reach
from wakeline.edges.rest.ports import RestPorts
from wakeline.edges.rest.routing import Match, Router
from wakeline.edges.rest.table import OPERATIONS
from wakeline.model.errors import (
    InvalidRequest,
    MalformedRequest,
    MethodNotAllowed,
    NotFound,
    UnsupportedMedia,
    WakelineError,
)
from wakeline.ports import IdempotencyKey, Reply

log = structlog.get_logger()

# An id is to be unique, not secret: 12 random bytes for each took a system call, 2 % of a POST.
_PROCESS = os.urandom(6).hex()
_REQUESTS = itertools.count(1)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:\-]{1,128}\Z")
Headers = Mapping[str, str]


class RestApp:
    """An ASGI application over these ports. A connection of the operator is marked by `scope["wakeline.admin"] = True`."""

    def __init__(self, ports: RestPorts, operations: tuple[Operation, ...] = OPERATIONS) -> None:
        """Build the routing tree and one decoder for each request type."""
        self._ports = ports
        self._operations = operations
        self._gate = Gate(ports)
        self._router = Router(operations)
        self._decoders = {
            operation.name: msgspec.json.Decoder(operation.request) for operation in operations if operation.request
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or take part in the server's start and stop."""
        match scope["type"]:
            case "http":
                await self._http(scope, receive, send)
            case "lifespan":
                await self._lifespan(receive, send)
            case _:
                await send({"type": "websocket.close", "code": 1000})

    async def close(self) -> None:
        """Keep what is only in memory: when keys were last used."""
        await self._gate.flush()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return
            await send({"type": "lifespan.startup.complete"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        request_id = _request_id(headers)
        try:
            answer = await self._answer(scope, receive, headers, request_id)
        except reading.Left:
            return
        head = scope["method"] == "HEAD"
        if isinstance(answer, Feed) and not head:
            await writing.feed(answer, request_id, receive, send)
            return
        if isinstance(answer, Feed):
            answer = Answer(media=answer.media)
        await writing.answer(answer, request_id, send, head=head)

    async def _answer(self, scope: Scope, receive: Receive, headers: Headers, request_id: str) -> Answer | Feed:
        try:
            return await self._serve(scope, receive, headers, request_id)
        except WakelineError as error:
            if error.status >= 500:
                log.warning("api.failed", request_id=request_id, code=error.code, detail=error.detail)
            return problems.answer(error, request_id)
        except (reading.Left, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001 - a defect of ours must not become a dropped connection
            return problems.unexpected(error, request_id)

    async def _serve(self, scope: Scope, receive: Receive, headers: Headers, request_id: str) -> Answer | Feed:
        now = self._ports.clock.now()
        found = self._found(scope, headers, now)
        operation = found.operation
        caller = self._gate.admit(operation, scope, headers, now)
        call = Call(
            ports=self._ports,
            operation=operation,
            operations=self._operations,
            caller=caller,
            path=found.path,
            url_path=scope["path"],
            headers=headers,
            request_id=request_id,
            now=now,
            resolved=self._gate.app(caller, found.path) if operation.reach is Reach.APP else None,
            query=query_value(operation.query, _query(scope)),
        )
        mark = b"" if operation.request is None else await self._read(call, receive)
        return await self._once(call, mark)

    def _found(self, scope: Scope, headers: Headers, now: int) -> Match:
        """Return what is asked for; who has no key does not learn which paths there are."""
        try:
            return self._router.match(scope["method"], scope)
        except (NotFound, MethodNotAllowed):
            self._gate.caller(scope, headers, now)
            raise

    async def _read(self, call: Call, receive: Receive) -> bytes:
        """Fill in the call's body and return what a repeated request is recognised by."""
        operation = call.operation
        media = _media(operation, call.headers)
        if media == Media.NDJSON:
            call.stream = reading.Body(receive)
            return b""
        data = await reading.whole(receive, call.headers)
        if media == Media.MULTIPART:
            fields = multipart.fields(call.headers["content-type"], data)
            call.body = multipart.form(operation.request, fields)
            return multipart.fingerprint(fields)
        if media == Media.FORM and data.lstrip()[:1] not in {b"", b"{"}:
            raise _unread(operation, media)
        call.body = self._json(operation, data)
        return data

    def _json(self, operation: Operation, data: bytes) -> Any:
        if not data and operation.request is not None and not operation.body_required:
            return operation.request()
        return json_value(self._decoders[operation.name], data)

    async def _once(self, call: Call, mark: bytes) -> Answer | Feed:
        """Serve a call, once for each Idempotency-Key."""
        operation = call.operation
        if operation.idempotent is Idempotent.NO:
            return await operation.handler(call)
        key = idempotency.key_of(call.headers, call.caller, call.url_path, mark)
        if key is None or operation.idempotent is Idempotent.COMMITTED:
            call.idempotency = key
            return await operation.handler(call)
        first = idempotency.first_answer(await self._ports.idempotency.begin(key, call.now))
        if first is not None:
            return idempotency.again(first)
        return await self._keep(call, key)

    async def _keep(self, call: Call, key: IdempotencyKey) -> Answer | Feed:
        store = self._ports.idempotency
        try:
            answer = await call.operation.handler(call)
        except BaseException:
            await asyncio.shield(store.abandon(key))
            raise
        if isinstance(answer, Feed):
            return answer
        reply = Reply(
            status=answer.status,
            body=b"" if answer.secret else writing.encoded(answer),
            secret=answer.secret,
            resource=answer.resource,
        )
        await store.finish(key, reply, call.now)
        return answer


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id")
    return given if given is not None and _REQUEST_ID.match(given) else f"{_PROCESS}{next(_REQUESTS):012x}"


def _query(scope: Scope) -> dict[str, str]:
    raw = scope.get("query_string", b"")
    if not raw:
        return {}
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=64)
    except ValueError:
        raise MalformedRequest("the query is not UTF-8, or has more than 64 parameters") from None
    found = dict(pairs)
    if len(found) < len(pairs):
        raise InvalidRequest("a query parameter is given twice", pointer="/query")
    return found


def _media(operation: Operation, headers: Headers) -> str:
    """Return what the body is written in; a body without a type is taken for the usual one. Raises UnsupportedMedia.

    `curl -d '{...}'` calls its body a form, and so does its user's first request. JSON that comes so is read as JSON: the
    type is no defence here, for a page that sends a form to us across sites (CSRF) has no Bearer key to send with it.
    """
    given = headers.get("content-type", "").partition(";")[0].strip().lower()
    if given in operation.accepts:
        return given
    if operation.accepts[0] == Media.JSON and given in {"", Media.FORM}:
        return given or Media.JSON
    raise _unread(operation, given)


def _unread(operation: Operation, given: str) -> UnsupportedMedia:
    return UnsupportedMedia(
        f"a body of type {given[:64] or 'unknown'!r} is not read here",
        fix=f"Use Content-Type: {' or '.join(operation.accepts)}.",
    )
