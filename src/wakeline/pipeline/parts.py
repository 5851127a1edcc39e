"""What the story needs of the world: the ports, handed over once by `service.wiring`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from wakeline import ports
from wakeline.config import Settings
from wakeline.model.event import EventType
from wakeline.model.route import ProviderKind
from wakeline.pipeline.meter import Meter, Silent
from wakeline.ports.bitrix24 import PortalAccess, PortalCalls, PortalEvents
from wakeline.ports.bitrix24_connector import EventInbox, Outbox
from wakeline.ports.receipts import Receipts
from wakeline.ports.silence import Silence
from wakeline.ports.sip import SipBindings, SipMessages
from wakeline.ports.webhooks import Endpoints, WebhookSender


def _everything(_event: EventType, _app: int) -> bool:
    """Want every event."""
    return True


def _nothing(_event: EventType, _app: int) -> bool:
    """Be told of nothing."""
    return False


def _absent(_app: int, _device: str) -> bool:
    """Know of nobody who is connected."""
    return False


class Parts(msgspec.Struct, kw_only=True):
    """The ports and settings; a reload puts new `settings` and `providers` in their places, so nobody keeps a copy.

    `entropy` returns a random number in [0, 1). `wanted` tells whether anybody listens to a type of event of an app
    (row id): it is asked for what says that all went well, whose look-ups would otherwise be the price of every push. `told`
    tells whether it reaches anybody: a webhook, or who follows. `connected` tells whether a device of an app (row id) is
    connected by SIP, which no app says over REST: it is asked for notifications that are for absent devices only.
    `receipt_token` makes what a push bears so that its phone can say that it has it (`wire.receipt_token`).
    """

    acceptance: ports.Acceptance
    idempotency: ports.Idempotency
    queue: ports.Queue
    ledger: ports.Ledger
    events: ports.Events
    devices: ports.Devices
    apps: ports.Apps
    credentials: ports.Credentials
    routes: ports.Routes
    brakes: ports.Brakes
    portal_access: PortalAccess
    portal_events: PortalEvents
    portal_calls: PortalCalls
    event_inbox: EventInbox
    outbox: Outbox
    sip_bindings: SipBindings
    sip_messages: SipMessages
    endpoints: Endpoints
    receipts: Receipts
    webhook_sender: WebhookSender
    silence: Silence
    facts: ports.Settings
    keeper: ports.StoreKeeper
    providers: Mapping[ProviderKind, ports.Provider]
    clock: ports.Clock
    ids: ports.Ids
    entropy: Callable[[], float]
    receipt_token: Callable[[int], str]
    settings: Settings
    meter: Meter = Silent()
    wanted: Callable[[EventType, int], bool] = _everything
    told: Callable[[EventType, int], bool] = _nothing
    connected: Callable[[int, str], bool] = _absent
