"""An external push URI as a file: `{"external_push_uri": "https://...?token=$token", "method": "GET"}`.

It is a credential, because it is what lets us push for an app, and because a key usually stands in it.
"""

from __future__ import annotations

import hashlib
from urllib.parse import urlsplit

import msgspec

from wakeline.model.credential import Credential, CredentialKind, CredentialSecret
from wakeline.model.errors import InvalidRequest
from wakeline.model.route import Environment
from wakeline.wire.credential_file.inspection import Expectation, Inspection, Notes
from wakeline.wire.flexisip.external import Method, Template
from wakeline.wire.flexisip.placeholders import check_template


class _File(msgspec.Struct, frozen=True):
    """The fields of the file; anything may stand in them."""

    external_push_uri: object = None
    method: object = "GET"


def read_file(text: bytes) -> _File | None:
    """Return the file, or None if this is something else."""
    try:
        file = msgspec.json.decode(text, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return file if file.external_push_uri is not None else None


def from_file(file: _File, expectation: Expectation) -> Inspection:
    """Judge it: a URL whose host no placeholder chooses, and a method that Flexisip has."""
    uri, method = file.external_push_uri, file.method
    if not isinstance(uri, str):
        return Inspection.refused("external_push_uri is no text.")
    try:
        check_template(uri)
    except InvalidRequest as error:
        return Inspection.refused(f"{error.detail}. {error.fix}")
    if method not in tuple(Method):
        return Inspection.refused("method is neither GET nor POST.")
    template = Template(uri=uri, method=Method(str(method)))
    notes = Notes()
    if "$token" not in uri:
        notes.warn("The URI has no $token: whoever is called does not learn which phone is meant.")
    parts = urlsplit(uri)
    if parts.scheme == "http":
        notes.warn("The URI is without TLS: [providers.http] allow_http has to permit it.")
    notes.remark(f"Pushes go to {parts.scheme}://{parts.netloc} by {template.method}.")
    secret = CredentialSecret(kind=CredentialKind.EXTERNAL_PUSH, private_key=msgspec.json.encode(template))
    facts = Credential(
        id=0,
        app=expectation.app,
        kind=CredentialKind.EXTERNAL_PUSH,
        environments=(Environment.PRODUCTION,),
        topics=expectation.topics,
        fingerprint=hashlib.sha256(secret.private_key).hexdigest(),
    )
    return Inspection.usable(facts, secret, notes)
