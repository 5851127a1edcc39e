"""Both adapters are given the same random life and must agree after every step."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fuzzing import examples
from storing import (
    HOUR,
    NOW,
    Store,
    ToldClock,
    admission,
    bulk_admission,
    job,
    notification,
    row,
    some_app,
    some_device,
    some_route,
    sqlite_store,
)
from wakeline.model.app import AppSettings
from wakeline.model.delivery import BULK_ENTRY, STATE_NUMBERS, Attempt, DeliveryState, Job, pack, pack_all, unpack_all
from wakeline.model.receipt import Receipt, ReceiptKind
from wakeline.model.route import Hold, HoldReason, Lane
from wakeline.ports import (
    AcceptedRun,
    Admission,
    BulkResult,
    IdempotencyKey,
    JobProgress,
    Reply,
    Settlement,
    Single,
)
from wakeline.storage.memory import MemoryStore
from wakeline.storage.sealing import Sealer

_T = TypeVar("_T")
SPAN = 20
ACCEPTED = BULK_ENTRY.pack(STATE_NUMBERS[DeliveryState.ACCEPTED], 1, 0, 0)


class Lockstep(RuleBasedStateMachine):
    """The same calls to a memory store and to a SQLite store. Jobs are compared by content: their ids are the store's own."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = ToldClock()
        self.folder = tempfile.TemporaryDirectory()
        self.memory = MemoryStore(self.clock, Sealer(b"m" * 32))
        self.stores: list[Store] = [
            self.memory,
            sqlite_store(Path(self.folder.name), self.clock),
        ]
        self.key = 0
        self.leased: list[list[Job]] = [[], []]
        for store in self.stores:
            self.run(store.open())
            self.run(some_app(store))
        self.route = self.both(some_route).id
        self.devices = [self.both(partial(some_device, device_id=f"d{n}", value=f"{n}")) for n in range(1, 10)]

    def teardown(self) -> None:
        for store in self.stores:
            self.run(store.close())
        self.folder.cleanup()
        self.loop.close()

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return self.loop.run_until_complete(work)

    def both(self, work: Callable[[Store], Coroutine[Any, Any, _T]]) -> _T:
        first, second = (self.run(work(store)) for store in self.stores)
        assert first == second
        return first

    def each(self, work: Callable[[Store, list[Job]], Awaitable[None]]) -> None:
        async def call(store: Store, jobs: list[Job]) -> None:
            await work(store, jobs)

        for store, jobs in zip(self.stores, self.leased, strict=True):
            self.run(call(store, jobs))

    @rule(
        due=st.integers(0, SPAN),
        ttl=st.integers(0, SPAN),
        reached=st.lists(st.integers(1, 9), min_size=1, max_size=4, unique=True),
        lane=st.sampled_from([Lane.CALL, Lane.ALERT]),
        collapse_key=st.sampled_from(["", "", "chat"]),
        limited=st.booleans(),
    )
    def accept(self, due: int, ttl: int, reached: list[int], lane: Lane, collapse_key: str, *, limited: bool) -> None:
        self.key += 1
        given = job(
            self.key,
            self.route,
            reached,
            lane=lane,
            due=NOW + due,
            expires=NOW + due + ttl,
            code=914 if limited else 0,
            collapse_key=collapse_key,
        )
        admitted = admission(self.key, given)
        self.both(lambda store: store.acceptance.accept([admitted]))

    @rule(sizes=st.lists(st.integers(1, 3), min_size=1, max_size=3))
    def accept_bulk(self, sizes: list[int]) -> None:
        self.key += 1
        parts = [[10 * place + number for number in range(size)] for place, size in enumerate(sizes, start=1)]
        admitted = bulk_admission(self.key, self.route, *parts)
        self.both(lambda store: store.acceptance.accept([admitted]))

    @rule(reached=st.lists(st.integers(1, 9), min_size=1, max_size=4), twins=st.booleans(), keep=st.booleans())
    def accept_singles(self, reached: list[int], *, twins: bool, keep: bool) -> None:
        """Single pushes in one batch: they share a job. `twins`: the first two have the same idempotency key."""
        admitted = []
        for place, target in enumerate(reached):
            self.key += 1
            same = (
                IdempotencyKey(scope="s", key=str(self.key - place), fingerprint=b"f") if twins and place < 2 else None
            )
            admitted.append(
                Admission(
                    notification=notification(self.key),
                    single=Single(self.route, pack(target, 1)),
                    idempotency=same,
                    reply=Reply(status=202, body=b"{}") if same else None,
                )
            )
        app = self.stores[0].apps.all()[0].id
        self.both(lambda store: store.apps.update(app, settings=AppSettings(keep_content=keep)))
        self.both(lambda store: store.acceptance.accept(admitted))

    @rule(lane=st.sampled_from(list(Lane)), limit=st.integers(1, 6))
    def claim(self, lane: Lane, limit: int) -> None:
        now = self.clock.now()
        self.lease([self.run(store.queue.claim(self.route, lane, limit=limit, now=now)) for store in self.stores])

    @rule(limit=st.integers(1, 6))
    def claim_expired(self, limit: int) -> None:
        now = self.clock.now()
        self.lease([self.run(store.queue.claim_expired(limit=limit, now=now)) for store in self.stores])

    def lease(self, claimed: list[list[Job]]) -> None:
        assert [content(item) for item in claimed[0]] == [content(item) for item in claimed[1]]
        for mine, new in zip(self.leased, claimed, strict=True):
            mine.extend(new)

    @rule(count=st.integers(1, 3), retry=st.booleans(), quiet=st.booleans())
    def settle(self, count: int, *, retry: bool, quiet: bool) -> None:
        async def work(store: Store, jobs: list[Job]) -> None:
            done, jobs[:] = jobs[:count], jobs[count:]
            await store.queue.settle(settlement(done, retry=retry, quiet=quiet, now=self.clock.now()))

        self.each(work)

    @rule()
    def settle_a_part(self) -> None:
        async def work(store: Store, jobs: list[Job]) -> None:
            whole = next(
                (item for item in jobs if len(item.recipients) > 8 and item.notification and not item.chunk), None
            )
            if whole is not None:
                first, *rest = unpack_all(whole.recipients)
                await store.queue.settle(
                    Settlement(
                        progress=[JobProgress(job=whole.id, remaining=pack_all(rest))],
                        rows=[row(whole.notification, first >> 16)],
                        counts={(whole.notification, DeliveryState.ACCEPTED): 1},
                    )
                )

        self.each(work)

    @rule(fate=st.sampled_from(["accepted", "failed", "again"]), last=st.booleans(), quiet=st.booleans())
    def settle_a_member(self, fate: str, *, last: bool, quiet: bool) -> None:
        """One of a leased parcel gets its answer before the others."""

        async def work(store: Store, jobs: list[Job]) -> None:
            place = next((place for place, item in enumerate(jobs) if item.members), None)
            if place is not None:
                whole = jobs[place]
                key = unpack_all(whole.members)[-1 if last else 0]
                left = whole.without(key)
                jobs[place : place + 1] = [left] if left.members else []
                made = Settlement(quiet=quiet)
                if left.members:
                    made.progress.append(JobProgress(job=whole.id, remaining=left.recipients, members=left.members))
                else:
                    made.finished.append(whole.id)
                settle_part(made, whole, key, fate, self.clock.now())
                await store.queue.settle(made)

        self.each(work)

    @rule(count=st.integers(1, 3))
    def release(self, count: int) -> None:
        async def work(store: Store, jobs: list[Job]) -> None:
            back, jobs[:] = jobs[:count], jobs[count:]
            await store.queue.release([item.id for item in back])

        self.each(work)

    @rule(age=st.integers(0, 5))
    def cancel(self, age: int) -> None:
        key = self.key - age
        self.both(lambda store: store.queue.cancel(key, self.clock.now()))

    @rule(number=st.integers(0, 8), kind=st.sampled_from(list(ReceiptKind)), age=st.integers(0, 5))
    def tell(self, number: int, kind: ReceiptKind, age: int) -> None:
        """Have a device say that it has a push, whatever that is doing at the moment."""
        device = self.devices[number].id
        said = Receipt(app=1, notification=self.key - age, device=device, kind=kind, at=self.clock.now())
        self.both(lambda store: store.receipts.note([said]))

    @rule(held=st.booleans())
    def hold(self, *, held: bool) -> None:
        hold = Hold(reason=HoldReason.OPERATOR, code=902, since=NOW, cause="A test") if held else None
        self.both(lambda store: store.routes.hold(self.route, hold))

    @rule(by=st.integers(1, 10))
    def wait(self, by: int) -> None:
        self.clock.time += by

    @invariant()
    def agree_on_what_waits(self) -> None:
        now = self.clock.now()
        self.both(lambda store: store.queue.pending())
        self.both(lambda store: store.queue.due(now))
        first, second = ([depth for depth in self.run(store.queue.depth()) if depth.jobs] for store in self.stores)
        assert first == second

    @invariant()
    def agree_on_what_happened(self) -> None:
        now = self.clock.now()
        for key in range(max(1, self.key - 5), self.key + 1):
            self.both(lambda store, key=key: store.ledger.counts(key, now))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            first, second = (self.run(store.ledger.deliveries(key, now=now)) for store in self.stores)
            assert first.deliveries == second.deliveries
        self.both(lambda store: store.events.read(after=0, limit=10_000))

    @invariant()
    def what_waits_for_nothing_is_complete(self) -> None:
        """Or retention would keep it for ever. The other store agrees: its events say so."""
        books = self.memory.queue._books
        for key, account in books.accounts.items():
            assert (account.done is None) == (key in books.owed), key
        assert books.early.keys() <= books.owed.keys()


