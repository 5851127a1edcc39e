"""The way of an event, joined: from the inbox over the portal and the rules to the pipeline."""

from __future__ import annotations

import msgspec

from wakeline.connectors.bitrix24.connections import Connections
from wakeline.connectors.bitrix24.drain import Drain
from wakeline.connectors.bitrix24.fetching import Fetching
from wakeline.connectors.bitrix24.judging import Placed
from wakeline.connectors.bitrix24.mirroring import Mirror, Raise
from wakeline.connectors.bitrix24.reader import Reader
from wakeline.connectors.bitrix24.sending import Sending
from wakeline.connectors.bitrix24.trying import Trying
from wakeline.pipeline import Accept
from wakeline.ports import Apps, Clock
from wakeline.ports.bitrix24 import PortalAccess, PortalRecords
from wakeline.ports.bitrix24_connector import EventInbox, Installations, Rules


class ReadingPorts(msgspec.Struct, frozen=True, kw_only=True):
    """What reading events needs. `raised` has our own portal raise an event; `placed` notes a call that a user began there."""

    clock: Clock
    apps: Apps
    installations: Installations
    rules: Rules
    inbox: EventInbox
    records: PortalRecords
    access: PortalAccess
    accept: Accept
    raised: Raise
    placed: Placed


class Reading(msgspec.Struct, frozen=True):
    """`reader` works events off, `trying` tries rules on them, `mirror` is our own portal as far as it shows another."""

    reader: Reader
    trying: Trying
    mirror: Mirror


def reading(ports: ReadingPorts, connections: Connections) -> Reading:
    """Return the parts, joined."""
    fetching = Fetching(connections, ports.clock)
    mirror = Mirror(ports.records, ports.access, ports.raised, ports.clock)
    drain = Drain(
        clock=ports.clock,
        installations=ports.installations,
        inbox=ports.inbox,
        rules=ports.rules,
        fetching=fetching,
        mirror=mirror,
        sending=Sending(ports.accept, ports.apps, ports.clock),
        placed=ports.placed,
    )
    reader = Reader(ports.clock, ports.installations, ports.inbox, drain)
    return Reading(reader, Trying(ports.installations, fetching, mirror), mirror)
