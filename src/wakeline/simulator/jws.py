"""JSON Web Signatures taken apart and verified (RFC 7515), as far as push services look at them."""

from __future__ import annotations

import base64
import binascii

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature


class Jws(msgspec.Struct, frozen=True):
    """A compact JWS, not yet verified."""

    header: dict[str, object]
    claims: dict[str, object]
    signed: bytes
    signature: bytes

    def verified_by(self, key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> bool:
        """Whether `key` made the signature: ES256 or RS256, by the kind of key."""
        try:
            if isinstance(key, rsa.RSAPublicKey):
                key.verify(self.signature, self.signed, padding.PKCS1v15(), hashes.SHA256())
            else:
                half = len(self.signature) // 2
                r, s = (int.from_bytes(part) for part in (self.signature[:half], self.signature[half:]))
                key.verify(encode_dss_signature(r, s), self.signed, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True


def read_jws(token: str) -> Jws | None:
    """The parts of `token`; None if it is not three parts of base64url with JSON objects in the first two."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        header, claims, signature = (unpadded(part) for part in parts)
        return Jws(
            header=msgspec.json.decode(header, type=dict[str, object]),
            claims=msgspec.json.decode(claims, type=dict[str, object]),
            signed=token.rpartition(".")[0].encode(),
            signature=signature,
        )
    except (binascii.Error, ValueError):
        return None


def unpadded(part: str) -> bytes:
    """The bytes of unpadded base64url. Raises binascii.Error."""
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
