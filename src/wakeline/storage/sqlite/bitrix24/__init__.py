"""Bitrix24 in SQLite: our own portal, and the portals of others that we are connected to.

applications, tokens, access   who may speak to our portal: each builds on the one before
events                         handlers and offline events
records                        what it keeps of a CRM, read in slices
calls                          external calls
installations, rules           connected portals, and what their events become
inbox, outbox                  events that came from there, and what we write there
"""

from __future__ import annotations

from wakeline.storage.sqlite.bitrix24.access import SqlitePortalAccess
from wakeline.storage.sqlite.bitrix24.calls import SqlitePortalCalls
from wakeline.storage.sqlite.bitrix24.events import SqlitePortalEvents
from wakeline.storage.sqlite.bitrix24.inbox import SqliteEventInbox
from wakeline.storage.sqlite.bitrix24.installations import SqliteInstallations
from wakeline.storage.sqlite.bitrix24.outbox import SqliteOutbox
from wakeline.storage.sqlite.bitrix24.records import SqlitePortalRecords
from wakeline.storage.sqlite.bitrix24.rules import SqliteRules

__all__ = [
    "SqliteEventInbox",
    "SqliteInstallations",
    "SqliteOutbox",
    "SqlitePortalAccess",
    "SqlitePortalCalls",
    "SqlitePortalEvents",
    "SqlitePortalRecords",
    "SqliteRules",
]
