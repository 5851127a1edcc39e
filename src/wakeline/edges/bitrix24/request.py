"""A request to the portal as a value: which method, with which parameters, who says they are whom.

Paths: `/rest/{method}`, `/rest/{user}/{code}/{method}`, the same behind `/rest/api/` (version 3); `.json`, `.xml`, a trailing
slash and doubled slashes do not count, nor does the case of a method's name.
Parameters: the query, overlaid by the body of a POST: JSON, multipart, anything else is a form. As on a portal, JSON that
cannot be read is as if it were not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import msgspec
from starlette.types import Receive, Scope

from wakeline.edges.bitrix24.call import Params, Value
from wakeline.edges.bitrix24.reading import DEEPEST_JSON, is_deeper, mapped, number_of, text_of
from wakeline.edges.bitrix24.refusals import Refusal
from wakeline.edges.rest import multipart, reading
from wakeline.model.errors import BodyTooLarge, MalformedRequest, RemoteProtocolError
from wakeline.wire import php_form

_FORMATS = frozenset({"json", "xml"})


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """What a path says; `method` is empty if it says nothing that could be one."""

    method: str
    user: str = ""
    code: str = ""
    version3: bool = False

    def __repr__(self) -> str:
        """Leave the code out: a repr ends in logs and tracebacks."""
        return f"Address(method={self.method!r})"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request. `token` is an access token; `code` that of an incoming webhook; `start` a place in a list."""

    method: str
    params: Params
    user: str = ""
    code: str = ""
    token: str = ""
    start: int | None = None

    def __repr__(self) -> str:
        """Leave out what opens a door, and what is said behind it."""
        return f"Asked(method={self.method!r})"


def address(path: str) -> Address:
    """Return what a path under /rest says."""
    segments = [segment for segment in path.split("/") if segment][1:]
    version3 = bool(segments) and segments[0].lower() == "api"
    match segments[1:] if version3 else segments:
        case [method]:
            return Address(method=method_name(method), version3=version3)
        case [user, code, method]:
            return Address(method=method_name(method), user=user, code=code, version3=version3)
        case _:
            return Address(method="", version3=version3)


def method_name(written: str) -> str:
    """Return the name of a method as the table has it: in small letters, without the format asked for."""
    name, dot, suffix = written.lower().rpartition(".")
    return name if dot and suffix in _FORMATS else written.lower()


async def read(scope: Scope, receive: Receive, headers: Mapping[str, str], found: Address) -> Asked:
    """Return a request. Raises MethodError for one that is too large, and `reading.Left`."""
    try:
        params = php_form.parse(scope["query_string"].decode("utf-8", "replace"))
        if scope["method"] == "POST":
            params |= _body(headers.get("content-type", ""), await reading.whole(receive, headers))
    except BodyTooLarge as error:
        raise Refusal.REQUEST.error(f"The body is too long: {error.detail}") from None
    except (RemoteProtocolError, MalformedRequest) as error:
        raise Refusal.REQUEST.error(error.detail) from None
    return asked(found, params, _bearer(headers))


def asked(found: Address, params: Params, bearer: str = "") -> Asked:
    """Return the request of these parameters, with what is for us taken out of them."""
    rest = dict(params)
    auth, access_token = (text_of(rest.pop(name, None)) or "" for name in ("auth", "access_token"))
    place = rest.pop("start", None)
    return Asked(
        method=found.method,
        user=found.user,
        code=found.code,
        token=bearer or auth or access_token,
        params=rest,
        start=None if place is None else number_of(place) or 0,
    )


def _bearer(headers: Mapping[str, str]) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _body(content_type: str, body: bytes) -> Params:
    match content_type.partition(";")[0].strip().lower():
        case "application/json":
            return _json(body)
        case "multipart/form-data":
            parts = multipart.named(content_type, body, php_form.MOST_PAIRS)
            return php_form.tree((name, content.decode("utf-8", "replace")) for name, content in parts)
        case _:
            return php_form.parse(body.decode("utf-8", "replace"))


def _json(body: bytes) -> Params:
    try:
        found = cast("Value", msgspec.json.decode(body)) if body.strip() else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    if is_deeper(found, DEEPEST_JSON):
        raise RemoteProtocolError(f"The parameters are nested deeper than {DEEPEST_JSON} levels")
    return mapped(found)
