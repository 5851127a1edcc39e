"""The one client of the API: through the administrator's socket if a gateway runs, else in this process on its store.

Both ways speak HTTP to the same application, so a command behaves the same with and without a running gateway.
Operations are taken from the API's own table by name.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from wakeline.cli.failures import Refused, of_answer
from wakeline.config import Settings
from wakeline.edges.rest import BY_NAME, Operation
from wakeline.model.errors import StoreBusy, TransportError
from wakeline.service import admin_socket
from wakeline.service.listeners import as_admin
from wakeline.service.wiring import offline

_ORIGIN = "http://wakeline"
_TIMEOUT = 120.0

Upload = tuple[str, bytes]
"""A file's name and content."""


class Client:
    """Calls operations by name. `online`: a gateway answers, not the store in this process."""

    def __init__(self, http: httpx2.AsyncClient, *, online: bool) -> None:
        self._http = http
        self.online = online

    async def call(
        self,
        name: str,
        *,
        body: msgspec.Struct | None = None,
        query: Mapping[str, Any] | None = None,
        form: Mapping[str, str] | None = None,
        file: Upload | None = None,
        lines: bytes | None = None,
        response: type[Any] | None = None,
        **path: str,
    ) -> Any:
        """Return the answer as the operation's response type, or `response`. Raises Refused, TransportError."""
        operation = BY_NAME[name]
        answer = await self._send(operation, _content(body, form, file, lines), query or {}, path)
        if answer.status_code >= 400:
            raise Refused(of_answer(answer.status_code, answer.content))
        expected = response or operation.response
        if not answer.content or expected is None:
            return None
        return msgspec.json.decode(answer.content, type=expected)

    async def _send(
        self,
        operation: Operation,
        content: Mapping[str, Any],
        query: Mapping[str, Any],
        path: Mapping[str, str],
    ) -> httpx2.Response:
        wanted = {key: value for key, value in query.items() if value is not None}
        try:
            return await self._http.request(operation.method, operation.url(**path), params=wanted, **content)
        except httpx2.TransportError as error:
            raise TransportError(f"The gateway does not answer: {error}", fix="See its log.") from None

    @contextlib.asynccontextmanager
    async def stream(self, name: str, query: Mapping[str, Any]) -> AsyncIterator[AsyncIterator[str]]:
        """Give the lines of an answer without an end."""
        operation = BY_NAME[name]
        wanted = {key: value for key, value in query.items() if value is not None}
        async with self._http.stream(operation.method, operation.url(), params=wanted, timeout=None) as answer:
            if answer.status_code >= 400:
                raise Refused(of_answer(answer.status_code, await answer.aread()))
            yield answer.aiter_lines()


def _content(
    body: msgspec.Struct | None, form: Mapping[str, str] | None, file: Upload | None, lines: bytes | None
) -> dict[str, Any]:
    """Return what the HTTP client is to be told about a request's body."""
    if file is not None:
        return {"files": {"file": file}, "data": dict(form or {})}
    if lines is not None:
        return {"content": lines, "headers": {"content-type": "application/x-ndjson"}}
    if body is not None:
        return {"content": msgspec.json.encode(body), "headers": {"content-type": "application/json"}}
    return {}


@contextlib.asynccontextmanager
async def connect(settings: Settings) -> AsyncIterator[Client]:
    """Give a client: of the gateway that owns the data directory, else of its store, which is made if absent."""
    directory = Path(settings.server.data_dir)
    async with contextlib.AsyncExitStack() as opened:
        online = await admin_socket.answers(directory)
        if not online:
            try:
                app = await opened.enter_async_context(offline(settings))
            except StoreBusy:
                # A gateway that was starting when we looked answers by now.
                online = await admin_socket.answers(directory)
                if not online:
                    raise
        if online:
            address = opened.enter_context(admin_socket.address_of(directory))
            transport: httpx2.AsyncBaseTransport = httpx2.AsyncHTTPTransport(uds=address)
        else:
            transport = httpx2.ASGITransport(app=as_admin(app))
        yield Client(await opened.enter_async_context(_http(transport)), online=online)


def _http(transport: httpx2.AsyncBaseTransport) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=transport, base_url=_ORIGIN, timeout=_TIMEOUT, trust_env=False)
