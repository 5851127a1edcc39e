"""APNs certificates: identity, topics, environment and days left, read from the certificate itself.

The extensions are Apple's (1.2.840.113635.100.6.3.x): .1 development, .2 production, .6 the list of topics with their
kinds; the subject's UID is the bundle id where the list is missing. Apple marks what else it issues under the same arc
(.1.x signing, .32 Apple Pay ...), and says by the extended key usage (RFC 5280 section 4.2.1.12) who may be a TLS client.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, SignatureAlgorithmOID

from wakeline.model.credential import Credential, CredentialKind, CredentialSecret
from wakeline.model.route import Environment
from wakeline.wire.credential_file.contents import Contents
from wakeline.wire.credential_file.identity import attribute, common_name, identity
from wakeline.wire.credential_file.inspection import Expectation, Inspection, Notes
from wakeline.wire.credential_file.private_key import Unreadable
from wakeline.wire.credential_file.validity import ends, expired

_APPLE = "1.2.840.113635.100.6"
_PUSH = f"{_APPLE}.3"
_DEVELOPMENT = x509.ObjectIdentifier(f"{_PUSH}.1")
_PRODUCTION = x509.ObjectIdentifier(f"{_PUSH}.2")
_VOIP_TOPICS = x509.ObjectIdentifier(f"{_PUSH}.4")
_TOPICS = x509.ObjectIdentifier(f"{_PUSH}.6")
_VOIP_NAME, _VOIP_SUFFIX = "VoIP Services", ".voip"
_UTF8_STRING, _SEQUENCE, _LONG_FORM = 0x0C, 0x30, 0x80
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,255}").fullmatch
_LEAST_RSA_BITS = 2048
_OUTDATED_SIGNATURES = frozenset(
    {
        SignatureAlgorithmOID.RSA_WITH_MD5,
        SignatureAlgorithmOID.RSA_WITH_SHA1,
        SignatureAlgorithmOID.ECDSA_WITH_SHA1,
    }
)
_CLIENT_USES = frozenset({ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})


def from_identity(held: Contents, expectation: Expectation) -> Inspection:
    """Judge a private key with its certificates."""
    try:
        found = identity(held)
    except Unreadable as error:
        return Inspection.refused(str(error))
    notes = Notes()
    facts = _facts(found.leaf, expectation, notes)
    secret = CredentialSecret(
        kind=CredentialKind.APNS_CERTIFICATE,
        private_key=found.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        certificates=b"".join(entry.public_bytes(Encoding.PEM) for entry in found.chain),
        team_id=facts.team_id,
    )
    return Inspection.usable(facts, secret, notes)


def _facts(leaf: x509.Certificate, expectation: Expectation, notes: Notes) -> Credential:
    _judge_purpose(leaf, notes)
    _judge_strength(leaf, expectation, notes)
    environments = _environments(leaf, expectation, notes)
    topics = _topics(leaf, expectation, notes)
    not_after = int(leaf.not_valid_after_utc.timestamp() * 1000)
    _judge_dates(int(leaf.not_valid_before_utc.timestamp() * 1000), not_after, expectation.now, notes)
    if "apple" not in leaf.issuer.rfc4514_string().lower():
        notes.warn(f"The certificate was issued by {common_name(leaf.issuer)!r}, not by Apple.")
    notes.remark("A .p8 key never expires and serves all apps of the team: consider one in place of certificates.")
    return Credential(
        id=0,
        app=expectation.app,
        kind=CredentialKind.APNS_CERTIFICATE,
        environments=environments,
        topics=topics,
        team_id=attribute(leaf.subject, NameOID.ORGANIZATIONAL_UNIT_NAME),
        subject=common_name(leaf.subject),
        not_after=not_after,
        fingerprint=leaf.fingerprint(hashes.SHA256()).hex(),
    )


def bears_environment(certificate: bytes) -> bool:
    """Tell whether a certificate (PEM) says for which environments it is; one that does not is for what its owner says."""
    marks = {extension.oid for extension in x509.load_pem_x509_certificate(certificate).extensions}
    return not marks.isdisjoint((_DEVELOPMENT, _PRODUCTION))


def _environments(leaf: x509.Certificate, expectation: Expectation, notes: Notes) -> tuple[Environment, ...]:
    marks = {extension.oid for extension in leaf.extensions}
    found = tuple(
        environment
        for environment, mark in ((Environment.PRODUCTION, _PRODUCTION), (Environment.SANDBOX, _DEVELOPMENT))
        if mark in marks
    )
    wanted = expectation.environment
    if found == (Environment.SANDBOX,):
        notes.warn("This is a development certificate: it reaches apps built by Xcode, not those from the App Store.")
    if wanted is None:
        return found or tuple(Environment)
    if found and wanted not in found:
        notes.warn(
            f"The certificate says {found[0].value}, and you say {wanted.value}: Apple will go by the certificate."
        )
        return found
    return (wanted,)


def _topics(leaf: x509.Certificate, expectation: Expectation, notes: Notes) -> tuple[str, ...]:
    listed = [topic for oid in (_TOPICS, _VOIP_TOPICS) for topic in _topic_list(leaf, oid)]
    if any(not _TOPIC(topic) for topic in listed):
        notes.refuse("The certificate names a topic that is no bundle id: it was not made by Apple.")
        return ()
    topics = tuple(dict.fromkeys(listed)) or _topics_of_subject(leaf)
    if not topics:
        if not expectation.topics:
            notes.need(
                alone=expectation.alone,
                note="The certificate names no topic. Say for which bundle id it is (topics=...).",
            )
        return expectation.topics
    strangers = [topic for topic in expectation.topics if topic not in topics]
    if strangers:
        notes.refuse(f"The certificate is for {', '.join(topics)}, and not for {', '.join(strangers)}.")
    return topics


def _topics_of_subject(leaf: x509.Certificate) -> tuple[str, ...]:
    """Return what the subject alone says: its UID; a VoIP Services certificate serves that bundle id's `.voip` and no other."""
    bundle = attribute(leaf.subject, NameOID.USER_ID)
    if not bundle:
        return ()
    voip = common_name(leaf.subject).startswith(_VOIP_NAME) and not bundle.endswith(_VOIP_SUFFIX)
    return (bundle + _VOIP_SUFFIX if voip else bundle,)


