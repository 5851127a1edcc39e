"""A story's world under the doctor's eyes: its store, its clock, a disk as a test says, and single checks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from stories.world import World
from unit.edges.rest.gateway import Outlook
from wakeline.doctor.checking import DoctorPorts
from wakeline.observe.health import Check
from wakeline.ports import StoreHealth

ROOMY = StoreHealth(writable=True, disk_free=1 << 40, wal_bytes=1 << 20)


class Keeper:
    """A store on a disk that is as a test says."""

    def __init__(self, health: StoreHealth) -> None:
        self._health = health

    def health(self) -> StoreHealth:
        return self._health

    async def checkpoint(self) -> None:
        """Nothing to fold."""


def ports_in(
    world: World, health: StoreHealth = ROOMY, *, user: str = "", outlook: Outlook | None = None
) -> DoctorPorts:
    """Return the doctor's ports of a story."""
    store, outside = world.store, outlook or Outlook()
    return DoctorPorts(
        clock=world.clock,
        settings=world.settings,
        apps=store.apps,
        credentials=store.credentials,
        devices=store.devices,
        routes=store.routes,
        ledger=store.ledger,
        facts=store.settings,
        queue=world.queue,
        events=store.events,
        endpoints=store.endpoints,
        keeper=Keeper(health),
        portal_keys=store.portal_keys,
        installations=store.installations,
        probe=outside,
        services=outside,
        pipeline=world.pipeline,
        user=user,
    )


async def line(
    look: Callable[[DoctorPorts], Awaitable[Sequence[Check]]], ports: DoctorPorts, name: str
) -> tuple[str, str, str]:
    """Return status, cause and fix of the one line of this name."""
    [found] = [check for check in await look(ports) if check.name == name]
    return found.status.value, found.cause, found.fix
