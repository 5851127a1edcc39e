"""The files of a directory by content, and what each is: a file that several names lead to is one credential."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from wakeline.model.credential import Credential, CredentialKind, Grade, Verdict
from wakeline.model.route import Environment
from wakeline.service.credential_directory.listing import Entry, Unsettled, read
from wakeline.service.credential_directory.names import Said, said_by
from wakeline.wire.credential_file import Expectation, Inspection
from wakeline.wire.credential_file.apns_key import key_id_in
from wakeline.wire.credential_file.apple_certificate import bears_environment

_EXPOSED = "Everybody on this machine can read the private key in it: chmod o-r."

Inspect = Callable[[bytes, Expectation], Awaitable[Inspection]]


class File(msgspec.Struct, frozen=True, kw_only=True):
    """One content, and all names that lead to it; those that are no links first."""

    names: tuple[str, ...]
    data: bytes
    exposed: bool

    def __repr__(self) -> str:
        """Leave the content out: it holds a private key."""
        return f"File({self.names})"

    @property
    def said(self) -> tuple[Said, ...]:
        """Return what the names say, of those that say anything."""
        return tuple(said for said in map(said_by, self.names) if said.topic)


class Unread(msgspec.Struct, frozen=True, kw_only=True):
    """A name that leads to nothing we can use. `wanted`: somebody would expect it to; `passing`: it may in a moment."""

    name: str
    why: str
    wanted: bool
    passing: bool = False


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What a file is (nothing, if it is refused), what is thought of it, and what the upload has to say besides."""

    verdict: Verdict
    facts: Credential | None = None
    form: Mapping[str, str] = {}
    notes: Sequence[str] = ()

    def __repr__(self) -> str:
        """Leave the form out: it may hold a password."""
        return f"Judged({self.verdict})"


def collect(directory: Path, entries: Iterable[Entry]) -> tuple[list[File], list[Unread]]:
    """Read all files once. One that changes while it is read is left out: whoever watches comes back."""
    names: dict[bytes, list[Entry]] = {}
    contents: dict[bytes, bytes] = {}
    unread = []
    for entry in entries:
        if entry.ignored or entry.trouble:
            unread.append(Unread(name=entry.name, why=entry.ignored or entry.trouble, wanted=not entry.ignored))
            continue
        try:
            data = read(directory, entry)
        except Unsettled:
            unread.append(Unread(name=entry.name, why="It is being written at this moment.", wanted=True, passing=True))
        except OSError as error:
            unread.append(Unread(name=entry.name, why=f"It cannot be read: {error.strerror}.", wanted=True))
        else:
            digest = hashlib.sha256(data).digest()
            names.setdefault(digest, []).append(entry)
            contents[digest] = data
    files = [
        File(
            names=tuple(one.name for one in sorted(found, key=_link_and_name)),
            data=contents[digest],
            exposed=any(one.exposed for one in found),
        )
        for digest, found in names.items()
    ]
    return files, unread


def _link_and_name(entry: Entry) -> tuple[bool, str]:
    return entry.link, entry.name


class Judge:
    """Judges files; of those that are good it remembers what they are, and nothing of their secrets."""

    def __init__(self, inspect: Inspect, expectation: Expectation) -> None:
        self._inspect = inspect
        self._expectation = expectation
        self._known: dict[tuple[bytes, tuple[str, ...], bool], Judged] = {}

    async def judge(self, file: File, now: int) -> Judged:
        """Say what a file is."""
        mark = (hashlib.sha256(file.data).digest(), file.names, file.exposed)
        judged = self._known.get(mark)
        if judged is None:
            judged = await self._judge(file, now)
            if judged.facts is not None:
                self._known[mark] = judged
        return judged

    async def _judge(self, file: File, now: int) -> Judged:
        key_id = next(filter(None, map(key_id_in, file.names)), "")
        asked = msgspec.structs.replace(self._expectation, now=now, file_name=file.names[0], key_id=key_id)
        form = {"key_id": key_id, "team_id": asked.team_id, "password": asked.password}
        found = await self._inspect(file.data, asked)
        topics = tuple(dict.fromkeys(said.topic for said in file.said))
        if found.facts is None and topics:  # a certificate that names no topic is for what its name says
            named = await self._inspect(file.data, msgspec.structs.replace(asked, topics=topics))
            if named.facts is not None:
                found, form = named, {**form, "topics": ",".join(topics)}
        facts, secret = found.facts, found.secret
        if facts is None or secret is None:
            return Judged(verdict=found.verdict)
        notes: list[str] = []
        if facts.kind is CredentialKind.APNS_CERTIFICATE:
            strange = _strange_topics(file, facts)
            if strange is not None:
                return Judged(verdict=strange)
            if not bears_environment(secret.certificates):
                facts, form = _as_named(file, facts, form)
            notes = _disagreements(file, facts)
        if file.exposed:
            notes.append(_EXPOSED)
        return Judged(
            verdict=found.verdict, facts=facts, form={key: text for key, text in form.items() if text}, notes=notes
        )


def _as_named(file: File, facts: Credential, form: dict[str, str]) -> tuple[Credential, dict[str, str]]:
    """A certificate without Apple's marks is for the environments that its names say."""
    said = {one.environment for one in file.said if one.environment is not None}
    if len(said) != 1:
        return facts, form
    (only,) = said
    return msgspec.structs.replace(facts, environments=(only,)), {**form, "environment": only.value}


def _strange_topics(file: File, facts: Credential) -> Verdict | None:
    """Refuse a certificate that none of its names tells the truth about: it was put in the wrong place."""
    topics = [said.topic for said in file.said]
    if not topics or any(topic in facts.topics for topic in topics):
        return None
    note = (
        f"The certificate is for {', '.join(facts.topics)}, and the file's name says {', '.join(dict.fromkeys(topics))}: "
        "Apple would refuse each push. Name the file after the certificate, or put the right certificate there."
    )
    return Verdict(grade=Grade.REFUSED, notes=(note,))


def _disagreements(file: File, facts: Credential) -> list[str]:
    notes = []
    for name in file.names:
        said = said_by(name)
        if said.topic and said.topic not in facts.topics:
            notes.append(f"{name} promises {said.topic}, which is not in the certificate: it does not cover that.")
        elif said.environment is not None and said.environment not in facts.environments:
            notes.append(
                f"{name} promises {_words(said.environment)}, and the certificate is for "
                f"{' and '.join(map(_words, facts.environments))} only: Apple goes by the certificate, and so do we."
            )
    if not file.said:
        notes.append("Flexisip would not find it: it looks for <app-id>[.voip].prod.pem and .dev.pem.")
    return notes


def _words(environment: Environment) -> str:
    return "the development environment (sandbox)" if environment is Environment.SANDBOX else "production"
