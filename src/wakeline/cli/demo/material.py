"""Credentials for the demonstration, generated at run time: a .p8 key, a .p12 certificate, a service account.

They have the shape of Apple's and Google's files and open nothing but the stand-ins of this demonstration.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

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
from cryptography.x509.oid import NameOID

KEY_ID = "DEMOKEY001"
TEAM_ID = "DEMOTEAM01"
PASSWORD = "demo"  # noqa: S105 - of a file that lives as long as the demonstration
PROJECT = "demo-project"

_APPLE = "1.2.840.113635.100.6.3"
_PRODUCTION = x509.ObjectIdentifier(f"{_APPLE}.2")
_TOPICS = x509.ObjectIdentifier(f"{_APPLE}.6")
_NULL = b"\x05\x00"


def auth_key() -> bytes:
    """Return an APNs authentication key as Apple hands it out (AuthKey_<key id>.p8)."""
    return _pem(ec.generate_private_key(ec.SECP256R1()))


def certificate(bundle: str) -> bytes:
    """Return a .p12 with a certificate for the bundle id and its VoIP topic, and its key; PASSWORD opens it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.USER_ID, bundle),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Apple Push Services: {bundle}"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, TEAM_ID),
        ]
    )
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(x509.UnrecognizedExtension(_PRODUCTION, _NULL), critical=False)
        .add_extension(x509.UnrecognizedExtension(_TOPICS, _topics(bundle)), critical=False)
        .sign(key, hashes.SHA256())
    )
    return pkcs12.serialize_key_and_certificates(b"demo", key, made, None, BestAvailableEncryption(PASSWORD.encode()))


def service_account(token_uri: str) -> bytes:
    """Return a service account as Google's console hands it out, for the token endpoint given."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    account = {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": "0" * 40,
        "private_key": _pem(key).decode(),
        "client_email": f"push@{PROJECT}.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": token_uri,
    }
    return json.dumps(account).encode()


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _topics(bundle: str) -> bytes:
    """Encode Apple's list of topics: SEQUENCE { UTF8String topic, SEQUENCE { UTF8String kind }, ... }."""
    pairs = ((bundle, "app"), (f"{bundle}.voip", "voip"))
    return _der(
        0x30, b"".join(_der(0x0C, topic.encode()) + _der(0x30, _der(0x0C, kind.encode())) for topic, kind in pairs)
    )


def _der(tag: int, value: bytes) -> bytes:
    """Encode one element; demonstration names are short, so the length fits one byte or one after 0x81."""
    length = bytes([len(value)]) if len(value) < 0x80 else bytes([0x81, len(value)])
    return bytes([tag]) + length + value
