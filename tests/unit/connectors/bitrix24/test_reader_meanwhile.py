"""What an operator does to a portal while its events are being worked off."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import msgspec
import pytest

from connected_portal import Connected
from connected_reading import ReadingWorld
from wakeline.connectors.bitrix24.connections import Connections
from wakeline.model.bitrix24.installation import Installation
from wakeline.model.bitrix24.records import RecordKind
from wakeline.ports import HttpAnswer, HttpClient

pytestmark = pytest.mark.anyio


class Meanwhile:
    """An HTTP client; something happens while the portal answers."""

    def __init__(self, inner: HttpClient, happens: Callable[[], Awaitable[None]]) -> None:
        self._inner = inner
        self._happens = happens

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> HttpAnswer:
        answer = await self._inner.post(url, body, headers, timeout=timeout)
        await self._happens()
        return answer


def reading_while(running: Connected, portal: Installation, happens: Callable[[], Awaitable[None]]) -> ReadingWorld:
    """Return a reader to whose portal something happens while it answers."""
    ports = msgspec.structs.replace(running.ports, http=Meanwhile(running.ports.http, happens))
    running.connections = Connections(ports)
    return ReadingWorld(running, portal)


async def test_a_portal_that_is_mirrored_no_more_when_it_answers_is_not_mirrored(world: Connected) -> None:
    installations = world.store.installations
    portal = await world.application(mirror=True)

    async def happens() -> None:
        await installations.change(msgspec.structs.replace(portal, mirror=False))

    reading = reading_while(world, portal, happens)
    await reading.rule()

    assert len(await reading.titles(await reading.drained(7))) == 1
    assert await world.store.portal_records.get(RecordKind.DEAL, 7) is None


async def test_a_portal_that_is_forgotten_when_it_answers_is_told_of_to_nobody(world: Connected) -> None:
    portal = await world.application()

    async def happens() -> None:
        await world.store.installations.delete(portal.id)

    reading = reading_while(world, portal, happens)
    await reading.rule()
    before = await world.store.ledger.newest()
    await reading.drained(7)

    assert await world.store.ledger.newest() == before
