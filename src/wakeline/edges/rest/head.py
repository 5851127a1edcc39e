"""What a request's head says, whichever way it came: its id, and what its body is written in."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Mapping

from wakeline.edges.rest.operations import Media, Operation
from wakeline.model.errors import UnsupportedMedia

Headers = Mapping[str, str]
"""By name in small letters; of a name given twice the last counts."""

# An id is to be unique, not secret: 12 random bytes for each took a system call, 2 % of a POST.
_PROCESS = os.urandom(6).hex()
_REQUESTS = itertools.count(1)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:\-]{1,128}\Z")


def headers_of(given: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers as text; their names are in small letters already, as in an ASGI scope."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in given}


def request_id(headers: Headers) -> str:
    """Return the id that the caller gave, if it is one, else a new one."""
    given = headers.get("x-request-id")
    return given if given is not None and _REQUEST_ID.match(given) else f"{_PROCESS}{next(_REQUESTS):012x}"


def media(operation: Operation, headers: Headers) -> str:
    """Return what the body is written in; a body without a type is taken for the usual one. Raises UnsupportedMedia.

    `curl -d '{...}'` calls its body a form, and so does its user's first request. JSON that comes so is read as JSON: the
    type is no defence here, for a page that sends a form to us across sites (CSRF) has no Bearer key to send with it.
    """
    given = headers.get("content-type", "")
    if given in operation.accepts:
        return given
    given = given.partition(";")[0].strip().lower()
    if given in operation.accepts:
        return given
    if operation.accepts[0] == Media.JSON and given in {"", Media.FORM}:
        return given or Media.JSON
    raise unread(operation, given)


def unread(operation: Operation, given: str) -> UnsupportedMedia:
    """Return the refusal of a body of a type that is not read."""
    return UnsupportedMedia(
        f"a body of type {given[:64] or 'unknown'!r} is not read here",
        fix=f"Use Content-Type: {' or '.join(operation.accepts)}.",
    )
