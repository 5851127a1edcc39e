"""A Bitrix24 client against a running gateway: the call of Bitrix24's own documentation, from a token to the phones."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from acme import APP, Stack
from contract import Caller
from processes import until

PUSH = "pull.application.push.add"
ADMINISTRATOR, FIRST, SECOND = "1", "470001", "470002"


@pytest.fixture(scope="module")
def application(stack: Stack) -> dict[str, Any]:
    made: dict[str, Any] = stack.gateway.json(
        "bitrix24", "application", "create", "--name", "Sales", "--app", APP, "--redirect-uri", "https://app.test/back"
    )
    return made


@pytest.fixture(scope="module")
def token(stack: Stack, application: dict[str, Any]) -> str:
    made = stack.gateway.json(
        *("bitrix24", "token", "create", "--application", application["client_id"], "--user", ADMINISTRATOR, "--admin")
    )
    found: str = made["access_token"]
    return found


def ask(stack: Stack, body: dict[str, Any]) -> httpx2.Response:
    """Call the method as the documentation's curl does; nothing but the token says who asks."""
    return httpx2.post(
        f"{stack.gateway.address}/rest/{PUSH}.json",
        content=json.dumps(body),
        headers={"content-type": "application/json"},
        trust_env=False,
        timeout=60,
    )


def test_the_documented_call_reaches_iphones_and_androids(
    stack: Stack, application: dict[str, Any], token: str
) -> None:
    caller, face = Caller(stack), "https://example.com/images/avatar.png"
    apple, google = caller.phone(user=FIRST), caller.phone("fcm", user=SECOND)
    body = {"USER_ID": [int(FIRST), int(SECOND), 470003], "TEXT": "Hello, world!", "AVATAR": face, "auth": token}
    answer = ask(stack, body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["result"] is True
    [request] = until(lambda: caller.received(apple) or None, "Apple has the push")
    assert request["body"]["aps"]["alert"] == {"title": "Sales", "body": "Hello, world!"}
    assert request["body"]["aps"]["mutable-content"] == 1
    assert (request["body"]["avatarUrl"], request["body"]["group"]) == (face, application["client_id"])
    [request] = until(lambda: caller.received(google) or None, "Google has the push")
    assert request["body"]["message"]["notification"] == {"title": "Sales", "body": "Hello, world!", "image": face}


def test_a_call_that_its_sdk_repeats_is_one_push(stack: Stack, token: str) -> None:
    caller = Caller(stack)
    phone = caller.phone(user="470004")
    for said in ("019a-1", "019a-1", "019a-2"):
        body = {"USER_ID": 470004, "TEXT": "Hello", "auth": token, "bx24_request_id": said}
        assert ask(stack, body).json()["result"] is True
    until(lambda: caller.received(phone)[1:] or None, "Apple has both pushes")
    assert len(caller.received(phone)) == 2


def test_a_push_for_nobody_is_true_and_the_log_leads_to_the_reason(stack: Stack, token: str) -> None:
    before = len(stack.gateway.events("bitrix24.nobody_reached"))
    assert ask(stack, {"USER_ID": 479999, "TEXT": "Hello", "auth": token}).json()["result"] is True
    lines = until(
        lambda: stack.gateway.events("bitrix24.nobody_reached")[before:] or None, "the log says that nobody was reached"
    )
    explained = Caller(stack).explain(lines[0]["notification"])
    assert "479999" in json.dumps(explained)


def test_a_webhook_over_plain_http_is_refused_in_the_documentations_words(stack: Stack) -> None:
    made = stack.gateway.json("bitrix24", "webhook", "create", "--user", ADMINISTRATOR, "--scope", "pull")
    path = made["url"].partition("/rest/")[2]
    answer = httpx2.post(
        f"{stack.gateway.address}/rest/{path}{PUSH}", json={"USER_ID": 1, "TEXT": "Hello"}, trust_env=False, timeout=60
    )
    assert answer.status_code == 400
    assert answer.json() == {"error": "INVALID_REQUEST", "error_description": "Https required"}
