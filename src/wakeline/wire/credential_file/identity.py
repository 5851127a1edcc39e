"""An identity: a private key with the certificate that belongs to it, and the certificates above that one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from wakeline.wire.credential_file.contents import Contents
from wakeline.wire.credential_file.private_key import Unreadable

NO_KEY = (
    "The file holds a certificate and no private key. In Keychain open the certificate's triangle, choose certificate and key "
    "together and export both; or join them: `wakeline credential convert CERTIFICATE --key KEY --out FILE`."
)
"""What is wrong with a certificate alone."""


class Identity(NamedTuple):
    """`chain`: the leaf first, then its authorities as far as the file holds them."""

    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    chain: tuple[x509.Certificate, ...]

    @property
    def leaf(self) -> x509.Certificate:
        """Return the certificate of the key."""
        return self.chain[0]


def identity(held: Contents) -> Identity:
    """Return the one identity in a file. Raises Unreadable if there is none, or several."""
    if held.key is None:
        raise Unreadable(NO_KEY)
    if not held.certificates:
        raise Unreadable("The file holds a private key and no certificate. Export both together.")
    if not isinstance(held.key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise Unreadable(f"A push certificate has an RSA or elliptic-curve key; this one is {type(held.key).__name__}.")
    wanted = _bytes(held.key.public_key())
    certificates = held.certificates
    leaf = next((entry for entry in certificates if _bytes(entry.public_key()) == wanted), None)
    if leaf is None:
        raise Unreadable(
            "The private key does not belong to the certificate. Export the pair from the Keychain that made the request."
        )
    others = [entry for entry in certificates if entry != leaf and not _is_authority(entry, certificates)]
    if others:
        names = ", ".join(common_name(entry.subject) for entry in others)
        raise Unreadable(
            f"The file holds several identities ({common_name(leaf.subject)}; {names}). "
            "Export one certificate with its key alone."
        )
    return Identity(held.key, (leaf, *(entry for entry in dict.fromkeys(certificates) if entry != leaf)))


def common_name(name: x509.Name) -> str:
    """Return the common name, or the whole name where there is none."""
    return attribute(name, NameOID.COMMON_NAME) or name.rfc4514_string()


def attribute(name: x509.Name, oid: x509.ObjectIdentifier) -> str:
    """Return the first value of an attribute, or nothing."""
    return next((str(found.value) for found in name.get_attributes_for_oid(oid)), "")


def _bytes(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _is_authority(certificate: x509.Certificate, certificates: Sequence[x509.Certificate]) -> bool:
    """Tell whether it issued another one here, or says that it may issue."""
    if any(other != certificate and other.issuer == certificate.subject for other in certificates):
        return True
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
