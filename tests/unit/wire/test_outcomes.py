from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeline.model.outcome import Action, Outcome, OutcomeClass
from wakeline.wire import apns, outcomes
from wakeline.wire.outcomes import TABLE, Entry, Loss, Refusal, Source

GOLDEN = Path(__file__).parents[2] / "wire" / "golden" / "outcomes"

# Apple, "Handling notification responses from APNs": status and reason, with what we conclude.
APNS = [
    (400, "BadCollapseId", OutcomeClass.PAYLOAD, Action.FAIL, 913),
    (400, "BadExpirationDate", OutcomeClass.PAYLOAD, Action.FAIL, 913),
    (400, "BadMessageId", OutcomeClass.BUG, Action.FAIL, 913),
    (400, "BadPriority", OutcomeClass.PAYLOAD, Action.FAIL, 913),
    (400, "DuplicateHeaders", OutcomeClass.BUG, Action.FAIL, 913),
    (400, "InvalidPushType", OutcomeClass.PAYLOAD, Action.FAIL, 913),
    (400, "BadRequestPayload", OutcomeClass.PAYLOAD, Action.FAIL, 913),
    (400, "PayloadEmpty", OutcomeClass.PAYLOAD, Action.FAIL, 913),
    (400, "BadTopic", OutcomeClass.MISMATCH, Action.FAIL, 912),
    (400, "MissingTopic", OutcomeClass.MISMATCH, Action.FAIL, 912),
    (400, "TopicDisallowed", OutcomeClass.MISMATCH, Action.FAIL, 912),
    (400, "BadDeviceToken", OutcomeClass.TOKEN_DOUBTFUL, Action.OTHER_ENVIRONMENT, 911),
    (400, "DeviceTokenNotForTopic", OutcomeClass.MISMATCH, Action.FAIL, 912),
    (400, "MissingDeviceToken", OutcomeClass.BUG, Action.FAIL, 911),
    (400, "IdleTimeout", OutcomeClass.TRANSIENT, Action.REPLAY, 902),
    (403, "BadCertificate", OutcomeClass.CREDENTIAL, Action.HOLD, 904),
    (403, "BadCertificateEnvironment", OutcomeClass.CREDENTIAL, Action.HOLD, 905),
    (403, "Forbidden", OutcomeClass.CREDENTIAL, Action.HOLD, 904),
    (403, "InvalidProviderToken", OutcomeClass.CREDENTIAL, Action.HOLD, 904),
    (403, "MissingProviderToken", OutcomeClass.CREDENTIAL, Action.HOLD, 904),
    (403, "ExpiredProviderToken", OutcomeClass.CREDENTIAL, Action.RENEW, 904),
    (403, "UnrelatedKeyIdInToken", OutcomeClass.CREDENTIAL, Action.RECONNECT, 904),
    (403, "BadEnvironmentKeyIdInToken", OutcomeClass.CREDENTIAL, Action.HOLD, 905),
    (403, "BadEnvironmentKeyInToken", OutcomeClass.CREDENTIAL, Action.HOLD, 905),
    (403, "TopicMismatch", OutcomeClass.MISMATCH, Action.FAIL, 912),
    (404, "BadPath", OutcomeClass.BUG, Action.FAIL, 913),
    (405, "MethodNotAllowed", OutcomeClass.BUG, Action.FAIL, 913),
    (410, "Unregistered", OutcomeClass.TOKEN_DEAD, Action.RETIRE, 911),
    (410, "ExpiredToken", OutcomeClass.TOKEN_DEAD, Action.RETIRE, 911),
    (413, "PayloadTooLarge", OutcomeClass.PAYLOAD, Action.FAIL, 913),
    (429, "TooManyProviderTokenUpdates", OutcomeClass.CREDENTIAL, Action.HOLD, 904),
    (429, "TooManyRequests", OutcomeClass.THROTTLED, Action.RETRY, 914),
    (500, "InternalServerError", OutcomeClass.TRANSIENT, Action.RETRY, 902),
    (503, "ServiceUnavailable", OutcomeClass.TRANSIENT, Action.RETRY, 902),
    (503, "Shutdown", OutcomeClass.TRANSIENT, Action.REPLAY, 902),
    # never seen, judged by their status
    (400, "SomethingNew", OutcomeClass.PAYLOAD, Action.FAIL, 913),
    (403, "", OutcomeClass.CREDENTIAL, Action.HOLD, 904),
    (410, "", OutcomeClass.TOKEN_DEAD, Action.RETIRE, 911),
    (418, "", OutcomeClass.PAYLOAD, Action.FAIL, 913),
    (502, "", OutcomeClass.TRANSIENT, Action.RETRY, 902),
    (301, "", OutcomeClass.BUG, Action.FAIL, 913),
    (0, "", OutcomeClass.TRANSIENT, Action.RETRY, 902),
]


