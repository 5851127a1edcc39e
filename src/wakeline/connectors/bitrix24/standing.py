"""How we stand with a portal, when that changes by itself: it has moved, or it lets us in no more. Kept, logged, and an event."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import structlog

from wakeline.config import Settings
from wakeline.model.bitrix24.installation import Installation, InstallationState, WebhookAccess
from wakeline.model.errors import PortalClosed
from wakeline.model.event import Event, EventData, EventType
from wakeline.ports import Apps, Clock, Events, HttpClient
from wakeline.ports.bitrix24_connector import Installations
from wakeline.wire.bitrix24.endpoints import host_of

_log = structlog.get_logger()

CONNECT_AGAIN = "Install the application on the portal again, or give the portal's new webhook."


class ClientPorts(msgspec.Struct, frozen=True, kw_only=True):
    """What being a portal's client needs. `settings`: those in force now."""

    clock: Clock
    installations: Installations
    apps: Apps
    events: Events
    http: HttpClient
    settings: Callable[[], Settings]

    def named_hosts(self) -> tuple[str, ...]:
        """Return the hosts that the operator trusts with plain http, private addresses and OAuth."""
        return self.settings().bitrix24.connected_hosts


def known_installation(ports: ClientPorts, number: int) -> Installation:
    """Return an installation in any state. Raises PortalClosed if it was deleted."""
    installation = ports.installations.by_id(number)
    if installation is None:
        raise PortalClosed("The portal is not connected any more")
    return installation


def open_installation(ports: ClientPorts, number: int) -> Installation:
    """Return an installation that may be asked. Raises PortalClosed."""
    installation = known_installation(ports, number)
    match installation.state:
        case InstallationState.ACTIVE:
            return installation
        case InstallationState.WAITING:
            raise PortalClosed("The application is not installed on the portal yet", fix="Install it there.")
        case InstallationState.DEAD:
            raise PortalClosed(installation.cause or "The portal lets us in no more", fix=CONNECT_AGAIN)


async def close(ports: ClientPorts, number: int, cause: str) -> PortalClosed:
    """Write that a portal lets us in no more, and return the error that says so."""
    installation = ports.installations.by_id(number)
    if installation is not None and installation.state is not InstallationState.DEAD:
        dead = msgspec.structs.replace(installation, state=InstallationState.DEAD, cause=cause)
        await ports.installations.change(dead, of=installation)
        _log.warning("bitrix24.portal_closed", installation=number, host=host_of(dead.client_endpoint), cause=cause)
        note = f"{_name(dead)} lets us in no more: {cause}. Nothing is asked of it until it is connected again."
        await _tell(ports, EventType.PORTAL_CLOSED, dead, note)
    return PortalClosed(cause, fix=CONNECT_AGAIN)


async def move(ports: ClientPorts, installation: Installation, endpoint: str, webhook: str = "") -> None:
    """Write that a portal's REST is elsewhere; `webhook`: the whole new address of one."""
    access = WebhookAccess(url=webhook) if webhook else installation.access
    moved = msgspec.structs.replace(installation, client_endpoint=endpoint, access=access)
    await ports.installations.change(moved, of=installation)
    before, after = host_of(installation.client_endpoint), host_of(endpoint)
    _log.warning("bitrix24.portal_moved", installation=installation.id, before=before, now=after)
    note = f"{_name(installation)} was at {before} and is at {after} now."
    await _tell(ports, EventType.PORTAL_MOVED, installation, note)


async def _tell(ports: ClientPorts, kind: EventType, installation: Installation, note: str) -> None:
    app = ports.apps.by_id(installation.app)
    slug = "" if app is None else app.slug
    await ports.events.append([Event(type=kind, at=ports.clock.now(), app=slug, data=EventData(note=note))])


def _name(installation: Installation) -> str:
    return f"The portal {installation.title or installation.name}"
