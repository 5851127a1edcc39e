"""Idempotency-Key on every POST: replayed, refused for another body, and never a secret twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from acme import APP, Stack
from contract import Caller, new_token, problem

SEND = f"/v1/apps/{APP}/notifications"


def key() -> dict[str, str]:
    return {"idempotency-key": new_token()}


def test_the_same_body_is_sent_once_and_answered_alike(stack: Stack) -> None:
    caller, again = Caller(stack), key()
    phone = caller.phone()
    body = {"to": {"users": [phone.user]}, "alert": {"body": "once"}}
    first, second = (caller.http.post(SEND, json=body, headers=again) for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 202)
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert first.content == second.content
    caller.settled(first.json()["id"])
    assert len(caller.received(phone)) == 1


def test_another_body_under_the_same_key_is_422(stack: Stack) -> None:
    again = key()
    body = {"to": {"users": ["x"]}, "alert": {"body": "one"}}
    stack.http.post(SEND, json=body, headers=again).raise_for_status()
    other = stack.http.post(SEND, json=body | {"alert": {"body": "two"}}, headers=again)
    problem(other, 422, "idempotency_mismatch")


def test_a_key_is_kept_apart_for_each_path_and_each_caller(stack: Stack) -> None:
    again = key()
    body = {"to": {"users": ["x"]}, "alert": {"body": "one"}}
    mine = stack.http.post(SEND, json=body, headers=again).json()["id"]
    with stack.gateway.client("send") as other:
        theirs = other.post(SEND, json=body, headers=again)
    made = stack.http.post("/v1/apps", json={"id": "kept-apart"}, headers=again)
    assert theirs.status_code == 202
    assert theirs.json()["id"] != mine
    assert made.status_code == 201


def test_what_was_refused_may_be_corrected_under_the_same_key(stack: Stack) -> None:
    again = key()
    problem(stack.http.post(SEND, json={"to": {}}, headers=again), 422, "invalid", "/to")
    right = {"to": {"users": ["x"]}, "alert": {"body": "x"}}
    assert stack.http.post(SEND, json=right, headers=again).status_code == 202


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/keys", {"scopes": ["read"]}),
        (f"/v1/apps/{APP}/device-tokens", {"user": "u", "device": "secret-bearer"}),
    ],
)
def test_an_answer_with_a_secret_is_not_given_twice(stack: Stack, path: str, body: dict[str, object]) -> None:
    again = key()
    first = stack.http.post(path, json=body, headers=again)
    assert first.status_code == 201
    found = problem(stack.http.post(path, json=body, headers=again), 409, "secret_not_replayed")
    assert found["id"] == first.json().get("id", first.json().get("device"))


@pytest.mark.parametrize("value", [b"", b"x" * 256, "caf\u00e9".encode()])
def test_a_key_that_is_no_key_is_422(stack: Stack, value: bytes) -> None:
    body = {"to": {"users": ["x"]}, "alert": {"body": "x"}}
    problem(stack.http.post(SEND, json=body, headers={b"idempotency-key": value}), 422, "invalid")


def test_twins_that_race_make_one_notification(stack: Stack) -> None:
    again = key()
    body = {"to": {"users": ["x"]}, "alert": {"body": "raced"}}
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: stack.http.post(SEND, json=body, headers=again), range(32)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 202}) == 1
    for answer in answers:
        if answer.status_code == 409:
            problem(answer, 409, "idempotency_running")
