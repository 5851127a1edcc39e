"""All that the push service of portals needs of the rest of the gateway. `service.wiring` fills it."""

from __future__ import annotations

import msgspec

from wakeline import ports
from wakeline.edges.bitrix24.strangers import Strangers
from wakeline.pipeline import Pipeline
from wakeline.ports.bitrix24_broker import PortalKeys


class BrokerPorts(msgspec.Struct, frozen=True, kw_only=True):
    """The parts this edge speaks to."""

    clock: ports.Clock
    apps: ports.Apps
    devices: ports.Devices
    credentials: ports.Credentials
    events: ports.Events
    keys: PortalKeys
    pipeline: Pipeline
    strangers: Strangers
