"""A SIP message: requests and responses, read lazily and written byte for byte (RFC 3261 section 7).

A message is its start line, its header fields in order, each as the line that came, and its body. Reading decodes the header once
(with surrogateescape, which loses nothing), finds the lines and the keys of their names, and nothing else. A value is cut out and
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
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, Self

from wakeline.model.errors import LocalProtocolError
from wakeline.wire.sip.broken import Broken
from wakeline.wire.sip.headers import (
    CSeq,
    NameAddr,
    Via,
    parse_cseq,
    parse_name_addr,
    parse_via,
    whole_number,
)
from wakeline.wire.sip.names import KEYS, spelt
from wakeline.wire.sip.pieces import decode, encode, first_value, is_token, split_values
from wakeline.wire.sip.uri import SipUri, parse_uri

MAX_MESSAGE = 65_536
MAX_FIELDS = 256
MAX_LINES = 2048
VERSION = "SIP/2.0"

_COUNTED = range(MAX_FIELDS)
_METHODS = frozenset({"ACK", "BYE", "CANCEL", "INVITE", "MESSAGE", "NOTIFY", "OPTIONS", "REGISTER"})
"""Those that come all day need no look at their characters."""

_SPACE = re.compile(r"[\x00-\x20\x7f]")
_FOLD = re.compile(r"\r\n[ \t]+")
_VERSION = re.compile(r"SIP/[0-9]+\.[0-9]+", re.IGNORECASE)
_STATUS = re.compile(r"(SIP/[0-9]+\.[0-9]+) ([1-6][0-9][0-9])(?: (.*))?", re.IGNORECASE | re.DOTALL)


class Message(ABC):
    """What requests and responses share: header fields and a body."""

    __slots__ = ("_body", "_index", "_keys", "_lines", "_read", "version")

    _index: dict[str, int] | None
    """Where the first field of each name stands, in a message that was read and not changed in its order. Never changed itself."""

    def __init__(self, version: str, keys: list[str], lines: list[str], body: bytes) -> None:
        self.version = version
        self._keys = keys
        self._lines = lines
        self._body = body
        self._index = None
        self._read: dict[str, Any] = {}

    # Reading

    def __contains__(self, name: str) -> bool:
        """Return whether there is a field of this name (its key: lower case, long form)."""
        return self._at(name) >= 0

    def get(self, name: str) -> str | None:
        """Return the value of the first field of a name, unfolded, without the space around it."""
        at = self._at(name)
        return None if at < 0 else _value(self._lines[at])

    def all(self, name: str) -> list[str]:
        """Return the values of all fields of a name."""
        return [_value(self._lines[at]) for at in self._places(name)]

    def values(self, name: str) -> list[str]:
        """Return the items of a list (Contact, Route, Supported, ...) over all its fields. Raises Broken."""
        return [item for value in self.all(name) for item in split_values(value)]

    def first(self, name: str) -> str | None:
        """Return the first item of a list; None if there is no such field or it is empty. Raises Broken."""
        value = self.get(name)
        return (first_value(value) or None) if value else None

    def has_option(self, name: str, option: str) -> bool:
        """Return whether a list of option tags (Supported, Require, Proxy-Require) has this one. Raises Broken."""
        return any(item.lower() == option for item in self.values(name))

    def names(self) -> list[str]:
        """Return the keys of all fields, in order."""
        return list(self._keys)

    def lines(self, name: str) -> list[str]:
        """Return the fields of a name as their lines came, without the last CRLF."""
        return [self._lines[at] for at in self._places(name)]

    @property
    def body(self) -> bytes:
        """Return the body."""
        return self._body

    @property
    def via(self) -> Via:
        """Return the topmost Via. Raises Broken."""
        found: Via | None = self._read.get("via")
        if found is None:
            found = self._read["via"] = parse_via(first_value(self._needed("via")))
        return found

    @property
    def from_(self) -> NameAddr:
        """Return From. Raises Broken."""
        return self._address("from")

    @property
    def to(self) -> NameAddr:
        """Return To. Raises Broken."""
        return self._address("to")

    @property
    def cseq(self) -> CSeq:
        """Return CSeq. Raises Broken."""
        found: CSeq | None = self._read.get("cseq")
        if found is None:
            found = self._read["cseq"] = parse_cseq(self._needed("cseq"))
        return found

    @property
    def call_id(self) -> str:
        """Return the Call-ID. Raises Broken."""
        found: str | None = self._read.get("call-id")
        if found is None:
            found = self._read["call-id"] = self._needed("call-id")
        return found

    @property
    def contacts(self) -> list[NameAddr]:
        """Return all Contacts; `*` has the URI `*`. Raises Broken."""
        return [parse_name_addr(value) for value in self.values("contact")]

    @property
    def route(self) -> NameAddr | None:
        """Return the topmost Route. Raises Broken."""
        value = self.first("route")
        return None if value is None else parse_name_addr(value)

    @property
    def content_length(self) -> int | None:
        """Return what Content-Length says; None if there is none. Raises Broken if it is no number."""
        return self._number("content-length")

    def seconds(self, name: str) -> int | None:
        """Return a field that is a number of seconds (Expires, Min-Expires); None if it is absent or no number."""
        value = self.get(name)
        return None if value is None else whole_number(value.partition(";")[0])

    @property
    def has_repeats(self) -> bool:
        """Return whether any name has more than one field."""
        index = self._index
        return len(set(self._keys) if index is None else index) != len(self._keys)

    # Changing

    def set(self, name: str, value: str) -> None:
        """Put one field in place of all of its name: where the first stands, else at the end."""
        at = self._at(name)
        if at < 0:
            self.append(name, value)
        elif self.has_repeats:
            self.replace(name, [value])
        else:
            self._lines[at] = _line(name, value)
            self._read.pop(name, None)

    def replace(self, name: str, values: Iterable[str]) -> None:
        """Put these fields in place of all of a name: where the first stands, else at the end."""
        lines = [_line(name, value) for value in values]
        places = self._places(name)
        at = places[0] if places else len(self._keys)
        self._cut(name)
        self._keys[at:at] = [name] * len(lines)
        self._lines[at:at] = lines

    def set_first(self, name: str, value: str) -> None:
        """Put an item in place of the first of a list. Raises Broken."""
        self.remove_first(name)
        self.prepend(name, value)

    def prepend(self, name: str, value: str) -> None:
        """Add a field before the first of its name, else before all."""
        at = max(self._at(name), 0)
        self._keys.insert(at, name)
        self._lines.insert(at, _line(name, value))
        self._changed(name)

    def append(self, name: str, value: str) -> None:
        """Add a field at the end."""
        self._keys.append(name)
        self._lines.append(_line(name, value))
        self._changed(name)

    def append_lines(self, name: str, lines: Iterable[str]) -> None:
        """Add fields of a name at the end, as another message has them."""
        for line in lines:
            self._keys.append(name)
            self._lines.append(line)
        self._changed(name)

    def remove(self, name: str) -> None:
        """Take away all fields of a name."""
        self._cut(name)

    def remove_first(self, name: str) -> None:
        """Take away the first item of a list; what else its field holds stays. Raises Broken."""
        at = self._at(name)
        if at < 0:
            return
        rest = split_values(_value(self._lines[at]))[1:]
        if rest:
            self._lines[at] = _line(name, ", ".join(rest))
        else:
            del self._keys[at], self._lines[at]
        self._changed(name)

    def set_body(self, body: bytes, content_type: str | None = None) -> None:
        """Put another body in; no type leaves Content-Type as it is, or takes it away if the body is empty."""
        self._body = body
        if not body:
            self.remove("content-type")
        elif content_type is not None:
            self.set("content-type", content_type)
        self.set("content-length", str(len(body)))

    # Writing

    def to_bytes(self, *, stream: bool = False) -> bytes:
        """Return the message as it goes out; `stream` adds a Content-Length where there is none (RFC 3261 section 18.3)."""
        lines = [self._start_line(), *self._lines]
        if stream and "content-length" not in self:
            lines.append(f"Content-Length: {len(self._body)}")
        lines += ("", "")
        return encode("\r\n".join(lines)) + self._body

    def __bytes__(self) -> bytes:
        """Return the message as it goes out in a datagram."""
        return self.to_bytes()

    @abstractmethod
    def _start_line(self) -> str:
        """Return the start line, without its CRLF."""

    # Inside

    def _at(self, name: str) -> int:
        """Return where the first field of a name stands; -1 if there is none."""
        index = self._index
        if index is not None:
            return index.get(name, -1)
        keys = self._keys
        return keys.index(name) if name in keys else -1

    def _places(self, name: str) -> list[int]:
        start = self._at(name)
        if start < 0:
            return []
        keys = self._keys
        return [at for at in range(start, len(keys)) if keys[at] == name]

    def _needed(self, name: str) -> str:
        at = self._at(name)
        value = "" if at < 0 else _value(self._lines[at])
        if not value:
            raise Broken(f"{spelt(name)} is missing")
        return value

    def _number(self, name: str) -> int | None:
        if name in self._read:
            found: int | None = self._read[name]
            return found
        value = self.get(name)
        number = None if value is None else whole_number(value)
        if number is None and value is not None:
            raise Broken(f"{spelt(name)} is no number")
        self._read[name] = number
        return number

    def _address(self, name: str) -> NameAddr:
        found: NameAddr | None = self._read.get(name)
        if found is None:
            found = self._read[name] = parse_name_addr(self._needed(name))
        return found

    def _cut(self, name: str) -> None:
        for at in reversed(self._places(name)):
            del self._keys[at], self._lines[at]
        self._changed(name)

    def _changed(self, name: str) -> None:
        self._index = None
        self._read.pop(name, None)


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
    ) -> None:
        super().__init__(version, keys, lines, body)
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
        made = Request(
            self.method, self._uri, self.version, self._keys.copy(), self._lines.copy(), self._body, self._start
        )
        made._index = self._index
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
    ) -> None:
        super().__init__(version, keys, lines, body)
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
        made = Response(
            self.status, self.phrase, self.version, self._keys.copy(), self._lines.copy(), self._body, self._start
        )
        made._index = self._index
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
    end = data.find(b"\r\n\r\n")
    if end < 0:
        raise Broken("The header has no end")
    lines = _lines_of(decode(data[:end]))
    start = lines.pop(0)
    if len(lines) > MAX_LINES:
        raise Broken("The header has too many lines")
    try:
        keys = _keys_of(lines)
    except Broken:
        # A folded line has no name either. Hardly anybody folds, so nobody else pays for it.
        lines = _unbroken(lines)
        keys = _keys_of(lines)
    if len(lines) > MAX_FIELDS:
        raise Broken("The message has more than 256 header fields")
    message = _started(start, keys, lines, data[end + 4 :])
    message._index = _first_places(keys)  # noqa: SLF001 - the message is being made
    _cut_body(message)
    return message


def _first_places(keys: list[str]) -> dict[str, int]:
    places = dict(zip(keys, _COUNTED, strict=False))
    return places if len(places) == len(keys) else dict(zip(keys[::-1], range(len(keys) - 1, -1, -1), strict=True))


def _lines_of(header: str) -> list[str]:
    """Split at each CRLF. `splitlines` is faster, and splits at more: what it lost shows when the lines are joined again."""
    lines = header.splitlines()
    if not lines or "\r\n".join(lines) != header:
        lines = header.split("\r\n")
        if header.count("\n") != len(lines) - 1 or header.count("\r") != len(lines) - 1:
            raise Broken("A line of the header ends with half of CRLF")
    return lines


def _keys_of(lines: list[str]) -> list[str]:
    """Return the key of each line's name. Raises Broken."""
    return [KEYS[name if colon else ""] for name, colon, _ in [line.partition(":") for line in lines]]


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


