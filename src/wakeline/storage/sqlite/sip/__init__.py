"""The SIP edge as rows: registrations, messages that wait, users."""

from __future__ import annotations

from wakeline.storage.sqlite.sip.bindings import SqliteSipBindings
from wakeline.storage.sqlite.sip.messages import SqliteSipMessages
from wakeline.storage.sqlite.sip.users import SqliteSipUsers

__all__ = ["SqliteSipBindings", "SqliteSipMessages", "SqliteSipUsers"]
