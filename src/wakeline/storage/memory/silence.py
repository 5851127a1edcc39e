"""Counts and suspicions of silence, in dictionaries."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import msgspec

from wakeline.model.event import Event
from wakeline.model.outcome import OutcomeClass
from wakeline.model.silence import Count, Suspicion, Traits
from wakeline.ports.silence import Mark, Settled, SettledPage
from wakeline.storage import silence
from wakeline.storage.memory.books import Account, Books
from wakeline.storage.silence import Answered

_Place = tuple[int, int, int, Traits]


class MemorySilence:
    """What the ledger's books say, and what was made of it."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._counts: dict[_Place, Count] = {}
        self._suspicions: dict[int, Suspicion] = {}
        self._last = 0
        self._mark: Mark | None = None

    async def settled(self, apps: Collection[int], *, after: Mark, before: int, limit: int) -> SettledPage:
        """Return accepted deliveries of the next notifications that were done."""
        done = sorted(
            (Mark(account.done, key), account)
            for key, account in self._books.accounts.items()
            if account.done is not None and after < Mark(account.done, key) and account.done < before
        )
        found = [
            (mark, list(self._sent(mark, one) if one.notification.app in apps or _confirmed(one) else ()))
            for mark, one in done[:limit]
        ]
        page = found[: silence.within(len(sent) for _, sent in found)]
        sent = tuple(settled for _, part in page for settled in part)
        return SettledPage(sent=sent, mark=page[-1][0] if page else after, more=len(page) < len(done))

    def _sent(self, mark: Mark, account: Account) -> Iterator[Settled]:
        answered = list(self._answered(mark.notification))
        phones = self._books.devices.phones([one.target for one in answered])
        for one in answered:
            phone = phones.get(one.target)
            if phone is not None:
                yield Settled(
                    at=mark.done,
                    app=account.notification.app,
                    lane=account.notification.lane,
                    device=phone.device,
                    kind=phone.kind,
                    facts=phone.facts,
                    heard=one.heard,
                )

    def _answered(self, key: int) -> Iterator[Answered]:
        for target, line in sorted(self._books.lines.get(key, {}).items()):
            heard = silence.HEARD.get(line.row.state)
            if line.row.outcome_class == OutcomeClass.ACCEPTED and heard is not None:
                yield Answered(key, target, heard)
        chunks = sorted(number for number, chunk in self._books.chunks.items() if chunk.notification == key)
        for number in silence.sample(chunks):
            chunk = self._books.chunks[number]
            yield from silence.entries(key, chunk.recipients, chunk.results)

    async def record(
        self, counts: Sequence[Count], suspicions: Sequence[Suspicion], events: Sequence[Event], *, mark: Mark | None
    ) -> list[Suspicion]:
        """Keep what a look found."""
        for count in counts:
            self._add(count)
        kept = [self._keep(one) for one in suspicions if not self._books.apps.is_gone(one.app)]
        self._books.events.keep(events)
        self._mark = mark or self._mark
        return kept

    def _add(self, count: Count) -> None:
        place = count.hour, count.app, count.lane, count.traits
        if not self._books.apps.is_gone(count.app):
            known = self._counts.get(place)
            sent, heard = (known.sent, known.heard) if known is not None else (0, 0)
            self._counts[place] = msgspec.structs.replace(count, sent=sent + count.sent, heard=heard + count.heard)

    def _keep(self, suspicion: Suspicion) -> Suspicion:
        if not suspicion.id:
            self._last += 1
            suspicion = msgspec.structs.replace(suspicion, id=self._last)
        self._suspicions[suspicion.id] = suspicion
        return suspicion

    async def mark(self) -> Mark | None:
        """Return how far was looked."""
        return self._mark

    async def counts(self, hour: int) -> list[Count]:
        """Return the counts of an hour."""
        return [count for place, count in sorted(self._counts.items()) if place[0] == hour]

    def suspicions(self) -> list[Suspicion]:
        """Return all, the newest first."""
        return sorted(self._suspicions.values(), key=lambda one: -one.id)

    async def prune(self, *, hour: int, before: int) -> None:
        """Forget what is old."""
        self._counts = {place: count for place, count in self._counts.items() if place[0] >= hour}
        self._suspicions = {
            number: one for number, one in self._suspicions.items() if one.until is None or one.until >= before
        }

    async def forget(self, app: int) -> None:
        """Forget all of an app that goes on."""
        self.forget_app(app)

    def forget_app(self, app: int) -> None:
        """Forget all of an app."""
        self._counts = {place: count for place, count in self._counts.items() if count.app != app}
        self._suspicions = {number: one for number, one in self._suspicions.items() if one.app != app}


def _confirmed(account: Account) -> bool:
    return any(account.written.get(state) for state, heard in silence.HEARD.items() if heard)
