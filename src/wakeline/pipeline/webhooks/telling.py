"""Results webhooks: programs of others are told of events, each in order, signed, once by id, as long as it takes (ADR 34).

    journal -> courier of each endpoint -> sender -> delivery log and cursor, all endpoints in one commit

An endpoint is a cursor over the journal: an event is on disk in the commit that makes it true, so nothing is lost between that and
here, nothing is paid where nobody listens, and a slow receiver costs no memory. None of this is on the way of a push: it has a task
of its own whose turns are short, and connections of its own.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import msgspec
import structlog

from wakeline.model.errors import Conflict, WakelineError
from wakeline.model.event import Event, EventData, EventType
from wakeline.model.webhook import Disabled, Endpoint, EndpointHealth, EndpointSecret, Message, MessageState
from wakeline.pipeline.parts import Parts
from wakeline.pipeline.webhooks.again import MOST_WAITING, Replays
from wakeline.pipeline.webhooks.courier import FORGOTTEN, Courier
from wakeline.pipeline.webhooks.disabling import Switch
from wakeline.pipeline.webhooks.journal import Pages, event_at
from wakeline.pipeline.webhooks.order import Flight, row_of
from wakeline.pipeline.webhooks.progress import Changes
from wakeline.ports.webhooks import Said

_PAGES = 4
"""Pages of the journal read for one endpoint in one turn."""
_CROWD = 128
"""With so many messages on their way, an endpoint starts another only if it has none: each holds a connection, and many
endpoints may hang at once."""
_TEST = "This is a test: nothing happened."
_TESTS = -(10**13)
"""Tests are numbered from here on by the time (Unix ms): below all events, the newest first in the log as they are."""

_log = structlog.get_logger()


class Webhooks:
    """Tells all endpoints. `ring` has `turn` called soon."""

    def __init__(self, parts: Parts, ring: Callable[[], None]) -> None:
        self._parts = parts
        self._ring = ring
        self._couriers: dict[int, Courier] = {}
        self._new: set[int] = set()
        self._secrets: dict[int, tuple[EndpointSecret, ...]] = {}
        self._flights: set[asyncio.Task[None]] = set()
        self._changes = Changes(parts.endpoints, parts.clock, self._health_of, self._count)
        self._replays = Replays(parts.events, parts.endpoints, parts.clock, self._changes)
        self._switch = Switch(parts.events, parts.endpoints, parts.clock, self._changes)
        self._last_test = _TESTS
        self._running = False
        parts.endpoints.listen(self._changed)
        parts.events.listen(self.wake)

    # --- life

    async def start(self) -> None:
        """Go on where a process before this one ended."""
        self._running = True
        self._new = {endpoint.id for endpoint in self._parts.endpoints.all() if endpoint.disabled is None}

    async def stop(self, *, patience: float) -> None:
        """Start nothing more, give answers that are under way so many seconds, and write what was told."""
        self._running = False
        if self._flights:
            await asyncio.wait(self._flights, timeout=patience)
        for flight in self._flights:
            flight.cancel()
        await asyncio.gather(*self._flights, return_exceptions=True)
        try:
            await self._changes.flush()
        except WakelineError as error:
            _log.warning("webhook.progress_lost", detail=error.detail)

    def wake(self) -> None:
        """Say that the journal grew; costs nothing where nobody is told."""
        if self._couriers or self._new:
            self._ring()

    @property
    def _most(self) -> int:
        """Return how many messages of one endpoint may be on their way now."""
        return self._parts.settings.webhooks.max_connections if self.busy < _CROWD else 1

    @property
    def busy(self) -> int:
        """Return how many messages are on their way."""
        return len(self._flights)

    async def turn(self) -> float | None:
        """Read on, start what may be started, write what was told; returns the seconds until it wants to be called again."""
        while self._new:
            await self._open(next(iter(self._new)))
        pages = Pages(self._parts.events, await self._parts.events.last()) if self._couriers else None
        more = False
        for courier in list(self._couriers.values()):
            if pages is not None and not self._changes.full:
                more |= await self._serve(courier, pages)
        if self._changes.wait() == 0.0:
            await self._changes.flush()
        return 0.0 if more else self._wait()

    async def _open(self, number: int) -> None:
        """Begin to tell an endpoint, or an endpoint that was enabled."""
        endpoints = self._parts.endpoints
        endpoint, health = endpoints.get(number), endpoints.health(number)
        if endpoint is not None and endpoint.disabled is None:
            waiting = await endpoints.waiting(number, limit=2 * MOST_WAITING)
            above = await self._above(number, health.cursor)
            self._couriers[number] = Courier(
                endpoint, health, waiting, above, lambda row: self._changes.note(number, row)
            )
        self._new.discard(number)

    async def _above(self, endpoint: int, cursor: int) -> set[int]:
        """Return the numbers above the cursor that are in the log: they were told before others that are not."""
        above: set[int] = set()
        place: int | None = None
        while True:
            page = await self._parts.endpoints.log(endpoint, cursor=place, limit=500)
            found = {row.seq for row in page.messages if row.seq > cursor}
            above |= found
            place = page.cursor
            if place is None or len(found) < len(page.messages):
                return above

    async def _serve(self, courier: Courier, pages: Pages) -> bool:
        """Read on for an endpoint and start what may be; tells whether there is more to read at once."""
        clock, rules = self._parts.clock, self._parts.settings.webhooks
        for _ in range(_PAGES):
            before = courier.read_to
            if courier.hungry:
                courier.read(*await pages.after(before), clock.now(), rules)
            if courier.read_to == before:
                break
            await asyncio.sleep(0)
        if self._couriers.get(courier.endpoint.id) is not courier or not self._running:
            return False
        for flight in courier.start(clock.now(), self._most):
            task = asyncio.create_task(self._carry(courier, flight))
            self._flights.add(task)
            task.add_done_callback(self._flights.discard)
            await asyncio.sleep(0)  # writing one takes a third of a millisecond: a push may come between two of them
        return courier.hungry and courier.read_to != before

    def _wait(self) -> float | None:
        now, most = self._parts.clock.now(), self._most
        waits = [wait / 1000 for one in self._couriers.values() if (wait := one.wait(now, most)) is not None]
        written = self._changes.wait()
        return min(waits if written is None else [*waits, written], default=None)

    # --- one message

    async def _carry(self, courier: Courier, flight: Flight) -> None:
        """Take one message to its endpoint, and note what it said."""
        event = flight.event
        try:
            event = event or await event_at(self._parts.events, flight.seq)
            said = None if event is None else await self._send(courier.endpoint, event)
        except WakelineError as error:  # its secret cannot be read, or the store cannot
            said = Said(status=0, detail=error.detail)
        except Exception as error:  # noqa: BLE001 - what cannot be written must not hold what follows
            _log.exception("webhook.defect", endpoint=courier.endpoint.public_id, seq=flight.seq)
            courier.drop(flight, f"a defect of the gateway: {type(error).__name__}", self._parts.clock.now())
            self._ring()
            return
        now = self._parts.clock.now()
        if said is not None and not said.taken:
            self._parts.meter.told(courier.endpoint.public_id, "failed")
        if said is None:
            courier.drop(flight, FORGOTTEN, now)
        elif self._couriers.get(courier.endpoint.id) is not courier:
            self._changes.note(courier.endpoint.id, _ended(flight.message, said, now))
        else:
            courier.said(flight, said, now, chance=self._parts.entropy(), rules=self._parts.settings.webhooks)
            if said.gone is not None:
                await self._gone(courier.endpoint, said.gone, now)
        self._ring()

    async def _gone(self, endpoint: Endpoint, why: Disabled, at: int) -> None:
        """Disable an endpoint that wants no more. Where that cannot be written, its next message is answered the same."""
        try:
            await self._switch.off(endpoint, why, at)
        except WakelineError as error:
            _log.warning("webhook.not_disabled", endpoint=endpoint.public_id, detail=error.detail)

    async def _send(self, endpoint: Endpoint, event: Event) -> Said:
        secrets = self._secrets.get(endpoint.id)
        if secrets is None:
            secrets = self._secrets[endpoint.id] = await self._parts.endpoints.secrets(endpoint.id)
        return await self._parts.webhook_sender.send(endpoint, secrets, event)

    # --- what may be asked

    async def try_now(self, endpoint: Endpoint) -> Said:
        """Send a `webhook.test` at once and return what came back; logged under a number of its own below 0.

        Raises NotFound, SecretError.
        """
        now = self._parts.clock.now()
        self._last_test = max(_TESTS + now, self._last_test + 1)
        event = Event(type=EventType.WEBHOOK_TEST, at=now, data=EventData(note=_TEST), seq=self._last_test)
        said = await self._send(endpoint, event)
        row = row_of(endpoint.id, event, now)
        self._changes.note(endpoint.id, _ended(row, said, self._parts.clock.now()))
        courier = self._couriers.get(endpoint.id)
        if courier is not None and said.taken:  # it is up again: what waits for it need not wait for the next try
            courier.hurry(self._parts.clock.now())
            self._ring()
        await self._changes.flush()
        return said

    async def replay(
        self, endpoint: Endpoint, *, seqs: Sequence[int] = (), since: int | None = None, until: int | None = None
    ) -> int:
        """Tell messages again, by number or by time (Unix ms, both ends count); returns how many will be.

        What the journal has forgotten, and what is not told yet, is left out. Raises Conflict for a disabled endpoint and for
        one that has too many waiting, InvalidRequest for more than `MOST_REPLAYED`.
        """
        if endpoint.disabled is not None:
            raise Conflict("The endpoint is disabled", fix="Enable it first.")
        await self._changes.flush()
        told = self._health_of(endpoint.id).cursor
        events = await self._replays.find(endpoint, seqs, since, until, told)
        courier = self._couriers.get(endpoint.id)
        added = await self._replays.add(endpoint, None if courier is None else courier.order, events)
        self._ring()
        return added

    async def enable(self, endpoint: Endpoint, *, resume: bool = False) -> None:
        """Tell an endpoint of what happens from now on; with `resume`, of what it missed first. Raises NotFound."""
        await self._switch.on(endpoint, resume=resume)

    async def disable(self, endpoint: Endpoint, why: Disabled) -> None:
        """Tell an endpoint nothing more, and give up what waits for it. Raises NotFound."""
        await self._switch.off(endpoint, why, self._parts.clock.now())

    # --- within

    def _count(self, number: int, rows: Iterable[Message]) -> None:
        """Count messages that came to an end; a test is none, whatever its answer."""
        endpoint = self._parts.endpoints.get(number)
        if endpoint is None:
            return
        ended = Counter(row.state for row in rows if row.seq > 0 and row.state is not MessageState.WAITING)
        for state, messages in ended.items():
            self._parts.meter.told(endpoint.public_id, state.value, messages)

    def _health_of(self, endpoint: int) -> EndpointHealth:
        courier = self._couriers.get(endpoint)
        return self._parts.endpoints.health(endpoint) if courier is None else courier.health

    def _changed(self, number: int) -> None:
        """Follow a change of an endpoint."""
        endpoint, courier = self._parts.endpoints.get(number), self._couriers.get(number)
        self._secrets.pop(number, None)
        if endpoint is None or endpoint.disabled is not None:
            self._couriers.pop(number, None)
            self._new.discard(number)
        elif courier is not None:
            courier.endpoint = endpoint
            courier.hurry(self._parts.clock.now())
        elif self._running:
            self._new.add(number)
        self._ring()


def _ended(row: Message, said: Said, now: int) -> Message:
    """Return the row of a message that is not tried again, whatever was said."""
    return msgspec.structs.replace(
        row,
        state=MessageState.TAKEN if said.taken else MessageState.GIVEN_UP,
        tries=row.tries + 1,
        status=said.status,
        detail=said.detail,
        duration=said.duration,
        at=now,
        first=row.first or now,
    )
