"""A SIP message: requests and responses, read lazily and written byte for byte (RFC 3261 section 7).

A message is its start line, its header fields in order, each as the line that came, and its body. Reading decodes the header once
(with surrogateescape, which loses nothing), finds the lines, the keys of their names and their values, and nothing else. A value is
parsed when somebody asks, and the parsed ones that every hop asks for are kept until their field is changed. Writing joins the
lines: what was not touched leaves as it came, with its spelling, spacing, folds and bytes that are no UTF-8.

A message belongs to one holder, who may change it; whoever wants another makes a `copy()`, which costs one list.

    request = parse(datagram)           # Broken: drop it, nobody can be answered
    if (wrong := fault(request)): ...   # answer wrong.answer, or drop a response
    out = request.copy()
    out.set("max-forwards", "69")
    out.prepend("via", "SIP/2.0/UDP proxy.example.org;branch=z9hG4bK1")
    socket.send(out.to_bytes())

`get` is the first field of a name, `all` are its fields, `values` the items of a field that is a list, over all its fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Self

from wakeline.model.errors import LocalProtocolError
from wakeline.wire.sip.broken import Broken
from wakeline.wire.sip.fields import Message
from wakeline.wire.sip.names import KEYS
from wakeline.wire.sip.pieces import decode, is_token
from wakeline.wire.sip.uri import SipUri, parse_uri

MAX_MESSAGE = 65_536
MAX_FIELDS = 256
MAX_LINES = 2048
VERSION = "SIP/2.0"

_METHODS = frozenset({"ACK", "BYE", "CANCEL", "INVITE", "MESSAGE", "NOTIFY", "OPTIONS", "REGISTER"})
"""Those that come all day need no look at their characters."""

_SPACE = re.compile(r"[\x00-\x20\x7f]")
_VERSION = re.compile(r"SIP/[0-9]+\.[0-9]+", re.IGNORECASE)
_STATUS = re.compile(r"(SIP/[0-9]+\.[0-9]+) ([1-6][0-9][0-9])(?: (.*))?", re.IGNORECASE | re.DOTALL)


class Request(Message):
    """A request. `uri` is the Request-URI as it came; `target` reads it."""

    __slots__ = ("_start", "_uri", "method")

    def __init__(
        self,
        method: str,
        uri: str,
        version: str,
        keys: list[str],
        lines: list[str],
        body: bytes,
        start: str | None = None,
        firsts: dict[str, str] | None = None,
    ) -> None:
        super().__init__(version, keys, lines, body, firsts)
        self.method = method
        self._uri = uri
        self._start = start

    @classmethod
    def make(cls, method: str, uri: str, fields: Iterable[tuple[str, str]] = (), body: bytes = b"") -> Self:
        """Make a request of ours; Content-Length is added. `fields` are pairs of key and value."""
        request = cls(method, _one_word(uri), VERSION, [], [], body)
        _fill(request, fields)
        return request

    @property
    def uri(self) -> str:
        """Return the Request-URI as it is written."""
        return self._uri

    @uri.setter
    def uri(self, uri: str) -> None:
        self._uri = _one_word(uri)
        self._start = None
        self._read.pop("uri", None)

    @property
    def target(self) -> SipUri:
        """Return the Request-URI in its parts. Raises Broken: 416 if it is no SIP URI."""
        found: SipUri | None = self._read.get("uri")
        if found is None:
            found = self._read["uri"] = parse_uri(self._uri)
        return found

    @property
    def max_forwards(self) -> int | None:
        """Return Max-Forwards; None if there is none. Raises Broken."""
        number = self._number("max-forwards")
        if number is not None and number > 255:
            raise Broken("Max-Forwards is more than 255")
        return number

    def copy(self) -> Request:
        """Return another request that says the same."""
        keys, lines, firsts = self._keys.copy(), self._lines.copy(), self._firsts and self._firsts.copy()
        made = Request(self.method, self._uri, self.version, keys, lines, self._body, self._start, firsts)
        made._read = self._read.copy()
        return made

    def _start_line(self) -> str:
        if self._start is None:
            self._start = f"{self.method} {self._uri} {self.version}"
        return self._start

    def __repr__(self) -> str:
        """Say which it is and no more: a repr ends in logs, and URIs and fields bear tokens."""
        return f"Request({self.method}, {self.get('call-id')!r})"


class Response(Message):
    """A response: its `status` and reason `phrase`."""

    __slots__ = ("_start", "phrase", "status")

    def __init__(
        self,
        status: int,
        phrase: str,
        version: str,
        keys: list[str],
        lines: list[str],
        body: bytes,
        start: str | None = None,
        firsts: dict[str, str] | None = None,
    ) -> None:
        super().__init__(version, keys, lines, body, firsts)
        self.status = status
        self.phrase = phrase
        self._start = start

    @classmethod
    def make(cls, status: int, phrase: str, fields: Iterable[tuple[str, str]] = (), body: bytes = b"") -> Self:
        """Make a response of ours; Content-Length is added. `responses.answer` makes one to a request."""
        response = cls(status, phrase, VERSION, [], [], body)
        _fill(response, fields)
        return response

    @property
    def is_final(self) -> bool:
        """Return whether it ends its transaction."""
        return self.status >= 200

    def copy(self) -> Response:
        """Return another response that says the same."""
        keys, lines, firsts = self._keys.copy(), self._lines.copy(), self._firsts and self._firsts.copy()
        made = Response(self.status, self.phrase, self.version, keys, lines, self._body, self._start, firsts)
        made._read = self._read.copy()
        return made

    def restated(self, status: int, phrase: str) -> Response:
        """Return another response with another status and the same fields and body."""
        made = self.copy()
        made.status, made.phrase = status, phrase
        made._start = None  # noqa: SLF001 - one of us
        return made

    def _start_line(self) -> str:
        if self._start is None:
            self._start = f"{self.version} {self.status} {self.phrase}"
        return self._start

    def __repr__(self) -> str:
        """Say which it is and no more: a repr ends in logs."""
        return f"Response({self.status}, {self.get('call-id')!r})"


def parse(data: bytes) -> Request | Response:
    """Read one message: a datagram, a frame of a WebSocket, or what `framing` cut out of a stream.

    A body longer than Content-Length says is cut (RFC 3261 section 18.3); one that is shorter is for `faults.fault` to say.
    Raises Broken if it is no message at all: larger than 64 KiB, more than 256 fields, no start line, no end of the header.
    """
    if len(data) > MAX_MESSAGE:
        raise Broken("The message is larger than 64 KiB", 513)
    header, end, body = data.partition(b"\r\n\r\n")
    if not end:
        raise Broken("The header has no end")
    lines = _lines_of(decode(header))
    start = lines.pop(0)
    if len(lines) > MAX_LINES:
        raise Broken("The header has too many lines")
    try:
        keys, firsts = _fields_of(lines)
    except Broken:
        # A folded line has no name either. Hardly anybody folds, so nobody else pays for it.
        lines = _unbroken(lines)
        keys, firsts = _fields_of(lines)[0], None
    if len(lines) > MAX_FIELDS:
        raise Broken("The message has more than 256 header fields")
    message = _started(start, keys, lines, body, firsts)
    _cut_body(message)
    return message


def _lines_of(header: str) -> list[str]:
    """Split at each CRLF. `splitlines` is faster, and splits at more: what it lost shows when the lines are joined again."""
    lines = header.splitlines()
    if not lines or "\r\n".join(lines) != header:
        lines = header.split("\r\n")
        if header.count("\n") != len(lines) - 1 or header.count("\r") != len(lines) - 1:
            raise Broken("A line of the header ends with half of CRLF")
    return lines


def _fields_of(lines: list[str]) -> tuple[list[str], dict[str, str] | None]:
    """Return the key of each line's name, and what the first of each name says, but for folds. Raises Broken."""
    parts = [line.split(":", 1) for line in lines]
    try:
        firsts = {KEYS[name]: value.strip(" \t") for name, value in parts}
    except ValueError:
        raise Broken("A header field has no colon") from None
    if len(firsts) == len(parts):
        return list(firsts), firsts
    return [KEYS[name] for name, _ in parts], {KEYS[name]: value.strip(" \t") for name, value in reversed(parts)}


