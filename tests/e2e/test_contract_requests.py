"""What a request may look like, and what is said of one that is wrong: statuses, codes and JSON pointers."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any

import pytest

from acme import APP, Stack
from contract import Caller, new_token, problem

SEND = f"/v1/apps/{APP}/notifications"
TO = {"users": ["somebody"]}


def test_a_plain_curl_command_works(stack: Stack) -> None:
    key = stack.http.headers["authorization"]
    url = f"{stack.gateway.address}/v1/apps"
    body = '{"id": "made-by-curl", "name": "Made by curl"}'
    command = ["curl", "--silent", "--noproxy", "*", url, "-H", f"Authorization: {key}", "-d", body]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout)["id"] == "made-by-curl"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/to"),
        ({"to": {}}, "/to"),
        ({"to": {"users": []}}, "/to"),
        ({"to": {"everyone": False}}, "/to"),
        ({"to": {"users": [""]}}, "/to/users/0"),
        ({"to": {"users": ["a"], "people": ["b"]}}, "/to/people"),
        ({"to": {"targets": [{"kind": "pigeon", "value": "x"}]}}, "/to/targets/0/kind"),
        ({"to": TO, "type": "sms"}, "/type"),
        ({"to": TO, "type": "call"}, "/call"),
        ({"to": TO, "type": "call", "call": {}}, "/call/id"),
        ({"to": TO, "alert": {"body": "x", "colour": "red"}}, "/alert/colour"),
        ({"to": TO, "data": {"aps": {}}}, "/data/aps"),
        ({"to": TO, "data": []}, "/data"),
        ({"to": TO, "alert": {"body": "x"}, "priority": "urgent"}, "/priority"),
        ({"to": TO, "alert": {"body": "x"}, "ttl": -1}, "/ttl"),
        ({"to": TO, "alert": {"body": "x"}, "ttl": 1.5}, "/ttl"),
        ({"to": TO, "alert": {"body": "x"}, "send_at": "tomorrow"}, "/send_at"),
        ({"to": TO, "alert": {"body": "x"}, "send_at": "2031-01-01T00:00:00"}, "/send_at"),
        ({"to": TO, "alert": {"body": "x"}, "collapse_id": "x" * 65}, "/collapse_id"),
        ({"to": TO, "alert": {"body": "x"}, "only_if_absent": "yes"}, "/only_if_absent"),
    ],
)
def test_a_wrong_notification_is_422_at_its_field(stack: Stack, body: dict[str, Any], pointer: str) -> None:
    problem(stack.http.post(SEND, json=body), 422, "invalid", pointer)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"user": "", "targets": []}, "/user"),
        ({"user": "u", "targets": [{"kind": "apns"}]}, "/targets/0/value"),
        ({"user": "u", "targets": [{"kind": "apns", "value": "zz"}]}, "/targets/0/value"),
        ({"user": "u", "targets": [{"kind": "pager", "value": "1"}]}, "/targets/0/kind"),
        ({"user": "u", "targets": [{"kind": "apns", "value": "aa", "environment": "test"}]}, "/targets/0/environment"),
        ({"user": "u", "targets": [], "os": "ios"}, "/os"),
    ],
)
def test_a_wrong_device_is_422_at_its_field(stack: Stack, body: dict[str, Any], pointer: str) -> None:
    problem(stack.http.put(f"/v1/apps/{APP}/devices/wrong", json=body), 422, "invalid", pointer)


def test_a_wrong_query_is_422_at_its_parameter(stack: Stack) -> None:
    problem(stack.http.get(f"/v1/apps/{APP}/devices?state=lost"), 422, "invalid", "/query/state")
    problem(stack.http.get(f"/v1/apps/{APP}/devices?cursor=lost"), 422, "invalid", "/query/cursor")
    problem(stack.http.get(f"/v1/apps/{APP}/devices?page=2"), 422, "invalid", "/query/page")
    problem(stack.http.post(f"{SEND}?validate_only=maybe", json={"to": TO}), 422, "invalid", "/query/validate_only")


@pytest.mark.parametrize(
    "path",
    [
        f"{SEND}/01890000-0000-7000-8000-000000000000",
        f"{SEND}/no-id",
        f"{SEND}/01890000-0000-7000-8000-000000000000/deliveries",
        f"{SEND}/01890000-0000-7000-8000-000000000000/explain",
        f"/v1/apps/{APP}/devices/absent",
        f"/v1/apps/{APP}/users/absent",
        "/v1/apps/absent",
        "/v1/explain?q=nobody-ever-heard-of-it",
    ],
)
def test_what_is_not_there_is_404(stack: Stack, path: str) -> None:
    problem(stack.http.get(path), 404, "not_found")


def test_defaults_of_type_lane_and_ttl(stack: Stack) -> None:
    caller = Caller(stack)
    phone, voip = caller.phone(), caller.phone("apns-voip")

    def become(body: dict[str, Any], user: str, ttl: int) -> tuple[str, str]:
        begun = time.time()
        shown = caller.http.post(f"{SEND}?validate_only=true", json={"to": {"users": [user]}, **body}).json()
        (one,) = shown["requests"]
        assert begun - 1 <= int(one["request"]["headers"]["apns-expiration"]) - ttl <= time.time() + 1
        return shown["type"], shown["lane"]

    assert become({"alert": {"body": "x"}}, phone.user, 86_400) == ("alert", "alert")
    assert become({"data": {"k": 1}}, phone.user, 3_600) == ("background", "background")
    assert become({"type": "call", "call": {"id": "c1"}}, voip.user, 32) == ("call", "call")
    assert become({"alert": {"body": "x"}, "priority": "low"}, phone.user, 86_400) == ("alert", "bulk")


def test_validate_only_shows_the_request_and_nothing_leaves(stack: Stack) -> None:
    caller = Caller(stack)
    phone = caller.phone()
    body = {"to": {"users": [phone.user]}, "alert": {"title": "Not yet"}}
    shown = caller.http.post(f"{SEND}?validate_only=true", json=body)
    assert shown.status_code == 200
    (one,) = shown.json()["requests"]
    assert one["device"] == phone.device
    assert one["request"]["headers"]["authorization"] == "bearer [redacted]"
    assert json.loads(one["request"]["body"])["aps"]["alert"]["title"] == "Not yet"
    assert one["size"] == len(one["request"]["body"].encode())
    assert one["credential"]
    assert one["host"].startswith("localhost:")
    assert one["warnings"] == []
    assert "id" not in shown.json()
    assert caller.received(phone) == []


def test_validate_only_finds_what_would_be_refused(stack: Stack) -> None:
    caller = Caller(stack)
    phone = caller.phone()
    body = {"to": {"users": [phone.user]}, "alert": {"body": "x" * 5000}}
    problem(caller.http.post(f"{SEND}?validate_only=true", json=body), 422, "payload_too_large", "/alert/body")


def test_an_app_without_a_credential_can_serve_nobody(stack: Stack) -> None:
    stack.http.post("/v1/apps", json={"id": "no-credential"}).raise_for_status()
    caller = Caller(stack, "no-credential")
    phone = caller.phone()
    answer = caller.post(to={"users": [phone.user]}, alert={"body": "x"})
    found = problem(answer, 422, "no_credential")
    assert "no credential" in found["detail"]


TEXTS = {
    "right-to-left": "\u05e9\u05dc\u05d5\u05dd \u200f(abc)\u200f",
    "emoji": "\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f1fa\U0001f1e6",
    "signs": 'a"b\\c\n\t</script>',
    "control": "\u0000 \u2028",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_text_arrives_unchanged(stack: Stack, text: str) -> None:
    caller = Caller(stack)
    phone, android = caller.phone(), caller.phone("fcm")
    id_ = caller.send(phone, android, alert={"title": text, "body": text}, data={"key": text})
    assert caller.settled(id_)["counts"]["accepted"] == 2
    (apple,) = caller.received(phone)
    assert apple["body"] == {"aps": {"alert": {"title": text, "body": text}}, "key": text}
    (google,) = caller.received(android)
    message = google["body"]["message"]
    assert message["notification"] == {"title": text, "body": text}
    assert message["data"] == {"key": text}


def test_ids_with_signs_work_in_paths(stack: Stack) -> None:
    device, user = "a/b \u00fc?#", "sip:bob@example.com;x=1/2"
    caller = Caller(stack)
    path = f"{caller.path}/devices/a%2Fb%20%C3%BC%3F%23"
    body = {"user": user, "targets": [{"kind": "apns", "value": new_token()}]}
    assert caller.http.put(path, json=body).json()["device_id"] == device
    assert caller.http.get(path).json()["user"] == user
    found = caller.http.get(f"{caller.path}/users/sip%3Abob%40example.com%3Bx%3D1%2F2").json()
    assert [one["device_id"] for one in found["devices"]] == [device]


def test_a_raw_token_that_can_be_none_is_refused_with_its_reason(stack: Stack) -> None:
    caller = Caller(stack)
    answer = caller.post(to={"targets": [{"kind": "apns", "value": "no hex"}]}, alert={"body": "x"})
    found = problem(answer, 422, "invalid", "/to/targets/0/value")
    assert "hex" in found["detail"]
