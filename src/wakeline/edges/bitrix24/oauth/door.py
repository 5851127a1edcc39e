"""Which path is what, and the two forms of an answer: pages for people, JSON for applications. ASGI.

Clients join addresses with one slash too many (`//oauth/token/`) and leave the last one out, so slashes do not count.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from wakeline.edges.bitrix24 import answers
from wakeline.edges.bitrix24.addresses import is_known
from wakeline.edges.bitrix24.call import BitrixPorts, MethodError
from wakeline.edges.bitrix24.oauth import pages
from wakeline.edges.bitrix24.oauth.asked import Asked, Unreadable, asked
from wakeline.edges.bitrix24.oauth.authorize import Authorize
from wakeline.edges.bitrix24.oauth.failure import unreadable
from wakeline.edges.bitrix24.oauth.info import info
from wakeline.edges.bitrix24.oauth.token import Tokens
from wakeline.edges.bitrix24.refusals import Refusal
from wakeline.model.errors import StorageError

_AUTHORIZE, _TOKEN, _INFO = "oauth/authorize", "oauth/token", "rest/app.info"
_ALLOWED = {_AUTHORIZE: "GET, HEAD, POST", _TOKEN: "GET, POST, OPTIONS", _INFO: "GET, POST, OPTIONS"}
_JSON_HEADERS = {
    "content-type": "application/json; charset=utf-8",
    "cache-control": "no-store",
    "pragma": "no-cache",
    "x-content-type-options": "nosniff",
    "access-control-allow-origin": "*",
    "access-control-allow-headers": "origin, content-type, accept",
}

log = structlog.get_logger()


class OAuthDoor:
    """An ASGI application: `/oauth/authorize/`, `/oauth/token/`, and `/rest/app.info` for whoever asks the OAuth host."""

    def __init__(self, ports: BitrixPorts) -> None:
        """Build the endpoints."""
        self._ports = ports
        self._authorize, self._tokens = Authorize(ports), Tokens(ports)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            answer = await self._answer(scope, receive)
        except ClientDisconnect:
            return
        await answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        path, method = place(scope["path"]), scope["method"]
        if path not in _ALLOWED or not is_known(_host(scope), self._ports.settings.bitrix24):
            return _refusal(Refusal.NO_METHOD.error())
        if method not in _ALLOWED[path].split(", "):
            return Response(status_code=HTTPStatus.METHOD_NOT_ALLOWED, headers={"allow": _ALLOWED[path]})
        if method == "OPTIONS":
            return Response(headers=_JSON_HEADERS)
        now, portal = self._ports.clock.now(), self._ports.access.portal()
        try:
            request = await asked(scope, receive, self._ports.settings, portal, now)
        except Unreadable:
            return self._unread(path)
        if path == _AUTHORIZE:
            return await self._page(request)
        return await self._json(path, request)

    def _unread(self, path: str) -> Response:
        if path == _AUTHORIZE:
            return pages.refused("The request cannot be read.", "Go back to the application and begin again.", 400)
        return _refusal(unreadable())

    async def _page(self, request: Asked) -> Response:
        try:
            return await self._authorize.answer(request)
        except StorageError as error:
            log.warning("bitrix24.login_failed", code=error.code, detail=error.detail)
            return pages.refused("The portal cannot answer now.", "Try again in a minute.", error.status)

    async def _json(self, path: str, request: Asked) -> Response:
        watch = answers.Stopwatch(self._ports.clock)
        try:
            if path == _TOKEN:
                return _said(await self._tokens.answer(request))
            found = await info(self._ports, request)
        except MethodError as failure:
            return _refusal(failure)
        except StorageError as error:
            log.warning("bitrix24.tokens_failed", code=error.code, detail=error.detail)
            return _refusal(Refusal.INTERNAL.error())
        return _said({"result": found, "time": watch.block()})


def _host(scope: Scope) -> str:
    return Headers(scope=scope).get("host", "")


def place(path: str) -> str:
    """Return a path without the slashes that do not count, and without `.json`."""
    return "/".join(part for part in path.lower().split("/") if part).removesuffix(".json")


def _said(value: Any, status: int = HTTPStatus.OK) -> Response:
    return Response(msgspec.json.encode(value), status, _JSON_HEADERS)


def _refusal(failure: MethodError) -> Response:
    return _said(answers.refused(failure), failure.status)