def _unbroken(lines: list[str]) -> list[str]:
    """Put folded lines together again, as they came (RFC 3261 section 7.3.1)."""
    whole: list[str] = []
    for line in lines:
        if not line.startswith((" ", "\t")):
            whole.append(line)
        elif whole:
            whole[-1] = f"{whole[-1]}\r\n{line}"
        else:
            raise Broken("The start line is folded")
    return whole


def _started(
    start: str, keys: list[str], lines: list[str], body: bytes, firsts: dict[str, str] | None
) -> Request | Response:
    if start.startswith(("SIP/", "sip/")):
        status = _STATUS.fullmatch(start)
        if status is None:
            raise Broken("The status line is none")
        return Response(int(status[2]), status[3] or "", status[1].upper(), keys, lines, body, start, firsts)
    method, _, rest = start.partition(" ")
    uri, _, version = rest.rstrip(" \t").rpartition(" ")
    if (
        not uri
        or not (version == VERSION or _VERSION.fullmatch(version))
        or not (method in _METHODS or is_token(method))
    ):
        raise Broken("The start line is none")
    return Request(method, uri, version.upper(), keys, lines, body, start, firsts)


def _cut_body(message: Message) -> None:
    try:
        length = message.content_length
    except Broken:
        return
    if length is not None and length < len(message.body):
        message._body = message.body[:length]  # noqa: SLF001 - the message is being made


def _one_word(uri: str) -> str:
    if not uri or _SPACE.search(uri):
        raise LocalProtocolError("A Request-URI has no whitespace")
    return uri


def _fill(message: Message, fields: Iterable[tuple[str, str]]) -> None:
    for name, value in fields:
        message.append(name, value)
    message.append("content-length", str(len(message.body)))
