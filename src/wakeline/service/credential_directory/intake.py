"""From the files of a directory to credentials of apps, one line each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec

from wakeline.edges.rest.credentials import CredentialView
from wakeline.model.credential import Credential, CredentialKind, Grade
from wakeline.model.errors import RequestError
from wakeline.model.outcome import OutcomeClass
from wakeline.model.route import Environment, ProviderKind
from wakeline.service.credential_directory.judged import File, Inspect, Judge, Judged, Unread, collect
from wakeline.service.credential_directory.listing import Entry
from wakeline.service.credential_directory.placing import Plan, Result, Wishes, bundles_of, of_view, place, plan
from wakeline.wire.credential_file import Expectation

_TAKEN_BACK = Plan(
    result=Result.SKIPPED,
    note="It was stored before, and was taken back, removed or replaced since: only another file is tried.",
)


_Content = tuple[str, tuple[str, ...], tuple[Environment, ...]]
"""A credential as a file holds it: fingerprint, topics, environments."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why the API did not take a file. `passing`: it may take the same file later."""

    detail: str
    fix: str = ""
    passing: bool = False


class Door(Protocol):
    """The API, as far as an import needs it."""

    async def apps(self) -> list[str]:
        """Return the slugs of all apps."""

    async def credentials(self, app: str) -> list[CredentialView]:
        """Return an app's credentials."""

    async def make_app(self, slug: str) -> Refusal | None:
        """Make an app."""

    async def upload(self, app: str, file: File, form: Mapping[str, str]) -> CredentialView | Refusal:
        """Upload a file as `POST /v1/apps/{app}/credentials` takes it."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a file. `also`: further names of the same content; `notes`: why, and what else there is to say."""

    file: str
    result: Result
    also: tuple[str, ...] = ()
    app: str = ""
    verdict: Grade | None = None
    """What is thought of the file; nothing, if it was not read."""
    kind: CredentialKind | None = None
    environments: tuple[Environment, ...] = ()
    topics: tuple[str, ...] = ()
    not_after: datetime | None = None
    notes: tuple[str, ...] = ()
    doubted: bool = False
    """Its push service was asked and does not take it."""
    passing: bool = False
    """The gateway had no time for it: trying again makes sense."""


class Intake:
    """Takes the files of one directory, as often as it is asked, but the same content once.

    What was taken and is not there any more was taken back: by its trial, or by the operator. That is not to be fought.
    `held`: fingerprints of files here that were stored at some time; no such file takes the place of what replaced it.
    """

    def __init__(self, directory: Path, door: Door, inspect: Inspect, expectation: Expectation, wishes: Wishes) -> None:
        self._directory = directory
        self._door = door
        self._judge = Judge(inspect, expectation)
        self._wishes = wishes
        self._taken: set[_Content] = set()
        self.held: frozenset[str] = frozenset()

    async def take(
        self, entries: Iterable[Entry], now: int, *, form: Mapping[str, str] | None = None, dry: bool = False
    ) -> list[Line]:
        """Judge the files and keep what can work (`dry`: only say what would be), each by itself.

        `form`: more fields for each upload.
        """
        files, unread = await asyncio.to_thread(collect, self._directory, entries)
        judged = [(file, await self._judge.judge(file, now)) for file in files]
        lines = [_unread(one) for one in unread]
        known = [one.facts for _, one in judged if one.facts is not None]
        round_ = _Round(self._door, self._wishes, known, self._taken, self.held, form or {}, dry=dry)
        # Certificates first: they name bundle ids, which says what app the others are for.
        judged.sort(key=lambda one: one[1].facts is None or one[1].facts.kind is not CredentialKind.APNS_CERTIFICATE)
        lines += [await round_.line(file, one) for file, one in judged]
        self.held = (self.held | {taken[0] for taken in self._taken}) & {facts.fingerprint for facts in known}
        return sorted(lines, key=lambda line: line.file)


