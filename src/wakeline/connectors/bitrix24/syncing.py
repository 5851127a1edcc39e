"""Filling the mirror: users and records of a portal are read anew into our own portal's store, and what is gone there goes here.

A portal is read while it is in use, and events of it are read beside this. Rules:
newer     what we learnt after the reading began is left as it is: it is at least as new as what was read, or its event is to come
gone      a record of ours between the ends of a page that the page has not is deleted, unless we learnt of it since
resumed   what was read is kept page by page; if the portal cannot be reached, the reading goes on where it stopped. A mirror that
          was not read to the end since it became one is not `filled`, so that the next process fills it anew
refused   a kind that the application may not read is left out, and said to be; a portal that only now became the mirror has none of
          it then, for what is here was another portal's

Nothing else is deleted for a refusal or an answer that ends early. Users are never deleted, on either side: who left is inactive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import TypeVar

import msgspec
import structlog

from wakeline.connectors.bitrix24 import answers, kinds
from wakeline.connectors.bitrix24.answers import USERS_METHOD
from wakeline.connectors.bitrix24.client import PortalClient
from wakeline.connectors.bitrix24.connections import Connections
from wakeline.connectors.bitrix24.kinds import KINDS, Kind
from wakeline.connectors.bitrix24.late_events import SETTLING
from wakeline.connectors.bitrix24.mirror_records import MirrorRecords
from wakeline.connectors.bitrix24.walking import Walk, portal_time, walk
from wakeline.model.bitrix24.installation import Installation, InstallationState
from wakeline.model.bitrix24.records import RecordKind
from wakeline.model.errors import (
    Conflict,
    NotFound,
    PortalRefused,
    PortalUnreachable,
    StorageError,
    WakelineError,
)
from wakeline.ports import Clock
from wakeline.ports.bitrix24 import PortalAccess
from wakeline.ports.bitrix24_connector import Installations, SyncProgress

USERS = "user"
"""The name of users in `SyncProgress`; records have that of their methods."""
STORE_REST = 5.0
"""Seconds until a store that failed is tried again."""

T = TypeVar("T")

_log = structlog.get_logger()


class Syncing:
    """Fills the mirror when it is told to, one filling at a time."""

    def __init__(
        self,
        installations: Installations,
        records: MirrorRecords,
        access: PortalAccess,
        clock: Clock,
        connections: Connections,
    ) -> None:
        """Begin with nothing under way."""
        self._installations = installations
        self._records = records
        self._access = access
        self._clock = clock
        self._connections = connections
        self._fillings: dict[int, _Filling] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def begin(self, number: int) -> SyncProgress:
        """Begin to read everything anew, unless that runs; returns at once.

        Raises NotFound, and Conflict for an installation that is no mirror or is not active.
        """
        if number not in self._tasks:
            _mirror(self._installations, number)
            filling = _Filling(
                number, self._installations, self._records, self._access, self._clock, self._connections.of(number)
            )
            self._fillings = {number: filling}
            self._tasks[number] = asyncio.create_task(self._run(filling))
        return self._fillings[number].progress

    def progress(self, number: int) -> SyncProgress | None:
        """Return how far the last filling of this process is."""
        filling = self._fillings.get(number)
        return None if filling is None else filling.progress

    async def stop(self) -> None:
        """Give up what is under way; the next process fills the mirror if it was not reached."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, filling: _Filling) -> None:
        try:
            await filling.run()
        finally:
            del self._tasks[filling.number]


def _mirror(installations: Installations, number: int) -> Installation:
    """Return an installation that is to be filled from. Raises NotFound, Conflict."""
    installation = installations.by_id(number)
    if installation is None:
        raise NotFound("There is no such connected portal")
    if not installation.mirror:
        raise Conflict("This portal is not the mirror", fix="Set it as the mirror first.")
    if installation.state is not InstallationState.ACTIVE:
        raise Conflict(f"This portal is not active: {installation.cause or installation.state.value}")
    return installation


def _settled(there: datetime) -> int:
    """Return up to when all was read that happened at a portal whose time was this (Unix ms)."""
    return int(there.timestamp() * 1000) - SETTLING


