"""External calls, in a dictionary."""

from __future__ import annotations

import msgspec

from wakeline.model.bitrix24.calls import ExternalCall
from wakeline.storage.portal import call_exists, no_call


class MemoryPortalCalls:
    """Calls by id."""

    def __init__(self) -> None:
        self._calls: dict[int, ExternalCall] = {}
        self._last = 0

    async def register(self, call: ExternalCall, *, since: int) -> ExternalCall:
        """Keep a call, or return the latest with the same fingerprint that began at `since` or later.

        Its id is given by the store. Raises Conflict if another call has the same call id.
        """
        same = [each for each in self._calls.values() if each.fingerprint == call.fingerprint and each.begun >= since]
        if same:
            return max(same, key=lambda each: (each.begun, each.id))
        if await self.call(call.call_id) is not None:
            raise call_exists(call.call_id)
        self._last += 1
        kept = msgspec.structs.replace(call, id=self._last)
        self._calls[kept.id] = kept
        return kept

    async def call(self, call_id: str) -> ExternalCall | None:
        """Return a call."""
        return next((call for call in self._calls.values() if call.call_id == call_id), None)

    async def finish(self, call: ExternalCall) -> None:
        """Write how a call ended. Raises NotFound."""
        if call.id not in self._calls:
            raise no_call(call.id)
        self._calls[call.id] = call

    async def prune_calls(self, before: int) -> int:
        """Forget calls that began before that, whether they were finished or not; returns how many."""
        old = [number for number, call in self._calls.items() if call.begun < before]
        for number in old:
            del self._calls[number]
        return len(old)
