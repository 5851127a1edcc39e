"""How credentials and what is thought of them are printed."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.console import Group, RenderableType
from rich.text import Text

from wakeline.cli.printing import facts
from wakeline.edges.rest.credentials import CredentialView
from wakeline.model.credential import CredentialKind, Grade, Verdict
from wakeline.model.route import Environment
from wakeline.wire.credential_file import Inspection
from wakeline.wire.credential_file.validity import ends

REFUSED = 4
_GRADES = {Grade.OK: "green", Grade.WARNING: "yellow", Grade.REFUSED: "red"}


class Inspected(msgspec.Struct, frozen=True, kw_only=True):
    """What is printed of a file: the verdict, and what the file is as far as it can be read."""

    file: str
    verdict: Verdict
    kind: CredentialKind | None = None
    environments: tuple[Environment, ...] = ()
    topics: tuple[str, ...] = ()
    key_id: str = ""
    team_id: str = ""
    subject: str = ""
    public_key: str = ""
    not_after: datetime | None = None
    fingerprint: str = ""

    @property
    def exit_code(self) -> int:
        """Return what a command ends with that judged the file."""
        return REFUSED if self.verdict.grade is Grade.REFUSED else 0


def inspected(file: Path, found: Inspection) -> Inspected:
    """Return what to print of an inspection."""
    known = found.facts or found.about
    if known is None:
        return Inspected(file=str(file), verdict=found.verdict)
    return Inspected(
        file=str(file),
        verdict=found.verdict,
        kind=known.kind,
        environments=known.environments,
        topics=known.topics,
        key_id=known.key_id,
        team_id=known.team_id,
        subject=known.subject,
        not_after=None if known.not_after is None else datetime.fromtimestamp(known.not_after / 1000, UTC),
        fingerprint=known.fingerprint,
        public_key=known.public_key,
    )


def drawn(shown: CredentialView | Inspected) -> RenderableType:
    """Draw what a credential is, and the verdict below it."""
    pairs = [
        ("kind", shown.kind),
        ("environments", shown.environments),
        ("topics", shown.topics),
        ("key id", shown.key_id),
        ("team id", shown.team_id),
        ("subject", shown.subject),
        ("public key", shown.public_key),
        ("ends", end(shown.not_after)),
        ("fingerprint", shown.fingerprint),
    ]
    name = ("id", shown.id) if isinstance(shown, CredentialView) else ("file", shown.file)
    return Group(facts([name, *pairs]), _verdict(shown.verdict))


def end(not_after: datetime | None) -> str:
    """Say how long a certificate still works; nothing for what does not end."""
    return "" if not_after is None else ends(round(not_after.timestamp() * 1000), now())


def now() -> int:
    """Return the time in Unix ms."""
    return time.time_ns() // 1_000_000


def _verdict(verdict: Verdict) -> RenderableType:
    grade = Text(verdict.grade.value, style=_GRADES[verdict.grade])
    return Group(grade, *(Text(f"- {note}") for note in verdict.notes))
