"""Our own Bitrix24 portal in SQLite.

applications, tokens, access   who may speak to it: each builds on the one before
events                         handlers and offline events
records                        what it keeps of a CRM, read in slices
calls                          external calls
"""

from __future__ import annotations

from wakeline.storage.sqlite.bitrix24.access import SqlitePortalAccess
from wakeline.storage.sqlite.bitrix24.calls import SqlitePortalCalls
from wakeline.storage.sqlite.bitrix24.events import SqlitePortalEvents
from wakeline.storage.sqlite.bitrix24.records import SqlitePortalRecords

__all__ = ["SqlitePortalAccess", "SqlitePortalCalls", "SqlitePortalEvents", "SqlitePortalRecords"]
