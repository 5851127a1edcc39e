"""All that the REST edge needs of the rest of the gateway, as one value. `service.wiring` fills it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from wakeline import ports
from wakeline.config import Settings, Webhooks
from wakeline.edges.rest.key_quota import KeyQuotas
from wakeline.observe.health import Health
from wakeline.observe.metrics import Metrics
from wakeline.pipeline import Pipeline
from wakeline.ports.bitrix24 import PortalAccess
from wakeline.ports.bitrix24_broker import PortalKeys
from wakeline.ports.bitrix24_connector import CallJournal, EventInbox, Installations, Outbox, Portals, Rules
from wakeline.ports.probe import Probe, ServiceProbe
from wakeline.ports.sip import SipBindings, SipMessages, SipUsers
from wakeline.ports.webhooks import Endpoints
from wakeline.wire.credential_file import Expectation, Inspection

Inspect = Callable[[bytes, Expectation], Awaitable[Inspection]]
"""Judges a credential file without keeping anybody waiting, whatever the file asks for."""

JudgeWebhook = Callable[[str, Webhooks], None]
"""Refuses a URL that webhooks may not go to, as far as no look-up is needed. Raises AddressRefused."""


class ConnectedParts(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of connected Bitrix24 portals, and the portals themselves."""

    installations: Installations
    rules: Rules
    inbox: EventInbox
    outbox: Outbox
    portals: Portals


class SipParts(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of the SIP edge."""

    bindings: SipBindings
    messages: SipMessages
    users: SipUsers


class RestPorts(msgspec.Struct, kw_only=True):
    """The parts this edge speaks to; a reload puts new `settings` in their place.

    `health.phase` says where the process is in its life: while it drains, `/readyz` says so and live feeds end.
    `master_key` is None where there is none to change: in memory. `calls` is None where nobody keeps a record of calls.
    `heartbeat` is the silence, in seconds, after which a live feed sends a comment.
    """

    clock: ports.Clock
    apps: ports.Apps
    devices: ports.Devices
    credentials: ports.Credentials
    routes: ports.Routes
    facts: ports.Settings
    keys: ports.ApiKeys
    portal_keys: PortalKeys
    secrets: ports.Secrets
    idempotency: ports.Idempotency
    ledger: ports.Ledger
    queue: ports.Queue
    events: ports.Events
    keeper: ports.StoreKeeper
    portal: PortalAccess
    connected: ConnectedParts
    sip: SipParts
    endpoints: Endpoints
    judge_webhook: JudgeWebhook
    probe: Probe
    services: ServiceProbe
    pipeline: Pipeline
    settings: Settings
    health: Health
    metrics: Metrics
    inspect: Inspect
    master_key: ports.MasterKey | None = None
    calls: CallJournal | None = None
    quotas: KeyQuotas = msgspec.field(default_factory=KeyQuotas)
    heartbeat: float = 15.0
