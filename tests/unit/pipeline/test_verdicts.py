from __future__ import annotations

import pytest

from wakeline.model.device import Evidence, Target, TargetKind, TargetState
from wakeline.model.outcome import Outcome
from wakeline.model.route import Environment
from wakeline.pipeline import verdicts
from wakeline.pipeline.verdicts import DAY, HOUR, MEMORY
from wakeline.wire.outcomes import apns, fcm

NOW = 1_795_000_000_000
BAD = apns(400, "BadDeviceToken")
GONE = apns(410, "Unregistered", since=NOW - HOUR)
ACTIVE, QUARANTINED, RETIRED = TargetState.ACTIVE, TargetState.QUARANTINED, TargetState.RETIRED


def target(**values: object) -> Target:
    facts: dict[str, object] = {"id": 7, "kind": TargetKind.APNS, "value": "ab", "confirmed": NOW - 2 * HOUR}
    return Target(**(facts | values))  # type: ignore[arg-type]  # a table of overrides


def strike(age: int, strikes: int = 1, status: int = 400) -> Evidence:
    return Evidence(status=status, reason="earlier", at=NOW - age, strikes=strikes)


@pytest.mark.parametrize(
    ("outcome", "values", "accepted", "state"),
    [
        (GONE, {}, None, RETIRED),
        (GONE, {"confirmed": NOW}, None, None),
        (GONE, {"confirmed": 0}, None, QUARANTINED),
        (GONE, {"confirmed": 0, "evidence": strike(HOUR, status=410)}, None, RETIRED),
        (apns(410, "ExpiredToken"), {}, None, RETIRED),
        (apns(410, "ExpiredToken"), {"confirmed": 0}, None, QUARANTINED),
        (
            fcm(404, b'{"error":{"details":[{"@type":"x.FcmError","errorCode":"UNREGISTERED"}]}}'),
            {"confirmed": 0},
            None,
            RETIRED,
        ),
        (BAD, {}, NOW, QUARANTINED),
        (BAD, {}, None, QUARANTINED),
        (BAD, {"state": QUARANTINED}, NOW, None),
        (BAD, {"evidence": strike(DAY)}, NOW - HOUR, RETIRED),
        (BAD, {"evidence": strike(DAY - 1)}, NOW, QUARANTINED),
        (BAD, {"evidence": strike(DAY)}, NOW - HOUR - 1, QUARANTINED),
        (BAD, {"evidence": strike(DAY, strikes=0)}, NOW, QUARANTINED),
        (BAD, {"evidence": strike(MEMORY + 1)}, NOW, QUARANTINED),
        (apns(400, "DeviceTokenNotForTopic"), {}, NOW, None),
        (apns(413, "PayloadTooLarge"), {}, NOW, None),
    ],
)
def test_proof_retires_and_doubt_quarantines(
    outcome: Outcome, values: dict[str, object], accepted: int | None, state: TargetState | None
) -> None:
    verdict = verdicts.judge(target(**values), outcome, now=NOW, delivery="d", route=3, route_accepted=accepted)
    assert (verdict.state if verdict is not None else None) is state


def test_evidence_says_what_was_heard() -> None:
    verdict = verdicts.judge(target(), GONE, now=NOW, delivery="d", route=3, route_accepted=None)
    assert verdict is not None
    assert verdict.unless_confirmed_after == NOW - HOUR
    assert verdict.evidence == Evidence(
        status=410, reason="Unregistered", at=NOW, delivery="d", since=NOW - HOUR, strikes=1, route=3
    )


def test_a_strike_counts_only_while_the_route_accepts_others() -> None:
    silent = verdicts.judge(target(), BAD, now=NOW, delivery="d", route=3, route_accepted=None)
    sound = verdicts.judge(target(), BAD, now=NOW, delivery="d", route=3, route_accepted=NOW)
    assert silent is not None
    assert sound is not None
    assert silent.evidence is not None
    assert sound.evidence is not None
    assert (silent.evidence.strikes, sound.evidence.strikes) == (0, 1)


def test_a_quarantined_target_may_be_tried_again_after_a_day() -> None:
    kept = strike(DAY)
    waiting = target(state=QUARANTINED, since=NOW - DAY, evidence=kept)
    tried = verdicts.probation(waiting, NOW)
    assert tried is not None
    assert (tried.state, tried.evidence) == (ACTIVE, kept)
    assert verdicts.probation(target(state=QUARANTINED, since=NOW - DAY + 1), NOW) is None
    assert verdicts.probation(target(state=RETIRED, since=0), NOW) is None


def test_what_the_other_environment_accepts_lives_there() -> None:
    verdict = verdicts.corrected(7, Environment.SANDBOX, NOW)
    assert (verdict.state, verdict.environment) == (ACTIVE, Environment.SANDBOX)