@pytest.mark.parametrize(("status", "reason", "kind", "action", "code"), APNS)
def test_every_answer_of_apple_is_classified(
    status: int, reason: str, kind: OutcomeClass, action: Action, code: int
) -> None:
    outcome = outcomes.apns(status, reason)
    assert (outcome.outcome_class, outcome.action, outcome.code) == (kind, action, code)
    assert (outcome.status, outcome.reason) == (status, reason)


# RFC 8030 sections 5 and 7, and what is left to the status where nobody says more.
WEBPUSH = [
    (200, OutcomeClass.ACCEPTED, Action.DONE, 0),
    (201, OutcomeClass.ACCEPTED, Action.DONE, 0),
    (202, OutcomeClass.ACCEPTED, Action.DONE, 0),
    (204, OutcomeClass.ACCEPTED, Action.DONE, 0),
    (301, OutcomeClass.TRANSIENT, Action.RETRY, 902),
    (307, OutcomeClass.TRANSIENT, Action.RETRY, 902),
    (400, OutcomeClass.PAYLOAD, Action.FAIL, 913),
    (401, OutcomeClass.CREDENTIAL, Action.HOLD, 904),
    (403, OutcomeClass.CREDENTIAL, Action.HOLD, 904),
    (404, OutcomeClass.TOKEN_DEAD, Action.RETIRE, 911),
    (405, OutcomeClass.PAYLOAD, Action.FAIL, 913),
    (406, OutcomeClass.THROTTLED, Action.RETRY, 914),
    (408, OutcomeClass.TRANSIENT, Action.RETRY, 902),
    (410, OutcomeClass.TOKEN_DEAD, Action.RETIRE, 911),
    (413, OutcomeClass.PAYLOAD, Action.FAIL, 913),
    (429, OutcomeClass.THROTTLED, Action.RETRY, 914),
    (500, OutcomeClass.TRANSIENT, Action.RETRY, 902),
    (502, OutcomeClass.TRANSIENT, Action.RETRY, 902),
    (503, OutcomeClass.TRANSIENT, Action.RETRY, 902),
    (507, OutcomeClass.THROTTLED, Action.RETRY, 914),
    (0, OutcomeClass.TRANSIENT, Action.RETRY, 902),
]


@pytest.mark.parametrize(("status", "kind", "action", "code"), WEBPUSH)
def test_every_status_of_web_push_is_classified(status: int, kind: OutcomeClass, action: Action, code: int) -> None:
    for body in (b"", b"<html>", b"{", b"no", b'{"reason":"SomethingNew"}', b'{"errno":777}', b"[1]"):
        outcome = outcomes.webpush(status, body)
        assert (outcome.outcome_class, outcome.action, outcome.code, outcome.status) == (kind, action, code, status)


