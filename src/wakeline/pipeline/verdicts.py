"""What an answer says about a token, and what follows (DESIGN 5.4, promise 2). Pure.

Proof retires: a 410 whose time is later than the app's last confirmation of the token. Doubt quarantines: BadDeviceToken
after the other environment was tried. Two strikes at least a day apart retire too, where a strike counts only if the same
route accepted another token within the hour: else the route is the suspect. A token imported without a date needs two 410s.

Sources: Apple, "Handling notification responses from APNs" (`timestamp` of a 410); Firebase, "FCM error codes".
"""

from __future__ import annotations

from typing import NamedTuple

from wakeline.model.device import Evidence, Target, TargetState
from wakeline.model.outcome import Action, Outcome, OutcomeClass
from wakeline.model.route import Environment
from wakeline.ports import TargetVerdict

DAY = 86_400_000
HOUR = 3_600_000
MEMORY = 30 * DAY
"""How long a strike is remembered: what was accepted since has cleared the token, and acceptance writes nothing."""


def judge(
    target: Target, outcome: Outcome, *, now: int, delivery: str, route: int, route_accepted: int | None
) -> TargetVerdict | None:
    """Return the verdict on a target, or None if nothing changes.

    `route_accepted`: when its route last accepted another token (Unix ms); `delivery`: the id of the delivery concerned.
    """
    case = _Case(target, outcome, now, delivery, route)
    if outcome.outcome_class is OutcomeClass.TOKEN_DEAD:
        return _dead(case)
    if outcome.action in (Action.QUARANTINE, Action.OTHER_ENVIRONMENT):
        return _doubtful(case, route_accepted)
    return None


def probation(target: Target, now: int) -> TargetVerdict | None:
    """Return the verdict that lets a target be tried again, a day after it was quarantined; what speaks against it stays.

    Nobody sends to a quarantined target, so without another try there would never be proof of either kind.
    """
    if target.state is not TargetState.QUARANTINED or now - target.since < DAY:
        return None
    return TargetVerdict(
        target=target.id, state=TargetState.ACTIVE, reason="on probation", at=now, evidence=target.evidence
    )


def corrected(target: int, environment: Environment, now: int) -> TargetVerdict:
    """Return the verdict on a target that the other environment accepted: it is fine, and lives there."""
    return TargetVerdict(
        target=target,
        state=TargetState.ACTIVE,
        reason=f"belongs to {environment.value}",
        at=now,
        environment=environment,
    )


class _Case(NamedTuple):
    """What there is to judge."""

    target: Target
    outcome: Outcome
    now: int
    delivery: str
    route: int


def _dead(case: _Case) -> TargetVerdict | None:
    """Judge by proof. An answer without a time (FCM's, some of Apple's) speaks for the moment it was given."""
    target, outcome = case.target, case.outcome
    if outcome.since is not None and target.confirmed and outcome.since <= target.confirmed:
        return None
    undated_first = outcome.status == 410 and not target.confirmed and not _earlier_strike(target, outcome)
    state = TargetState.QUARANTINED if undated_first else TargetState.RETIRED
    return _verdict(case, state, unless_confirmed_after=outcome.since)


def _doubtful(case: _Case, route_accepted: int | None) -> TargetVerdict | None:
    counts = route_accepted is not None and case.now - route_accepted <= HOUR
    earlier = case.target.evidence
    if counts and earlier is not None and earlier.strikes and DAY <= case.now - earlier.at <= MEMORY:
        return _verdict(case, TargetState.RETIRED)
    if case.target.state is not TargetState.ACTIVE:
        return None
    return _verdict(case, TargetState.QUARANTINED, strikes=1 if counts else 0)


def _earlier_strike(target: Target, outcome: Outcome) -> bool:
    """Tell whether an earlier answer already spoke against this undated token in the same way."""
    return target.evidence is not None and target.evidence.status == outcome.status and target.evidence.strikes > 0


def _verdict(
    case: _Case, state: TargetState, *, strikes: int = 1, unless_confirmed_after: int | None = None
) -> TargetVerdict:
    earlier = case.target.evidence.strikes if case.target.evidence is not None else 0
    evidence = Evidence(
        status=case.outcome.status,
        reason=case.outcome.reason,
        at=case.now,
        delivery=case.delivery,
        since=case.outcome.since,
        strikes=earlier + strikes,
        route=case.route,
    )
    return TargetVerdict(
        target=case.target.id,
        state=state,
        reason=case.outcome.reason,
        at=case.now,
        evidence=evidence,
        unless_confirmed_after=unless_confirmed_after,
    )
