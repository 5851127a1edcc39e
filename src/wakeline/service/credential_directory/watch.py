"""A running gateway keeps what lies in `[credentials] directory`: new and renewed files count within seconds.

Rule: the directory is looked at, never asked to tell (no inotify: it is silent on network and overlay file systems). A file
that is still being written is left until it looks the same twice. What is refused is said once a change, in the log, as an
event and in `/v1/health`, and the credential in force stays; so does it when the file goes away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog

from wakeline.config import Settings
from wakeline.config.tree import CredentialsSection
from wakeline.model.errors import StoreUnavailable, WakelineError
from wakeline.model.event import Event, EventData, EventType
from wakeline.observe.health import Check, Health, Status
from wakeline.observe.names import LogEvent
from wakeline.ports import Clock, Events
from wakeline.ports import Settings as Facts
from wakeline.service.credential_directory.intake import Door, Intake, Line
from wakeline.service.credential_directory.judged import Inspect
from wakeline.service.credential_directory.listing import Entry, look
from wakeline.service.credential_directory.placing import Result, Wishes
from wakeline.wire.credential_file import Expectation

LOOK_EVERY = 1.0
"""Seconds between two looks."""

AGAIN_SOON, AGAIN_LATER = 5.0, 300.0
"""Seconds after which refused files are tried again: if the gateway was busy; if the files, or what they need, may change."""

_PATIENCE = 10
"""Looks for which one file that never settles keeps the others waiting."""

CHECK = "credential_directory"
HELD = "credential_directory/held"
"""The fact that outlives a restart: fingerprints of files in the directory that were stored at some time (JSON)."""

_log = structlog.get_logger()


class Watch:
    """Looks at the directory of the settings in force, which `settings` returns."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        door: Door,
        inspect: Inspect,
        events: Events,
        facts: Facts,
        health: Health,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._door = door
        self._inspect = inspect
        self._events = events
        self._facts = facts
        self._health = health
        self._clock = clock
        self._of = CredentialsSection()
        self._round: _Round | None = None

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            try:
                await self.look()
            except WakelineError as error:  # the store cannot be read or written now: the next look is near
                _log.warning(LogEvent.CREDENTIAL_FILES_WAIT.value, detail=error.detail)
            except Exception:  # noqa: BLE001 - whatever one look meets, renewals have to be seen by the next
                _log.exception(LogEvent.CREDENTIAL_FILES_WAIT.value)
            await self._clock.sleep(LOOK_EVERY)

    async def look(self) -> None:
        """Look once."""
        settings = self._settings()
        if settings.credentials != self._of:
            self._of, self._round = settings.credentials, None
            self._health.remarks.pop(CHECK, None)
        if not self._of.directory:
            return
        if self._round is None:
            intake = self._intake(settings)
            kept = await self._facts.get(HELD)
            intake.held = frozenset() if kept is None else msgspec.json.decode(kept, type=frozenset[str])
            self._round = _Round(self._of, intake, self._door, self._events, self._facts, self._health, self._clock)
            _log.info(LogEvent.CREDENTIAL_FILES_WATCHED.value, directory=self._of.directory)
        await self._round.look()

    def _intake(self, settings: Settings) -> Intake:
        wanted = settings.credentials
        expectation = Expectation(now=0, team_id=wanted.team_id, token_hosts=settings.providers.fcm.token_hosts)
        return Intake(Path(wanted.directory), self._door, self._inspect, expectation, Wishes(app=wanted.app))