# Mozilla autopush, "Error Codes".
MOZILLA = [
    (400, 101, OutcomeClass.BUG, 913),
    (400, 108, OutcomeClass.TOKEN_DOUBTFUL, 911),
    (400, 110, OutcomeClass.BUG, 913),
    (400, 111, OutcomeClass.BUG, 913),
    (400, 112, OutcomeClass.PAYLOAD, 913),
    (400, 113, OutcomeClass.PAYLOAD, 913),
    (401, 109, OutcomeClass.CREDENTIAL, 904),
    (404, 102, OutcomeClass.TOKEN_DEAD, 911),
    (410, 103, OutcomeClass.TOKEN_DEAD, 911),
    (410, 105, OutcomeClass.TOKEN_DEAD, 911),
    (410, 106, OutcomeClass.TOKEN_DEAD, 911),
    (413, 104, OutcomeClass.PAYLOAD, 913),
    (429, 201, OutcomeClass.THROTTLED, 914),
    (500, 999, OutcomeClass.TRANSIENT, 902),
    (502, 900, OutcomeClass.TRANSIENT, 902),
    (502, 901, OutcomeClass.TRANSIENT, 902),
    (502, 902, OutcomeClass.TRANSIENT, 902),
    (502, 903, OutcomeClass.TRANSIENT, 902),
    (503, 201, OutcomeClass.TRANSIENT, 902),
    (503, 202, OutcomeClass.TRANSIENT, 902),
]


@pytest.mark.parametrize(("status", "errno", "kind", "code"), MOZILLA)
def test_every_errno_of_mozilla_is_classified(status: int, errno: int, kind: OutcomeClass, code: int) -> None:
    outcome = outcomes.webpush(status, json.dumps({"code": status, "errno": errno, "message": "Because"}).encode())
    assert (outcome.outcome_class, outcome.code, outcome.reason) == (kind, code, f"errno {errno}")
    assert outcome.cause.endswith("It said: Because")


def test_only_401_and_403_of_web_push_hold_a_route_and_only_404_and_410_retire() -> None:
    lines = [entry for entry in TABLE if entry.source is Source.WEBPUSH]
    assert {entry.status for entry in lines if entry.action is Action.RETIRE} == {404, 410}
    assert {entry.status for entry in lines if entry.action is Action.HOLD} <= {400, 401, 403}


def test_what_a_push_service_says_is_cut_and_cleaned() -> None:
    for body in (b"\x1b[2Jno\r\n" * 999, json.dumps({"reason": "\x1b[2J" * 999, "error": "no\n" * 999}).encode()):
        outcome = outcomes.webpush(400, body)
        assert len(outcome.reason) <= 100
        assert len(outcome.cause) < 500
        assert (outcome.reason + outcome.cause).isprintable()
    assert len(outcomes.webpush(201, provider_id="https://push.example.net/" + "x" * 9999).provider_id) == 500


def test_another_key_is_seen_only_in_a_refusal() -> None:
    said = b"VAPID public key mismatch"
    assert [outcomes.webpush(status, said).code for status in (201, 400, 401, 403, 410, 503)] == [
        0,
        912,
        912,
        912,
        911,
        902,
    ]


def test_a_known_reason_keeps_its_meaning_under_an_unusual_status() -> None:
    assert outcomes.apns(400, "PayloadTooLarge").code == 913
    assert outcomes.apns(400, "PayloadTooLarge").status == 400


def test_only_a_410_of_apple_retires_a_token() -> None:
    retiring = [entry for entry in TABLE if entry.source is Source.APNS and entry.action is Action.RETIRE]
    assert {entry.status for entry in retiring} == {410}


def test_the_timestamp_of_a_410_and_retry_after_are_kept() -> None:
    outcome = outcomes.apns(410, "Unregistered", since=1637679125000)
    assert outcome.since == 1637679125000
    assert outcomes.apns(503, "ServiceUnavailable", retry_after=7.0).retry_after == 7.0


def test_accepted_is_accepted_even_with_a_stray_reason() -> None:
    assert outcomes.apns(200, "").accepted
    assert outcomes.apns(200, "BadDeviceToken").accepted


def _golden() -> list[tuple[str, dict[str, Any], bytes]]:
    cases = []
    for path in sorted(GOLDEN.glob("*.txt")):
        comment, expected, _, body = path.read_bytes().split(b"\n", 3)
        assert comment.startswith(b"# "), path
        cases.append((path.stem, json.loads(expected), body.removesuffix(b"\n")))
    return cases


