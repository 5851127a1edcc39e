"""Values of header fields that a proxy and registrar read: Via, name-addr, CSeq (RFC 3261 sections 20 and 25.1).

Each keeps what it was read from in `text`, so that a proxy that changes one parameter changes nothing else.
"""

from __future__ import annotations

import re

import msgspec

from wakeline.wire.sip.broken import Broken
from wakeline.wire.sip.pieces import Params, parse_params, port_number, unquote

MAGIC_COOKIE = "z9hG4bK"
"""How a branch begins that names a transaction (RFC 3261 section 8.1.1.7)."""

_VIA = re.compile(
    r"[sS][iI][pP][ \t]*+/[ \t]*+2\.0[ \t]*+/[ \t]*+([A-Za-z0-9\-.!%*_+`'~]++)[ \t]++"
    r"(\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9_.\-]++)(?:[ \t]*+:[ \t]*+([0-9]{1,5}+))?[ \t]*+(?:;(.*))?",
    re.DOTALL,
)
_BRACKETED = re.compile(r'((?:"(?:[^"\\]++|\\.)*+"|[^"<;]++)*+)<([^>]*+)>[ \t]*+(?:;(.*))?', re.DOTALL)
_ADDR_SPEC = re.compile(r"[^\s\"<>]++")
_CSEQ = re.compile(r"([0-9]{1,10})[ \t]++([A-Za-z0-9\-.!%*_+`'~]++)")
_NONE: Params = {}
_QVALUE = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?|\.[0-9]{1,3}")


class Via(msgspec.Struct, frozen=True, kw_only=True):
    """One hop. `transport` in upper case, `host` in lower; `port` is None where the transport's own is meant."""

    text: str
    transport: str
    host: str
    port: int | None
    params: Params

    @property
    def branch(self) -> str:
        """Return the branch; empty if there is none."""
        return self.params.get("branch") or ""

    @property
    def wants_rport(self) -> bool:
        """Return whether the sender asks to be answered at the port that it sent from (RFC 3581)."""
        return "rport" in self.params

    @property
    def sent_by(self) -> str:
        """Return host and port as one text, to compare."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    def came_from(self, address: str, port: int) -> str:
        """Return this value as its receiver stamps it: `received` if it differs, `rport` if asked for (RFC 3581 section 4)."""
        text = self.text
        if self.wants_rport:
            text = _set_param(text, "rport", str(port))
        elif _bare_address(self.host) == address:
            return text
        return _set_param(text, "received", address)


def _set_param(text: str, name: str, value: str) -> str:
    """Return a Via with a parameter set; where the parameter is there its value is replaced."""
    head, semicolon, rest = text.partition(";")
    parts = rest.split(";") if semicolon else []
    for at, part in enumerate(parts):
        if part.partition("=")[0].strip().lower() == name:
            parts[at] = f"{name}={value}"
            break
    else:
        parts.append(f"{name}={value}")
    return ";".join([head, *parts])


def _bare_address(host: str) -> str:
    return host[1:-1] if host.startswith("[") else host


def parse_via(text: str) -> Via:
    """Read one Via. Raises Broken."""
    match = _VIA.fullmatch(text)
    if match is None:
        raise Broken("Via cannot be read")
    transport, host, port, params = match.groups()
    return Via(
        text=text,
        transport=transport.upper(),
        host=host.lower(),
        port=port_number(port) if port else None,
        params=parse_params(params) if params else _NONE,
    )


class NameAddr(msgspec.Struct, frozen=True, kw_only=True):
    """A URI with a display name and parameters: From, To, Contact, Route. `uri` as it came (`*` for all contacts)."""

    text: str
    before: str
    """What stands before the angle brackets, as it came; `display` reads it."""
    uri: str
    params: Params
    """Those of the header field, not those of the URI."""

    def __repr__(self) -> str:
        """Leave out parameters: a repr ends in logs, and those of a URI may be push tokens."""
        return f"NameAddr({self.uri.partition(';')[0]})"

    @property
    def display(self) -> str:
        """Return the display name, unquoted; empty if there is none."""
        return unquote(self.before.strip())

    @property
    def tag(self) -> str:
        """Return the tag of a From or To; empty if there is none."""
        return self.params.get("tag") or ""

    @property
    def instance(self) -> str:
        """Return `+sip.instance` with quotes and angle brackets taken off: `urn:uuid:...` (RFC 5626 section 4.1); empty: none."""
        return unquote(self.params.get("+sip.instance") or "").removeprefix("<").removesuffix(">")

    @property
    def q(self) -> float:
        """Return the preference, 1.0 if there is none or it is no qvalue (RFC 3261 section 20.10)."""
        value = self.params.get("q")
        return float(value) if value and _QVALUE.fullmatch(value) else 1.0

    def number(self, name: str) -> int | None:
        """Return a parameter that is a number, of at most 2**32-1; None if it is absent or no number."""
        value = self.params.get(name)
        return whole_number(value) if value else None


def parse_name_addr(text: str) -> NameAddr:
    """Read `"Bob" <sip:bob@example.org>;tag=1` or `sip:bob@example.org;tag=1`. Raises Broken.

    Without angle brackets parameters belong to the header field (RFC 3261 section 20.10).
    """
    match = _BRACKETED.fullmatch(text) if "<" in text else None
    if match is not None:
        before, uri, params = match.groups()
        return NameAddr(text=text, before=before, uri=uri.strip(), params=parse_params(params) if params else _NONE)
    uri, _, params = text.partition(";")
    uri = uri.strip()
    if not _ADDR_SPEC.fullmatch(uri):
        raise Broken("An address cannot be read")
    return NameAddr(text=text, before="", uri=uri, params=parse_params(params) if params else _NONE)


def bracketed(text: str) -> tuple[str, str, str | None] | None:
    """Return what stands before, within and behind the angle brackets of an address, as it came; None: it has none.

    Behind begins after the semicolon.
    """
    match = _BRACKETED.fullmatch(text) if "<" in text else None
    return None if match is None else (match[1], match[2], match[3])


class CSeq(msgspec.Struct, frozen=True):
    """The number of a request, less than 2**32 (RFC 3261 section 8.1.1.5 asks for less than 2**31), and its method."""

    number: int
    method: str


def parse_cseq(text: str) -> CSeq:
    """Read a CSeq. Raises Broken."""
    match = _CSEQ.fullmatch(text)
    if match is None or (number := int(match[1])) >= 2**32:
        raise Broken("CSeq cannot be read")
    return CSeq(number, match[2])


def whole_number(text: str) -> int | None:
    """Read a number; a larger one than 2**32-1 is that (RFC 3261 section 20.19 for seconds); None if it is none."""
    if len(text) < 10 and text.isdigit() and text.isascii():
        return int(text)
    text = text.strip(" \t")
    if not text.isascii() or not text.isdigit():
        return None
    return min(int(text), 2**32 - 1) if len(text) <= 20 else 2**32 - 1
