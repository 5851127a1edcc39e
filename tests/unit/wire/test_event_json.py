"""Events as the world sees them."""

from __future__ import annotations

import json

from wakeline.model.event import Event, EventData, EventType, ReceivedResponse, SentRequest
from wakeline.model.outcome import Action, Outcome, OutcomeClass
from wakeline.wire import event_json

AT = 1_772_366_400_250


def test_only_what_applies_is_written() -> None:
    event = Event(type=EventType.QUEUE_STALLED, at=AT, data=EventData(note="nothing leaves"))
    assert json.loads(event_json.write(event, "")) == {
        "type": "queue.stalled",
        "timestamp": "2026-03-01T12:00:00.250000Z",
        "data": {"note": "nothing leaves"},
    }


def test_a_failure_carries_what_was_sent_and_what_came_back() -> None:
    outcome = Outcome(
        outcome_class=OutcomeClass.TOKEN_DEAD, action=Action.RETIRE, code=911, status=410, reason="Unregistered"
    )
    headers = (("apns-topic", "com.example.chat"), ("x-a", "1"), ("x-a", "2"))
    sent = SentRequest(method="POST", url="https://api.push.apple.com/3/device/...abc123", headers=headers, body="{}")
    data = EventData(outcome=outcome, request=sent, response=ReceivedResponse(code=410, reason="Unregistered"))
    written = json.loads(event_json.write(Event(type=EventType.PUSH_FAILED, at=AT, app="acme", data=data), "key-1"))[
        "data"
    ]
    assert written["app"] == "acme"
    assert written["credential"] == "key-1"
    assert written["outcome"]["class"] == "token_dead"
    assert written["request"]["headers"] == {"apns-topic": "com.example.chat", "x-a": "1, 2"}
    assert written["response"] == {"code": 410, "reason": "Unregistered"}
