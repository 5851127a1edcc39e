"""A self-hosted portal whose push service is a running gateway: from its form to what Apple and Google receive."""

from __future__ import annotations

import time
import uuid
from typing import Any

import httpx2

from acme import APP, Stack
from contract import new_token
from portal_batch import APPLE, GOOGLE, apple, block, http
from processes import until


def received(stack: Stack, token: str) -> dict[str, Any]:
    """Return the one request that a push service got for a token."""
    [request] = until(lambda: stack.simulator.requests(token), "the push arrived")
    return request


def test_a_batch_of_modes_2_5_and_7_is_three_deliveries(stack: Stack) -> None:
    bound = stack.http.post("/v1/bitrix24/keys", json={"app": APP}).raise_for_status().json()
    alert, call, android = new_token(), new_token(), f"f:APA91{uuid.uuid4().hex}"
    expires = int(time.time()) + 43200
    message = {"message": GOOGLE["message"] | {"token": android}}
    batch = block(2, apple(APPLE, alert, expires=expires)) + block(5, apple(APPLE, call)) + block(7, http(message))

    answer = stack.http.post(bound["url"], data={"Action": "SendMessage", "MessageBody": batch})

    assert answer.status_code == 200, answer.text
    assert answer.text.startswith('<?xml version="1.0"?>')
    assert '<response taken="3" refused="0">' in answer.text
    seen = received(stack, alert)
    assert seen["body"] == APPLE
    assert seen["headers"]["apns-push-type"] == "alert"
    assert (
        abs(int(seen["headers"]["apns-expiration"]) - expires) <= 1
    )  # it is counted in whole seconds from when it was taken
    seen = received(stack, call)
    assert (seen["body"], seen["headers"]["apns-push-type"]) == (APPLE, "voip")
    assert received(stack, android)["body"] == message


def test_json_is_answered_with_a_notification_that_can_be_explained(stack: Stack) -> None:
    bound = stack.http.post("/v1/bitrix24/keys", json={"app": APP}).raise_for_status().json()
    token = new_token()
    push = {"key": bound["key"], "token": token, "platform": "ios", "payload": {"title": "Anna", "body": "won"}}

    with httpx2.Client(base_url=stack.http.base_url, trust_env=False, timeout=60) as stranger:
        answer = stranger.post("/bitrix24/pub/", json=[push])
        refused = stranger.post("/pub", json=push | {"key": "of nobody"})

    [taken] = answer.json()
    assert (answer.status_code, taken["result"], taken["token"]) == (200, "taken", token)
    assert received(stack, token)["body"]["aps"] == {"alert": {"title": "Anna", "body": "won"}}
    shown = stack.http.get(f"/v1/apps/{APP}/notifications/{taken['notification']}/explain")
    assert shown.status_code == 200
    assert refused.status_code == 401


def test_the_doctor_says_from_where_a_portal_comes(stack: Stack) -> None:
    name = f"Branch {uuid.uuid4().hex[:8]}"
    bound = stack.http.post("/v1/bitrix24/keys", json={"app": APP, "name": name}).raise_for_status().json()

    def lines() -> list[tuple[str, str]]:
        checks = stack.http.get("/v1/doctor").raise_for_status().json()["checks"]
        return [(one["status"], one["cause"]) for one in checks if one["name"] == f"push service {name}"]

    [(silent, _)] = lines()
    batch = block(2, apple(APPLE, new_token()), host="10.255.255.1")
    stack.http.post(bound["url"], data={"Action": "SendMessage", "MessageBody": batch}).raise_for_status()
    [(seen, where), (reached, _)] = until(lambda: lines()[1:] and lines(), "the portal's place is known")

    assert (silent, seen, reached) == ("warning", "ok", "skipped")
    assert where.startswith("Pushes come from 10.255.255.1 (127.0.0.1)")
    done = stack.gateway.cli("doctor", "--json")
    assert done.returncode in {0, 1}, done.stderr
    assert name in done.stdout