def _started(start: str, keys: list[str], lines: list[str], body: bytes) -> Request | Response:
    if start.startswith(("SIP/", "sip/")):
        status = _STATUS.fullmatch(start)
        if status is None:
            raise Broken("The status line is none")
        return Response(int(status[2]), status[3] or "", status[1].upper(), keys, lines, body, start)
    method, _, rest = start.partition(" ")
    uri, _, version = rest.rstrip(" \t").rpartition(" ")
    if (
        not uri
        or not (version == VERSION or _VERSION.fullmatch(version))
        or not (method in _METHODS or is_token(method))
    ):
        raise Broken("The start line is none")
    return Request(method, uri, version.upper(), keys, lines, body, start)


def _cut_body(message: Message) -> None:
    try:
        length = message.content_length
    except Broken:
        return
    if length is not None and length < len(message.body):
        message._body = message.body[:length]  # noqa: SLF001 - the message is being made


def _value(line: str) -> str:
    value = line[line.index(":") + 1 :].strip(" \t")
    return _FOLD.sub(" ", value).strip(" ") if "\n" in value else value


def _line(name: str, value: str) -> str:
    if "\r" in value or "\n" in value:
        raise LocalProtocolError(f"A value for {name} holds a line break")
    return f"{spelt(name)}: {value}"


def _one_word(uri: str) -> str:
    if not uri or _SPACE.search(uri):
        raise LocalProtocolError("A Request-URI has no whitespace")
    return uri


def _fill(message: Message, fields: Iterable[tuple[str, str]]) -> None:
    for name, value in fields:
        message.append(name, value)
    message.append("content-length", str(len(message.body)))
