from __future__ import annotations

import pytest

from wakeline.model.notification import OnUnknown
from wakeline.model.outcome import Outcome
from wakeline.model.route import Lane, ProviderKind
from wakeline.pipeline.retry import PATIENCE_WITH_GOOGLE, REPLAYS, GiveUp, RetryAt, decide, last_word
from wakeline.wire.outcomes import Loss, apns, fcm, lost

NOW = 1_000_000_000
DAY = 86_400_000
DOWN = apns(503, "ServiceUnavailable")
GOOGLE_DOWN = fcm(503)


def plan(outcome: Outcome, **given: object) -> RetryAt | GiveUp:
    values: dict[str, object] = {
        "provider": ProviderKind.APNS,
        "lane": Lane.ALERT,
        "attempt": 1,
        "now": NOW,
        "expires": NOW + DAY,
        "on_unknown": OnUnknown.RETRY,
        "entropy": 0.0,
    }
    return decide(outcome, **(values | given))  # type: ignore[arg-type]  # a table of overrides


@pytest.mark.parametrize(
    ("outcome", "given", "seconds"),
    [
        (DOWN, {}, 60),
        (DOWN, {"attempt": 2}, 120),
        (DOWN, {"attempt": 4}, 480),
        (DOWN, {"attempt": 5}, 900),
        (DOWN, {"attempt": 500}, 900),
        (DOWN, {"entropy": 0.5}, 67.5),
        (GOOGLE_DOWN, {"provider": ProviderKind.FCM}, 10),
        (GOOGLE_DOWN, {"provider": ProviderKind.FCM, "attempt": 2}, 20),
        (fcm(503, retry_after=300.0), {"provider": ProviderKind.FCM}, 300),
        (fcm(503, retry_after=3.0), {"provider": ProviderKind.FCM}, 10),
        (fcm(429), {"provider": ProviderKind.FCM}, 60),
        (DOWN, {"lane": Lane.CALL}, 0.5),
        (DOWN, {"lane": Lane.CALL, "attempt": 2}, 1),
        (DOWN, {"lane": Lane.CALL, "attempt": 3}, 2),
        (DOWN, {"lane": Lane.CALL, "attempt": 4}, 4),
        (DOWN, {"lane": Lane.CALL, "attempt": 9, "entropy": 0.9}, 4),
        (lost(Loss.TIMEOUT), {}, 60),
        (apns(503, "Shutdown"), {}, 0),
        (lost(Loss.REFUSED_STREAM), {"attempt": REPLAYS - 1}, 0),
        (lost(Loss.REFUSED_STREAM), {"attempt": REPLAYS}, 16),
        (lost(Loss.CONNECT_REFUSED), {}, 1),
        (lost(Loss.DNS), {"attempt": 3}, 4),
        (lost(Loss.CONNECT_REFUSED), {"provider": ProviderKind.FCM, "attempt": 40}, 60),
    ],
)
def test_waits(outcome: Outcome, given: dict[str, object], seconds: float) -> None:
    assert plan(outcome, **given) == RetryAt(NOW + round(seconds * 1000))


@pytest.mark.parametrize(
    ("outcome", "given", "past_ttl"),
    [
        (DOWN, {"expires": NOW + 60_000}, True),
        (DOWN, {"lane": Lane.CALL, "expires": NOW + 400}, True),
        (fcm(503, retry_after=300.0), {"provider": ProviderKind.FCM, "expires": NOW + 200_000}, True),
        (apns(503, "Shutdown"), {"expires": NOW}, True),
        (lost(Loss.TIMEOUT), {"on_unknown": OnUnknown.STOP}, False),
        (apns(413, "PayloadTooLarge"), {}, False),
    ],
)
def test_no_further_attempt(outcome: Outcome, given: dict[str, object], past_ttl: bool) -> None:
    assert plan(outcome, **given) == GiveUp(past_ttl=past_ttl)


def test_google_is_asked_for_an_hour_and_no_longer_unless_it_answers_nobody() -> None:
    waits = []
    for attempt in range(1, PATIENCE_WITH_GOOGLE):
        decided = plan(GOOGLE_DOWN, provider=ProviderKind.FCM, attempt=attempt)
        assert isinstance(decided, RetryAt)
        waits.append(decided.at - NOW)
    assert 3_000_000 < sum(waits) <= 3_600_000
    given: dict[str, object] = {"provider": ProviderKind.FCM, "attempt": PATIENCE_WITH_GOOGLE}
    assert plan(GOOGLE_DOWN, **given) == GiveUp()
    assert isinstance(plan(GOOGLE_DOWN, **given, silent=True), RetryAt)
    assert isinstance(plan(GOOGLE_DOWN, **given, lane=Lane.CALL), RetryAt)
    assert isinstance(plan(fcm(429), **given), RetryAt)
    assert isinstance(plan(DOWN, attempt=PATIENCE_WITH_GOOGLE), RetryAt)


@pytest.mark.parametrize("past_ttl", [True, False])
@pytest.mark.parametrize(
    "outcome",
    [
        DOWN,
        GOOGLE_DOWN,
        fcm(429),
        apns(429, "TooManyRequests"),
        apns(503, "Shutdown"),
        fcm(429, b'{"error":{"status":"QUOTA_EXCEEDED"}}'),
        lost(Loss.TIMEOUT),
        lost(Loss.NOT_WRITTEN),
    ],
)
def test_the_last_word_promises_no_further_attempt(outcome: Outcome, past_ttl: bool) -> None:
    said = last_word(outcome, GiveUp(past_ttl=past_ttl))
    assert "again" not in said.fix
    assert said.code == outcome.code
    assert ("ttl ends" in said.cause) is past_ttl
