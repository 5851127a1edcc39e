"""The hold that a restored store puts on its routes: nothing leaves before the operator has looked."""

from __future__ import annotations

from wakeline.model.route import Hold, HoldReason
from wakeline.storage.waiting import PAUSED


def restored_hold(at: int) -> Hold:
    """Return the hold; `at` in Unix ms."""
    return Hold(
        reason=HoldReason.OPERATOR,
        code=PAUSED,
        since=at,
        cause="This store was restored from a backup; what it holds may have been sent already.",
        fix="Look through the queue, cancel what is outdated, then run `wakeline queue release`.",
    )
