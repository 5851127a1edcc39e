"""Credentials out of files, for pushes of a command on its own: judged as the gateway judges them, and kept nowhere."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from wakeline.model.credential import CredentialKind
from wakeline.model.errors import CredentialRefused, NotFound
from wakeline.model.route import Environment
from wakeline.service.credential_directory.judged import File, Judge, collect
from wakeline.service.credential_directory.listing import look
from wakeline.service.lone_push import Lent
from wakeline.wire.credential_file import Expectation, Inspection, inspect
from wakeline.wire.credential_file.service_account import from_legacy_key, is_legacy_key


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What can be pushed with, and what there is to say about other files: one sentence each."""

    lent: tuple[Lent, ...] = ()
    notes: tuple[str, ...] = ()

    def __add__(self, other: Looked) -> Looked:
        """Return both."""
        return Looked(lent=(*self.lent, *other.lent), notes=(*self.notes, *other.notes))


async def of_key(given: str, expectation: Expectation) -> Lent:
    """Return the credential in the file that was named. Raises NotFound, CredentialRefused, also for a key in place of a file."""
    if is_legacy_key(given.encode()):
        raise CredentialRefused(from_legacy_key().verdict.notes[0])
    found = await _judged(_file(Path(given)), expectation, given)
    if isinstance(found, str):
        raise CredentialRefused(found)
    return msgspec.structs.replace(found, any_project=found.credential.kind is CredentialKind.FCM_SERVICE_ACCOUNT)


def _file(path: Path) -> File:
    try:
        return File(names=(path.name,), data=path.read_bytes(), exposed=False)
    except OSError as error:
        raise NotFound(f"The file {path} cannot be read: {error.strerror}.") from None


async def of_directories(directories: Iterable[Path], expectation: Expectation) -> Looked:
    """Return what lies in directories; one that is not there, or may not be read, is noted."""
    found = Looked()
    for directory in directories:
        found += await _of_directory(directory, expectation)
    return found


async def _of_directory(directory: Path, expectation: Expectation) -> Looked:
    try:
        entries = look(directory)
    except OSError as error:
        return Looked(notes=(f"{directory} cannot be read: {error.strerror}.",))
    files, unread = collect(directory, entries.values())
    lent, notes = [], [f"{directory / one.name}: {one.why}" for one in unread if one.wanted]
    for file in files:
        where = str(directory / file.names[0])
        found = await _judged(file, expectation, where)
        if isinstance(found, str):
            notes.append(f"{where}: {found}")
        else:
            lent.append(found)
    return Looked(lent=tuple(lent), notes=tuple(notes))


async def _judged(file: File, expectation: Expectation, where: str) -> Lent | str:
    """Return what a file is, or why it is nothing to push with."""
    judged = await Judge(_inspected, expectation).judge(file, expectation.now)
    if judged.facts is None:
        return " ".join(judged.verdict.notes)
    told = {name: judged.form[name] for name in ("key_id", "team_id", "password") if name in judged.form}
    topics = tuple(filter(None, judged.form.get("topics", "").split(",")))
    environment = judged.form.get("environment")
    again = inspect(
        file.data,
        msgspec.structs.replace(
            expectation,
            file_name=file.names[0],
            topics=topics,
            environment=Environment(environment) if environment else None,
            **told,
        ),
    )
    if again.secret is None:
        return " ".join(again.verdict.notes)
    return Lent(credential=judged.facts, secret=again.secret, where=where)


async def _inspected(data: bytes, expectation: Expectation) -> Inspection:
    """Judge here: whoever runs a command may be kept waiting by a file of their own."""
    return inspect(data, expectation)
