"""The door as an ASGI application: path, size and method; then what was posted, and in which form it is answered.

Rule: nothing is believed here, and nothing of a request is logged but where it came from: bodies and queries are full of tokens.
What proves nothing counts against its address, as at the doors of our own portal (`edges.bitrix24.strangers`); what the portal's
own token proves is served whatever its neighbours try.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from http import HTTPStatus

import msgspec
import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from wakeline.edges.bitrix24.connected import pages
from wakeline.edges.bitrix24.connected.arriving import Arriving, is_return
from wakeline.edges.bitrix24.connected.events import Events
from wakeline.edges.bitrix24.connected.installing import LEARN_ANEW, Installing
from wakeline.edges.bitrix24.connected.learning import Learning
from wakeline.edges.bitrix24.connected.ports import ConnectedPorts
from wakeline.edges.bitrix24.connected.queues import Queues
from wakeline.edges.bitrix24.connected.refused import TOO_OFTEN, Refused, Unproven, of_error, too_often
from wakeline.edges.rest import head, reading
from wakeline.model.bitrix24.installation import ApplicationAccess, Installation, InstallationState
from wakeline.model.errors import BodyTooLarge, MalformedRequest, RemoteProtocolError, WakelineError
from wakeline.wire.bitrix24.posted import Auth, Launch, PostedEvent, read

LONGEST = 256 * 1024
"""Bytes of a form: a message of 20,000 Cyrillic letters takes half of it."""
_EVENTS, _OAUTH = "events", "oauth"
_INSTALLED = frozenset({"ONAPPINSTALL", "ONAPPUPDATE"})
_REMOVED = "ONAPPUNINSTALL"
_NOTICE = "ONOFFLINEEVENT"
_TAKEN = b'{"result":true}'
_HEADERS = {
    "content-type": "application/json; charset=utf-8",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
}

_log = structlog.get_logger()


class _Visit(msgspec.Struct, frozen=True):
    """A request on its way: who is asked for, where it comes from, and how its log line is found."""

    installation: Installation
    address: str
    request_id: str


class ConnectedDoor:
    """An ASGI application over these ports: `/bitrix24/events/{name}` and `/bitrix24/oauth/{name}`."""

    def __init__(self, ports: ConnectedPorts) -> None:
        """Nothing is received yet."""
        self._ports = ports
        queues = Queues()
        self._installing = Installing(ports, queues)
        self._learning = Learning(ports, queues)
        self._events = Events(ports)
        self._arriving = Arriving(ports, self._installing)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        headers = head.headers_of(scope["headers"])
        request_id = head.request_id(headers)
        try:
            response = await self._answer(scope, receive, headers, request_id)
        except reading.Left:
            return
        response.headers["x-request-id"] = request_id
        await response(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, headers: Mapping[str, str], request_id: str) -> Response:
        place, name = _place(scope["path"])
        installation = self._ports.installations.by_name(name)
        if installation is None:
            return _refused(Refused(HTTPStatus.NOT_FOUND, "NOT_FOUND", "No portal is connected here"))
        visit = _Visit(installation, _address(scope), request_id)
        if scope["method"] == "GET" and (place == _OAUTH or is_return(scope["query_string"])):
            return await self._returned(visit, scope["query_string"])
        if scope["method"] != "POST" or place != _EVENTS:
            return _wrong_method(place)
        try:
            posted = read(await reading.whole(receive, headers, LONGEST))
        except (BodyTooLarge, MalformedRequest, RemoteProtocolError) as error:
            return _unreadable(error)
        if isinstance(posted, Launch):
            return await self._launched(visit, posted)
        return await self._happened(visit, posted)

    async def _happened(self, visit: _Visit, event: PostedEvent) -> Response:
        refusal = await self._refusal(visit, self._take(visit, event))
        return Response(_TAKEN, headers=_HEADERS) if refusal is None else _refused(refusal)

    async def _take(self, visit: _Visit, event: PostedEvent) -> None:
        installation = visit.installation
        is_application = isinstance(installation.access, ApplicationAccess)
        if event.event in _INSTALLED and is_application:
            self._check_address(visit)
            await self._installing.posted(installation.id, event.auth)
        elif not await self._is_proven(visit, event.auth):
            raise Unproven("The application token is not that of the portal that is connected here", LEARN_ANEW)
        elif event.event == _REMOVED and is_application:
            await self._installing.removed(installation.id)
        elif event.event == _NOTICE and is_application:
            await self._installing.noticed(installation.id, event.auth)
        else:
            await self._events.take(installation, event)

    async def _launched(self, visit: _Visit, launch: Launch) -> Response:
        refusal = await self._refusal(visit, self._launch(visit, launch.auth))
        latest = self._ports.installations.by_id(visit.installation.id) or visit.installation
        return pages.refused(refusal, latest) if refusal else pages.connected(latest, framed=True)

    async def _launch(self, visit: _Visit, auth: Auth) -> None:
        """Install by the tokens of whoever opened the application; once it is installed, those are nothing to us."""
        if visit.installation.state is not InstallationState.ACTIVE:
            self._check_address(visit)
            await self._installing.posted(visit.installation.id, auth)
        elif not await self._is_proven(visit, auth):
            raise Unproven("Another portal is connected here, or the application was installed anew.", LEARN_ANEW)

    async def _returned(self, visit: _Visit, query: bytes) -> Response:
        refusal = await self._refusal(visit, self._arriving.take(visit.installation, query))
        latest = self._ports.installations.by_id(visit.installation.id) or visit.installation
        return pages.refused(refusal, None) if refusal else pages.connected(latest, framed=False)

    async def _is_proven(self, visit: _Visit, auth: Auth) -> bool:
        if not visit.installation.application_token:
            self._check_address(visit)
        return await self._learning.is_proven(visit.installation, auth)

    def _check_address(self, visit: _Visit) -> None:
        """Raise Refused if an address has brought too much that was wrong, before others are asked about what it brings."""
        if self._ports.strangers.wait(visit.address):
            raise too_often()

    async def _refusal(self, visit: _Visit, doing: Awaitable[None]) -> Refused | None:
        """Wait for it; return why it was not done, if it was not."""
        try:
            await doing
        except Refused as refusal:
            return self._judged(visit, refusal)
        except WakelineError as error:
            return self._judged(visit, of_error(error))
        except Exception:  # noqa: BLE001 - a defect of ours must not become a dropped connection
            _log.exception("bitrix24.connected.defect", request_id=visit.request_id)
            cause = f"Something failed inside the gateway; its log has it under {visit.request_id}"
            return Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL_SERVER_ERROR", cause)
        return None

    def _judged(self, visit: _Visit, refusal: Refused) -> Refused:
        """Count what was not proven, and say so once; an address that brings too much of it is not judged any more."""
        is_unproven = isinstance(refusal, Unproven)
        if is_unproven and self._ports.strangers.wait(visit.address):
            return too_often()
        if is_unproven:
            self._ports.strangers.failed(visit.address)
        if refusal.code != TOO_OFTEN:
            _log.warning(
                "bitrix24.connected.refused",
                request_id=visit.request_id,
                installation=visit.installation.id,
                address=visit.address,
                status=int(refusal.status),
                cause=refusal.cause,
                fix=refusal.fix,
            )
        return refusal


def _place(path: str) -> tuple[str, str]:
    """Return what is asked for and of which installation; slashes too many do not count."""
    match [segment for segment in path.split("/") if segment]:
        case [_, place, name]:
            return place.lower(), name
        case _:
            return "", ""


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


def _wrong_method(place: str) -> Response:
    allowed = "GET" if place == _OAUTH else "POST"
    refusal = Refused(HTTPStatus.METHOD_NOT_ALLOWED, "INVALID_REQUEST", "A portal posts its events here")
    return _refused(refusal, allow=allowed)


def _unreadable(error: WakelineError) -> Response:
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE if isinstance(error, BodyTooLarge) else HTTPStatus.BAD_REQUEST
    return _refused(Refused(status, "INVALID_REQUEST", error.detail))


def _refused(refusal: Refused, **more: str) -> Response:
    body = {"error": refusal.code, "error_description": refusal.cause}
    return Response(msgspec.json.encode(body), refusal.status, _HEADERS | more)