def content(item: Job) -> tuple[Any, ...]:
    return (
        *(item.notification, item.due, item.expires, item.attempt, item.recipients, item.code, bool(item.chunk)),
        item.members,
    )


def settle_part(made: Settlement, whole: Job, key: int, fate: str, now: int) -> None:
    """Put the answer for one member of a parcel into a settlement."""
    part = whole.alone(key)
    assert part is not None
    target = unpack_all(part.recipients)[0] >> 16
    match fate:
        case "accepted":
            attempt = Attempt(number=whole.attempt, at=now, status=200, outcome_class="accepted")
            made.accepted.append(AcceptedRun([key], [target], attempt, now, whole=True))
        case "again":
            again = job(
                key, whole.route, lane=whole.lane, due=now + 3, expires=whole.expires, attempt=whole.attempt + 1
            )
            made.again.append(msgspec.structs.replace(again, recipients=part.recipients))
        case _:
            made.rows.append(row(key, target, DeliveryState.FAILED, tries=whole.attempt))
            made.counts[key, DeliveryState.FAILED] = 1
            made.ended.append(key)


def settlement(jobs: list[Job], *, retry: bool, quiet: bool, now: int) -> Settlement:
    """Accept all of them, or have them tried again."""
    made = Settlement(finished=[item.id for item in jobs], quiet=quiet)
    for item in jobs:
        if item.members:
            for key in unpack_all(item.members):
                settle_part(made, item, key, "again" if retry else "accepted", now)
            continue
        targets = [recipient >> 16 for recipient in unpack_all(item.recipients)]
        if retry:
            again = job(
                item.notification,
                item.route,
                lane=item.lane,
                due=now + 3,
                expires=item.expires,
                chunk=item.chunk,
                attempt=item.attempt + 1,
            )
            made.again.append(type(again)(**{**_fields(again), "recipients": item.recipients}))
            continue
        counted = item.notification, DeliveryState.ACCEPTED
        made.counts[counted] = made.counts.get(counted, 0) + len(targets)
        if item.chunk:
            made.bulk.append(BulkResult(chunk=item.chunk, entries=tuple((n, ACCEPTED) for n in range(len(targets)))))
        else:
            made.rows += [row(item.notification, target, tries=item.attempt) for target in targets]
    return made


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__struct_fields__}


