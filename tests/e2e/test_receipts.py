"""From the push as a phone gets it to its receipt, and the inbox of a phone, against the real processes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from acme import Stack
from contract import Caller, Phone, feed, own_app, problem


def with_receipts(stack: Stack) -> Caller:
    caller = own_app(stack)
    caller.http.patch(caller.path, json={"settings": {"receipts": True}}).raise_for_status()
    return caller


def stranger(stack: Stack, **body: Any) -> Any:
    """Post a receipt as a phone that has no key."""
    return stack.http.post("/v1/receipts", json=body, headers={"authorization": ""})


def borne(caller: Caller, phone: Phone) -> dict[str, str]:
    """Return what the last push to a phone bore for its receipt."""
    body = caller.received(phone)[-1]["body"]
    body = json.loads(body) if isinstance(body, str) else body
    found = json.loads(body["message"]["data"]["wakeline"]) if "message" in body else body["wakeline"]
    return dict(found)


@pytest.mark.parametrize("kind", ["apns", "fcm"])
def test_a_phone_says_with_what_its_push_bore_that_it_has_it(stack: Stack, kind: str) -> None:
    caller = with_receipts(stack)
    phone = caller.phone(kind)
    id_ = caller.send(phone, data={"room": "7"})
    caller.settled(id_)
    push = borne(caller, phone)

    answer = stranger(
        stack, notification=push["id"], receipt=push["receipt"], device=phone.device, status="acknowledged"
    )

    assert answer.status_code == 200, answer.text
    assert push["id"] == id_
    counts = caller.show(id_)["counts"]
    assert (counts["accepted"], counts["acknowledged"], counts["opened"]) == (1, 1, 0)
    assert "the device" in caller.explain(id_)["verdict"]
    problem(
        stranger(stack, notification=id_, receipt="x" * 22, device=phone.device, status="opened"),
        401,
        "unauthenticated",
    )


def test_receipts_are_events_for_who_follows(stack: Stack) -> None:
    caller = with_receipts(stack)
    phone = caller.phone()
    query = {"app": caller.app, "types": "push.acknowledged,push.opened"}
    with stack.http.stream("GET", "/v1/events", params=query, timeout=60) as answer:
        events = feed(answer)
        id_ = caller.send(phone)
        caller.settled(id_)
        for status in ("acknowledged", "opened", "opened"):
            body = {"notification": id_, "device": phone.device, "status": status}
            caller.http.post("/v1/receipts", json=body).raise_for_status()
        told = [next(events)["data"] for _ in range(2)]

    assert [one["type"] for one in told] == ["push.acknowledged", "push.opened"]
    assert {(one["data"]["notification"], one["data"]["device"]) for one in told} == {(id_, phone.device)}
    assert {one["data"]["outcome"]["class"] for one in told} == {"accepted"}


def test_a_phone_reads_its_inbox_and_acknowledges_it(stack: Stack) -> None:
    caller = with_receipts(stack)
    phone = caller.phone()
    token = caller.http.post(f"{caller.path}/device-tokens", json={"user": phone.user, "device": phone.device}).json()
    bearer = {"authorization": f"Bearer {token['token']}"}
    sent = [caller.send(phone, alert={"title": f"message {number}"}) for number in range(3)]
    for id_ in sent:
        caller.settled(id_)

    first = stack.http.get("/v1/inbox", params={"limit": 2}, headers=bearer).json()
    rest = stack.http.get("/v1/inbox", params={"after": first["next_after"]}, headers=bearer).json()
    receipts = [{"notification": id_, "status": "acknowledged"} for id_ in sent[:2]]
    taken = stack.http.post("/v1/receipts", json={"receipts": receipts}, headers=bearer).json()
    after = stack.http.get("/v1/inbox", headers=bearer).json()

    shown = [*first["notifications"], *rest["notifications"]]
    assert [one["alert"]["title"] for one in shown] == ["message 0", "message 1", "message 2"]
    assert [one["id"] for one in shown] == sent
    assert (len(taken["accepted"]), taken["rejected"]) == (2, [])
    assert [one["id"] for one in after["notifications"]] == sent[2:]


def test_receipts_are_counted_and_timed(stack: Stack) -> None:
    caller = with_receipts(stack)
    phone = caller.phone("fcm")
    id_ = caller.send(phone)
    caller.settled(id_)

    def count(name: str) -> float:
        lines = stack.http.get("/metrics").text.splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(name)), 0.0)

    counter = 'wakeline_receipts_total{kind="opened",provider="fcm"}'
    before = count(counter), count('wakeline_receipt_seconds_count{provider="fcm"}')
    for _ in range(2):
        body = {"notification": id_, "device": phone.device, "status": "opened"}
        caller.http.post("/v1/receipts", json=body).raise_for_status()

    assert count(counter) == before[0] + 1
    assert count('wakeline_receipt_seconds_count{provider="fcm"}') == before[1] + 1
