"""What an inspection is asked, and what it answers."""

from __future__ import annotations

import msgspec

from wakeline.model.credential import Credential, CredentialKind, CredentialSecret, Grade, Verdict
from wakeline.model.route import Environment


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller says besides the file. `now` in Unix ms; `environment` None means "what the file allows".

    `kind`: what the caller takes the file for; another kind is refused, and only by this word is a bare key a VAPID key.
    `contact`: how push services of the web reach the operator, `mailto:` or `https:` (a VAPID key's `subject`).
    `file_name`: as its maker named it, for what only a name tells; the kind is never taken from it.
    """

    now: int
    app: int = 0
    password: str = ""
    key_id: str = ""
    team_id: str = ""
    topics: tuple[str, ...] = ()
    environment: Environment | None = None
    token_hosts: tuple[str, ...] = ()
    file_name: str = ""
    kind: CredentialKind | None = None
    contact: str = ""
    alone: bool = False

    def __repr__(self) -> str:
        """Leave the password out: a repr ends in logs and tracebacks."""
        return f"Expectation(alone={self.alone})"


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict, and, unless refused, the facts to keep and the secret to seal.

    `about`: what a refused file is, where that much could be read: who renews a certificate looks for its name and date.
    """

    verdict: Verdict
    facts: Credential | None = None
    secret: CredentialSecret | None = None
    about: Credential | None = None

    @classmethod
    def refused(cls, note: str, *more: str) -> Inspection:
        """Say why the file cannot work."""
        return cls(verdict=Verdict(grade=Grade.REFUSED, notes=(note, *more)))

    @classmethod
    def usable(cls, facts: Credential, secret: CredentialSecret, notes: Notes) -> Inspection:
        """Grade a file that can work by its notes: a refusal among them wins, then a warning."""
        verdict = notes.verdict()
        if verdict.grade is Grade.REFUSED:
            return cls(verdict=verdict, about=facts)
        return cls(verdict=verdict, facts=msgspec.structs.replace(facts, verdict=verdict), secret=secret)


class Notes:
    """Collects what there is to say about a file, refusals before warnings before remarks."""

    def __init__(self) -> None:
        self._refusals: list[str] = []
        self._warnings: list[str] = []
        self._remarks: list[str] = []

    def refuse(self, note: str) -> None:
        """Add a reason why it cannot work."""
        self._refusals.append(note)

    def warn(self, note: str) -> None:
        """Add something that will hurt later or elsewhere."""
        self._warnings.append(note)

    def remark(self, note: str) -> None:
        """Add a piece of advice that does not change the grade."""
        self._remarks.append(note)

    def need(self, *, alone: bool, note: str) -> None:
        """Add what an upload needs and the file does not say: it refuses the upload, and only warns when judged alone."""
        (self.warn if alone else self.refuse)(note)

    def verdict(self) -> Verdict:
        """Return grade and notes."""
        grade = Grade.REFUSED if self._refusals else Grade.WARNING if self._warnings else Grade.OK
        return Verdict(grade=grade, notes=(*self._refusals, *self._warnings, *self._remarks))