class _Round:
    """What is remembered of one directory."""

    def __init__(
        self,
        section: CredentialsSection,
        intake: Intake,
        door: Door,
        events: Events,
        facts: Facts,
        health: Health,
        clock: Clock,
    ) -> None:
        self._directory = Path(section.directory)
        self._intake = intake
        self._door = door
        self._events = events
        self._facts = facts
        self._health = health
        self._clock = clock
        self._seen: dict[str, Entry] = {}
        self._done: dict[str, Entry] = {}
        self._lines: dict[str, Line] = {}
        self._apps: list[str] = []
        self._waited = 0
        self._again = float("inf")
        self._absent = ""

    async def look(self) -> None:
        """Look once: wait for what is being written, then take whatever changed."""
        entries = await self._listed()
        if entries is None:
            return
        unsettled = {name for name, entry in entries.items() if self._seen.get(name) != entry}
        self._seen = entries
        self._waited = self._waited + 1 if unsettled else 0
        if unsettled and self._waited < _PATIENCE:
            return
        settled = {name: entry for name, entry in entries.items() if name not in unsettled}
        known = {name: entry for name, entry in self._done.items() if name not in unsettled}
        if settled != known or self._clock.monotonic() >= self._again or await self._has_new_apps():
            await self._take(settled)

    async def _has_new_apps(self) -> bool:
        """Tell whether a refused file may have found its app."""
        return self._refused() and await self._door.apps() != self._apps

    def _refused(self) -> bool:
        return any(line.result is Result.REFUSED for line in self._lines.values())

    async def _listed(self) -> dict[str, Entry] | None:
        try:
            entries = await asyncio.to_thread(look, self._directory)
        except OSError as error:
            words = f"The directory {self._directory} cannot be read: {error.strerror}."
            if self._absent != words:
                self._absent = words
                _log.warning(LogEvent.CREDENTIAL_FILES_ABSENT.value, detail=words)
                fix = "Make it, or give it to this user, or take [credentials] directory out of the settings."
                self._health.remarks[CHECK] = Check(name=CHECK, status=Status.WARNING, cause=words, fix=fix)
            return None
        if self._absent:
            self._absent = ""
            self._tell_health()
        return entries

    async def _take(self, entries: dict[str, Entry]) -> None:
        self._again = self._clock.monotonic() + AGAIN_SOON  # if it fails half-way
        self._apps = await self._door.apps()
        held = self._intake.held
        lines = await self._intake.take(entries.values(), self._clock.now())
        if self._intake.held != held:
            await self._facts.set(HELD, msgspec.json.encode(sorted(self._intake.held)).decode())
        changed = {name for name, entry in entries.items() if self._done.get(name) != entry}
        for name in sorted(self._lines.keys() - {line.file for line in lines}):
            if name not in self._seen:
                self._gone(self._lines.pop(name))
        for line in lines:
            await self._heed(line, changed)
        self._done = entries
        refused = [line for line in lines if line.result is Result.REFUSED]
        soon = any(line.passing for line in refused)
        wait = AGAIN_SOON if soon else AGAIN_LATER if refused else float("inf")
        self._again = self._clock.monotonic() + wait
        self._tell_health()

    async def _heed(self, line: Line, changed: set[str]) -> None:
        """Say what is new about a file."""
        before = self._lines.get(line.file)
        self._lines[line.file] = line
        match line.result:
            case Result.STORED | Result.RENEWED:
                _say(LogEvent.CREDENTIAL_FILE_KEPT, line)
            case Result.REFUSED if line.passing:
                return
            case Result.REFUSED | Result.SKIPPED:
                same = before is not None and (before.result, before.notes) == (line.result, line.notes)
                if same and changed.isdisjoint((line.file, *line.also)):
                    return
                if line.result is Result.SKIPPED:
                    _say(LogEvent.CREDENTIAL_FILE_SKIPPED, line)
                    return
                _say(LogEvent.CREDENTIAL_FILE_REFUSED, line, warning=True)
                await self._append(EventType.CREDENTIAL_FAILED, line, f"{line.file} is refused: {line.notes[0]}")
                return
            case Result.UNCHANGED:
                pass
        if before is not None and before.result is Result.REFUSED and not before.passing:
            await self._append(EventType.CREDENTIAL_RECOVERED, line, f"{line.file} is good now.")

    async def _append(self, event_type: EventType, line: Line, note: str) -> None:
        event = Event(type=event_type, at=self._clock.now(), app=line.app, data=EventData(note=note))
        try:
            await self._events.append([event])
        except StoreUnavailable as error:
            _log.warning(LogEvent.CREDENTIAL_FILES_WAIT.value, detail=error.detail)

    def _gone(self, line: Line) -> None:
        """Say that a file is not there any more, unless another name led to the same content."""
        if self._seen.keys().isdisjoint(line.also):
            note = "What was stored of it stays in force; `wakeline credential remove` forgets it."
            _log.info(LogEvent.CREDENTIAL_FILE_GONE.value, file=line.file, app=line.app, note=note)

    def _tell_health(self) -> None:
        refused = [line for line in self._lines.values() if line.result is Result.REFUSED and not line.passing]
        if not refused:
            self._health.remarks.pop(CHECK, None)
            return
        cause = " ".join(f"{line.file}: {line.notes[0]}" for line in refused)
        fix = f"Put a good file into {self._directory}, or take this one out; the credentials in force stay."
        self._health.remarks[CHECK] = Check(name=CHECK, status=Status.WARNING, cause=cause, fix=fix)


def _say(event: LogEvent, line: Line, *, warning: bool = False) -> None:
    tell = _log.warning if warning else _log.info
    tell(
        event.value,
        file=line.file,
        also=line.also,
        app=line.app,
        result=line.result.value,
        verdict=line.verdict and line.verdict.value,
        topics=line.topics,
        notes=line.notes,
    )
