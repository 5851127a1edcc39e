"""What flexisip_pusher says: Flexisip's own sentences and numbers, and what to do about a failure."""

from __future__ import annotations

import json

import pytest

from wakeline.model.outcome import Outcome
from wakeline.model.sip.push import PushProvider
from wakeline.wire.flexisip.pusher import ERRORS, Wording, advice, failure_line, last_lines, number_of
from wakeline.wire.outcomes import TABLE, Loss, Refusal, apns, fcm, lost, ours


def _said(status: str, code: str) -> bytes:
    details = [{"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}]
    return json.dumps({"error": {"status": status, "details": details}}).encode()


def test_the_last_lines_are_those_of_flexisip_2_1() -> None:
    lines = last_lines(Wording.FLEXISIP_2_1, sent=1, failed=0, program="./flexisip_pusher")

    assert lines == (
        "1 push notification(s) sent, 1 successfully and 0 failed.",
        "job is done, thanks for using ./flexisip_pusher. Bye!",
    )


def test_failures_are_told_before_the_goodbye() -> None:
    lines = last_lines(Wording.FLEXISIP_2_1, sent=3, failed=2, program="wakeline")

    assert lines == (
        "3 push notification(s) sent, 1 successfully and 2 failed.",
        "There are failed requests, relaunch with --debug to consult exact error cause.",
        "job is done, thanks for using wakeline. Bye!",
    )


def test_since_flexisip_2_4_it_is_a_summary() -> None:
    assert last_lines(Wording.FLEXISIP_2_4, sent=1, failed=0, program="x") == (
        "Summary: 1 push notification(s) sent [successful = 1, failed = 0]",
    )
    assert last_lines(Wording.FLEXISIP_2_4, sent=2, failed=1, program="x") == (
        "Summary: 2 push notification(s) sent [successful = 1, failed = 1]",
        "Some push notification requests failed, execute again with --debug to debug",
    )


@pytest.mark.parametrize(
    ("outcome", "number", "words"),
    [
        (apns(200, ""), 0, "No errors encountered"),
        (apns(400, "BadDeviceToken"), 8, "Invalid token"),
        (apns(410, "Unregistered"), 8, "Invalid token"),
        (apns(400, "DeviceTokenNotForTopic"), 8, "Invalid token"),
        (ours(Refusal.BAD_TOKEN), 8, "Invalid token"),
        (apns(400, "MissingTopic"), 3, "Missing topic"),
        (apns(400, "MissingDeviceToken"), 2, "Missing device token"),
        (ours(Refusal.NO_TARGET), 2, "Missing device token"),
        (apns(400, "PayloadEmpty"), 4, "Missing payload"),
        (apns(413, "PayloadTooLarge"), 7, "Invalid payload size"),
        (apns(403, "InvalidProviderToken"), 1, "Processing error"),
        (apns(503, "ServiceUnavailable"), 1, "Processing error"),
        (lost(Loss.TIMEOUT), 1, "Processing error"),
        (fcm(404, _said("NOT_FOUND", "UNREGISTERED")), 8, "Invalid token"),
        (fcm(403, _said("PERMISSION_DENIED", "SENDER_ID_MISMATCH")), 8, "Invalid token"),
    ],
)
def test_an_answer_has_the_number_of_the_binary_protocol(outcome: Outcome, number: int, words: str) -> None:
    assert number_of(outcome) == number
    assert ERRORS[number] == words


def test_every_outcome_has_a_number_and_something_to_say() -> None:
    for entry in TABLE:
        outcome = entry.outcome()
        assert (number_of(outcome) == 0) is outcome.accepted
        assert all(advice(PushProvider.APNS, outcome))


def test_a_failure_reads_as_flexisip_wrote_it() -> None:
    line = failure_line(0x7FED1A449858, 1, apns(400, "BadDeviceToken"))

    assert line == "E: PNR 0x7fed1a449858 with identifier 1 failed with error 8 (Invalid token)"


def test_an_invalid_token_of_apple_is_explained_by_application_id_and_build() -> None:
    cause, meaning, builds, ad_hoc = advice(PushProvider.APNS, apns(400, "BadDeviceToken"))

    assert cause.startswith("400 BadDeviceToken: ")
    assert "application id" in meaning
    assert "apns.dev" in builds
    assert "ad hoc IPA" in ad_hoc


def test_an_invalid_token_of_google_is_explained_by_the_project() -> None:
    said = " ".join(advice(PushProvider.FCM, ours(Refusal.BAD_TOKEN)))

    assert "Firebase project" in said
    assert "IPA" not in said


def test_what_a_gateway_would_send_again_is_for_the_operator_to_try_again() -> None:
    assert advice(PushProvider.APNS, apns(503, "ServiceUnavailable"))[1] == "Try again in a while."
