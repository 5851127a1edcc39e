"""The receiving end of Web Push: subscriptions as a browser makes them, and their messages decrypted.

RFC 8291 (keys), RFC 8188 (`aes128gcm`). A browser would show what it decrypts; here the journal shows it.
"""

from __future__ import annotations

import base64
import secrets

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_SALT_BYTES = 16
_HEADER_BYTES = _SALT_BYTES + 4 + 1
_TAG_BYTES = 16
_POINT_BYTES = 65
"""Of an uncompressed point, the only form that RFC 8291 (section 3.1) knows."""


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /subscriptions`."""

    vapid_public_key: str = ""
    """The application server's key in base64url; messages signed by another are refused. Empty takes any."""


class Subscription(msgspec.Struct, frozen=True):
    """One browser's subscription."""

    identity: str
    vapid_public_key: str
    secret: bytes
    """The 16-byte authentication secret."""
    key: ec.EllipticCurvePrivateKey

    def public(self, origin: str) -> dict[str, object]:
        """What the browser hands to the application, at `origin`."""
        return {
            "target": self.identity,
            "endpoint": f"{origin}/wp/{self.identity}",
            "keys": {"p256dh": base64url(_point(self.key.public_key())), "auth": base64url(self.secret)},
        }

    def plaintext(self, body: bytes) -> bytes | None:
        """What an `aes128gcm` body says; None if it was not encrypted for this subscription."""
        salt, record_size = body[:_SALT_BYTES], int.from_bytes(body[_SALT_BYTES : _SALT_BYTES + 4])
        sender, content = _split(body)
        if len(sender) != _POINT_BYTES:
            return None
        try:
            sender_key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender)
            secret = self._input_key(sender_key, sender)
            key = _derived(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
            nonce = _derived(secret, salt, b"Content-Encoding: nonce\0", 12)
            return _records(content, record_size, AESGCM(key), nonce)
        except (ValueError, InvalidTag):
            return None

    def _input_key(self, sender_key: ec.EllipticCurvePublicKey, sender: bytes) -> bytes:
        shared = self.key.exchange(ec.ECDH(), sender_key)
        info = b"WebPush: info\0" + _point(self.key.public_key()) + sender
        return _derived(shared, self.secret, info, 32)


def subscribe(wish: Wish) -> Subscription:
    """A new subscription with keys of its own."""
    return Subscription(
        identity=secrets.token_urlsafe(24),
        vapid_public_key=wish.vapid_public_key.rstrip("="),
        secret=secrets.token_bytes(16),
        key=ec.generate_private_key(ec.SECP256R1()),
    )


def base64url(data: bytes) -> str:
    """Unpadded base64url (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _split(body: bytes) -> tuple[bytes, bytes]:
    """The key id, which is the sender's public key, and the records."""
    length = body[_HEADER_BYTES - 1] if len(body) >= _HEADER_BYTES else 0
    return body[_HEADER_BYTES : _HEADER_BYTES + length], body[_HEADER_BYTES + length :]


def _records(content: bytes, size: int, cipher: AESGCM, nonce: bytes) -> bytes:
    """All records in order: each ends in its delimiter, 2 for the last, and zeros (RFC 8188 section 2)."""
    if size <= _TAG_BYTES + 1 or not content:
        raise ValueError("no records")
    pieces: list[bytes] = []
    for number, start in enumerate(range(0, len(content), size)):
        mixed = int.from_bytes(nonce) ^ number
        padded = cipher.decrypt(mixed.to_bytes(len(nonce)), content[start : start + size], None).rstrip(b"\0")
        last = start + size >= len(content)
        if padded[-1:] != (b"\x02" if last else b"\x01"):
            raise ValueError("a record without its delimiter")
        pieces.append(padded[:-1])
    return b"".join(pieces)


def _derived(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
