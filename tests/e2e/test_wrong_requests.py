"""What a caller did wrong is said clearly, by the real process: problem details with a stable code."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from acme import APP, Stack
from processes import until

SEND = f"/v1/apps/{APP}/notifications"
JSON = {"content-type": "application/json"}


def problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """Check the shape that every error has (RFC 9457) and return it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert (found["code"], found["status"]) == (code, status)
    assert found["title"]
    assert found["detail"]
    return found


def test_malformed_json(stack: Stack) -> None:
    problem(stack.http.post(SEND, content=b'{"to": {"users": [', headers=JSON), 400, "malformed")


def test_a_body_of_two_megabytes(stack: Stack) -> None:
    body = json.dumps({"to": {"users": ["a"]}, "alert": {"body": "x" * 2_000_000}}).encode()
    problem(stack.http.post(SEND, content=body, headers=JSON), 413, "body_too_large")


def test_an_unknown_field(stack: Stack) -> None:
    found = problem(stack.http.post(SEND, json={"to": {"users": ["a"]}, "alrt": {"body": "x"}}), 422, "invalid")
    assert "alrt" in found["detail"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"to": {"users": "a"}, "alert": {"body": "x"}}, "/to/users"),
        ({"to": {"users": ["a"]}, "alert": {"body": 3}}, "/alert/body"),
        ({"to": {"users": ["a"]}, "alert": {"body": "x"}, "ttl": "soon"}, "/ttl"),
    ],
)
def test_a_wrong_type_names_its_field(stack: Stack, body: dict[str, Any], pointer: str) -> None:
    found = problem(stack.http.post(SEND, json=body), 422, "invalid")
    assert [field["pointer"] for field in found["errors"]] == [pointer]


def test_an_empty_audience(stack: Stack) -> None:
    problem(stack.http.post(SEND, json={"to": {}, "alert": {"body": "x"}}), 422, "invalid")


def test_an_unknown_app(stack: Stack) -> None:
    problem(stack.http.post("/v1/apps/absent/notifications", json={"to": {"users": ["a"]}}), 404, "not_found")


def test_a_payload_that_no_push_service_takes(stack: Stack) -> None:
    stack.gateway.json("device", "put", "big", "--app", APP, "--user", "big", "--target", f"apns={'b1' * 32}")
    body = {"to": {"users": ["big"]}, "alert": {"body": "x" * 5000}}
    found = problem(stack.http.post(SEND, json=body), 422, "payload_too_large")
    assert found["errors"]


def test_no_key(stack: Stack) -> None:
    answer = httpx2.post(f"{stack.gateway.address}{SEND}", json={"to": {"users": ["a"]}}, trust_env=False, timeout=60)
    problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_an_unknown_key(stack: Stack) -> None:
    answer = stack.http.get("/v1/apps", headers={"authorization": "Bearer wk_" + "x" * 43})
    problem(answer, 401, "unauthenticated")


def test_an_expired_key(stack: Stack) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=2)
    made = stack.http.post("/v1/keys", json={"scopes": ["read"], "expires": soon.isoformat()}).raise_for_status().json()
    headers = {"authorization": f"Bearer {made['key']}"}

    def over() -> httpx2.Response | None:
        answer = stack.http.get("/v1/apps", headers=headers)
        return answer if answer.status_code != 200 else None

    found = problem(until(over, "the key is over"), 401, "unauthenticated")
    assert datetime.now(UTC) >= soon
    assert "expired" in found["detail"]


def test_a_revoked_key(stack: Stack) -> None:
    made = stack.http.post("/v1/keys", json={"scopes": ["read"]}).raise_for_status().json()
    stack.gateway.json("key", "revoke", made["id"])
    answer = stack.http.get("/v1/apps", headers={"authorization": f"Bearer {made['key']}"})
    found = problem(answer, 401, "unauthenticated")
    assert "revoked" in found["detail"]


def test_a_key_that_is_too_narrow(stack: Stack) -> None:
    with stack.gateway.client("read") as reader:
        found = problem(reader.post(SEND, json={"to": {"users": ["a"]}, "alert": {"body": "x"}}), 403, "not_allowed")
    assert "send" in found["detail"]


def test_a_key_that_is_bound_to_another_app_does_not_learn_that_this_one_exists(stack: Stack) -> None:
    stack.gateway.json("app", "create", "other-app")
    key = stack.gateway.json("key", "create", "--scope", "send", "--app", "other-app")["key"]
    answer = stack.http.post(SEND, json={"to": {"users": ["a"]}}, headers={"authorization": f"Bearer {key}"})
    problem(answer, 404, "not_found")


def test_a_wrong_method_and_an_unknown_path(stack: Stack) -> None:
    answer = stack.http.put("/v1/apps", json={})
    problem(answer, 405, "method_not_allowed")
    assert "POST" in answer.headers["allow"]
    problem(stack.http.get("/v1/nothing"), 404, "not_found")


def test_a_body_in_another_form(stack: Stack) -> None:
    answer = stack.http.post(SEND, content=b"to=a", headers={"content-type": "application/x-www-form-urlencoded"})
    problem(answer, 415, "unsupported_media_type")
