"""A certificate signing request (PKCS#10, RFC 2986) as Keychain Access' Certificate Assistant writes it.

Apple takes the public key from it and writes a subject of its own into the certificate. It asks for RSA with 2048 bits
(Apple, "Create a certificate signing request": the assistant's default key).
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID


def signing_request(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, *, common_name: str, email: str = "", country: str = ""
) -> bytes:
    """Return the request in PEM; `country` as two letters (ISO 3166). Raises ValueError for a part that X.509 cannot hold."""
    parts = (
        (NameOID.EMAIL_ADDRESS, email),
        (NameOID.COMMON_NAME, common_name),
        (NameOID.COUNTRY_NAME, country.upper()),
    )
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in parts if value])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(Encoding.PEM)
