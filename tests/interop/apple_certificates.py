"""Client certificates in the form of Apple's, signed by themselves."""

from __future__ import annotations

import datetime as dt
import functools
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

_APPLE = "1.2.840.113635.100.6.3"


def make_certificate(
    *,
    uid: str = "",
    name: str = "client",
    topics: tuple[str, ...] = (),
    marks: tuple[str, ...] = (),
    days: int = 30,
) -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    """A certificate and its key; `marks` are Apple's environment extensions, `1` sandbox and `2` production."""
    key = _key()
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if uid:
        attributes.append(x509.NameAttribute(NameOID.USER_ID, uid))
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(attributes))
        .issuer_name(x509.Name(attributes))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=60))
        .not_valid_after(now + dt.timedelta(days=days))
    )
    extensions = {f"{_APPLE}.{mark}": b"\x05\x00" for mark in marks}
    if topics:
        extensions[f"{_APPLE}.6"] = topic_list(topics)
    for oid, value in extensions.items():
        unrecognized = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)
        builder = builder.add_extension(unrecognized, critical=False)
    return builder.sign(key, hashes.SHA256()), key


def write_pem(path: Path, certificate: x509.Certificate, key: rsa.RSAPrivateKey) -> Path:
    """Certificate and key in one file."""
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + key_pem)
    return path


def topic_list(topics: tuple[str, ...]) -> bytes:
    """`SEQUENCE { UTF8String topic, SEQUENCE { UTF8String kind }, ... }` in DER."""
    return _sequence(*(part for topic in topics for part in (_text(topic), _sequence(_text("app")))))


@functools.cache
def _key() -> rsa.RSAPrivateKey:
    """One for all: what differs between the certificates is said by them."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _text(value: str) -> bytes:
    return bytes([0x0C, len(value)]) + value.encode()


def _sequence(*parts: bytes) -> bytes:
    content = b"".join(parts)
    length = bytes([len(content)]) if len(content) < 128 else bytes([0x81, len(content)])
    return b"\x30" + length + content
