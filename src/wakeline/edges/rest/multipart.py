"""multipart/form-data (RFC 7578) into fields. The body is whole and bounded already, so that nothing is streamed or spooled.

Rule: what a form of ours needs and no more, since a MIME reader follows a stranger into nested parts, comments and
transfer encodings (RFC 7578 section 4.7 retired these). Only the few bytes before a part's content meet the standard
library's parser. A field that comes twice is joined by a comma, which suits the only list there is (`topics`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from email import message_from_bytes
from typing import Any

import msgspec

from wakeline.edges.rest.decode import invalid
from wakeline.model.errors import InvalidRequest, MalformedRequest

FILE_FIELD = "file"

_MOST_PARTS = 32
_LONGEST_HEAD = 1024
_LONGEST_TYPE = 512


def fields(content_type: str, body: bytes) -> dict[str, str | bytes]:
    """Return the fields by name: `file` as bytes, all others as text. Raises MalformedRequest, InvalidRequest."""
    found: dict[str, str | bytes] = {}
    for name, content in named(content_type, body):
        _add(found, name, content)
    return found


def named(content_type: str, body: bytes, most: int = _MOST_PARTS) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of each part, in order. Raises MalformedRequest."""
    for head, content in _parts(_boundary(content_type), body, most):
        name = message_from_bytes(head.lstrip()).get_param("name", header="content-disposition")
        if not isinstance(name, str):
            raise MalformedRequest("a part of the body has no name")
        yield name, content


def _boundary(content_type: str) -> bytes:
    """Return the boundary that a Content-Type names (RFC 2046 section 5.1.1)."""
    if len(content_type) > _LONGEST_TYPE:
        raise MalformedRequest(f"the Content-Type is longer than {_LONGEST_TYPE} characters")
    boundary = message_from_bytes(f"Content-Type: {content_type}".encode("latin-1")).get_boundary()
    if not boundary or not boundary.isascii():
        raise _malformed("it names no boundary")
    return boundary.encode()


def _parts(boundary: bytes, body: bytes, most: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield (head, content) of each part."""
    _, *pieces = (b"\r\n" + body).split(b"\r\n--" + boundary, most + 1)
    for number, piece in enumerate(pieces):
        if piece.startswith(b"--"):
            return
        if number == most:
            raise _malformed(f"it has more than {most} parts")
        head, separator, content = piece.partition(b"\r\n\r\n")
        if not separator or len(head) > _LONGEST_HEAD or head.lstrip(b" \t")[:2] not in {b"", b"\r\n"}:
            raise _malformed("a part of it has no end of its headers")
        yield head, content
    raise _malformed("it was cut short")


def _malformed(cause: str) -> MalformedRequest:
    return MalformedRequest(
        f"the body is not multipart/form-data: {cause}", fix="Send it as `curl -F file=@AuthKey.p8` does."
    )


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
