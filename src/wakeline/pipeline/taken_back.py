"""What is said of a change that was taken back. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from wakeline.model.app import ApnsEnvironment
from wakeline.model.credential import Credential
from wakeline.model.outcome import Outcome


def named(changes: Sequence[Credential], environment: ApnsEnvironment | None) -> str:
    """Name what was changed: credentials, an APNs environment."""
    names = [_name(credential) for credential in changes]
    names += [f"the APNs environment {environment.value!r}"] if environment is not None else []
    return " and ".join(names) or "the change"


def refused(name: str, outcome: Outcome) -> str:
    """Say that a push service does not take a credential."""
    return f"{_back(name)}: {_said(outcome)}"


def lost(count: int, answered: int, name: str, outcome: Outcome) -> str:
    """Say that of so many pushes so many got through only as before the change."""
    return f"{_back(name)}: {count} of its first {answered} pushes failed, and went through as before. {_said(outcome)}"


def _back(name: str) -> str:
    return f"{name[:1].upper()}{name[1:]} was taken back, and what was there before is in force again"


def _name(credential: Credential) -> str:
    kind = credential.kind.value.replace("_", " ")
    words = [credential.key_id or credential.subject or ", ".join(credential.topics)]
    words += [f"of team {credential.team_id}"] if credential.team_id else []
    return " ".join(["the", kind, *(word for word in words if word)])


def _said(outcome: Outcome) -> str:
    return ". ".join(part.rstrip(".") for part in (outcome.reason, outcome.cause) if part) + "."
