"""P-256 keys as Web Push writes them: points of 65 bytes, private keys from entropy, all in base64url.

Source: RFC 8291 section 3.1 and RFC 8292 section 3.2 (uncompressed points, X9.62), RFC 7515 section 2 (base64url without
padding). FIPS 186-5 appendix A.2.2 for the private key: a candidate out of range is replaced, not folded, so that every key
is as likely as any other.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

POINT_BYTES = 65
"""Of an uncompressed point on P-256: the mark 4, then both coordinates."""
SCALAR_BYTES = 32

_CURVE = ec.SECP256R1()
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def encoded(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decoded(text: str) -> bytes | None:
    """Return the bytes of base64, in either alphabet, with padding or without; None if it is none."""
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):  # ValueError: characters outside ASCII
        return None


def public_key(point: bytes) -> ec.EllipticCurvePublicKey:
    """Return the key of an uncompressed point. Raises ValueError if it is not on the curve."""
    return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, point)


def point_of(key: ec.EllipticCurvePublicKey) -> bytes:
    """Return the uncompressed point of a key."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def private_key(seed: bytes) -> ec.EllipticCurvePrivateKey:
    """Return the private key that follows from 32 bytes of entropy; the same bytes give the same key."""
    scalar = int.from_bytes(seed, "big")
    while not 0 < scalar < _ORDER:
        seed = hashlib.sha256(seed).digest()
        scalar = int.from_bytes(seed, "big")
    return ec.derive_private_key(scalar, _CURVE)
