"""Digest authentication for SIP (RFC 7616, RFC 8760, RFC 3261 section 22): what we ask, what is answered, whether it is right.

We ask with SHA-256 and MD5, one field each, the stronger first (RFC 8760 section 2.3), always with `qop="auth"`. What is kept of a
password is H(user:realm:password), so a password itself is needed nowhere.

A nonce is its time, a number and a keyed hash of both, so issuing one costs no memory, and a flood of requests without
credentials none either. Memory is kept only of nonces with which somebody proved a password: which nonce counts were seen. A count
that was seen, a nonce that is too old, and one that another process made are stale: the client repeats with a new nonce and bothers
nobody.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from enum import Enum

import msgspec

from wakeline.wire.sip.pieces import encode, quote, unquote

ALGORITHMS = ("SHA-256", "MD5")
"""What is asked for, the stronger first."""
NONCE_LIFE_MS = 300_000
_STAMP = 20
_WINDOW = 64
"""Requests over UDP overtake each other: a count may be so much lower than the highest."""

_PAIR = re.compile(r'[ \t]*([A-Za-z0-9\-]+)[ \t]*=[ \t]*("(?:[^"\\]++|\\.)*+"|[^\s",]*+)[ \t]*(?:,|$)', re.DOTALL)
_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}  # MD5 is what most phones can (RFC 8760 section 2)
_COUNT = re.compile(r"[0-9A-Fa-f]{8}")


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What a client answered (Authorization, Proxy-Authorization). `count` is `nc`; 0 where the client used no qop (RFC 2069)."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: str = "MD5"
    qop: str = ""
    cnonce: str = ""
    count: int = 0
    count_text: str = ""
    opaque: str = ""

    def __repr__(self) -> str:
        """Leave out what proves the password."""
        return f"Credentials({self.username}, {self.realm})"


def parse_credentials(value: str) -> Credentials | None:
    """Read a value of Authorization or Proxy-Authorization; None: it is no Digest of a kind that we ask for."""
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "digest":
        return None
    pairs = _pairs(rest)
    algorithm = pairs.get("algorithm", "MD5").upper()
    qop, count = pairs.get("qop", "").lower(), pairs.get("nc", "")
    if algorithm not in _HASHES or not {"username", "realm", "nonce", "uri", "response"} <= pairs.keys():
        return None
    if qop and (qop != "auth" or not _COUNT.fullmatch(count) or "cnonce" not in pairs):
        return None
    return Credentials(
        username=pairs["username"],
        realm=pairs["realm"],
        nonce=pairs["nonce"],
        uri=pairs["uri"],
        response=pairs["response"].lower(),
        algorithm=algorithm,
        qop=qop,
        cnonce=pairs.get("cnonce", ""),
        count=int(count, 16) if qop else 0,
        count_text=count,
        opaque=pairs.get("opaque", ""),
    )


def _pairs(text: str) -> dict[str, str]:
    """Read `a="b", c=d` up to the first that is none."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text) and (match := _PAIR.match(text, at)):
        found.setdefault(match[1].lower(), unquote(match[2]))
        at = match.end()
    return found


def secret_hash(username: str, realm: str, password: str, algorithm: str) -> str:
    """Return H(user:realm:password): what is kept of a password for an algorithm."""
    return _hash(algorithm, f"{username}:{realm}:{password}")


def expected(credentials: Credentials, secret: str, method: str) -> str:
    """Return the response that proves a secret, which is `secret_hash` in their algorithm (RFC 7616 section 3.4.1)."""
    asked = _hash(credentials.algorithm, f"{method}:{credentials.uri}")
    between = (
        f"{credentials.nonce}:{credentials.count_text}:{credentials.cnonce}:{credentials.qop}"
        if credentials.qop
        else credentials.nonce
    )
    return _hash(credentials.algorithm, f"{secret}:{between}:{asked}")


def proves(credentials: Credentials, secrets: Mapping[str, str], method: str) -> bool:
    """Return whether credentials prove the password of which these hashes are kept, by algorithm."""
    secret = secrets.get(credentials.algorithm)
    if secret is None:
        return False
    return hmac.compare_digest(encode(expected(credentials, secret.lower(), method)), encode(credentials.response))


def _hash(algorithm: str, text: str) -> str:
    return _HASHES[algorithm](encode(text)).hexdigest()


def challenges(
    realm: str, nonce: str, *, opaque: str = "", stale: bool = False, algorithms: Iterable[str] = ALGORITHMS
) -> list[str]:
    """Return the values of WWW-Authenticate or Proxy-Authenticate, a field for each algorithm."""
    more = f", opaque={quote(opaque)}" if opaque else ""
    more += ", stale=true" if stale else ""
    return [
        f'Digest realm={quote(realm)}, nonce="{nonce}", algorithm={algorithm}, qop="auth"{more}'
        for algorithm in algorithms
    ]


class NonceVerdict(Enum):
    """What a nonce with its count is worth."""

    FRESH = "fresh"
    STALE = "stale"
    """Ours no longer, or its count was seen: ask again, saying stale."""


class Nonces:
    """Nonces of one process. `key`: 32 random bytes, its own; `remembered`: how many at once. Times in Unix ms."""

    def __init__(self, key: bytes, *, life_ms: int = NONCE_LIFE_MS, remembered: int = 65_536) -> None:
        self._key = key
        self._remembered = remembered
        self._life_ms = life_ms
        self._issued = 0
        self._forgotten = -1
        self._seen: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def issue(self, now: int) -> str:
        """Return a nonce, another one each time."""
        self._issued += 1
        stamp = f"{now:012x}{self._issued & 0xFFFFFFFF:08x}"
        return stamp + self._mark(stamp)

    def check(self, credentials: Credentials, now: int) -> NonceVerdict:
        """Judge a nonce and its count. It is remembered by `use` only, when its password was right."""
        stamp, mark = credentials.nonce[:_STAMP], credentials.nonce[_STAMP:]
        if not hmac.compare_digest(encode(mark), self._mark(stamp).encode()):
            return NonceVerdict.STALE
        issued = _issued_at(stamp)
        if issued <= self._forgotten or not 0 <= now - issued < self._life_ms:
            return NonceVerdict.STALE
        highest, mask = self._seen.get(credentials.nonce, (-1, 0))
        return NonceVerdict.FRESH if _is_new(highest, mask, credentials.count) else NonceVerdict.STALE

    def use(self, credentials: Credentials) -> None:
        """Remember the count of credentials that were fresh and proved a password: they are not taken again."""
        highest, mask = self._seen.pop(credentials.nonce, (-1, 0))
        count = credentials.count
        if count > highest:
            ahead = count - highest
            mask = 1 if ahead >= _WINDOW else (mask << ahead | 1) & (1 << _WINDOW) - 1
            highest = count
        else:
            mask |= 1 << highest - count
        self._seen[credentials.nonce] = (highest, mask)
        if len(self._seen) > self._remembered:
            # What is forgotten must not be new again: it and all that are older are stale from now on.
            nonce, _ = self._seen.popitem(last=False)
            self._forgotten = max(self._forgotten, _issued_at(nonce))

    def _mark(self, stamp: str) -> str:
        return hmac.new(self._key, encode(stamp), hashlib.sha256).hexdigest()[:32]


def _issued_at(nonce: str) -> int:
    return int(nonce[:12], 16)


def _is_new(highest: int, mask: int, count: int) -> bool:
    """Return whether a count was not seen; one too far behind the highest counts as seen."""
    behind = highest - count
    return behind < 0 or (behind < _WINDOW and not mask >> behind & 1)
