"""The memory adapter: every storage port in plain dictionaries, for tests, stories and demonstrations.

It satisfies the same conformance suite as the other adapters and forgets everything when it is closed.
"""

from __future__ import annotations

from wakeline.storage.memory.store import MemoryStore

__all__ = ["MemoryStore"]
