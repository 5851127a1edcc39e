"""The API as the running gateway itself reaches it: in this process, as the operator who wrote the settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import httpx2
import msgspec
from starlette.types import ASGIApp

from wakeline.edges.rest import BY_NAME
from wakeline.edges.rest.apps import AppList, NewApp
from wakeline.edges.rest.credentials import CredentialList, CredentialView
from wakeline.model.errors import Overloaded
from wakeline.service.credential_directory.intake import Refusal
from wakeline.service.credential_directory.judged import File
from wakeline.service.listeners import as_admin

_T = TypeVar("_T")

_ORIGIN = "http://wakeline"
_TIMEOUT = 120.0
_ERROR, _OUR_FAULT = 400, 500


class _Problem(msgspec.Struct, frozen=True):
    """What is read of a problem document (RFC 9457)."""

    detail: str = ""
    fix: str = ""


class LocalDoor:
    """Implements `Door` on the application itself."""

    def __init__(self, app: ASGIApp) -> None:
        transport = httpx2.ASGITransport(app=as_admin(app))
        self._http = httpx2.AsyncClient(transport=transport, base_url=_ORIGIN, timeout=_TIMEOUT, trust_env=False)

    async def close(self) -> None:
        """Let the client go."""
        await self._http.aclose()

    async def apps(self) -> list[str]:
        """Return the slugs of all apps. Raises Overloaded."""
        answer = await self._send("app.list")
        return [one.id for one in _read(answer, AppList).apps]

    async def credentials(self, app: str) -> list[CredentialView]:
        """Return an app's credentials. Raises Overloaded."""
        answer = await self._send("credential.list", app=app)
        return list(_read(answer, CredentialList).credentials)

    async def make_app(self, slug: str) -> Refusal | None:
        """Make an app."""
        answer = await self._send("app.create", body=msgspec.json.encode(NewApp(id=slug)))
        return _refusal(answer)

    async def upload(self, app: str, file: File, form: Mapping[str, str]) -> CredentialView | Refusal:
        """Upload a file."""
        part = {"file": (file.names[0], file.data)}
        answer = await self._send("credential.upload", app=app, files=part, data=dict(form))
        return _refusal(answer) or _read(answer, CredentialView)

    async def _send(self, name: str, *, app: str = "", body: bytes | None = None, **more: Any) -> httpx2.Response:
        operation = BY_NAME[name]
        if body is not None:
            more |= {"content": body, "headers": {"content-type": "application/json"}}
        path = operation.url(app=app) if app else operation.url()
        return await self._http.request(operation.method, path, **more)


def _refusal(answer: httpx2.Response) -> Refusal | None:
    if answer.status_code < _ERROR:
        return None
    problem = msgspec.json.decode(answer.content, type=_Problem)
    return Refusal(detail=problem.detail, fix=problem.fix, passing=answer.status_code >= _OUR_FAULT)


def _read(answer: httpx2.Response, shape: type[_T]) -> _T:
    refusal = _refusal(answer)
    if refusal is not None:
        raise Overloaded(refusal.detail, fix=refusal.fix)
    return msgspec.json.decode(answer.content, type=shape)
