"""APNs client certificates: what an Apple certificate says about topics and environment.

Apple's extensions live under 1.2.840.113635.100.6.3: `.1` development, `.2` production, `.4` and `.6` topic lists
(`SEQUENCE { UTF8String topic, SEQUENCE { UTF8String kind }, ... }`). Certificates older than the lists name their
one topic in the subject: `UID`, else the end of `Apple Push Services: <bundle id>`.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

_APPLE = "1.2.840.113635.100.6.3"
_DEVELOPMENT = x509.ObjectIdentifier(f"{_APPLE}.1")
_PRODUCTION = x509.ObjectIdentifier(f"{_APPLE}.2")
_TOPIC_LISTS = (x509.ObjectIdentifier(f"{_APPLE}.4"), x509.ObjectIdentifier(f"{_APPLE}.6"))
_UTF8_STRING = 0x0C


class ClientCertificate(msgspec.Struct, frozen=True):
    """The parts of a client certificate that APNs looks at."""

    sha256: str
    topics: tuple[str, ...]
    development: bool
    production: bool

    def serves(self, environment: str) -> bool:
        """Whether the certificate is for `environment`; one without Apple's marks is for any."""
        if not environment or self.development == self.production:
            return True
        return self.production if environment == "production" else self.development


def read_certificate(certificate: x509.Certificate) -> ClientCertificate:
    """What APNs would read from the certificate presented in the handshake."""
    present = {extension.oid for extension in certificate.extensions}
    return ClientCertificate(
        sha256=certificate.fingerprint(hashes.SHA256()).hex(),
        topics=_topics(certificate),
        development=_DEVELOPMENT in present,
        production=_PRODUCTION in present,
    )


def fingerprint(text: str) -> str:
    """SHA-256 in lower-case hex of a PEM certificate, or of one given as hex, with or without colons.

    Raises ValueError if it is neither.
    """
    if "BEGIN CERTIFICATE" in text:
        return x509.load_pem_x509_certificate(text.encode()).fingerprint(hashes.SHA256()).hex()
    digest = bytes.fromhex(text.replace(":", ""))
    if len(digest) != 32:
        raise ValueError("a SHA-256 fingerprint has 32 bytes")
    return digest.hex()


def _topics(certificate: x509.Certificate) -> tuple[str, ...]:
    for extension in certificate.extensions:
        if extension.oid in _TOPIC_LISTS and isinstance(extension.value, x509.UnrecognizedExtension):
            return tuple(_listed_topics(extension.value.value))
    uids = certificate.subject.get_attributes_for_oid(NameOID.USER_ID)
    if uids:
        return (str(uids[0].value),)
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    _, separator, topic = str(names[0].value).partition(": ") if names else ("", "", "")
    return (topic,) if separator else ()


def _listed_topics(der: bytes) -> Iterator[str]:
    _, whole, _ = _element(der)
    while whole:
        tag, value, whole = _element(whole)
        if tag == _UTF8_STRING:
            yield value.decode()


def _element(der: bytes) -> tuple[int, bytes, bytes]:
    """The first DER element: its tag, its value, and what follows it."""
    length, start = der[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(der[2:start])
    return der[0], der[start : start + length], der[start + length :]