READERS: dict[str, Callable[[int, bytes], Outcome]] = {
    "apns": lambda status, body: apns.read(status, (), body),
    "fcm": outcomes.fcm,
    "oauth": outcomes.oauth,
    "webpush": outcomes.webpush,
}


@pytest.mark.parametrize(("name", "expected", "body"), _golden(), ids=[case[0] for case in _golden()])
def test_recorded_bodies_are_classified(name: str, expected: dict[str, Any], body: bytes) -> None:
    read = READERS[name.partition("-")[0]]
    outcome = read(expected["status"], body)
    found = {
        "status": outcome.status,
        "class": outcome.outcome_class.value,
        "action": outcome.action.value,
        "code": outcome.code,
        "reason": outcome.reason,
    }
    assert found == {key: expected[key] for key in found}
    assert outcome.provider_id == expected.get("provider_id", "")
    assert outcome.retry_after == expected.get("retry_after")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("fcm-no-permission", "may not send"),
        ("fcm-api-disabled", "switched off"),
        ("fcm-wrong-project", "no such project"),
        ("fcm-invalid-token", "no FCM registration token"),
        ("fcm-access-token-expired", "has expired"),
        ("oauth-clock", "wrong time"),
        ("oauth-key-deleted", "key was deleted"),
    ],
)
def test_the_cause_names_what_is_wrong_and_repeats_what_was_said(name: str, words: str) -> None:
    (expected, body) = next((expected, body) for found, expected, body in _golden() if found == name)
    read = outcomes.fcm if name.startswith("fcm") else outcomes.oauth
    cause = read(expected["status"], body).cause
    assert words in cause
    said = json.loads(body)
    assert cause.endswith(said.get("error_description") or said["error"]["message"])


# bloomberg/pushiko, docs/fcm_responses.md and its APNs tests; Firebase, "FCM error codes": the two examples of a 400.
RECORDED = {
    "apns-unregistered",
    "fcm-validated",
    "fcm-invalid-token",
    "fcm-no-recipient",
    "fcm-too-big",
    "fcm-unregistered",
    "fcm-internal",
    "fcm-unavailable",
    "fcm-bad-gateway-html",
    "fcm-invalid-field",
}


def test_what_others_recorded_is_among_the_bodies() -> None:
    assert {name for name, _, _ in _golden()} >= RECORDED


def test_there_are_recorded_bodies() -> None:
    assert len(_golden()) >= 58


def test_retry_after_of_the_answer_beats_the_default_wait() -> None:
    assert outcomes.fcm(429, b"", 5.0).retry_after == 5.0
    assert outcomes.fcm(429, b"").retry_after == 60.0


@given(
    status=st.integers(min_value=0, max_value=999),
    body=st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        [
                            "error",
                            "details",
                            "@type",
                            "errorCode",
                            "status",
                            "message",
                            "fieldViolations",
                            "errno",
                            "reason",
                        ]
                    ),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=12,
        ).map(lambda value: json.dumps(value).encode()),
    ),
)
def test_no_body_crashes_the_reading(status: int, body: bytes) -> None:
    for outcome in (outcomes.fcm(status, body), outcomes.oauth(status, body), outcomes.webpush(status, body)):
        assert outcome.status == status
        assert outcome.cause
    assert outcomes.fcm(status, body).accepted is (200 <= status < 300)
    assert outcomes.webpush(status, body).accepted is (200 <= status < 300)


