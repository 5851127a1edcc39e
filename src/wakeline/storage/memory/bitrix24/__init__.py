"""Our own Bitrix24 portal in memory: access, events, records and calls, in dictionaries."""

from __future__ import annotations

from wakeline.storage.memory.bitrix24.access import MemoryPortalAccess
from wakeline.storage.memory.bitrix24.calls import MemoryPortalCalls
from wakeline.storage.memory.bitrix24.events import MemoryPortalEvents
from wakeline.storage.memory.bitrix24.records import MemoryPortalRecords

__all__ = ["MemoryPortalAccess", "MemoryPortalCalls", "MemoryPortalEvents", "MemoryPortalRecords"]
