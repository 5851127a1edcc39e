"""Credentials: what lets us speak to a provider for an app."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from wakeline.model.route import Environment, ProviderKind


class CredentialKind(StrEnum):
    """What the file is; detected from its bytes, never from its name."""

    APNS_KEY = "apns_key"
    APNS_CERTIFICATE = "apns_certificate"
    FCM_SERVICE_ACCOUNT = "fcm_service_account"
    VAPID_KEY = "vapid_key"
    EXTERNAL_PUSH = "external_push"

    @property
    def provider(self) -> ProviderKind:
        """Name the push service that takes this kind."""
        match self:
            case CredentialKind.APNS_KEY | CredentialKind.APNS_CERTIFICATE:
                return ProviderKind.APNS
            case CredentialKind.FCM_SERVICE_ACCOUNT:
                return ProviderKind.FCM
            case CredentialKind.VAPID_KEY:
                return ProviderKind.WEBPUSH
            case CredentialKind.EXTERNAL_PUSH:
                return ProviderKind.HTTP


class Grade(StrEnum):
    """How good a credential is."""

    OK = "ok"
    WARNING = "warning"
    REFUSED = "refused"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What we think of a credential file, in words: `notes` one sentence each, the most important first."""

    grade: Grade
    notes: tuple[str, ...] = ()


class CredentialState(StrEnum):
    """What the provider last thought of it."""

    UNPROVEN = "unproven"
    WORKING = "working"
    FAILED = "failed"


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """A stored credential without its secret.

    `environments`: for an APNs key or certificate the worlds it may speak to; `topics`: bundle ids (a certificate's exact
    topics, suffixes included) or the FCM project id; empty for a team-scoped APNs key: it covers every bundle id. An external
    push URI covers the bundle ids and projects that it names, or all.
    `public_key`: of a VAPID key, as browsers want it (`applicationServerKey`: 65 bytes in base64url without padding).
    `not_after`, `created` in Unix ms; `revision` grows with each replacement, so that a hot swap is seen.
    """

    id: int
    app: int
    kind: CredentialKind
    environments: tuple[Environment, ...]
    topics: tuple[str, ...] = ()
    key_id: str = ""
    team_id: str = ""
    subject: str = ""
    not_after: int | None = None
    verdict: Verdict = Verdict(grade=Grade.OK)
    state: CredentialState = CredentialState.UNPROVEN
    state_note: str = ""
    fingerprint: str = ""
    public_key: str = ""
    created: int = 0
    revision: int = 1

    @property
    def provider(self) -> ProviderKind:
        """Name the push service this credential is for."""
        return self.kind.provider


class CredentialSecret(msgspec.Struct, frozen=True, kw_only=True):
    """The secret half, as it is sealed: normal forms, so that no sender parses a caller's file again.

    `private_key`: PKCS#8 PEM without password, or what `wire.flexisip.external` writes of an external push URI;
    `certificates`: leaf first, PEM; the rest is of a service account.
    """

    kind: CredentialKind
    private_key: bytes
    certificates: bytes = b""
    key_id: str = ""
    team_id: str = ""
    client_email: str = ""
    project_id: str = ""
    token_uri: str = ""

    def __repr__(self) -> str:
        """Never show the key: a repr ends in logs and tracebacks."""
        return f"CredentialSecret(kind={self.kind.value!r})"
