"""The debug window: a time in which an app's requests and the answers to them are recorded, of successes too."""

from __future__ import annotations

import msgspec


class DebugWindow(msgspec.Struct, frozen=True, kw_only=True):
    """How the debug window of an app is. Times in Unix ms, 0: never.

    `until`: when it closes by itself (None: the operator allows it without end); `next_at`: when it may be opened again, if it may
    not now. `recorded` requests so far, which took `spent` milliseconds of the gateway's processor: its cost.
    """

    open: bool
    since: int = 0
    until: int | None = 0
    next_at: int = 0
    recorded: int = 0
    spent: float = 0.0
