"""Many notifications in one request: one a line, bad lines beside good ones, no limit in all."""

from __future__ import annotations

import json
from typing import Any

import httpx2

from acme import APP, Stack
from contract import Caller, new_token, problem

SEND = f"/v1/apps/{APP}/notifications"
NDJSON = {"content-type": "application/x-ndjson"}


def post(stack: Stack, lines: list[str], **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return stack.http.post(SEND, content="\n".join(lines).encode(), headers=NDJSON | named)


def line(user: str = "somebody", **more: Any) -> str:
    return json.dumps({"to": {"users": [user]}, "alert": {"body": "x"}} | more)


def test_ten_thousand_lines_are_taken_and_sent(stack: Stack) -> None:
    caller = Caller(stack)
    phone = caller.phone()
    answer = post(stack, [line(phone.user, data={"n": number}) for number in range(10_000)])
    assert answer.status_code == 202
    found = answer.json()
    assert [one["line"] for one in found["accepted"]] == list(range(1, 10_001))
    assert len({one["id"] for one in found["accepted"]}) == 10_000
    assert found["rejected"] == []
    for one in found["accepted"][-1], found["accepted"][0]:
        assert caller.settled(one["id"], 60)["counts"]["accepted"] == 1


def test_bad_lines_are_named_and_do_not_stop_the_others(stack: Stack) -> None:
    lines = [line(), "{", line(to={}), "", line(alert={"body": "x" * 70_000}), line(unknown=1), line()]
    answer = post(stack, lines)
    assert answer.status_code == 202
    found = answer.json()
    assert [one["line"] for one in found["accepted"]] == [1, 7]
    assert {one["line"]: (one["problem"]["status"], one["problem"]["code"]) for one in found["rejected"]} == {
        2: (400, "malformed"),
        3: (422, "invalid"),
        5: (413, "body_too_large"),
        6: (422, "invalid"),
    }
    pointers = {
        one["line"]: one["problem"]["errors"][0]["pointer"] for one in found["rejected"] if one["line"] in {3, 6}
    }
    assert pointers == {3: "/to", 6: "/unknown"}


def test_a_line_of_64_kib_is_read_and_one_byte_more_is_not(stack: Stack) -> None:
    def of(size: int) -> str:
        text = line()
        return text + " " * (size - len(text))

    found = post(stack, [of(65_536), of(65_537), line()]).json()
    assert [one["line"] for one in found["accepted"]] == [1, 3]
    assert [(one["line"], one["problem"]["code"]) for one in found["rejected"]] == [(2, "body_too_large")]


def test_a_line_is_idempotent_by_key_and_number(stack: Stack) -> None:
    caller, again = Caller(stack), new_token()
    phone = caller.phone()
    lines = [line(phone.user, data={"n": number}) for number in range(3)]
    first = post(stack, lines, idempotency_key=again)
    second = post(stack, lines, idempotency_key=again)
    assert first.json() == second.json()
    assert second.headers["idempotent-replayed"] == "true"
    third = post(stack, [lines[0], line(phone.user, data={"n": "other"}), lines[2]], idempotency_key=again).json()
    assert [one["line"] for one in third["accepted"]] == [1, 3]
    assert [(one["line"], one["problem"]["code"]) for one in third["rejected"]] == [(2, "idempotency_mismatch")]
    for one in first.json()["accepted"]:
        caller.settled(one["id"])
    assert len(caller.received(phone)) == 3


def test_lines_may_end_as_on_windows_and_the_last_without_an_end(stack: Stack) -> None:
    found = stack.http.post(SEND, content=f"{line()}\r\n{line()}".encode(), headers=NDJSON).json()
    assert [one["line"] for one in found["accepted"]] == [1, 2]


def test_lines_come_in_any_pieces(stack: Stack) -> None:
    text = "\n".join([line(data={"n": number}) for number in range(50)]).encode()
    pieces = (text[start : start + 97] for start in range(0, len(text), 97))
    answer = stack.http.post(SEND, content=pieces, headers=NDJSON)
    assert len(answer.json()["accepted"]) == 50


def test_lines_cannot_be_validated_only(stack: Stack) -> None:
    answer = stack.http.post(f"{SEND}?validate_only=true", content=line().encode(), headers=NDJSON)
    problem(answer, 422, "invalid", "/query/validate_only")
