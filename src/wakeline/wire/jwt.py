"""JSON Web Tokens as providers want them: ES256 for APNs and VAPID, RS256 for Google's token endpoint. Signing only.

Rule of APNs tokens: every connection and every replica must present the same bytes, because Apple counts changes of the
token on a connection and answers 429 when they come more often than every 20 minutes. So `iat` is not the time of
signing but the start of a window that follows from the clock and the key id alone, and the signature is deterministic
(RFC 6979): whoever holds the key makes the same token, with no word exchanged. The phase of the window follows from the
key id, so that a gateway with many keys does not renew all of them in one second.

Sources: RFC 7515 (JWS), RFC 7518 section 3.4 (ES256 is R || S, not DER), Apple, "Establishing a token-based connection to
APNs" (claims, 20 and 60 minutes), Google, "Using OAuth 2.0 for server to server applications" (the assertion).
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from wakeline.model.errors import CredentialRefused

WINDOW = 35 * 60
"""Seconds for which a provider token stays the same."""
YOUNGEST = 20 * 60
"""Age in seconds that a provider token has at the start of its window: a clock that is that much ahead does no harm."""
OLDEST = YOUNGEST + WINDOW
"""Age in seconds at which a provider token is replaced; Apple takes up to an hour."""

GOOGLE_AUDIENCE = "https://oauth2.googleapis.com/token"
"""The `aud` of an assertion: a constant, also where `token_uri` differs (google-auth has it so)."""
MESSAGING_SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
ASSERTION_LIFE = 3600
"""Seconds; Google takes no longer one."""

_COORDINATE = 32  # bytes of R and of S on P-256


def _segment(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _signing_input(header: dict[str, Any], claims: dict[str, Any]) -> bytes:
    return _segment(msgspec.json.encode(header)) + b"." + _segment(msgspec.json.encode(claims))


def load_ec_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """Return the P-256 key of a PEM file without password. Raises CredentialRefused."""
    key = _load(pem)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise CredentialRefused("the APNs key is no P-256 key", fix="Upload the .p8 file as Apple gave it.")
    return key


def load_rsa_key(pem: bytes) -> rsa.RSAPrivateKey:
    """Return the RSA key of a PEM file without password. Raises CredentialRefused."""
    key = _load(pem)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise CredentialRefused(
            "the service account's key is no RSA key", fix="Download the service account file again."
        )
    return key


def _load(pem: bytes) -> object:
    try:
        return load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        # OpenSSL's words could quote the file; ours do not.
        raise CredentialRefused("the private key cannot be read", fix="Upload the file again.") from error


def es256(key: ec.EllipticCurvePrivateKey, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """Return a token signed with ES256; the same input gives the same token. `alg` is added to the header."""
    message = _signing_input({"alg": "ES256", **header}, claims)
    der = key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    r, s = decode_dss_signature(der)
    raw = r.to_bytes(_COORDINATE, "big") + s.to_bytes(_COORDINATE, "big")
    return (message + b"." + _segment(raw)).decode("ascii")


def rs256(key: rsa.RSAPrivateKey, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """Return a token signed with RS256. `alg` is added to the header."""
    message = _signing_input({"alg": "RS256", **header}, claims)
    signature = key.sign(message, padding.PKCS1v15(), hashes.SHA256())
    return (message + b"." + _segment(signature)).decode("ascii")


def window_start(key_id: str, now: int, *, window: int = WINDOW, youngest: int = YOUNGEST) -> int:
    """Return the `iat` of the provider token to use at `now`; all in Unix seconds.

    The age `now - iat` runs from `youngest` until `window` later, then the next window begins.
    """
    phase = int.from_bytes(hashlib.sha256(key_id.encode()).digest()[:4], "big") % window
    return now - (now - phase) % window - youngest


def provider_token(key: ec.EllipticCurvePrivateKey, key_id: str, team_id: str, iat: int) -> str:
    """Return the token APNs takes as `authorization: bearer <token>`; `iat` in Unix seconds."""
    return es256(key, {"kid": key_id}, {"iss": team_id, "iat": iat})


def assertion(key: rsa.RSAPrivateKey, key_id: str, client_email: str, now: int) -> str:
    """Return the assertion with which a service account asks for an access token; `now` in Unix seconds."""
    claims = {
        "iss": client_email,
        "scope": MESSAGING_SCOPE,
        "aud": GOOGLE_AUDIENCE,
        "iat": now,
        "exp": now + ASSERTION_LIFE,
    }
    return rs256(key, {"typ": "JWT", "kid": key_id} if key_id else {"typ": "JWT"}, claims)
