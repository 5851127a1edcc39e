"""Who may push: provider tokens and client certificates, and what one connection remembers of them.

Source: Apple, "Establishing a token-based connection to APNs". A token is an ES256 JWT with `kid`, `iss` and `iat`,
good for an hour, and refreshed no more than once in 20 minutes. A connection belongs to the team and key of its first
good token. How a token's age is told from its `iat`: a client that connects anew late in a token's life and refreshes
soon after has refreshed as seldom as it should.
"""

from __future__ import annotations

import msgspec

from wakeline.simulator.apns_rules import IDENTIFIER, bundle_id
from wakeline.simulator.exchange import Peer, Request
from wakeline.simulator.jws import Jws, read_jws
from wakeline.simulator.state import State
from wakeline.simulator.trust import ApnsKey, Trust

_LIFETIME_S = 3600
_CLOCK_SKEW_S = 300
_SIGNATURE_BYTES = 64
_TOKENS_REMEMBERED = 4096


class Refusal(msgspec.Struct, frozen=True):
    """Why a request may not push."""

    reason: str


class Admission(msgspec.Struct, frozen=True):
    """What an admitted request may push to."""

    topics: tuple[str, ...] = ()
    """The only topics; empty is any."""
    exact: bool = False
    """Topics are those of a certificate, to the letter; those of a key are bundle ids."""

    def allows(self, topic: str) -> bool:
        """Whether a push to `topic` is allowed."""
        return not self.topics or topic in self.topics or (not self.exact and bundle_id(topic) in self.topics)


class ProviderToken(msgspec.Struct, frozen=True):
    """A well-formed token whose signature was verified, if there is a key to verify it with."""

    text: str
    key: ApnsKey
    issued_at: float


class TokenReader:
    """Reads provider tokens; each text once for each state of trust, because verifying is dear."""

    def __init__(self) -> None:
        self._trust: Trust | None = None
        self._known: dict[str, ProviderToken | None] = {}

    def read(self, text: str, trust: Trust) -> ProviderToken | None:
        """The token if it is well-formed, of a good key and truly signed; else None."""
        if trust is not self._trust or len(self._known) > _TOKENS_REMEMBERED:
            self._trust = trust
            self._known.clear()
        if text not in self._known:
            self._known[text] = _read(text, trust)
        return self._known[text]


class ConnectionAuth:
    """Authentication of the requests of one connection."""

    def __init__(self, state: State, reader: TokenReader, peer: Peer) -> None:
        self._state = state
        self._reader = reader
        self._peer = peer
        self._first: ProviderToken | None = None
        self._newest: ProviderToken | None = None
        self._accepted: set[str] = set()

    def admit(self, request: Request) -> Admission | Refusal:
        """The verdict on one request, and the connection's memory of it."""
        authorization = request.headers.get("authorization")
        if authorization is None and self._peer.certificate is not None:
            return self._by_certificate()
        scheme, _, text = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not text:
            return Refusal("MissingProviderToken")
        token = self._reader.read(text, self._state.trust)
        if token is None:
            return Refusal("InvalidProviderToken")
        return self._by_token(token)

    def _by_token(self, token: ProviderToken) -> Admission | Refusal:
        age = self._state.clock() - token.issued_at
        if age > _LIFETIME_S:
            return Refusal("ExpiredProviderToken")
        if age < -_CLOCK_SKEW_S:
            return Refusal("InvalidProviderToken")
        if self._peer.environment and token.key.environment not in ("", self._peer.environment):
            return Refusal("BadEnvironmentKeyInToken")
        refusal = self._against_connection(token)
        if refusal is not None:
            return refusal
        self._accepted.add(token.text)
        return Admission(token.key.topics)

    def _against_connection(self, token: ProviderToken) -> Refusal | None:
        if token.text in self._accepted:
            return None
        first, newest = self._first or token, self._newest
        if token.key.team_id != first.key.team_id:
            return Refusal("InvalidProviderToken")
        if token.key.key_id != first.key.key_id:
            return Refusal("UnrelatedKeyIdInToken")
        interval = self._state.behaviours["apns"].token_update_interval_s
        if newest is not None and token.issued_at - newest.issued_at < interval:
            return Refusal("TooManyProviderTokenUpdates")
        self._first, self._newest = first, token
        return None

    def _by_certificate(self) -> Admission | Refusal:
        certificate = self._peer.certificate
        assert certificate is not None  # noqa: S101 - the caller looked
        topics = certificate.topics
        listed = self._state.listed_certificates
        if listed is not None:
            if certificate.sha256 not in listed:
                return Refusal("BadCertificate")
            topics = listed[certificate.sha256].topics or topics
        if not topics:
            return Refusal("BadCertificate")
        if not certificate.serves(self._peer.environment):
            return Refusal("BadCertificateEnvironment")
        return Admission(topics, exact=True)


def _read(text: str, trust: Trust) -> ProviderToken | None:
    jws = read_jws(text)
    if jws is None or not _well_formed(jws):
        return None
    key_id, team_id, issued_at = jws.header["kid"], jws.claims["iss"], jws.claims["iat"]
    key = trust.apns_key(str(key_id), str(team_id))
    if key is None or not isinstance(issued_at, int | float):
        return None
    public_key = key.public_key()
    if public_key is not None and not jws.verified_by(public_key):
        return None
    return ProviderToken(text, key, float(issued_at))


def _well_formed(jws: Jws) -> bool:
    issued_at = jws.claims.get("iat")
    return (
        jws.header.get("alg") == "ES256"
        and _is_identifier(jws.header.get("kid"))
        and _is_identifier(jws.claims.get("iss"))
        and isinstance(issued_at, int | float)
        and not isinstance(issued_at, bool)
        and len(jws.signature) == _SIGNATURE_BYTES
    )


def _is_identifier(value: object) -> bool:
    return isinstance(value, str) and IDENTIFIER.fullmatch(value) is not None
