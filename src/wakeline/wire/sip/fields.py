"""What requests and responses share: header fields and a body. `message` says how they are kept and why.

A field is two things at one place: its key in `_keys`, its line in `_lines`. Beside them `_firsts` has what the first field of each
name says, which is all that most readers want; each change keeps it true. Other values are cut out of their lines when asked for.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from wakeline.model.errors import LocalProtocolError
from wakeline.wire.sip.broken import Broken
from wakeline.wire.sip.headers import CSeq, NameAddr, Via, parse_cseq, parse_name_addr, parse_via, whole_number
from wakeline.wire.sip.names import spelt
from wakeline.wire.sip.pieces import encode, first_value, split_values

_FOLD = re.compile(r"\r\n[ \t]+")


class Message(ABC):
    """What requests and responses share: header fields and a body."""

    __slots__ = ("_body", "_firsts", "_keys", "_lines", "_read", "version")

    _firsts: dict[str, str] | None
    """None in a message that was made, or is hardly read again: found when somebody asks."""

    def __init__(
        self, version: str, keys: list[str], lines: list[str], body: bytes, firsts: dict[str, str] | None
    ) -> None:
        self.version = version
        self._keys = keys
        self._lines = lines
        self._body = body
        self._firsts = firsts
        self._read: dict[str, Any] = {}

    # Reading

    def __contains__(self, name: str) -> bool:
        """Return whether there is a field of this name (its key: lower case, long form)."""
        return name in (self._firsts or self._keys)

    def get(self, name: str) -> str | None:
        """Return the value of the first field of a name, unfolded, without the space around it."""
        return (self._firsts or self._found()).get(name)

    def all(self, name: str) -> list[str]:
        """Return the values of all fields of a name."""
        value = self.get(name)
        if value is None:
            return []
        return [_value(line) for line in self.lines(name)] if self.has_repeats else [value]

    def values(self, name: str) -> list[str]:
        """Return the items of a list (Contact, Route, Supported, ...) over all its fields. Raises Broken."""
        return [item for value in self.all(name) for item in split_values(value)]

    def first(self, name: str) -> str | None:
        """Return the first item of a list; None if there is no such field or it is empty. Raises Broken."""
        value = self.get(name)
        return (first_value(value) or None) if value else None

    def options(self, name: str) -> set[str]:
        """Return a list of option tags (Supported, Require, Proxy-Require) in lower case. Raises Broken."""
        return {item.lower() for item in self.values(name)}

    def names(self) -> list[str]:
        """Return the keys of all fields, in order."""
        return list(self._keys)

    def lines(self, name: str) -> list[str]:
        """Return the fields of a name as their lines came, without the last CRLF."""
        firsts = self._firsts
        if firsts and len(firsts) == len(self._keys):
            return [self._lines[self._keys.index(name)]] if name in firsts else []
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
            value = self._needed("via")
            found = self._read["via"] = parse_via(first_value(value) if "," in value else value)
        return found

    @property
    def from_(self) -> NameAddr:
        """Return From. Raises Broken."""
        found: NameAddr | None = self._read.get("from")
        if found is None:
            found = self._read["from"] = parse_name_addr(self._needed("from"))
        return found

    @property
    def to(self) -> NameAddr:
        """Return To. Raises Broken."""
        found: NameAddr | None = self._read.get("to")
        if found is None:
            found = self._read["to"] = parse_name_addr(self._needed("to"))
        return found

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
        return len(self._firsts or set(self._keys)) != len(self._keys)

    def forget_parsed(self) -> None:
        """Let go of values that were parsed, in a message that is kept and hardly read again."""
        self._firsts = None
        self._read.clear()

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
            self._begins(name, value)

    def replace(self, name: str, values: Iterable[str]) -> None:
        """Put these fields in place of all of a name: where the first stands, else at the end."""
        lines = [_line(name, value) for value in values]
        places = self._places(name)
        at = places[0] if places else len(self._keys)
        self._cut(name)
        self._keys[at:at] = [name] * len(lines)
        self._lines[at:at] = lines
        self._changed(name)

    def set_first(self, name: str, value: str) -> None:
        """Put an item in place of the first of a list. Raises Broken."""
        self.remove_first(name)
        self.prepend(name, value)

    def prepend(self, name: str, value: str) -> None:
        """Add a field before the first of its name, else before all."""
        at = max(self._at(name), 0)
        self._keys.insert(at, name)
        self._lines.insert(at, _line(name, value))
        self._begins(name, value)

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
        self._changed(name)

    def remove_first(self, name: str) -> None:
        """Take away the first item of a list; what else its field holds stays. Raises Broken."""
        at = self._at(name)
        if at < 0:
            return
        value = _value(self._lines[at])
        rest = split_values(value)[1:] if "," in value else []
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
        keys = self._keys
        return keys.index(name) if name in keys else -1

    def _found(self) -> dict[str, str]:
        """Find what the first field of each name says."""
        firsts = self._firsts = {}
        for name, line in zip(self._keys, self._lines, strict=True):
            if name not in firsts:
                firsts[name] = _value(line)
        return firsts

    def _places(self, name: str) -> list[int]:
        return [at for at, key in enumerate(self._keys) if key == name]

    def _needed(self, name: str) -> str:
        value = self.get(name)
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

    def _cut(self, name: str) -> None:
        for at in reversed(self._places(name)):
            del self._keys[at], self._lines[at]

    def _changed(self, name: str) -> None:
        self._read.pop(name, None)
        firsts = self._firsts
        if firsts:
            at = self._at(name)
            if at < 0:
                firsts.pop(name, None)
            else:
                firsts[name] = _value(self._lines[at])

    def _begins(self, name: str, value: str) -> None:
        """Know what the first field of a name says now."""
        self._read.pop(name, None)
        if self._firsts:
            self._firsts[name] = value.strip(" \t")


def _value(line: str) -> str:
    value = line.partition(":")[2]
    return (_FOLD.sub(" ", value) if "\n" in value else value).strip(" \t")


def _line(name: str, value: str) -> str:
    if "\r" in value or "\n" in value:
        raise LocalProtocolError(f"A value for {name} holds a line break")
    return f"{spelt(name)}: {value}"