@pytest.mark.parametrize("refusal", list(Refusal))
def test_every_refusal_has_an_outcome(refusal: Refusal) -> None:
    outcome = outcomes.ours(refusal, detail="Limit: 60 an hour.", retry_after=12.5)
    assert outcome.reason == refusal.value
    assert outcome.cause.endswith("Limit: 60 an hour.")
    assert outcome.retry_after == 12.5
    assert not outcome.accepted


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (Refusal.NO_CREDENTIAL, 901),
        (Refusal.PAUSED, 902),
        (Refusal.BREAKER, 902),
        (Refusal.CERTIFICATE_EXPIRED, 903),
        (Refusal.CREDENTIAL_ERROR, 904),
        (Refusal.WRONG_ENVIRONMENT, 905),
        (Refusal.BAD_TOKEN, 911),
        (Refusal.TOPIC_MISMATCH, 912),
        (Refusal.PAYLOAD, 913),
        (Refusal.RATE_LIMITED, 914),
    ],
)
def test_the_nine_codes_are_those_that_users_of_mesibo_know(refusal: Refusal, code: int) -> None:
    assert outcomes.ours(refusal).code == code


@pytest.mark.parametrize("loss", list(Loss))
def test_every_loss_has_an_outcome(loss: Loss) -> None:
    outcome = outcomes.lost(loss, detail="connection reset")
    assert outcome.reason == loss.value
    assert "connection reset" in outcome.cause
    assert outcome.status == 0


def test_what_was_written_and_not_answered_is_unknown_and_what_was_not_written_is_replayed() -> None:
    assert outcomes.lost(Loss.UNANSWERED).outcome_class is OutcomeClass.UNKNOWN
    assert outcomes.lost(Loss.TIMEOUT).outcome_class is OutcomeClass.UNKNOWN
    assert outcomes.lost(Loss.NOT_WRITTEN).action is Action.REPLAY
    assert outcomes.lost(Loss.REFUSED_STREAM).action is Action.REPLAY


def test_a_rejected_client_certificate_is_a_credential_problem() -> None:
    assert outcomes.lost(Loss.CERTIFICATE_EXPIRED).code == 903
    assert outcomes.lost(Loss.CERTIFICATE_REJECTED).code == 904
    assert outcomes.lost(Loss.TLS_ALERT).outcome_class is OutcomeClass.TRANSIENT


@pytest.mark.parametrize("entry", TABLE, ids=lambda entry: f"{entry.source}-{entry.status}-{entry.reason}")
def test_every_line_says_what_happened_and_what_to_do(entry: Entry) -> None:
    assert entry.cause.endswith(".")
    assert entry.fix.endswith(".")
    assert entry.cause[0].isupper()
    assert entry.code in {0, 901, 902, 903, 904, 905, 911, 912, 913, 914}


def test_class_action_and_code_agree_over_the_whole_table() -> None:
    for entry in TABLE:
        assert (entry.action is Action.DONE) == (entry.outcome_class is OutcomeClass.ACCEPTED), entry
        if entry.outcome_class is OutcomeClass.TOKEN_DEAD:
            assert (entry.action, entry.code) == (Action.RETIRE, 911), entry
        if entry.outcome_class is OutcomeClass.CREDENTIAL:
            assert entry.code in {903, 904, 905}, entry
        if entry.action in {Action.RETIRE, Action.QUARANTINE, Action.OTHER_ENVIRONMENT}:
            assert entry.outcome_class in {OutcomeClass.TOKEN_DEAD, OutcomeClass.TOKEN_DOUBTFUL}, entry


def _told(found: list[Outcome]) -> set[str]:
    return {outcome.reason for outcome in found}


def test_explain_finds_codes_reasons_and_statuses() -> None:
    assert _told(outcomes.explain("905")) >= {"wrong_environment", "BadCertificateEnvironment"}
    assert _told(outcomes.explain(" baddevicetoken ")) == {"BadDeviceToken"}
    assert _told(outcomes.explain("410")) >= {"Unregistered", "ExpiredToken", "errno 106", ""}
    assert len(outcomes.explain("INVALID_ARGUMENT")) == 2
    assert {outcome.code for outcome in outcomes.explain("911")} == {911}


@pytest.mark.parametrize("text", ["", "  ", "0", "999", "nonsense"])
def test_explain_of_what_is_in_no_table_is_empty(text: str) -> None:
    assert outcomes.explain(text) == []
