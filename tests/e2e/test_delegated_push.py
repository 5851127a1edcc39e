"""Proxies that are not ours: what they ask for is what the push service gets, and a token that is gone is told."""

from __future__ import annotations

import uuid
from typing import Any

from acme import APP, BUNDLE, Stack
from contract import Caller, new_token, only_push, problem
from processes import until


def key_of(stack: Stack) -> str:
    """Return a key for this app alone: other tests give other apps the same bundle id."""
    key: str = stack.gateway.json("key", "create", "--scope", "send", "--app", APP)["key"]
    return key


def landed(stack: Stack, answer_id: str, token: str) -> dict[str, Any]:
    assert Caller(stack).settled(answer_id)["counts"]["accepted"] == 1
    return only_push(stack.simulator.requests(token))


def test_a_proxy_wakes_a_phone_by_its_contact(stack: Stack) -> None:
    token, call = new_token(), uuid.uuid4().hex
    contact = f"<sip:bob@10.0.0.1;pn-provider=apns;pn-param=ABCD1234.{BUNDLE}.voip;pn-prid={token}:voip>"
    body = {
        "contact": contact,
        "event": "INVITE",
        "call_id": call,
        "from": '"Al \\"A\\"" <sip:al@example.org>',
        "ttl": 30,
    }
    proof = {"authorization": f"Bearer {key_of(stack)}"}
    answers = [stack.http.post("/v1/sip/push", json=body, headers=proof) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    request = landed(stack, answers[0].json()["id"], token)
    assert request["headers"]["apns-push-type"] == "voip"
    assert request["headers"]["apns-topic"] == f"{BUNDLE}.voip"
    sent = request["body"]["aps"].pop("send-time")
    assert len(sent) == len("2026-01-01 00:00:00")
    assert request["body"] == {
        "aps": {"sound": "", "loc-key": "IC_MSG", "loc-args": ['Al "A"'], "call-id": call, "uuid": ""},
        "from-uri": "sip:al@example.org",
        "display-name": 'Al "A"',
        "pn_ttl": 30,
        "customPayload": {},
    }


def test_a_flexisip_delegates_a_message_and_hears_of_a_token_that_is_gone(stack: Stack) -> None:
    token = new_token()
    query = {
        "key": key_of(stack),
        "type": "apple",
        "token": token,
        "app-id": f"{BUNDLE}.prod",
        "event": "message",
        "call-id": token,
    }
    taken = stack.http.get("/flexisip", params=query, headers={"authorization": ""})
    assert taken.status_code == 200, taken.text
    request = landed(stack, taken.json()["id"], token)
    assert request["headers"]["apns-push-type"] == "alert"
    assert request["body"]["aps"]["alert"] == {"loc-key": "IM_MSG", "loc-args": [""]}

    stack.simulator.script(token, {"status": 410, "reason": "Unregistered"})
    last = stack.http.post("/flexisip", params={**query, "call-id": f"{token}2"}, content=b"Hello")
    assert last.status_code == 200
    Caller(stack).settled(last.json()["id"])

    def is_judged() -> bool:  # what an answer says of a token is written in the commit after that of the delivery
        asked = {"q": f"token:{token}", "app": APP}
        return "410" in stack.http.get("/v1/explain", params=asked).raise_for_status().json()["verdict"]

    until(is_judged, "the answer speaks against the token")
    problem(stack.http.get("/flexisip", params={**query, "call-id": f"{token}3"}), 410, "token_gone")
