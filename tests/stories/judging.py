"""Promises 1 to 5, held against what a push service saw, what it said, and what the store shows.

Promise 1  every accepted delivery ends in one final state and stays there; nothing is sent again that was accepted, or that
           is still on its way, unless the process ended meanwhile
Promise 2  no token is quarantined or retired without an answer that speaks against it, none is retired without proof, and
           all of them can be brought back
Promise 3  a broken credential fails nothing but calls, and another app never notices
Promise 4  in no turn of the dispatcher does anything go out before a call that could have gone; nothing goes out too late
Promise 5  every delivery can be explained, and what is kept of its attempts is what the push service said
"""

from __future__ import annotations

from collections import Counter, defaultdict

from stories.carrier import Said
from stories.lives import Life
from wakeline.doctor.explain import Explainer, ExplainPorts
from wakeline.model.delivery import Delivery, DeliveryState
from wakeline.model.device import Target, TargetState
from wakeline.model.event import EventType
from wakeline.model.ids import delivery_id
from wakeline.model.outcome import OutcomeClass
from wakeline.model.route import Lane
from wakeline.ports import Shipment
from wakeline.storage.memory.books import Books
from wakeline.storage.memory.queue import MemoryQueue
from wakeline.wire.outcomes import Refusal

DAY = 86_400_000
FINAL = frozenset(DeliveryState) - {
    DeliveryState.QUEUED,
    DeliveryState.SENDING,
    DeliveryState.UNKNOWN,
    DeliveryState.HELD,
    DeliveryState.SCHEDULED,
}
REFUSED_KEY = (903, 904, 905)
AGAINST = (OutcomeClass.TOKEN_DEAD, OutcomeClass.TOKEN_DOUBTFUL, OutcomeClass.MISMATCH)
SOON = 1_200_000
ENOUGH = 15_000_000
"""Milliseconds in which a push is sent once nothing keeps it any more: the longest waits, some times over."""
EXPLAINED = 7
"""Of so many deliveries one is explained at the end."""
ROOM = 100
"""Calls that may be due at once: a sender with less room is no proof that one of them could have gone."""


class BrokenPromise(AssertionError):
    """What a life showed."""