def _judge_dates(not_before: int, not_after: int, now: int, notes: Notes) -> None:
    """Refuse what does not work now; how many days are left is said by `validity.aged`."""
    if now >= not_after:
        notes.refuse(expired(not_after, now))
    elif now < not_before:
        notes.refuse(
            f"The certificate is not valid yet: it begins {ends(not_before, now)}. This machine's clock is wrong, "
            "or it was made on one that is."
        )


def _judge_purpose(leaf: x509.Certificate, notes: Notes) -> None:
    marks = [extension.oid.dotted_string for extension in leaf.extensions]
    if _below(_APPLE, marks) and not _below(_PUSH, marks):
        notes.refuse(
            f"Apple made this certificate ({common_name(leaf.subject)}) for something other than push: it lacks the APNs service. "
            "Create an Apple Push Notification service SSL certificate or, better, an APNs key (.p8)."
        )
    try:
        uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not _CLIENT_USES.intersection(uses):
        notes.refuse("The certificate may not be used by a TLS client, which is what a push certificate is for.")


def _judge_strength(leaf: x509.Certificate, expectation: Expectation, notes: Notes) -> None:
    """Refuse what TLS would not load (OpenSSL, SSL_CTX_set_security_level, level 2); a root's own signature is not looked at."""
    key = leaf.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _LEAST_RSA_BITS:
        notes.need(
            alone=expectation.alone,
            note=f"The certificate's RSA key has {key.key_size} bits, and TLS takes {_LEAST_RSA_BITS} or more. "
            "Make a new one: `wakeline credential csr`.",
        )
    if leaf.signature_algorithm_oid in _OUTDATED_SIGNATURES and leaf.issuer != leaf.subject:
        notes.need(
            alone=expectation.alone,
            note="The certificate is signed with SHA-1 or MD5, which TLS does not take any more. Renew it.",
        )


def _below(arc: str, identifiers: Sequence[str]) -> bool:
    return any(one.startswith(f"{arc}.") for one in identifiers)


def _topic_list(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> list[str]:
    try:
        value = certificate.extensions.get_extension_for_oid(oid).value
    except x509.ExtensionNotFound:
        return []
    if not isinstance(value, x509.UnrecognizedExtension):
        return []
    return list(_utf8_strings(value.value))


def _utf8_strings(der: bytes) -> Iterator[str]:
    """Yield the strings at the top of `SEQUENCE { UTF8String topic, SEQUENCE { UTF8String kind }, ... }`; stop at anything else."""
    elements = list(_elements(der))
    if len(elements) == 1 and elements[0][0] == _SEQUENCE:
        elements = list(_elements(elements[0][1]))
    for tag, content in elements:
        if tag == _UTF8_STRING:
            yield content.decode("utf-8", "replace")


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (tag, content) of DER elements side by side (X.690 section 8.1); stop where the bytes make no sense."""
    position = 0
    while position + 2 <= len(der):
        tag, length = der[position], der[position + 1]
        position += 2
        if length & _LONG_FORM:
            size = length & ~_LONG_FORM
            length = int.from_bytes(der[position : position + size])
            position += size
        if position + length > len(der):
            return
        yield tag, der[position : position + length]
        position += length
