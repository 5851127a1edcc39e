"""Parameters off the connection: JSON, a form, one with a file, or the query of a POST, as older clients of mesibo write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.types import Receive, Scope

from wakeline.edges.rest import multipart, reading
from wakeline.edges.rest.decode import json_value
from wakeline.edges.rest.operations import Media
from wakeline.model.errors import MalformedRequest, MethodNotAllowed, RemoteProtocolError
from wakeline.wire import php_form
from wakeline.wire.mesibo.backend import Params

_decoder: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])


async def read(scope: Scope, receive: Receive, headers: Mapping[str, str]) -> Params:
    """Return the parameters of a POST: those of its query, under those of its body. Raises RequestError."""
    if scope["method"] != "POST":
        error = MethodNotAllowed("operations are posted")
        error.allowed = ("POST",)
        raise error
    data = await reading.whole(receive, headers)
    try:
        return {**php_form.parse(scope["query_string"].decode("utf-8", "replace")), **_body(headers, data)}
    except RemoteProtocolError as error:
        raise MalformedRequest(error.detail) from None


def _body(headers: Mapping[str, str], data: bytes) -> Params:
    media = headers.get("content-type", "")
    if media.partition(";")[0].strip().lower() == Media.MULTIPART:
        return multipart.fields(media, data)
    if data.lstrip()[:1] in {b"{", b"["} or "json" in media.lower():
        return json_value(_decoder, data) or {}
    return php_form.parse(data.decode("utf-8", "replace"))
