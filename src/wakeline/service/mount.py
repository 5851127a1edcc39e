"""One listener, several protocols: which application serves a request is told by its path, and for one path by its host.

    /rest/...                                   the Bitrix24 portal; /rest/app.info of an OAuth host is the OAuth server's
    /oauth/...                                  its OAuth server
    /send/, /pub/, /bitrix24/send/, .../pub/    the push service of self-hosted portals
    /bitrix24/events/..., /bitrix24/oauth/...   the door of portals that we are connected to
    /flexisip                                   what a Flexisip calls as its external-push-uri
    /mesibo/backend                             mesibo's backend API for pushes
    all else                                    our own REST API

Doubled slashes do not count: clients join addresses that end in one with paths that begin with one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, auto

from starlette.types import ASGIApp, Receive, Scope, Send

_BROKER = frozenset({"send", "pub"})
_CONNECTED = frozenset({"events", "oauth"})
_OF_OAUTH_HOST = frozenset({"app.info", "app.info.json"})


class Door(Enum):
    """Who serves a request."""

    REST = auto()
    PORTAL = auto()
    OAUTH = auto()
    BROKER = auto()
    CONNECTED = auto()
    FLEXISIP = auto()
    MESIBO = auto()


_WHOLE = {("flexisip",): Door.FLEXISIP, ("mesibo", "backend"): Door.MESIBO}
"""Paths that are one door and nothing below it."""


class Mount:
    """An ASGI application over several. What concerns the whole server (lifespan) is the REST API's."""

    def __init__(self, doors: Mapping[Door, ASGIApp], is_oauth_host: Callable[[str], bool]) -> None:
        """Serve these; `is_oauth_host` tells whether a Host header is a name of the OAuth server."""
        self._doors = doors
        self._is_oauth_host = is_oauth_host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request to whom it is for."""
        door = self._door(scope) if scope["type"] == "http" else Door.REST
        await self._doors[door](scope, receive, send)

    def _door(self, scope: Scope) -> Door:
        path: str = scope["path"]
        if path.startswith("/v1/"):
            return Door.REST
        match [segment for segment in path.lower().split("/", 8) if segment]:
            case ["rest", name] if name in _OF_OAUTH_HOST and self._is_oauth_host(_host(scope)):
                return Door.OAUTH
            case ["rest", *_]:
                return Door.PORTAL
            case ["oauth", *_]:
                return Door.OAUTH
            case [name] | ["bitrix24", name] if name in _BROKER:
                return Door.BROKER
            case ["bitrix24", name, _] if name in _CONNECTED:
                return Door.CONNECTED
            case words:
                return _WHOLE.get(tuple(words), Door.REST)


def _host(scope: Scope) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
