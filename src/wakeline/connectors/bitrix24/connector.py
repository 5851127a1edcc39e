"""The connector: its parts joined, begun and ended together. It implements `ports.Portals` and `ports.CallJournal`.

    reader       what is in the inbox -> notifications
    catching_up  what nobody told us -> the inbox
    worker       what is in the outbox -> the portals
    binding      our rules -> the events that portals post to us
    syncing      a whole portal -> our own portal's store

Before `begin` everything that is asked for is done, and nothing is done by itself: a command on the store of a stopped gateway
tries a rule and connects a portal, and leaves the rest to the next gateway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import msgspec
import structlog

from wakeline.connectors.bitrix24 import binding, installing
from wakeline.connectors.bitrix24.calls import Calls
from wakeline.connectors.bitrix24.catching_up import CatchingUp
from wakeline.connectors.bitrix24.connections import Connections
from wakeline.connectors.bitrix24.mirror_records import MirrorRecords
from wakeline.connectors.bitrix24.mirroring import Raise
from wakeline.connectors.bitrix24.outbox import OutboxWorker
from wakeline.connectors.bitrix24.reading import ReadingPorts, reading
from wakeline.connectors.bitrix24.rules import compiled
from wakeline.connectors.bitrix24.standing import ClientPorts
from wakeline.connectors.bitrix24.syncing import Syncing
from wakeline.connectors.bitrix24.turns import Turns
from wakeline.model.bitrix24.inbox import ReceivedEvent
from wakeline.model.bitrix24.installation import Installation, InstallationState, WebhookAccess
from wakeline.model.bitrix24.rule import Rule, RuleTrial
from wakeline.model.errors import Conflict, InvalidRequest, PortalClosed, PortalRefused, PortalUnreachable
from wakeline.pipeline import Accept
from wakeline.ports.bitrix24 import PortalAccess, PortalRecords
from wakeline.ports.bitrix24_connector import (
    CallBegan,
    CallEnded,
    EventInbox,
    Outbox,
    Rules,
    SyncProgress,
)

RENEW_EVERY = 3600.0
"""Seconds between two looks for tokens that nobody used for long."""
BIND_AGAIN = 60.0
"""Seconds until a portal that did not answer is told once more which events we want, at least."""
PATIENCE = 5.0
"""Seconds in which requests that are under way may end when the gateway stops."""

_log = structlog.get_logger()


class ConnectorPorts(msgspec.Struct, frozen=True, kw_only=True):
    """What the connector needs. `raised` tells an event to our own portal's handlers."""

    client: ClientPorts
    rules: Rules
    inbox: EventInbox
    outbox: Outbox
    records: PortalRecords
    access: PortalAccess
    accept: Accept
    raised: Raise


