"""Push types and FCM's other targets, from the API to what the push service received."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest

from acme import Stack
from contract import Caller, new_token

FID = "cGxhY2Vob2xkZXIwMDAwMA"


def sent(caller: Caller, target: dict[str, str], received_as: str, **body: Any) -> dict[str, Any]:
    """Send to one raw target and return the one request that the push service accepted."""
    answer = caller.post(to={"targets": [target]}, **body)
    assert answer.status_code == 202, answer.text
    assert caller.settled(answer.json()["id"])["counts"]["accepted"] == 1
    [request] = caller.simulator.requests(received_as)
    return request


def test_a_live_activity_starts_is_updated_and_ends(stack: Stack) -> None:
    caller, seen = Caller(stack), []
    start = {"event": "start", "attributes_type": "ScoreAttributes", "attributes": {"a": 1}, "content_state": {"n": 0}}
    for activity, more in (
        (start, {"alert": {"title": "Kick-off"}}),
        ({"event": "update", "content_state": {"n": 1}}, {}),
        ({"event": "end", "dismiss_at": "2030-01-01T00:00:00Z"}, {}),
    ):
        token = new_token()
        target = {"kind": "apns-liveactivity", "value": token}
        request = sent(caller, target, token, liveactivity=activity, **more)
        assert request["headers"]["apns-push-type"] == "liveactivity"
        assert request["headers"]["apns-topic"].endswith(".push-type.liveactivity")
        assert abs(request["body"]["aps"]["timestamp"] - time.time()) < 60
        seen.append(request["body"]["aps"])
    assert [aps["event"] for aps in seen] == ["start", "update", "end"]
    assert seen[0]["attributes-type"] == "ScoreAttributes"
    assert seen[2]["dismissal-date"] == 1_893_456_000


@pytest.mark.parametrize("kind", ["fid", "fcm_topic", "condition"])
def test_fcm_is_reached_by_installation_topic_and_condition(stack: Stack, kind: str) -> None:
    topic = f"news-{uuid.uuid4().hex[:8]}"
    value = {"fid": FID, "fcm_topic": topic, "condition": f"'{topic}' in topics"}[kind]
    request = sent(Caller(stack), {"kind": "fcm", kind: value}, value, alert={"title": "Hello"})
    message = request["body"]["message"]
    assert message[{"fcm_topic": "topic"}.get(kind, kind)] == value
    assert {"token", "fid", "topic", "condition"} & message.keys() == {{"fcm_topic": "topic"}.get(kind, kind)}


def test_a_live_activity_is_reached_through_fcm(stack: Stack) -> None:
    token = f"phone-{uuid.uuid4().hex}"
    more = {"fcm": {"payload": {"apns": {"live_activity_token": "80ab"}}}}
    activity = {"event": "update", "content_state": {"n": 1}}
    request = sent(Caller(stack), {"kind": "fcm", "value": token}, token, liveactivity=activity, **more)
    assert request["body"]["message"]["apns"]["liveActivityToken"] == "80ab"
    assert request["body"]["message"]["apns"]["payload"]["aps"]["content-state"] == {"n": 1}
