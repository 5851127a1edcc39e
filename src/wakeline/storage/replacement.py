"""What becomes of a credential when its content is replaced, and when the former content comes back. Pure; for all stores."""

from __future__ import annotations

import msgspec

from wakeline.model.credential import Credential, CredentialKind, CredentialState
from wakeline.model.errors import NotFound


def worth_keeping(old: Credential, kept: Credential | None, at: int) -> bool:
    """Tell whether there is a way back to a credential that is replaced at `at` (Unix ms): it worked, and still could.

    Not so if something is `kept` already: then the old one was itself on trial, and a check alone called it working. Not so
    a VAPID key: subscriptions made with its successor would break again (RFC 8292 section 4.2).
    """
    if kept is not None and (kept.not_after is None or kept.not_after > at):
        return False
    return old.state is CredentialState.WORKING and old.kind is not CredentialKind.VAPID_KEY


def successor(old: Credential, new: Credential, at: int) -> Credential:
    """Return the facts of new content in the place of the old; `at` in Unix ms."""
    return msgspec.structs.replace(
        new,
        id=old.id,
        app=old.app,
        created=at,
        revision=old.revision + 1,
        state=CredentialState.UNPROVEN,
        state_note="",
    )


def restored(now: Credential, former: Credential | None, note: str) -> Credential:
    """Return the facts of the former content, back in its place. Raises NotFound if none is kept."""
    if former is None:
        raise NotFound(f"Nothing is kept of what credential {now.id} was before")
    return msgspec.structs.replace(former, revision=now.revision + 1, state=CredentialState.WORKING, state_note=note)


def present(facts: Credential | None, credential: int) -> Credential:
    """Return the facts, which must be there. Raises NotFound."""
    if facts is None:
        raise NotFound(f"There is no credential with id {credential}")
    return facts
