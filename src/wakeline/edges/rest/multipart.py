"""multipart/form-data (RFC 7578) into fields, by the standard library's MIME parser.

The body is whole and bounded already, so that nothing is streamed or spooled. A field that comes twice is joined by a
comma, which suits the only list there is (`topics`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from email.errors import MessageError
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

import msgspec

from wakeline.edges.rest.decode import invalid
from wakeline.model.errors import InvalidRequest, MalformedRequest

FILE_FIELD = "file"


def fields(content_type: str, body: bytes) -> dict[str, str | bytes]:
    """Return the fields by name: `file` as bytes, all others as text. Raises MalformedRequest, InvalidRequest."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1")
    try:
        message = BytesParser(policy=HTTP).parsebytes(head + body)
    except (MessageError, ValueError) as error:
        raise MalformedRequest(f"the body is not multipart/form-data: {error}") from None
    if not message.is_multipart() or message.get_boundary() is None:
        raise MalformedRequest("the body is not multipart/form-data", fix="Send it as `curl -F file=@AuthKey.p8` does.")
    found: dict[str, str | bytes] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        if not isinstance(part, EmailMessage) or not isinstance(name, str) or part.is_multipart():
            raise MalformedRequest("a part of the body has no name")
        _add(found, name, _content(part))
    return found


def fingerprint(found: Mapping[str, str | bytes]) -> bytes:
    """Return what makes two forms the same: names and contents, not the boundary, which differs at each try."""
    mark = hashlib.sha256()
    for name, value in sorted(found.items()):
        content = value if isinstance(value, bytes) else value.encode()
        mark.update(b"%d %s %d " % (len(name), name.encode(), len(content)) + content)
    return mark.digest()


def form(kind: type[Any] | None, found: Mapping[str, str | bytes]) -> Any:
    """Return the fields as a value of this type; numbers and booleans are read from text. Raises InvalidRequest."""
    try:
        return msgspec.convert(found, kind, strict=False)
    except msgspec.ValidationError as error:
        raise invalid(str(error)) from None


def _content(part: EmailMessage) -> bytes:
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        raise MalformedRequest("a part of the body cannot be read")
    return content


def _add(found: dict[str, str | bytes], name: str, content: bytes) -> None:
    if name == FILE_FIELD:
        if name in found:
            raise InvalidRequest("one file at a time", pointer="/file")
        found[name] = content
        return
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise InvalidRequest("this field is not UTF-8 text", pointer=f"/{name[:64]}") from None
    before = found.get(name)
    found[name] = f"{before},{text}" if isinstance(before, str) else text
