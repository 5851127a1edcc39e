"""From the forms in which credentials come to the forms in which programs want them. Bytes in, bytes out.

Rule: the same reader and the same refusals as for a verdict, so that what is written here can be uploaded. Whatever is
encrypted is so in today's way (PBES2 with AES-256); keys are PKCS#8.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)

from wakeline.wire.credential_file.contents import Contents, contents, is_der, is_pem
from wakeline.wire.credential_file.identity import common_name, identity
from wakeline.wire.credential_file.private_key import Unreadable


class Form(StrEnum):
    """What to write: certificate and key as text, the same as PKCS#12, or an APNs key alone."""

    PEM = "pem"
    P12 = "p12"
    P8 = "p8"


def joined(files: Iterable[bytes], password: str) -> Contents:
    """Return what several files hold together; the password opens all of them. Raises Unreadable."""
    keys: dict[bytes, PrivateKeyTypes] = {}
    certificates: dict[x509.Certificate, None] = {}
    for data in files:
        if not (is_pem(data) or is_der(data)):
            raise Unreadable("The file holds no certificate and no private key: it is neither PEM text nor binary.")
        held = contents(data, password)
        certificates |= dict.fromkeys(held.certificates)
        if held.key is not None:
            keys[held.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)] = held.key
    if len(keys) > 1:
        raise Unreadable(
            f"The files hold {len(keys)} private keys (several identities). Name one certificate and its key."
        )
    return Contents(next(iter(keys.values()), None), tuple(certificates))


def written(held: Contents, form: Form, password: str) -> bytes:
    """Return it in another form, encrypted if a password is given. Raises Unreadable if the form cannot hold it."""
    encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    if form is Form.P8:
        return _apns_key(held, encryption)
    found = identity(held)
    if form is Form.PEM:
        key = found.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
        return b"".join(entry.public_bytes(Encoding.PEM) for entry in found.chain) + key
    name = common_name(found.leaf.subject).encode()
    return pkcs12.serialize_key_and_certificates(name, found.key, found.leaf, found.chain[1:], encryption)


def _apns_key(held: Contents, encryption: KeySerializationEncryption) -> bytes:
    if held.certificates:
        raise Unreadable("A .p8 is an APNs key; a certificate with its key is written as pem or p12.")
    if not isinstance(held.key, ec.EllipticCurvePrivateKey) or not isinstance(held.key.curve, ec.SECP256R1):
        raise Unreadable("A .p8 is an APNs key, which is on the curve P-256; this is another kind of key.")
    return held.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
