"""Bitrix24 in memory, in dictionaries: our own portal (access, events, records, calls), and connected portals."""

from __future__ import annotations

from wakeline.storage.memory.bitrix24.access import MemoryPortalAccess
from wakeline.storage.memory.bitrix24.calls import MemoryPortalCalls
from wakeline.storage.memory.bitrix24.events import MemoryPortalEvents
from wakeline.storage.memory.bitrix24.inbox import MemoryEventInbox
from wakeline.storage.memory.bitrix24.installations import MemoryInstallations
from wakeline.storage.memory.bitrix24.outbox import MemoryOutbox
from wakeline.storage.memory.bitrix24.records import MemoryPortalRecords
from wakeline.storage.memory.bitrix24.rules import MemoryRules

__all__ = [
    "MemoryEventInbox",
    "MemoryInstallations",
    "MemoryOutbox",
    "MemoryPortalAccess",
    "MemoryPortalCalls",
    "MemoryPortalEvents",
    "MemoryPortalRecords",
    "MemoryRules",
]
