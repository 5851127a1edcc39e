"""Google's files: the service account that FCM HTTP v1 needs, and the two files people upload in its place."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import urlsplit

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from wakeline.model.credential import Credential, CredentialKind, CredentialSecret
from wakeline.model.route import Environment
from wakeline.wire.credential_file.inspection import Expectation, Inspection, Notes

_LEGACY_KEY = re.compile(rb"(AAAA[\w-]{7}:APA91b[\w-]{100,}|AIza[\w-]{35})\Z")
"""A server key of the Firebase console, and the older one of the Google API console that did the same."""
_CREATE = "In the Firebase console open Project settings, Service accounts, Generate new private key, and upload that JSON file."
# Google, "Creating and managing projects", and the older form with a domain in front; it becomes part of a path.
_PROJECT = re.compile(r"([a-z0-9.-]{1,100}:)?[a-z0-9-]{1,64}").fullmatch
GOOGLE_TOKEN_HOSTS = frozenset(
    {
        "accounts.google.com",
        "oauth2.googleapis.com",
        "oauth2.mtls.googleapis.com",
        "sts.googleapis.com",
        "www.googleapis.com",
    }
)
"""Hosts to which Google's own service accounts point: the `token_uri` values its consoles have written over the years."""

_REQUIRED = ("project_id", "private_key_id", "private_key", "client_email", "token_uri")


class _File(msgspec.Struct, frozen=True):
    """The fields we use of a service account, all optional here: the verdict names what is missing."""

    type: str = ""
    project_id: str = ""
    private_key_id: str = ""
    private_key: str = ""
    client_email: str = ""
    token_uri: str = ""
    project_info: object = None


def is_legacy_key(text: bytes) -> bool:
    """Tell whether this is a server key of the legacy FCM API."""
    return bool(_LEGACY_KEY.match(text))


def from_legacy_key() -> Inspection:
    """Refuse a legacy server key with what to do instead (Firebase: migrate from legacy APIs to HTTP v1)."""
    return Inspection.refused(
        f"This is a server key of the legacy FCM API, which Google switched off on 2024-07-22. {_CREATE}"
    )


def is_app_plist(text: bytes) -> bool:
    """Tell whether this is what Firebase gives to an iOS app."""
    return text.startswith(b"<") and b"GOOGLE_APP_ID" in text


def from_app_plist() -> Inspection:
    """Refuse it with what to do instead."""
    return Inspection.refused(
        f"This is GoogleService-Info.plist, which belongs into the iOS app; it holds no key. {_CREATE}"
    )


def from_json(text: bytes, expectation: Expectation) -> Inspection:
    """Judge a JSON file: only a service account with an RSA key can work."""
    try:
        file = msgspec.json.decode(text, type=_File)
    except msgspec.ValidationError as error:
        return Inspection.refused(f"A field of this JSON file has the wrong type: {error}. {_CREATE}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Inspection.refused(f"The file begins like JSON and is broken: {error}. Download it again.")
    if file.project_info is not None:
        return Inspection.refused(
            f"This is google-services.json, which belongs into the Android app; it holds no key. {_CREATE}"
        )
    if file.type != "service_account":
        return Inspection.refused(
            f"The JSON file's type is {file.type[:40]!r}, and only 'service_account' can send. {_CREATE}"
        )
    missing = [name for name in _REQUIRED if not getattr(file, name)]
    if missing:
        return Inspection.refused(f"The service account lacks {', '.join(missing)}. Download it again. {_CREATE}")
    if not _PROJECT(file.project_id):
        return Inspection.refused(f"{file.project_id[:80]!r} is no project id. Download the file again. {_CREATE}")
    return _service_account(file, expectation)


def _service_account(file: _File, expectation: Expectation) -> Inspection:
    try:
        key = load_pem_private_key(file.private_key.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return Inspection.refused(
            "The service account's private_key cannot be read: it was cut or changed. Download the file again."
        )
    if not isinstance(key, rsa.RSAPrivateKey):
        return Inspection.refused("The service account's private_key is no RSA key, which Google's sign-in needs.")
    notes = Notes()
    _judge_token_uri(file.token_uri, expectation, notes)
    if expectation.topics and expectation.topics != (file.project_id,):
        notes.refuse(f"The file is for project {file.project_id!r}, not for {', '.join(expectation.topics)!r}.")
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    facts = Credential(
        id=0,
        app=expectation.app,
        kind=CredentialKind.FCM_SERVICE_ACCOUNT,
        environments=(Environment.PRODUCTION,),
        topics=(file.project_id,),
        key_id=file.private_key_id,
        subject=file.client_email,
        fingerprint=hashlib.sha256(public + file.client_email.encode()).hexdigest(),
    )
    secret = CredentialSecret(
        kind=CredentialKind.FCM_SERVICE_ACCOUNT,
        private_key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        key_id=file.private_key_id,
        client_email=file.client_email,
        project_id=file.project_id,
        token_uri=file.token_uri,
    )
    return Inspection.usable(facts, secret, notes)


def _judge_token_uri(token_uri: str, expectation: Expectation, notes: Notes) -> None:
    """Let tokens be asked only from Google, or from hosts the operator has listed: the file may come from a caller."""
    try:
        parts = urlsplit(token_uri)
        host, scheme = (parts.hostname or "").lower(), parts.scheme
    except ValueError:
        notes.refuse("The service account's token_uri is no URL. Download the file again.")
        return
    if host in expectation.token_hosts:
        return
    if host not in GOOGLE_TOKEN_HOSTS:
        notes.need(
            alone=expectation.alone,
            note=f"The service account's token_uri points to {host!r}, which is not Google's. "
            "If that is meant, list the host in [providers.fcm] token_hosts.",
        )
    elif scheme != "https":
        notes.refuse("The service account's token_uri is not https. Download the file again.")
