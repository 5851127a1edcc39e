"""The REST edge as an ASGI application: one way for every request, plain ASGI throughout.

request id -> route -> who is it -> which app -> query -> body -> Idempotency-Key -> handler -> answer

The one hot route may be served below ASGI (`hot`), by the same steps.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import structlog
from starlette.types import Receive, Scope, Send

from wakeline.edges.rest import head, idempotency, multipart, problems, reading, sending, writing
from wakeline.edges.rest.auth import Gate
from wakeline.edges.rest.caller import NOBODY
from wakeline.edges.rest.decode import json_value, query_value
from wakeline.edges.rest.head import Headers, headers_of
from wakeline.edges.rest.hot import HotRoute
from wakeline.edges.rest.operations import Answer, Call, Feed, Idempotent, Media, Operation, Reach
from wakeline.edges.rest.ports import RestPorts
from wakeline.edges.rest.routing import Match, Router
from wakeline.edges.rest.table import OPERATIONS
from wakeline.model.errors import (
    InvalidRequest,
    MalformedRequest,
    MethodNotAllowed,
    NotFound,
    WakelineError,
)
from wakeline.ports import IdempotencyKey, Reply

log = structlog.get_logger()


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

    @property
    def hot(self) -> HotRoute:
        """Return the route that a server may serve without ASGI; what that route leaves is served here."""
        return HotRoute(self._ports, self._gate, sending.SEND)

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
        headers = headers_of(scope["headers"])
        request_id = head.request_id(headers)
        try:
            answer = await self._answer(scope, receive, headers, request_id)
        except reading.Left:
            return
        bodiless = scope["method"] == "HEAD"
        if isinstance(answer, Feed) and not bodiless:
            await writing.feed(answer, request_id, receive, send)
            return
        if isinstance(answer, Feed):
            answer = Answer(media=answer.media)
        await writing.answer(answer, request_id, send, head=bodiless)

    async def _answer(self, scope: Scope, receive: Receive, headers: Headers, request_id: str) -> Answer | Feed:
        try:
            return await self._serve(scope, receive, headers, request_id)
        except WakelineError as error:
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
        media = head.media(operation, call.headers)
        if media == Media.NDJSON:
            call.stream = reading.Body(receive)
            return b""
        data = await reading.whole(receive, call.headers)
        if media == Media.MULTIPART:
            fields = multipart.fields(call.headers["content-type"], data)
            call.body = multipart.form(operation.request, fields)
            return multipart.fingerprint(fields)
        if media == Media.FORM and data.lstrip()[:1] not in {b"", b"{"}:
            raise head.unread(operation, media)
        call.body = self._json(operation, data)
        return data

    def _json(self, operation: Operation, data: bytes) -> Any:
        if not data and operation.request is not None and not operation.body_required:
            return operation.request()
        return json_value(self._decoders[operation.name], data)

    async def _once(self, call: Call, mark: bytes) -> Answer | Feed:
        """Serve a call, once for each Idempotency-Key."""
        operation = call.operation
        # A stranger's key would be everybody's, and phones could fill the store with theirs; a receipt counts once anyway.
        stranger = call.caller is NOBODY or call.caller.grant is not None
        if operation.idempotent is Idempotent.NO or stranger:
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