class _Round:
    """One pass over a directory; remembers nothing but what the pass itself has done."""

    def __init__(
        self,
        door: Door,
        wishes: Wishes,
        known: list[Credential],
        taken: set[_Content],
        held: frozenset[str],
        form: Mapping[str, str],
        *,
        dry: bool,
    ) -> None:
        self._door = door
        self._wishes = wishes
        self._taken = taken
        self._held = held
        self._form = form
        self._dry = dry
        self._siblings = frozenset(facts.fingerprint for facts in known)
        self._alone = (
            len(frozenset().union(*(bundles_of(one) for one in known if one.provider is ProviderKind.APNS))) <= 1
        )
        self._known: dict[str, list[Credential]] | None = None

    async def line(self, file: File, judged: Judged) -> Line:
        """Do what is right with a file."""
        first, *also = file.names
        line = Line(
            file=first,
            also=tuple(also),
            result=Result.REFUSED,
            verdict=judged.verdict.grade,
            notes=judged.verdict.notes,
        )
        facts = judged.facts
        if facts is None:
            return line
        line = msgspec.structs.replace(
            line,
            kind=facts.kind,
            environments=facts.environments,
            topics=facts.topics,
            not_after=None if facts.not_after is None else datetime.fromtimestamp(facts.not_after / 1000, UTC),
            notes=(*judged.notes, *judged.verdict.notes),
        )
        try:
            return await self._placed(line, file, facts, judged.form)
        except RequestError as error:
            return _refused(line, Refusal(detail=error.detail, fix=error.fix))

    async def _placed(self, line: Line, file: File, facts: Credential, form: Mapping[str, str]) -> Line:
        apps = await self._apps()
        found = place(facts, apps, self._wishes, alone=self._alone)
        line = msgspec.structs.replace(line, app=found.app)
        what = plan(facts, apps.get(found.app, ()), self._siblings - {facts.fingerprint}, self._wishes)
        again = _content(facts) in self._taken and what.result in (Result.STORED, Result.RENEWED)
        if again or (what.result is Result.RENEWED and facts.fingerprint in self._held):
            what = _TAKEN_BACK
        line = msgspec.structs.replace(line, result=what.result, notes=(*filter(None, [what.note]), *line.notes))
        if what.result is Result.UNCHANGED:
            self._taken.add(_content(facts))
        if what.result in (Result.UNCHANGED, Result.SKIPPED):
            return line
        if self._dry:
            apps.setdefault(found.app, []).append(facts)
            return line
        if found.made:
            refusal = await self._door.make_app(found.app)
            if refusal is not None:
                return _refused(line, refusal)
        more = {"add": "true"} if what.add else {"replace": "true"} if self._wishes.replace else {}
        kept = await self._door.upload(found.app, file, {**self._form, **form, **more})
        if isinstance(kept, Refusal):
            return _refused(line, kept)
        self._taken.add(_content(facts))
        apps[found.app] = await self._there(found.app)
        return _kept(line, kept)

    async def _apps(self) -> dict[str, list[Credential]]:
        """Return all apps with their credentials, as they are after what this pass has done."""
        if self._known is None:
            self._known = {slug: await self._there(slug) for slug in await self._door.apps()}
        return self._known

    async def _there(self, slug: str) -> list[Credential]:
        return [of_view(one) for one in await self._door.credentials(slug)]


def _content(facts: Credential) -> _Content:
    return facts.fingerprint, facts.topics, facts.environments


def _unread(one: Unread) -> Line:
    result = Result.REFUSED if one.wanted else Result.SKIPPED
    return Line(file=one.name, result=result, notes=(one.why,), passing=one.passing)


def _refused(line: Line, why: Refusal) -> Line:
    notes = (*filter(None, [why.detail, why.fix]), *line.notes)
    return msgspec.structs.replace(line, result=Result.REFUSED, notes=notes, passing=why.passing)


def _kept(line: Line, kept: CredentialView) -> Line:
    """Add what the push service said when it was asked about the new credential."""
    if kept.check is None or kept.check.ok:
        return line
    outcome = kept.check.outcome
    note = f"The push service was asked about it: {outcome.cause} {outcome.fix}".strip()
    doubted = outcome.outcome_class is OutcomeClass.CREDENTIAL
    return msgspec.structs.replace(line, notes=(note, *line.notes), doubted=doubted)
