"""What an uploaded credential does to those that are there: nothing, take a place beside them, or take one's place.

Theory: the costly accident is a renewed certificate that is for another app or team: every push fails until somebody
notices. So an upload for the same push service and environment is taken for a renewal, and one that no longer covers
what the old one did is refused unless the caller says `replace=true`, or `add=true` to have both.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import msgspec

from wakeline.model.credential import Credential, CredentialKind
from wakeline.model.errors import Conflict


class Step(Enum):
    """What to do with an upload."""

    KEEP = "keep"
    CREATE = "create"
    REPLACE = "replace"


class Decision(msgspec.Struct, frozen=True):
    """The step, and the credential that is kept or replaced."""

    step: Step
    credential: Credential | None = None


def decide(new: Credential, there: Sequence[Credential], *, replace: bool, add: bool) -> Decision:
    """Return what an upload does. Raises Conflict, naming the differences, if it is no plain renewal."""
    for old in there:
        if old.fingerprint == new.fingerprint and _same(old, new):
            return Decision(Step.KEEP, old)
    rivals = [old for old in there if _would_replace(new, old)]
    if rivals and new.kind is CredentialKind.VAPID_KEY and add:
        raise Conflict(
            "an app has one VAPID key: a browser does not say which one it subscribed with",
            pointer="/add",
            fix="Leave `add` out; make another app for a web app with a key of its own.",
        )
    if not rivals or add:
        return Decision(Step.CREATE)
    plain = [old for old in rivals if not differences(new, old)]
    if plain or replace:
        return Decision(Step.REPLACE, _nearest(new, plain or rivals)[0])
    raise _conflict(new, rivals[0])


def differences(new: Credential, old: Credential) -> list[str]:
    """Return in words what the new one does not share with the old one."""
    found = []
    if new.kind is not old.kind:
        found.append(f"it is of kind {new.kind} and the other of kind {old.kind}")
    if new.team_id != old.team_id:
        found.append(f"its team is {new.team_id or 'unknown'} and the other's {old.team_id or 'unknown'}")
    if new.public_key != old.public_key:
        found.append("it is another VAPID key, so every browser that subscribed with the other has to subscribe anew")
    if _lost(new.topics, old.topics):
        found.append(f"its topics are {_listed(new.topics)} and the other's {_listed(old.topics)}")
    if not set(old.environments) <= set(new.environments):
        found.append(f"it is for {_listed(new.environments)} and the other for {_listed(old.environments)}")
    return found


def _same(old: Credential, new: Credential) -> bool:
    contact = new.kind is not CredentialKind.VAPID_KEY or old.subject == new.subject
    identity = (old.key_id, old.team_id) == (new.key_id, new.team_id)  # said beside the file, and wrong as often as it
    there = set(old.topics) == set(new.topics) and set(old.environments) == set(new.environments)
    return contact and identity and there


def _would_replace(new: Credential, old: Credential) -> bool:
    if new.provider is not old.provider:
        return False
    return new.kind is CredentialKind.FCM_SERVICE_ACCOUNT or not set(new.environments).isdisjoint(old.environments)


def _nearest(new: Credential, rivals: list[Credential]) -> list[Credential]:
    """Put first whose place it most likely takes: that of one with the same topics, not of one with a few of them."""

    def distance(old: Credential) -> tuple[bool, int, int, int]:
        apart = set(old.topics) ^ set(new.topics)
        return not set(old.topics) & set(new.topics), len(differences(new, old)), len(apart), old.id

    return sorted(rivals, key=distance)


def _lost(new: Sequence[str], old: Sequence[str]) -> bool:
    """Tell whether a topic of the old one is not covered any more; no topics means every topic of the team."""
    return bool(new) and (not old or not set(old) <= set(new))


def _conflict(new: Credential, old: Credential) -> Conflict:
    both = "" if new.kind is CredentialKind.VAPID_KEY else ", or with add=true (--beside) to have both"
    return Conflict(
        f"this credential differs from the one it would replace: {', '.join(differences(new, old))}",
        pointer="/file",
        fix=f"Send it again with replace=true (--replace) if that is meant{both}.",
    )


def _listed(names: Sequence[str]) -> str:
    return " and ".join(names) or "all of the team"