class Connector:
    """All connected portals."""

    def __init__(self, ports: ConnectorPorts) -> None:
        client, clock = ports.client, ports.client.clock
        self._bound: set[int] = set()
        """Portals that know which events we want."""
        self._installations = client.installations
        self._rules = ports.rules
        self._clock = clock
        self._connections = connections = Connections(client)
        self._worker = OutboxWorker(ports.outbox, self._installations, clock, connections)
        self._calls = Calls(
            self._installations, ports.outbox, self._worker.ring, lambda: client.settings().bitrix24.call_ends_after
        )
        records = MirrorRecords(ports.records)
        self._syncing = Syncing(self._installations, records, ports.access, clock, connections)
        ways = reading(
            ReadingPorts(
                clock=clock,
                apps=client.apps,
                installations=self._installations,
                rules=ports.rules,
                inbox=ports.inbox,
                records=records,
                access=ports.access,
                accept=ports.accept,
                raised=ports.raised,
                placed=self._calls.placed,
            ),
            connections,
        )
        self._reader, self._trying = ways.reader, ways.trying
        self._catching_up = CatchingUp(
            ports.inbox,
            self._installations,
            ports.rules,
            clock,
            connections,
            every=lambda: client.settings().bitrix24.catch_up_every,
            wake=self._reader.ring,
            fill=self._syncing.begin,
            queues=lambda number: number in self._bound,
        )
        self._binding = Turns(clock, self._bind_again, name="binding")
        self._tasks: list[asyncio.Task[None]] = []

    # --- its life

    def begin(self) -> None:
        """Take up what the store holds, and go on until `end`."""
        self.rules_changed()
        work: Sequence[Coroutine[Any, Any, None]] = (
            self._reader.run(),
            self._worker.run(),
            self._catching_up.run(),
            self._binding.run(),
            self._renew(),
        )
        self._tasks = [asyncio.create_task(each) for each in work]

    async def end(self) -> None:
        """Begin nothing more, and let requests end that are under way: their answers are worth keeping."""
        if not self._tasks:
            return
        await self._syncing.stop()
        await asyncio.gather(
            self._worker.stop(PATIENCE), self._catching_up.stop(PATIENCE), self._binding.stop(PATIENCE)
        )
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def close(self) -> None:
        """Keep tokens that are being renewed."""
        await self.end()
        await self._connections.close()

    # --- Portals

    def ring(self, installation: int) -> None:
        """See `ports.Portals`."""
        self._reader.ring(installation)
        self._worker.ring(installation)

    def rules_changed(self) -> None:
        """See `ports.Portals`."""
        for installation in self._installations.all():
            if not isinstance(installation.access, WebhookAccess):
                self._binding.ring(installation.id)

    async def verify(self, installation: Installation) -> Installation:
        """See `ports.Portals`."""
        return await installing.verify(self._connections, installation)

    async def redeem(self, installation: Installation, code: str) -> Installation:
        """See `ports.Portals`."""
        return await installing.redeem(self._connections, installation, code)

    async def bind(self, installation: Installation) -> tuple[str, ...]:
        """See `ports.Portals`."""
        self.connected(installation.id)
        bound = await binding.bind(self._connections, self._rules, installation)
        self._bound.add(installation.id)
        return bound.events

    def connected(self, installation: int) -> None:
        """See `ports.Portals`."""
        self._reader.wake(installation)
        self._worker.ring(installation)
        self._catching_up.ring(installation)

    def disconnected(self, installation: int) -> None:
        """See `ports.Portals`."""
        self._reader.forget(installation)
        self._worker.forget(installation)
        self._catching_up.forget(installation)
        self._binding.forget(installation)
        self._bound.discard(installation)

    def check(self, rule: Rule) -> None:
        """See `ports.Portals`."""
        compiled(rule)

    async def attempt(self, rule: Rule, event: ReceivedEvent) -> RuleTrial:
        """See `ports.Portals`."""
        return await self._trying.attempt(rule, event)

    def synchronise(self, installation: int) -> SyncProgress:
        """See `ports.Portals`."""
        if not self._tasks:
            raise Conflict(
                "No gateway runs on this store, and reading a portal outlasts a command",
                fix="Start `wakeline serve`, and say it again.",
            )
        return self._syncing.begin(installation)

    def progress(self, installation: int) -> SyncProgress | None:
        """See `ports.Portals`."""
        return self._syncing.progress(installation)

    # --- CallJournal

    def keeps(self, app: int, user: str) -> bool:
        """See `ports.CallJournal`."""
        return self._calls.keeps(app, user)

    async def began(self, calls: Sequence[CallBegan]) -> None:
        """See `ports.CallJournal`."""
        await self._calls.began(calls)

    async def ended(self, call: CallEnded) -> bool:
        """See `ports.CallJournal`."""
        return await self._calls.ended(call)

    # --- what it does by itself

    async def _bind_again(self, number: int) -> float | None:
        """Tell a portal which events our rules want now; returns the seconds until it is to be told once more."""
        installation = self._installations.by_id(number)
        if installation is None or installation.state is not InstallationState.ACTIVE:
            return None
        try:
            bound = await binding.bind(self._connections, self._rules, installation)
        except PortalUnreachable as error:
            self._bound.discard(number)
            return max(BIND_AGAIN, error.retry_after or 0.0)
        except (InvalidRequest, PortalClosed, PortalRefused) as error:
            # Nothing that time mends: it is tried again with the next rule, or start.
            _log.warning("bitrix24.events_not_bound", installation=number, cause=error.detail, fix=error.fix)
            return None
        if bound.new and number not in self._bound:
            # They were wanted before now, and nobody queued them.
            self._catching_up.ring(number)
        self._bound.add(number)
        return None

    async def _renew(self) -> None:
        while True:
            await self._connections.renew_idle()
            await self._clock.sleep(RENEW_EVERY)
