"""Both adapters are given the same random life and must agree after every step."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fuzzing import examples
from storing import NOW, Store, ToldClock, admission, bulk_admission, job, row, some_app, some_route, sqlite_store
from wakeline.model.delivery import BULK_ENTRY, STATE_NUMBERS, DeliveryState, Job, pack_all, unpack_all
from wakeline.model.route import Hold, HoldReason, Lane
from wakeline.ports import BulkResult, JobProgress, Settlement
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
        self.stores: list[Store] = [
            MemoryStore(self.clock, Sealer(b"m" * 32)),
            sqlite_store(Path(self.folder.name), self.clock),
        ]
        self.key = 0
        self.leased: list[list[Job]] = [[], []]
        for store in self.stores:
            self.run(store.open())
            self.run(some_app(store))
        self.route = self.both(some_route).id

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

    @rule(count=st.integers(1, 3), retry=st.booleans())
    def settle(self, count: int, *, retry: bool) -> None:
        async def work(store: Store, jobs: list[Job]) -> None:
            done, jobs[:] = jobs[:count], jobs[count:]
            await store.queue.settle(settlement(done, retry=retry, now=self.clock.now()))

        self.each(work)

    @rule()
    def settle_a_part(self) -> None:
        async def work(store: Store, jobs: list[Job]) -> None:
            whole = next((item for item in jobs if len(item.recipients) > 8 and not item.chunk), None)
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


def content(item: Job) -> tuple[Any, ...]:
    return (item.notification, item.due, item.expires, item.attempt, item.recipients, item.code, bool(item.chunk))


def settlement(jobs: list[Job], *, retry: bool, now: int) -> Settlement:
    """Accept all of them, or have them tried again."""
    made = Settlement(finished=[item.id for item in jobs])
    for item in jobs:
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