class _Filling:
    """One filling. `began` is when it began, by our clock (Unix ms): what we learnt after it is newer."""

    def __init__(
        self,
        number: int,
        installations: Installations,
        records: MirrorRecords,
        access: PortalAccess,
        clock: Clock,
        client: PortalClient,
    ) -> None:
        self.number = number
        self.began = clock.now()
        self.progress = SyncProgress(began=self.began)
        self._installations = installations
        self._records = records
        self._access = access
        self._clock = clock
        self._client = client
        self._after: dict[RecordKind, int] = {}
        self._refused: list[str] = []

    async def run(self) -> None:
        """Read everything; what came of it is in `progress`."""
        cause = "The gateway stopped"
        self._records.begin()
        try:
            await self._all()
            cause = "; ".join(self._refused)
        except WakelineError as error:
            cause = error.detail
        except Exception:  # noqa: BLE001 - nobody waits for this task: the log and the progress say that it failed
            cause = "It failed for a defect of the gateway, which is in its log"
            _log.exception("bitrix24.mirror_failed", installation=self.number)
        finally:
            self._records.end()
            self.progress = msgspec.structs.replace(self.progress, ended=self._clock.now(), cause=cause)
        _log.info("bitrix24.mirror_filled", installation=self.number, done=self.progress.done, cause=cause)

    async def _all(self) -> None:
        there = await self._patiently(partial(portal_time, self._client))
        is_new = not _mirror(self._installations, self.number).filled
        await self._part(USERS, self._users)
        for kind in KINDS:
            is_read = await self._part(kind.record.value, partial(self._kind, kind))
            if is_new and not is_read:
                empty = partial(self._records.fill, kind.record, (), after=0, last=None, began=self.began)
                await self._patiently(empty)
        await self._patiently(partial(self._installations.reach, self.number, _settled(there)))
        await self._patiently(self._is_full)

    async def _part(self, name: str, read: Callable[[], Awaitable[None]]) -> bool:
        """Read one part; False: we may not."""
        try:
            await self._patiently(read)
        except PortalRefused as error:
            self._refused.append(f"{name}: {error.detail}")
            _log.warning("bitrix24.mirror_part_refused", installation=self.number, part=name, cause=error.detail)
            return False
        return True

    async def _is_full(self) -> None:
        known = _mirror(self._installations, self.number)
        await self._installations.change(msgspec.structs.replace(known, filled=self.began), of=known)

    async def _patiently(self, step: Callable[[], Awaitable[T]]) -> T:
        """Do a step, again and again while the portal or the store cannot; a step goes on where it stopped."""
        while True:
            _mirror(self._installations, self.number)
            try:
                return await step()
            except PortalUnreachable as error:
                pause, cause = error.retry_after or STORE_REST, error.detail
            except StorageError as error:
                pause, cause = STORE_REST, error.detail
            _log.warning("bitrix24.mirror_waits", installation=self.number, cause=cause)
            await self._clock.sleep(pause)

    def _told(self, part: str, *, done: int, total: int | None) -> None:
        progress = self.progress
        totals = progress.total if total is None else {**progress.total, part: total}
        self.progress = msgspec.structs.replace(progress, done={**progress.done, part: done}, total=totals)

    # --- users

    async def _users(self) -> None:
        done = 0
        async for reply in self._client.pages(USERS_METHOD, {"sort": "ID", "order": "ASC"}):
            users = answers.users(reply.result)
            for fields in users:
                known = await self._access.user(kinds.number_of(fields["ID"]))
                await self._access.put_user(answers.portal_user(fields, known, self._clock.now()))
            done += len(users)
            self._told(USERS, done=done, total=reply.total)

    # --- records

    async def _kind(self, kind: Kind) -> None:
        part = kind.record.value
        if part not in self.progress.done:
            self._told(part, done=0, total=await self._count(kind))
        async for stretch in walk(self._client, Walk(kind=kind, after=self._after.get(kind.record, 0)), self.began):
            await self._records.fill(
                kind.record, stretch.records, after=stretch.after, last=stretch.last, began=self.began
            )
            if stretch.last is not None:
                self._after[kind.record] = stretch.last
            self._told(part, done=self.progress.done[part] + len(stretch.records), total=None)
            _mirror(self._installations, self.number)

    async def _count(self, kind: Kind) -> int | None:
        """Return how many there are, None: the portal does not say; that is no reason not to read them."""
        try:
            return (await self._client.call(kind.list_method, {"select": ["ID"], "start": 0}, bulk=True)).total
        except PortalRefused:
            return None
