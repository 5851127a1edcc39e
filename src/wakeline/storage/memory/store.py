"""All ports of the memory adapter, joined."""

from __future__ import annotations

from wakeline.ports import Clock, Secrets
from wakeline.storage.memory.acceptance import MemoryAcceptance, MemoryIdempotency
from wakeline.storage.memory.bitrix24 import (
    MemoryEventInbox,
    MemoryInstallations,
    MemoryOutbox,
    MemoryPortalAccess,
    MemoryPortalCalls,
    MemoryPortalEvents,
    MemoryPortalRecords,
    MemoryRules,
)
from wakeline.storage.memory.books import Books
from wakeline.storage.memory.brakes import MemoryBrakes
from wakeline.storage.memory.devices import MemoryDevices
from wakeline.storage.memory.events import MemoryEvents
from wakeline.storage.memory.keeper import MemoryKeeper
from wakeline.storage.memory.ledger import MemoryLedger
from wakeline.storage.memory.portal_keys import MemoryPortalKeys
from wakeline.storage.memory.queue import MemoryQueue
from wakeline.storage.memory.receipts import MemoryReceipts, Noting
from wakeline.storage.memory.registers import MemoryApiKeys, MemoryApps, MemoryCredentials, MemoryRoutes, MemorySettings
from wakeline.storage.memory.silence import MemorySilence
from wakeline.storage.memory.sip import MemorySipBindings, MemorySipMessages, MemorySipUsers
from wakeline.storage.memory.webhooks import MemoryEndpoints


class MemoryStore:
    """A store without a disk. `open` and `close` exist so that every adapter is used alike."""

    def __init__(self, clock: Clock, secrets: Secrets) -> None:
        self.events = MemoryEvents()
        self.devices = MemoryDevices()
        self.settings = MemorySettings()
        self.credentials = MemoryCredentials(secrets)
        self.routes = MemoryRoutes(self.settings, clock)
        self.api_keys = MemoryApiKeys()
        self.apps = MemoryApps()
        self.brakes = MemoryBrakes(self.apps)
        self.portal_keys = MemoryPortalKeys(self.apps)
        books = Books(clock, self.events, self.devices, self.apps, self.routes)
        self.idempotency = MemoryIdempotency()
        self.acceptance = MemoryAcceptance(books, self.idempotency)
        noting = Noting(books)
        self.queue = MemoryQueue(books, noting)
        self.ledger = MemoryLedger(books)
        self.receipts = MemoryReceipts(books, noting, self.ledger)
        self.silence = MemorySilence(books)
        self.keeper = MemoryKeeper()
        self.portal_access = MemoryPortalAccess(self.apps)
        self.portal_events = MemoryPortalEvents(self.portal_access)
        self.portal_records = MemoryPortalRecords()
        self.portal_calls = MemoryPortalCalls()
        self.installations = MemoryInstallations(self.apps)
        self.portal_rules = MemoryRules(self.installations)
        self.event_inbox = MemoryEventInbox(self.installations)
        self.outbox = MemoryOutbox(self.installations)
        self.sip_messages = MemorySipMessages()
        self.sip_bindings = MemorySipBindings(self.apps, self.sip_messages, clock)
        self.sip_users = MemorySipUsers()
        self.endpoints = MemoryEndpoints(clock)
        self.apps.on_delete(self.credentials.forget_app)
        self.apps.on_delete(self.routes.forget_app)
        self.apps.on_delete(self.brakes.forget_app)
        self.apps.on_delete(self.portal_keys.forget_app)
        self.apps.on_delete(books.forget_app)
        self.apps.on_delete(self.silence.forget_app)
        self.apps.on_delete(self.devices.forget_app)
        self.apps.on_delete(self.portal_access.forget_app)
        self.portal_access.on_delete(self.portal_events.forget_application)
        self.apps.on_delete(self.installations.forget_app)
        self.apps.on_delete(self.sip_bindings.forget_app)
        self.installations.on_delete(self.portal_rules.forget_installation)
        self.installations.on_delete(self.event_inbox.forget_installation)
        self.installations.on_delete(self.outbox.forget_installation)

    async def open(self) -> None:
        """Nothing is kept, so nothing is loaded."""

    async def close(self) -> None:
        """End the live feed."""
        self.events.close()
