"""The form in which the secret half of a credential is sealed, and what every seal is bound to."""

from __future__ import annotations

import msgspec

from wakeline.model.credential import Credential, CredentialSecret
from wakeline.model.sip.user import SipUser

_decoder = msgspec.msgpack.Decoder(CredentialSecret)


def seal_context(facts: Credential) -> str:
    """Return what the seal is bound to, so that it does not open in another row, for another app or as another kind."""
    return f"credential {facts.id} {facts.kind.value} {facts.app}"


def token_context(application: int) -> str:
    """Return what the seal of a portal application's token is bound to."""
    return f"portal application {application} token"


def access_context(installation: int) -> str:
    """Return what the seal of an installation's access is bound to."""
    return f"installation {installation} access"


def pair_context(installation: int) -> str:
    """Return what the seal of an installation's tokens is bound to."""
    return f"installation {installation} tokens"


def user_context(user: SipUser) -> str:
    """Return what the seal of a SIP user's digests is bound to: in another's place they would open that one's door."""
    return f"sip user {user.user}@{user.domain} {user.realm}"


def signing_context(endpoint: int) -> str:
    """Return what the seal of a webhook endpoint's secrets is bound to."""
    return f"webhook endpoint {endpoint} secrets"


def sealed_form(secret: CredentialSecret) -> bytes:
    """Return the bytes to seal."""
    return msgspec.msgpack.encode(secret)


def secret_of(data: bytes) -> CredentialSecret:
    """Return the secret of what was sealed."""
    return _decoder.decode(data)
