"""What opens the door of a connected portal, sealed: access and application token in one value, tokens in another.

Tokens are apart because they change every hour, and a pair that is lost shuts the portal for ever.
"""

from __future__ import annotations

from typing import assert_never

import msgspec
import structlog

from wakeline.model.bitrix24.installation import (
    Access,
    ApplicationAccess,
    Installation,
    InstallationState,
    Tokens,
    WebhookAccess,
)
from wakeline.model.errors import SecretError
from wakeline.ports import Secrets
from wakeline.storage.connected import with_tokens
from wakeline.storage.sealed import access_context, pair_context

LOST = "What opens this portal was sealed with a master key that is lost: connect it anew."
"""Why an installation is dead whose seals do not open."""

_log = structlog.get_logger()


class _Doors(msgspec.Struct, frozen=True):
    """What is sealed of an installation, but for its tokens."""

    access: Access
    application_token: str


_facts = msgspec.json.Decoder(Installation)
_doors = msgspec.msgpack.Decoder(_Doors)
_tokens = msgspec.msgpack.Decoder(Tokens)


class Doors:
    """Seals and opens installations."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def opened(self, number: int, facts: bytes, sealed: bytes, tokens: bytes) -> Installation:
        """Return an installation. One whose seals do not open is dead, and everything else goes on."""
        bare = _facts.decode(facts)
        try:
            doors = _doors.decode(self._secrets.open(sealed, access_context(number)))
            pair = self.pair(number, tokens)
        except SecretError as error:
            _log.error("installation_access_lost", installation=number, error=error.detail)
            return msgspec.structs.replace(bare, state=InstallationState.DEAD, cause=LOST)
        whole = msgspec.structs.replace(bare, access=doors.access, application_token=doors.application_token)
        return with_tokens(whole, pair)

    def pair(self, number: int, sealed: bytes) -> Tokens | None:
        """Return tokens. Raises SecretError."""
        return _tokens.decode(self._secrets.open(sealed, pair_context(number))) if sealed else None

    def sealed(self, installation: Installation) -> tuple[bytes, bytes]:
        """Return its facts without what opens a door, and that, sealed, but for the tokens."""
        doors = _Doors(_without_tokens(installation.access), installation.application_token)
        bare = msgspec.structs.replace(
            installation, access=_without_secrets(installation.access), application_token="", reached=0
        )
        sealed = self._secrets.seal(msgspec.msgpack.encode(doors), access_context(installation.id))
        return msgspec.json.encode(bare), sealed

    def sealed_pair(self, number: int, tokens: Tokens | None) -> bytes:
        """Return tokens, sealed; empty: none."""
        return b"" if tokens is None else self._secrets.seal(msgspec.msgpack.encode(tokens), pair_context(number))


def takes_tokens(facts: bytes) -> bool:
    """Tell whether what is known of an installation says that it may have tokens."""
    return isinstance(_facts.decode(facts).access, ApplicationAccess)


def _without_tokens(access: Access) -> Access:
    return msgspec.structs.replace(access, tokens=None) if isinstance(access, ApplicationAccess) else access


def _without_secrets(access: Access) -> Access:
    match access:
        case WebhookAccess():
            return WebhookAccess(url="")
        case ApplicationAccess():
            return ApplicationAccess(client_id=access.client_id, client_secret="")
        case _:
            assert_never(access)
