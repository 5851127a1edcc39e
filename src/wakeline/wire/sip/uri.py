"""SIP URIs (RFC 3261 section 19.1): parts, the address-of-record, comparison.

A URI is kept as it came in `text`, and that is what is written again; parts are read from it. The user part is told apart from the
rest first, since it may hold `;` and `?`. Lenient in what breaks nobody: `_` in host names, characters in parameters that should
be escaped. Whitespace, quotes, angle brackets and control characters are never accepted: they end URIs in header fields.
"""

from __future__ import annotations

import re

import msgspec

from wakeline.wire.sip.broken import Broken
from wakeline.wire.sip.pieces import Params, lazy, parse_params, port_number

UNSUPPORTED_SCHEME = 416

_SIP = re.compile(
    r"([sS][iI][pP][sS]?):(?:([^@:<>\"\x00-\x20\x7f]++)(?::([^@<>\"\x00-\x20\x7f]*+))?@)?"
    r"(\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9_.\-]++)(?::([0-9]{1,5}+))?"
    r"(;[^?<>\"\x00-\x20\x7f]*+)?(?:\?([^<>\"\x00-\x20\x7f]*+))?"
)
_OTHER = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*+:[^<>\"\x00-\x20\x7f]++")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_BARE_IN_USER = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()&=+$,;?/")
"""What needs no escape in a user part: unreserved and user-unreserved."""
_MUST_MATCH = ("user", "ttl", "method", "maddr", "transport")
"""Parameters that make URIs differ when only one has them (RFC 3261 section 19.1.4, RFC 5954 for transport)."""


class SipUri(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """`sip:user:password@host:port;params?headers`. `user` and `headers` as they came, escapes included; `host` in lower case."""

    text: str
    scheme: str
    user: str
    password: str | None
    host: str
    port: int | None
    param_text: str
    """With its first semicolon, as it came; `params` reads it."""
    headers: str

    def __repr__(self) -> str:
        """Leave out parameters: a repr ends in logs, and they may be push tokens."""
        return f"SipUri({self.bare})"

    @lazy
    def params(self) -> Params:
        """Return the parameters."""
        return parse_params(self.param_text)

    @property
    def secure(self) -> bool:
        """Return whether this is a SIPS URI."""
        return self.scheme == "sips"

    @property
    def transport(self) -> str:
        """Return the transport parameter in lower case; empty if there is none."""
        return (self.params.get("transport") or "").lower()

    @property
    def is_loose_router(self) -> bool:
        """Return whether it says `;lr`."""
        return "lr" in self.params

    @property
    def aor(self) -> str:
        """Return the address-of-record: `sip:`, no port, no parameters, no needless escapes (RFC 3261 section 10.3 step 5)."""
        return f"sip:{canonical_user(self.user)}@{self.host}" if self.user else f"sip:{self.host}"

    @property
    def bare(self) -> str:
        """Return it without parameters and headers."""
        end = len(self.text) - len(self.param_text) - (len(self.headers) + 1 if "?" in self._tail else 0)
        return self.text[:end]

    @property
    def _tail(self) -> str:
        return self.text.rpartition("@")[2]


def parse_uri(text: str) -> SipUri:
    """Read a SIP or SIPS URI. Raises Broken: 416 if it is a URI of another scheme, else 400."""
    match = _SIP.fullmatch(text)
    if match is None:
        if _OTHER.fullmatch(text) and not text[:5].lower().startswith(("sip:", "sips:")):
            raise Broken("The scheme of the URI is not served here", UNSUPPORTED_SCHEME)
        raise Broken("The URI cannot be read")
    scheme, user, password, host, port, params, headers = match.groups()
    return SipUri(
        text=text,
        scheme=scheme.lower(),
        user=user or "",
        password=password,
        host=host.lower(),
        port=port_number(port) if port else None,
        param_text=params or "",
        headers=headers or "",
    )


def canonical_user(user: str) -> str:
    """Return a user part without escapes that it does not need; what is still escaped is so in upper case."""
    if "%" not in user:
        return user

    def bare(match: re.Match[str]) -> str:
        character = chr(int(match[1], 16))
        return character if character in _BARE_IN_USER else match[0].upper()

    return _ESCAPE.sub(bare, user)


def same_uri(one: SipUri, other: SipUri) -> bool:
    """Return whether two URIs are equivalent (RFC 3261 section 19.1.4); headers are compared as they came."""
    return (
        one.scheme == other.scheme
        and canonical_user(one.user) == canonical_user(other.user)
        and one.password == other.password
        and one.host == other.host
        and one.port == other.port
        and one.headers == other.headers
        and _same_params(one.params, other.params)
    )


def _same_params(one: Params, other: Params) -> bool:
    """A parameter that only one has is ignored, unless it is one of those that must match."""
    if any((name in one) != (name in other) for name in _MUST_MATCH):
        return False
    return all((one[name] or "").lower() == (other[name] or "").lower() for name in one.keys() & other.keys())
