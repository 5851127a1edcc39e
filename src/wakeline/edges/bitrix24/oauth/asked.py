"""A request of the OAuth endpoints: a query, a small form, nothing else. Where both name a parameter, the form counts."""

from __future__ import annotations

from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request
from starlette.types import Receive, Scope

from wakeline.config import Settings
from wakeline.edges.bitrix24.addresses import Addresses, addresses
from wakeline.model.bitrix24.access import PortalState

_MOST_BYTES = 16 * 1024
_MOST_FIELDS = 50
_FORM = "application/x-www-form-urlencoded"


class Unreadable(Exception):
    """The request is larger than any that means well, or is no text."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked. `address` is the caller's, as a trusted proxy says it; `bearer` that of the Authorization header."""

    method: str
    params: dict[str, str]
    cookies: dict[str, str]
    bearer: str
    address: str
    secure: bool
    addresses: Addresses
    now: int

    def __repr__(self) -> str:
        """Leave parameters and cookies out: a repr ends in logs and tracebacks."""
        return f"Asked(method={self.method!r})"


async def asked(scope: Scope, receive: Receive, settings: Settings, portal: PortalState, now: int) -> Asked:
    """Read a request. Raises Unreadable, and starlette's ClientDisconnect."""
    request = Request(scope, receive)
    params = _fields(scope.get("query_string", b""))
    if request.method == "POST" and _is_form(request):
        params |= _fields(await _body(request))
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    return Asked(
        method=request.method,
        params=params,
        cookies=request.cookies,
        bearer=bearer.strip() if scheme.lower() == "bearer" else "",
        address=request.client.host if request.client else "",
        secure=scope["scheme"] == "https",
        addresses=addresses(scope["scheme"], request.headers.get("host", ""), settings, portal),
        now=now,
    )


def _is_form(request: Request) -> bool:
    """Tell whether the body is a form; a client that says nothing of it sends one (PHP's curl says it by itself)."""
    media = request.headers.get("content-type", _FORM).partition(";")[0].strip().lower()
    return media == _FORM


async def _body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST_BYTES:
            raise Unreadable
    return body


def _fields(raw: bytes) -> dict[str, str]:
    """Return form fields; the last of several with one name counts, as in PHP."""
    try:
        return dict(
            parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
        )
    except ValueError:
        raise Unreadable from None
