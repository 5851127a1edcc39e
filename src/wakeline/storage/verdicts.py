"""Whether a verdict on a target still holds when it is written, and what the target becomes. Pure.

Between the answer of a push service and the write the app may have registered the token again, or another answer may have
been written: so the rule is applied to the target as it is in the transaction, never as it was when the answer was judged.
Doubt never weakens proof: a retired target is not quarantined.
"""

from __future__ import annotations

import msgspec

from wakeline.model.device import Evidence, Target, TargetState
from wakeline.ports import TargetVerdict


def applied(target: Target, verdict: TargetVerdict) -> Target | None:
    """Return the target as the verdict leaves it, or None if the verdict changes nothing.

    A dated answer that is older than the app's confirmation proves nothing (Apple: "Handling notification responses from
    APNs", `timestamp`). A token imported without a date has no confirmation to compare with: its first one quarantines.
    """
    if verdict.unless_confirmed_after is not None and target.confirmed > verdict.unless_confirmed_after:
        return None
    state = _state(target, verdict)
    if target.state is TargetState.RETIRED and state is not TargetState.ACTIVE:
        return None
    environment = verdict.environment or target.environment
    moved = state is not target.state or environment is not target.environment
    if not moved and not _learnt(target, verdict.evidence):
        return None
    since = verdict.at if state is not target.state else target.since
    return msgspec.structs.replace(
        target, state=state, since=since, reason=verdict.reason, evidence=verdict.evidence, environment=environment
    )


def _state(target: Target, verdict: TargetVerdict) -> TargetState:
    answered = verdict.evidence is None or verdict.evidence.status
    undated = verdict.unless_confirmed_after is not None and not target.confirmed and answered
    if verdict.state is TargetState.RETIRED and undated and target.evidence is None:
        return TargetState.QUARANTINED
    return verdict.state


def _learnt(target: Target, evidence: Evidence | None) -> bool:
    """Tell whether evidence adds to what is known; on a target out of use only one more strike does."""
    if target.state is TargetState.ACTIVE or target.evidence is None:
        return evidence != target.evidence
    return evidence is not None and evidence.strikes > target.evidence.strikes
