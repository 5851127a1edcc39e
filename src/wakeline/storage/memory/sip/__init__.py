"""The SIP edge in memory, in dictionaries: registrations, messages that wait, users."""

from __future__ import annotations

from wakeline.storage.memory.sip.bindings import MemorySipBindings
from wakeline.storage.memory.sip.messages import MemorySipMessages
from wakeline.storage.memory.sip.users import MemorySipUsers

__all__ = ["MemorySipBindings", "MemorySipMessages", "MemorySipUsers"]
