"""mesibo's envelope: what a receiver written for mesibo finds where it looks."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from wakeline.model.event import Event, EventData, EventType, ReceivedResponse, SentRequest
from wakeline.model.outcome import Action, Outcome, OutcomeClass
from wakeline.wire.mesibo import push_event

AT = 1_772_366_400_250


def written(event_type: EventType, seq: int = 15, **data: Any) -> dict[str, Any]:
    event = Event(type=event_type, at=AT, app="acme", seq=seq, data=EventData(**data))
    found: dict[str, Any] = msgspec.json.decode(push_event.write(event, aid=7, credential="key"))
    return found


def outcome(code: int, status: int = 0, reason: str = "") -> Outcome:
    kind = OutcomeClass.REFUSED if code else OutcomeClass.ACCEPTED
    return Outcome(
        outcome_class=kind, action=Action.FAIL if code else Action.DONE, code=code, status=status, reason=reason
    )


def test_the_envelope_is_version_2() -> None:
    found = written(EventType.PUSH_FAILED, users=("alice",), outcome=outcome(911, 410, "Unregistered"))
    push = found.pop("events")[0]
    assert found == {"server": "mesibo", "id": 15, "v": 2, "aid": 7, "ts": AT}
    assert push["type"] == "push"
    assert push["status"] == "failed"
    assert push["user"]["address"] == "alice"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (outcome(911, 410, "Unregistered"), 410),  # the push service's own status
        (outcome(901), 901),  # we refused
        (outcome(0, 200), 200),
        (outcome(0), 200),
        (None, 0),
    ],
)
def test_response_code_is_the_status_of_the_push_service_or_our_own_number(given: Outcome | None, code: int) -> None:
    [push] = written(EventType.PUSH_FAILED, outcome=given)["events"]
    assert push["response"]["code"] == code


def test_what_was_recorded_goes_along() -> None:
    sent = SentRequest(
        method="POST", url="https://fcm.googleapis.com/", headers=(("content-type", "application/json"),), body="{}"
    )
    received = ReceivedResponse(code=404, reason="UNREGISTERED", body='{"error":{}}')
    [push] = written(EventType.PUSH_FAILED, outcome=outcome(911, 404), request=sent, response=received)["events"]
    assert push["request"]["headers"] == {"content-type": "application/json"}
    assert push["response"] == {"code": 404, "reason": "UNREGISTERED", "body": '{"error":{}}'}


def test_what_is_about_no_push_keeps_our_type() -> None:
    [told] = written(EventType.CREDENTIAL_EXPIRING, note="in 7 days")["events"]
    assert told == {"type": "credential.expiring", "data": {"app": "acme", "credential": "key", "note": "in 7 days"}}


def test_a_test_event_has_no_negative_number() -> None:
    assert written(EventType.WEBHOOK_TEST, seq=-AT)["id"] == 0
