"""An APNs key (.p8): a P-256 key that signs the gateway's tokens (Apple: "Establishing a token-based connection to APNs").

What the key may do is known to Apple alone: the bytes of a key for MusicKit, DeviceCheck or App Store Connect look the same,
and so does the name `AuthKey_<key id>.p8` of most of them. Only an In-App Purchase key has a name of its own. For the others
the live check of an upload tells: Apple answers InvalidProviderToken.
"""

from __future__ import annotations

import hashlib
import re

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from wakeline.model.credential import Credential, CredentialKind, CredentialSecret
from wakeline.model.route import Environment
from wakeline.wire.credential_file.inspection import Expectation, Inspection, Notes

_IDENTIFIER = re.compile(r"[A-Z0-9]{10}\Z")
_TOPIC = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+\Z")
_NAMED = re.compile(r"(?:APNS)?AuthKey_([A-Z0-9]{10})\.p8\Z")
_IN_APP_PURCHASE = "SubscriptionKey_"


def key_id_in(file_name: str) -> str:
    """Return the key id that Apple wrote into the name of a .p8, or nothing."""
    match = _NAMED.match(file_name)
    return match[1] if match else ""


def without_push(file_name: str) -> str:
    """Say why a key of this name cannot push, or nothing."""
    if not file_name.startswith(_IN_APP_PURCHASE):
        return ""
    return (
        f"A key named {_IN_APP_PURCHASE}... is for In-App Purchases and lacks the APNs service. Create a key with Apple Push "
        "Notifications service (APNs) under Certificates, Identifiers & Profiles, Keys: its file is named AuthKey_<key id>.p8."
    )


def from_key(key: PrivateKeyTypes, expectation: Expectation) -> Inspection:
    """Judge a key without certificate: only a P-256 key can be an APNs key (Apple: token-based connection, ES256)."""
    if isinstance(key, rsa.RSAPrivateKey):
        return Inspection.refused(
            "The file holds an RSA key and no certificate. An APNs key (.p8) is an elliptic-curve key from "
            "Certificates, Identifiers & Profiles, Keys; the key of a push certificate has to come with its certificate."
        )
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        curve = key.curve.name if isinstance(key, ec.EllipticCurvePrivateKey) else type(key).__name__
        return Inspection.refused(
            f"An APNs key is on the curve P-256; this one is {curve}. Download the .p8 of the APNs key."
        )
    notes = Notes()
    _judge_name(expectation, notes)
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


def _judge_name(expectation: Expectation, notes: Notes) -> None:
    other = without_push(expectation.file_name)
    if other:
        notes.refuse(other)
    named = key_id_in(expectation.file_name)
    if named and expectation.key_id and named != expectation.key_id:
        notes.warn(
            f"The file is named after the key {named}, and you say that the key id is {expectation.key_id[:20]!r}."
        )
    notes.remark("Whether the key has the APNs service is not in the file: the live check asks Apple.")


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
