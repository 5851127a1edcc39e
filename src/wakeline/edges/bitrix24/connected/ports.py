"""What the door of connected portals needs of the rest."""

from __future__ import annotations

from collections.abc import Callable, Collection

import msgspec

from wakeline.edges.bitrix24.strangers import Strangers
from wakeline.ports import Apps, Clock, Events, Secrets
from wakeline.ports.bitrix24_connector import EventInbox, Installations, Portals


class ConnectedPorts(msgspec.Struct, frozen=True, kw_only=True):
    """The parts this edge speaks to. `hosts`: OAuth servers beside Bitrix24's own, as the settings in force name them."""

    clock: Clock
    apps: Apps
    events: Events
    secrets: Secrets
    installations: Installations
    inbox: EventInbox
    portals: Portals
    strangers: Strangers
    hosts: Callable[[], Collection[str]]