class Judge:
    """Watches one life."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self.crashes = 0
        self.requests: Counter[tuple[int, int]] = Counter()
        self.heard: dict[tuple[int, int], list[Said]] = defaultdict(list)
        self._on_the_way: set[tuple[int, int]] = set()
        self._final: dict[tuple[int, int], DeliveryState] = {}
        self._hopeful: set[tuple[int, int]] = set()
        self._due_calls: set[int] = set()
        """Jobs of calls that could go when the present turn began."""

    @property
    def _books(self) -> Books:
        queue = self._life.store.queue
        assert isinstance(queue, MemoryQueue)
        return queue._books

    # --- while it goes on

    def requested(self, shipment: Shipment, place: int) -> None:
        """Judge a request of the app's as the push service gets it."""
        notification, recipient = shipment.notification_of(place), shipment.recipients[place]
        life, pair = self._life, (notification.key, recipient.target)
        self.requests[pair] += 1
        life.saw(notification, recipient)
        if pair in self._on_the_way:
            life.broken.append("1: a push is sent while it is on its way")
        if pair in life.answered:
            life.broken.append("1: a push that was accepted is sent again")
        self._on_the_way.add(pair)
        if shipment.lane is not Lane.CALL and (late := self._passed_over()):
            life.broken.append(f"4: something goes before the calls {late}")

    def told(self, said: Said) -> None:
        """Remember an answer that reached the gateway."""
        pair = said.notification, said.target
        self._on_the_way.discard(pair)
        self.heard[pair].append(said)
        if said.outcome.accepted:
            self._life.answered.add(pair)

    def ended(self, *, crashed: bool) -> None:
        """Note that the process ended; what was on its way is nobody's any more."""
        self.crashes += crashed
        self._on_the_way.clear()

    def turn_begins(self) -> None:
        """Note the calls that nothing keeps from going out now."""
        self._due_calls = set(self._callable())

    def turn_ends(self) -> None:
        """Forget them: between turns only calls may come in."""
        self._due_calls = set()

    def _callable(self) -> list[int]:
        life, dispatch, table = self._life, self._life.pipeline.dispatch, self._life.pipeline.table
        if life.armed.total() or not dispatch.claims:
            return []
        now, found = life.clock.now(), []
        for job in self._books.jobs.values():
            if job.lane is not Lane.CALL or job.id in self._books.leased or not job.due <= now < job.expires:
                continue
            way = table.way(job.route)
            if way is None or way.credential is None or way.sender is None or way.candidate is not None:
                continue
            known = (job.route, job.lane) in dispatch._agenda._at
            if known and table.barrier(way) is None and way.sender.room(call=True) > ROOM:
                found.append(job.id)
        return found

    def _passed_over(self) -> list[int]:
        """Return the calls that could have gone in this turn and are still here."""
        left = [job for job in self._due_calls if job in self._books.jobs and job not in self._books.leased]
        shelf, table, now = self._life.pipeline.dispatch._shelf, self._life.pipeline.table, self._life.clock.now()
        for spot in shelf.spots():
            way = table.way(spot[0])
            if spot[1] is not Lane.CALL or way is None or way.sender is None or way.candidate is not None:
                continue
            if way.sender.room(call=True) > 0:
                left += [load.job.id for load in shelf.at(spot) if load.unsent and load.job.expires > now]
        return left

    # --- now and then

    def services(self) -> None:
        """See whether a push service saw a promise broken."""
        if self._life.broken:
            raise BrokenPromise(self._life.broken)

    async def store(self) -> None:
        """See whether what the store shows keeps the promises."""
        for key in self._life.keys:
            known, _ = await self._life.observe(key)
            deliveries = await self._deliveries(key)
            times = Counter(delivery.target for delivery in deliveries)
            for delivery in deliveries:
                # A walk that is begun anew after a crash meets a phone again that has another user and another tag now.
                if times[delivery.target] == 1:
                    self._one_end(delivery, known.lane)
        await self._tokens()

    async def _deliveries(self, key: int) -> tuple[Delivery, ...]:
        page = await self._life.store.ledger.deliveries(key, now=self._life.clock.now(), limit=1000)
        return tuple(page.deliveries)

    def _one_end(self, delivery: Delivery, lane: Lane) -> None:
        pair = delivery.notification, delivery.target
        before = self._final.get(pair)
        if before is not None and delivery.state is not before:
            raise BrokenPromise(f"1: {delivery} was {before}")
        if delivery.state in FINAL:
            self._final[pair] = delivery.state
            if delivery.reason == Refusal.WRONG_ENVIRONMENT and self._lacks_credential():
                self._hopeful.discard(pair)  # it waited for a credential that nobody gave
        if delivery.state is DeliveryState.FAILED and delivery.code in REFUSED_KEY and lane is not Lane.CALL:
            raise BrokenPromise(f"3: a broken credential failed {delivery}")

    async def _tokens(self) -> None:
        against: dict[int, list[Said]] = defaultdict(list)
        for said in (said for heard in self.heard.values() for said in heard):
            if said.outcome.outcome_class in AGAINST:
                against[said.target].append(said)
        for target in await self._targets():
            if target.state is not TargetState.ACTIVE and not against[target.id]:
                raise BrokenPromise(f"2: nothing speaks against {target}")
            if target.state is TargetState.RETIRED and not _proof(target, against[target.id]):
                raise BrokenPromise(f"2: {target} without proof: {against[target.id]}")

    async def _targets(self) -> list[Target]:
        page = await self._life.store.devices.find(self._life.app.id, limit=1000)
        return [target for device in page.devices for target in device.targets]

    def _lacks_credential(self) -> bool:
        """Tell whether a route has no credential but one for the other environment."""
        table = self._life.pipeline.table
        return any(table.stranded(way) is not None for way in table.ways())

    # --- at the end

    async def repaired(self) -> None:
        """Note what waits with time enough, now that whatever was broken is repaired; not what a clock set back put off."""
        now = self._life.clock.now()
        for key in self._life.keys:
            known, _ = await self._life.observe(key)
            if known.expires > now + ENOUGH:
                waiting = [one for one in await self._deliveries(key) if one.state not in FINAL]
                self._hopeful |= {(key, one.target) for one in waiting if one.due <= now + SOON}

    async def end(self) -> None:
        """See that nothing is stuck, that everything is explained, and that every token can be brought back."""
        self.services()
        await self.store()
        await self._all_ended()
        late = [pair for pair in self._hopeful if self._final[pair] is DeliveryState.EXPIRED]
        if late:
            raise BrokenPromise(f"3: {late} still waited after all was repaired")
        for key in self._life.keys:
            for delivery in await self._deliveries(key):
                self._attempts(delivery)
                if (key + delivery.target) % EXPLAINED == 0:
                    await self._explained(delivery)
        await self._life.store.devices.restore(self._life.app.id, at=self._life.clock.now())
        felled = [target for target in await self._targets() if target.state is not TargetState.ACTIVE]
        if felled:
            raise BrokenPromise(f"2: {felled} cannot be brought back")

    async def _all_ended(self) -> None:
        life = self._life
        for key in life.keys:
            _, counts = await life.observe(key)
            if counts.pending or counts.held or counts.scheduled:
                raise BrokenPromise(f"1: {key} is stuck: {counts}")
        depth = [one for one in await life.store.queue.depth() if one.jobs or one.leased]
        if depth:
            raise BrokenPromise(f"1: the queue holds {depth}")
        done = await life.store.events.read(after=0, types=frozenset({EventType.NOTIFICATION_COMPLETED}), limit=100_000)
        ours = Counter(event.data.notification for event in done if event.app == life.app.slug)
        if len(ours) != len(life.keys) or ours.total() != len(ours):
            raise BrokenPromise(f"1: {len(life.keys)} were taken, {ours.total()} completed")

    async def _explained(self, delivery: Delivery) -> None:
        life = self._life
        parts = ExplainPorts(
            clock=life.clock,
            devices=life.store.devices,
            credentials=life.store.credentials,
            routes=life.store.routes,
            ledger=life.store.ledger,
            pipeline=life.pipeline,
        )
        asked = delivery_id(delivery.notification, delivery.target)
        found = await Explainer(parts).explain(asked, [life.app])
        if not (found.verdict and found.cause and found.fix):
            raise BrokenPromise(f"5: {delivery} is explained by {found}")

    def _attempts(self, delivery: Delivery) -> None:
        pair = delivery.notification, delivery.target
        said = [(one.outcome.status, one.outcome.reason) for one in self.heard[pair]]
        if delivery.state is DeliveryState.ACCEPTED and not any(one.outcome.accepted for one in self.heard[pair]):
            raise BrokenPromise(f"5: {delivery} was never accepted: {said}")
        if delivery.tries > self.requests[pair]:
            raise BrokenPromise(f"5: {delivery} has more tries than requests")
        kept = [(attempt.status, attempt.reason) for attempt in delivery.attempts]
        rest = iter(said)
        if not all(one in rest for one in kept):
            raise BrokenPromise(f"5: {delivery} shows {kept}, the push service said {said}")
        if delivery.attempts and not self.crashes and len(kept) != len(said):
            raise BrokenPromise(f"5: {delivery} shows {kept} of {said}")


def _proof(target: Target, against: list[Said]) -> bool:
    """Tell whether these answers prove that a target is dead."""
    dated = any(one.outcome.since is not None and one.outcome.since > target.confirmed for one in against)
    removed = any(one.outcome.status == 404 for one in against)
    doubts = sorted(one.at for one in against if one.outcome.since is None)
    twice = bool(doubts) and doubts[-1] - doubts[0] >= DAY
    return dated or removed or twice