TestLockstep = Lockstep.TestCase
TestLockstep.settings = settings(
    max_examples=examples(40), stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def happen(life: Lockstep, chance: Random) -> None:
    """Let something happen to parcels: more often than a life that is drawn from all there is would have it."""
    match chance.randrange(12):
        case 0 | 1:
            targets = [chance.randint(1, 9) for _ in range(chance.randint(1, 6))]
            life.accept_singles(targets, twins=chance.random() < 0.3, keep=chance.random() < 0.7)
        case 2 | 3:
            life.claim(Lane.ALERT, chance.choice((1, 10)))
        case 4:
            life.cancel(chance.randint(0, 5))
        case 5:
            life.settle(chance.randint(1, 2), retry=chance.random() < 0.5, quiet=chance.random() < 0.5)
        case 6 | 7:
            fate = chance.choice(("accepted", "failed", "again"))
            life.settle_a_member(fate, last=chance.random() < 0.5, quiet=chance.random() < 0.5)
        case 8:
            life.release(chance.randint(1, 2))
        case 9 | 10:
            life.tell(chance.randrange(9), chance.choice(list(ReceiptKind)), chance.randint(0, 3))
        case _:
            life.wait(chance.choice((1, 5)))
            if chance.random() < 0.1:
                life.clock.time += HOUR
                life.claim_expired(5)


@pytest.mark.parametrize("seed", range(examples(25)))
def test_parcels_live_the_same_lives_in_both(seed: int) -> None:
    life, chance = Lockstep(), Random(seed)  # noqa: S311 - lives, not secrets
    try:
        for _ in range(60):
            happen(life, chance)
            life.agree_on_what_waits()
            life.agree_on_what_happened()
            life.what_waits_for_nothing_is_complete()
    finally:
        life.teardown()
