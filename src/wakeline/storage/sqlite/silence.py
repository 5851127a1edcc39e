"""Counts and suspicions of silence; what they are made of is read from the ledger, a page at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec

from wakeline.model.delivery import STATES_BY_NUMBER
from wakeline.model.event import Event
from wakeline.model.route import Lane
from wakeline.model.silence import Count, Suspicion, Traits
from wakeline.ports.silence import Mark, Settled, SettledPage
from wakeline.storage import silence
from wakeline.storage.silence import Answered, Phone
from wakeline.storage.sqlite.apps import SqliteApps
from wakeline.storage.sqlite.events import SqliteEvents
from wakeline.storage.sqlite.forms import json_list
from wakeline.storage.sqlite.reader import Reader
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.writer import Writer

_SQL = load("silence")

_BREATH = 500
"""Deliveries whose phones are looked up between two breaths of the loop: a millisecond."""

_suspicion = msgspec.json.Decoder(Suspicion)


class SqliteSilence:
    """Suspicions are few and in memory whole; counts are read once, at the start."""

    def __init__(
        self,
        writer: Writer,
        reader: Reader,
        apps: SqliteApps,
        events: SqliteEvents,
        phones: Callable[[Sequence[int]], Mapping[int, Phone]],
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._apps = apps
        self._events = events
        self._phones = phones
        self._suspicions: dict[int, Suspicion] = {}

    async def load(self) -> None:
        """Read all suspicions."""
        for number, facts in self._reader.all(_SQL["suspicions"]):
            self._suspicions[number] = msgspec.structs.replace(_suspicion.decode(facts), id=number)

    async def settled(self, apps: Collection[int], *, after: Mark, before: int, limit: int) -> SettledPage:
        """Return accepted deliveries of the next notifications that were done."""
        asked = {"done": after.done, "notification": after.notification, "before": before, "limit": limit}
        found = self._reader.all(_SQL["done_behind"], asked)
        heads = found[: silence.within(row[7] if row[1] in apps or row[6] else 0 for row in found)]
        told = {row[0]: row for row in heads if row[1] in apps or row[6]}
        answered = self._answered([key for key, row in told.items() if not row[5]])
        for key, row in told.items():
            if row[5]:
                answered += self._sampled(key)
                await asyncio.sleep(0)
        phones: dict[int, Phone] = {}
        for start in range(0, len(answered), _BREATH):
            await asyncio.sleep(0)
            phones |= self._phones([one.target for one in answered[start : start + _BREATH]])
        sent = [
            _settled(told[one.notification], phones[one.target], one.heard) for one in answered if one.target in phones
        ]
        mark = Mark(heads[-1][3], heads[-1][0]) if heads else after
        return SettledPage(
            sent=tuple(sorted(sent, key=_at)), mark=mark, more=len(found) == limit or len(heads) < len(found)
        )

    def _answered(self, keys: Sequence[int]) -> list[Answered]:
        rows = self._reader.all(_SQL["sent_of"], (json_list(keys),)) if keys else []
        states = ((key, target, silence.HEARD.get(STATES_BY_NUMBER[state])) for key, target, state in rows)
        return [Answered(key, target, heard) for key, target, heard in states if heard is not None]

    def _sampled(self, key: int) -> list[Answered]:
        chunks = silence.sample([number for (number,) in self._reader.all(_SQL["chunks_of"], (key,))])
        rows = (self._reader.one(_SQL["chunk"], (number,)) for number in chunks)
        return [one for row in rows if row is not None for one in silence.entries(key, *row)]

    async def record(
        self, counts: Sequence[Count], suspicions: Sequence[Suspicion], events: Sequence[Event], *, mark: Mark | None
    ) -> list[Suspicion]:
        """Keep what a look found, in one commit."""
        return await self._writer.write(lambda tx: self._record(tx, counts, suspicions, events, mark))

    def _record(
        self,
        tx: Transaction,
        counts: Sequence[Count],
        suspicions: Sequence[Suspicion],
        events: Sequence[Event],
        mark: Mark | None,
    ) -> list[Suspicion]:
        tx.many(_SQL["add_count"], [_row(count) for count in counts if not self._apps.is_gone(count.app)])
        kept = [self._keep(tx, one) for one in suspicions if not self._apps.is_gone(one.app)]
        self._events.keep(tx, events)
        if mark is not None:
            tx.execute(_SQL["set_mark"], mark)
        tx.on_commit(lambda: self._suspicions.update((one.id, one) for one in kept))
        return kept

    def _keep(self, tx: Transaction, suspicion: Suspicion) -> Suspicion:
        facts = msgspec.json.encode(suspicion)
        if suspicion.id:
            tx.execute(_SQL["update_suspicion"], (facts, suspicion.id))
            return suspicion
        number = tx.execute(_SQL["insert_suspicion"], (suspicion.app, facts)).lastrowid or 0
        return msgspec.structs.replace(suspicion, id=number)

    async def mark(self) -> Mark | None:
        """Return how far was looked."""
        row = self._reader.one(_SQL["mark"])
        return None if row is None else Mark(*row)

    async def counts(self, hour: int) -> list[Count]:
        """Return the counts of an hour, of the apps that there are."""
        rows = self._reader.all(_SQL["counts"], (hour,))
        return [_count(row) for row in rows if not self._apps.is_gone(row[1])]

    def suspicions(self) -> list[Suspicion]:
        """Return all, the newest first."""
        return sorted(self._suspicions.values(), key=lambda one: -one.id)

    async def prune(self, *, hour: int, before: int) -> None:
        """Forget what is old."""
        over = [one.id for one in self._suspicions.values() if one.until is not None and one.until < before]
        await self._writer.write(lambda tx: self._prune(tx, hour, over))

    def _prune(self, tx: Transaction, hour: int, over: Sequence[int]) -> None:
        tx.execute(_SQL["forget_counts"], (hour,))
        tx.many(_SQL["forget_suspicion"], [(number,) for number in over])
        tx.on_commit(lambda: self._drop(over))

    def _drop(self, over: Sequence[int]) -> None:
        for number in over:
            self._suspicions.pop(number, None)

    async def forget(self, app: int) -> None:
        """Forget all of an app."""
        await self._writer.write(lambda tx: self._forget_app(tx, app))
        self._suspicions = {number: one for number, one in self._suspicions.items() if one.app != app}

    def _forget_app(self, tx: Transaction, app: int) -> None:
        tx.execute(_SQL["forget_counts_of_app"], (app,))
        tx.execute(_SQL["forget_suspicions_of_app"], (app,))


def _settled(head: Any, phone: Phone, heard: bool) -> Settled:
    _, app, lane, done, *_ = head
    return Settled(
        at=done, app=app, lane=Lane(lane), device=phone.device, kind=phone.kind, facts=phone.facts, heard=heard
    )


def _at(one: Settled) -> int:
    return one.at


def _row(count: Count) -> tuple[Any, ...]:
    return count.hour, count.app, int(count.lane), *count.traits, count.sent, count.heard


def _count(row: Any) -> Count:
    hour, app, lane, platform, os_version, model, sent, heard = row
    traits = Traits(platform, os_version, model)
    return Count(app=app, hour=hour, lane=Lane(lane), traits=traits, sent=sent, heard=heard)
