"""Which credentials are good (`POST /trust`).

Until somebody says so every well-formed credential is. A kind that is listed, even by an empty list, is good only as
listed; a key with its public half is also checked to have signed.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from wakeline.simulator.certificates import fingerprint

Environment = Literal["", "production", "sandbox"]


class ApnsKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A .p8 key. Without topics it is team-scoped, without environment for both."""

    key_id: str
    team_id: str
    public_key_pem: str = ""
    topics: tuple[str, ...] = ()
    environment: Environment = ""

    def __post_init__(self) -> None:
        """Refuses a public key that cannot be used."""
        self.public_key()

    def public_key(self) -> EllipticCurvePublicKey | None:
        """The key that verifies; None if only its ids are known."""
        if not self.public_key_pem:
            return None
        key = load_pem_public_key(self.public_key_pem.encode())
        if not isinstance(key, EllipticCurvePublicKey):
            raise ValueError("an APNs key is an EC key")  # noqa: TRY004 - a bad value to the caller of /trust
        return key


class ApnsCertificate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A client certificate by fingerprint or PEM; topics take the place of those in it."""

    sha256: str = ""
    pem: str = ""
    topics: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuses what is no fingerprint."""
        self.fingerprint()

    def fingerprint(self) -> str:
        """SHA-256 in lower-case hex. Raises ValueError."""
        return fingerprint(self.pem or self.sha256)


class ServiceAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A Google service account; with a project it may send for that one only."""

    client_email: str
    public_key_pem: str = ""
    project_id: str = ""

    def __post_init__(self) -> None:
        """Refuses a public key that cannot be used."""
        self.public_key()

    def public_key(self) -> RSAPublicKey | None:
        """The key that verifies; None if only the account's name is known."""
        if not self.public_key_pem:
            return None
        key = load_pem_public_key(self.public_key_pem.encode())
        if not isinstance(key, RSAPublicKey):
            raise ValueError("a service account's key is an RSA key")  # noqa: TRY004 - a bad value to the caller
        return key


class Trust(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /trust`; null or absent lists trust every well-formed credential of their kind."""

    apns_keys: tuple[ApnsKey, ...] | None = None
    apns_certificates: tuple[str | ApnsCertificate, ...] | None = None
    service_accounts: tuple[ServiceAccount, ...] | None = None
    refuse_certificates_by: Literal["answer", "alert"] = "answer"
    """An unlisted certificate gets 403 BadCertificate, or a TLS alert in the handshake."""

    def __post_init__(self) -> None:
        """Refuses fingerprints that are none."""
        self.certificates()

    def apns_key(self, key_id: str, team_id: str) -> ApnsKey | None:
        """The key to hold a token against; None if it is not good."""
        if self.apns_keys is None:
            return ApnsKey(key_id, team_id)
        return next((k for k in self.apns_keys if k.key_id == key_id and k.team_id == team_id), None)

    def certificates(self) -> dict[str, ApnsCertificate] | None:
        """The listed certificates by fingerprint; None if any is good."""
        if self.apns_certificates is None:
            return None
        listed = [_certificate(given) for given in self.apns_certificates]
        return {certificate.fingerprint(): certificate for certificate in listed}

    def account(self, client_email: str) -> ServiceAccount | None:
        """The account of that name; None if it is not good."""
        if self.service_accounts is None:
            return ServiceAccount(client_email)
        return next((a for a in self.service_accounts if a.client_email == client_email), None)


def _certificate(given: str | ApnsCertificate) -> ApnsCertificate:
    if isinstance(given, ApnsCertificate):
        return given
    return ApnsCertificate(pem=given) if "BEGIN" in given else ApnsCertificate(sha256=given)
