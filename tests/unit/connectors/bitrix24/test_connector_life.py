"""The connector's parts at work together, from the start of a gateway on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

import msgspec
import pytest

from connected_portal import Connected
from connected_reading import ReadingWorld
from wakeline.connectors.bitrix24.connector import Connector, ConnectorPorts
from wakeline.model.bitrix24.inbox import EventState, Origin, ReceivedEvent
from wakeline.model.bitrix24.installation import InstallationState
from wakeline.simulator.portal.memory import Binding
from wakeline.simulator.script import ScriptedAnswer

pytestmark = pytest.mark.anyio

HOUR, DEAL = 3_600_000, 7


class Life:
    """A gateway that may begin to work at a portal, while time stands still."""

    def __init__(self, reading: ReadingWorld) -> None:
        world, store = reading.world, reading.world.store
        self.reading = reading
        self.connector = Connector(
            ConnectorPorts(
                client=world.ports,
                rules=store.portal_rules,
                inbox=store.event_inbox,
                outbox=store.outbox,
                records=store.portal_records,
                access=store.portal_access,
                accept=reading.pipeline.accept,
                raised=self._raised,
            )
        )

    async def _raised(self, event: str, data: object, user: int) -> None:
        """Nobody listens to our own portal."""

    async def events(self, state: EventState | None = None) -> list[ReceivedEvent]:
        return await self.reading.world.store.event_inbox.recorded(state=state, limit=100)

    def bound(self) -> list[Binding]:
        return [one for one in self.reading.world.portal.bindings if one.event != "ONAPPUNINSTALL"]

    def changed(self, minutes: int) -> None:
        """Have the deal have changed so many minutes ago."""
        then = datetime.fromtimestamp(self.reading.world.clock.seconds() - 60 * minutes, UTC)
        self.reading.deal(DEAL, DATE_MODIFY=then.isoformat())


@pytest.fixture
async def life(world: Connected, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Life]:
    async def forever(_: float) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(world.clock, "sleep", forever)
    made = Life(ReadingWorld(world, await world.application(offline=True, reached=world.clock.now() - HOUR)))
    yield made
    await made.connector.close()


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(20_000):
        if await is_so():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it does not come to that")


async def test_what_a_new_rule_wants_is_found_although_nobody_could_tell_the_portal_in_time(life: Life) -> None:
    await life.reading.rule()
    life.changed(30)

    life.connector.begin()
    await until(lambda: _done(life))

    [event] = await life.events()
    assert (event.event, event.record, event.origin) == ("ONCRMDEALUPDATE", DEAL, Origin.LISTED)


async def test_a_rule_that_is_made_now_is_not_for_what_was_before(life: Life) -> None:
    life.connector.begin()
    await until(lambda: _has_begun(life))
    life.changed(30)
    await life.reading.rule()

    life.connector.rules_changed()
    await until(lambda: _bound(life))
    await life.connector.close()

    assert await life.events() == []


async def test_a_portal_hears_at_once_of_rules_that_come_and_go(life: Life) -> None:
    life.connector.begin()
    rule = await life.reading.rule()
    life.connector.rules_changed()
    await until(lambda: _bound(life))
    assert {one.offline for one in life.bound()} == {False, True}

    await life.reading.world.store.portal_rules.change(msgspec.structs.replace(rule, enabled=False))
    life.connector.rules_changed()
    await until(lambda: _unbound(life))


async def test_what_waited_for_a_dead_portal_goes_on_when_it_is_connected_again(life: Life) -> None:
    installations = life.reading.world.store.installations
    await life.reading.rule()
    dead = msgspec.structs.replace(life.reading.installation, state=InstallationState.DEAD, cause="unpaid")
    await installations.change(dead)
    number = await life.reading.happens(DEAL)
    life.connector.begin()
    await until(lambda: _tried(life, number))

    await installations.change(msgspec.structs.replace(dead, state=InstallationState.ACTIVE, cause=""))
    life.connector.connected(dead.id)
    await until(lambda: _done(life))

    assert len(await life.reading.titles(number)) == 1


async def test_what_waited_for_a_portal_that_did_not_answer_goes_on_as_soon_as_it_is_asked_again(life: Life) -> None:
    await life.reading.rule()
    life.reading.world.script("batch", ScriptedAnswer(status=500))
    number = await life.reading.happens(DEAL)
    await life.reading.drain()
    assert (await life.reading.event(number)).due > life.reading.world.clock.now()

    life.connector.begin()
    life.connector.connected(life.reading.installation.id)
    await until(lambda: _done(life))

    assert len(await life.reading.titles(number)) == 1


async def _done(life: Life) -> bool:
    return bool(await life.events(EventState.DONE))


async def _tried(life: Life, number: int) -> bool:
    return bool((await life.reading.event(number)).attempts)


async def _has_begun(life: Life) -> bool:
    """The portal knows that nothing is wanted, and was looked at."""
    known = life.reading.world.kept(life.reading.installation)
    return not known.offline and known.reached > life.reading.installation.reached


async def _bound(life: Life) -> bool:
    return bool(life.bound())


async def _unbound(life: Life) -> bool:
    return not life.bound()
