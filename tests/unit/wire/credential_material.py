"""Credential files as Apple, Google and the tools of others make them, made here."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID, ObjectIdentifier

NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
NOW_MS = int(NOW.timestamp() * 1000)
KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PRODUCTION_OID = ObjectIdentifier("1.2.840.113635.100.6.3.2")
DEVELOPMENT_OID = ObjectIdentifier("1.2.840.113635.100.6.3.1")
TOPICS_OID = ObjectIdentifier("1.2.840.113635.100.6.3.6")
APPLE = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Apple Worldwide Developer Relations, made for a test")])
VOIP_TOPICS_OID = ObjectIdentifier("1.2.840.113635.100.6.3.4")


def pem(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    form: PrivateFormat = PrivateFormat.PKCS8,
    password: str = "",
) -> bytes:
    encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, form, encryption)


def certificate(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = RSA_KEY,
    *,
    days: int = 200,
    starts: int = -10,
    oids: tuple[ObjectIdentifier, ...] = (PRODUCTION_OID,),
    topics: tuple[str, ...] = (),
    topics_oid: ObjectIdentifier = TOPICS_OID,
    uid: str = "com.example.chat",
    name: str = "Apple Push Services",
    uses: tuple[ObjectIdentifier, ...] = (),
    issuer: x509.Name = APPLE,
) -> x509.Certificate:
    names = [x509.NameAttribute(NameOID.COMMON_NAME, f"{name}: {uid}")]
    names += [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "TEAM123456")]
    names += [x509.NameAttribute(NameOID.USER_ID, uid)] if uid else []
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(names))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + dt.timedelta(days=starts))
        .not_valid_after(NOW + dt.timedelta(days=days))
    )
    for oid in oids:
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, b"\x05\x00"), critical=False)
    if topics:
        builder = builder.add_extension(x509.UnrecognizedExtension(topics_oid, topic_list(topics)), critical=False)
    if uses:
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=True)
    return builder.sign(RSA_KEY, hashes.SHA256())


def topic_list(topics: tuple[str, ...]) -> bytes:
    kind = b"\x30\x05\x0c\x03app"
    body = b"".join(b"\x0c" + bytes([len(topic)]) + topic.encode() + kind for topic in topics)
    return b"\x30\x81" + bytes([len(body)]) + body


def p12(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | None,
    leaf: x509.Certificate | None,
    password: bytes | None = None,
    others: list[x509.Certificate] | None = None,
) -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return pkcs12.serialize_key_and_certificates(b"push", key, leaf, others, encryption)


def service_account(**changes: object) -> bytes:
    fields: dict[str, object] = {
        "type": "service_account",
        "project_id": "example-chat",
        "private_key_id": "0123456789abcdef",
        "private_key": pem(RSA_KEY).decode(),
        "client_email": "push@example-chat.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    fields.update(changes)
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


def openssl(*arguments: str, given: bytes = b"") -> bytes:
    """What `openssl` makes of it; legacy algorithms included."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed: its files were NOT judged")
    done = subprocess.run([program, *arguments], input=given, capture_output=True, timeout=10, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
