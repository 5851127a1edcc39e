"""PEM text: an APNs key (.p8) or a certificate with its key (.pem), in all the forms that tools write.

`openssl pkcs12 -nodes` puts "Bag Attributes" between the blocks; RFC 7468 section 2 lets a reader skip such text.
"""

from __future__ import annotations

import hashlib
import re

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from wakeline.model.credential import Credential, CredentialKind, CredentialSecret
from wakeline.model.route import Environment
from wakeline.wire.credential_file.apple_certificate import from_identity
from wakeline.wire.credential_file.inspection import Expectation, Inspection, Notes

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\r?\n.*?-----END \1-----", re.DOTALL)
_IDENTIFIER = re.compile(r"[A-Z0-9]{10}\Z")
_TOPIC = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+\Z")


class _UnreadableKey(Exception):
    """Why a private key block cannot be used."""


def from_pem(text: bytes, expectation: Expectation) -> Inspection:
    """Judge PEM text by the blocks in it."""
    blocks = [(match[1].decode(), match[0]) for match in _BLOCK.finditer(text)]
    if not blocks:
        return Inspection.refused("A PEM block begins and does not end: the file was cut. Copy the whole file again.")
    certificate_blocks = [block for label, block in blocks if label == "CERTIFICATE"]
    key_blocks = [block for label, block in blocks if label.endswith("PRIVATE KEY")]
    if len(key_blocks) > 1:
        return Inspection.refused(
            f"The file holds {len(key_blocks)} private keys (several identities). Export one certificate with its key alone."
        )
    try:
        keys = [_private_key(block, expectation.password) for block in key_blocks]
        certificates = [x509.load_pem_x509_certificate(block) for block in certificate_blocks]
    except _UnreadableKey as error:
        return Inspection.refused(str(error))
    except ValueError:
        return Inspection.refused("A certificate in the file cannot be read: it was cut or changed. Export it again.")
    if certificates and keys:
        return from_identity(keys[0], certificates, expectation)
    if certificates:
        return Inspection.refused(
            "The file holds a certificate and no private key. In Keychain open the certificate's triangle, "
            "choose certificate and key together and export both."
        )
    if keys:
        return _from_key(keys[0], expectation)
    return Inspection.refused(f"The file holds {blocks[0][0]}, and neither a private key nor a certificate.")


def _private_key(block: bytes, password: str) -> PrivateKeyTypes:
    encrypted = b"ENCRYPTED" in block
    if encrypted and not password:
        raise _UnreadableKey("The private key is encrypted. Give its password (password=..., --password).")
    try:
        return load_pem_private_key(block, password.encode() if encrypted else None)
    except UnsupportedAlgorithm:
        raise _UnreadableKey(
            "The private key is of a kind, or encrypted in a way, that is no longer supported. "
            "Write it anew: openssl pkcs8 -topk8 -in OLD.pem -out NEW.pem"
        ) from None
    except (ValueError, TypeError):
        if encrypted:
            raise _UnreadableKey("The password is wrong, or the encrypted private key is broken.") from None
        raise _UnreadableKey("The private key is broken: it was cut or changed. Download or export it again.") from None


def _from_key(key: PrivateKeyTypes, expectation: Expectation) -> Inspection:
    """Judge a key without certificate: only a P-256 key can be an APNs key (Apple: token-based connection, ES256)."""
    if isinstance(key, rsa.RSAPrivateKey):
        return Inspection.refused(
            "This is an RSA key without a certificate. An APNs key (.p8) is an elliptic-curve key from "
            "Certificates, Identifiers & Profiles, Keys; the key of a push certificate has to come with its certificate."
        )
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        curve = key.curve.name if isinstance(key, ec.EllipticCurvePrivateKey) else type(key).__name__
        return Inspection.refused(
            f"An APNs key is on the curve P-256; this one is {curve}. Download the .p8 of the APNs key."
        )
    notes = Notes()
    _judge_identifiers(expectation, notes)
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    environment = expectation.environment
    facts = Credential(
        id=0,
        app=expectation.app,
        kind=CredentialKind.APNS_KEY,
        environments=(environment,) if environment else tuple(Environment),
        topics=expectation.topics,
        key_id=expectation.key_id,
        team_id=expectation.team_id,
        subject=f"APNs key {expectation.key_id}".strip(),
        fingerprint=hashlib.sha256(public).hexdigest(),
    )
    secret = CredentialSecret(
        kind=CredentialKind.APNS_KEY,
        private_key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        key_id=expectation.key_id,
        team_id=expectation.team_id,
    )
    return Inspection.usable(facts, secret, notes)


def _judge_identifiers(expectation: Expectation, notes: Notes) -> None:
    where = {
        "key_id": "the 10 characters after AuthKey_ in the file's name",
        "team_id": "the 10 characters under Membership in the developer account",
    }
    for name, value in (("key_id", expectation.key_id), ("team_id", expectation.team_id)):
        if not value:
            notes.need(alone=expectation.alone, note=f"An APNs key needs {name}: {where[name]}.")
        elif not _IDENTIFIER.match(value):
            notes.refuse(f"{name} {value[:20]!r} is not 10 capital letters and digits: it is {where[name]}.")
    for topic in expectation.topics:
        if not _TOPIC.match(topic):
            notes.refuse(f"The topic {topic[:80]!r} is no bundle id such as com.example.app.")
    if not expectation.topics:
        notes.remark("Without topics the key covers every bundle id of its team.")
