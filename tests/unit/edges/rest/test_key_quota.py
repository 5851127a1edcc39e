"""A key with a quota: so many notifications an hour, as one or as lines, and not one more; what is not taken counts for nothing."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from unit.edges.rest.gateway import Gateway

pytestmark = pytest.mark.anyio

PATH = "/v1/apps/acme-chat/notifications"
ONE: dict[str, Any] = {"to": {"users": ["alice"]}, "alert": {"title": "Hello"}}


@pytest.fixture
async def acme(gateway: Gateway) -> Gateway:
    await gateway.with_app()
    return gateway


async def limited(gateway: Gateway, per_hour: int = 2) -> str:
    made = await gateway.call("POST", "/v1/keys", json={"scopes": ["send"], "per_hour": per_hour})
    assert (made.status_code, made.json()["per_hour"]) == (201, per_hour)
    return str(made.json()["key"])


async def send(gateway: Gateway, key: str, **headers: str) -> httpx2.Response:
    return await gateway.call("POST", PATH, key=key, json=ONE, headers=headers)


async def test_beyond_its_quota_a_key_waits_and_others_do_not(acme: Gateway) -> None:
    key, other = await limited(acme), await limited(acme)
    answers = [(await send(acme, key)).status_code for _ in range(3)]
    refused = await send(acme, key)

    assert answers == [202, 202, 429]
    assert refused.json()["code"] == "rate_limited"
    assert refused.json()["fix"]
    assert 1790 <= int(refused.headers["retry-after"]) <= 1800
    assert (await send(acme, other)).status_code == 202
    acme.clock.advance(1800)
    assert [(await send(acme, key)).status_code for _ in range(2)] == [202, 429]


async def test_what_is_refused_or_answered_again_counts_for_nothing(acme: Gateway) -> None:
    key = await limited(acme)
    first = await send(acme, key, **{"idempotency-key": "one"})
    again = await send(acme, key, **{"idempotency-key": "one"})
    wrong = await acme.call("POST", PATH, key=key, json={"to": {"users": []}, "alert": {"title": "x"}})
    dry = await acme.call("POST", f"{PATH}?validate_only=true", key=key, json=ONE)

    assert (first.status_code, again.headers["idempotent-replayed"], wrong.status_code) == (202, "true", 422)
    assert dry.status_code == 200
    assert [(await send(acme, key)).status_code for _ in range(2)] == [202, 429]


async def test_each_line_counts_and_what_is_over_is_said_beside_the_others(acme: Gateway) -> None:
    key = await limited(acme, per_hour=3)
    lines = "\n".join(json.dumps(ONE) for _ in range(5))
    headers = {"content-type": "application/x-ndjson"}
    answer = (await acme.call("POST", PATH, key=key, content=lines, headers=headers)).json()

    assert [one["line"] for one in answer["accepted"]] == [1, 2, 3]
    assert [(one["line"], one["problem"]["code"]) for one in answer["rejected"]] == [
        (4, "rate_limited"),
        (5, "rate_limited"),
    ]


async def test_a_key_keeps_its_count_when_its_use_is_noted(acme: Gateway) -> None:
    key = await limited(acme, per_hour=1)
    assert (await send(acme, key)).status_code == 202
    acme.clock.advance(61)
    assert (await send(acme, key)).status_code == 429
    assert (await send(acme, key)).status_code == 429


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "many"])
async def test_a_quota_is_a_whole_number_above_zero(acme: Gateway, wrong: object) -> None:
    answer = await acme.call("POST", "/v1/keys", json={"scopes": ["send"], "per_hour": wrong})

    assert answer.status_code in {400, 422}
    assert answer.json()["errors"][0]["pointer"] == "/per_hour"


async def test_without_one_any_number_is_taken(acme: Gateway) -> None:
    made = await acme.call("POST", "/v1/keys", json={"scopes": ["send"]})

    assert made.json()["per_hour"] is None
    assert {(await send(acme, made.json()["key"])).status_code for _ in range(30)} == {202}


async def test_a_proxys_wishes_count_too_and_by_the_same_bucket(acme: Gateway) -> None:
    key = await limited(acme)
    wish = {
        "contact": f"<sip:bob@192.0.2.9;pn-provider=apns;pn-param=T.com.acme.chat;pn-prid={'ab' * 32}>",
        "event": "MESSAGE",
    }
    asked = [await acme.call("POST", "/v1/sip/push", key=key, json=wish | {"call_id": str(n)}) for n in range(2)]
    again = await acme.call("POST", "/v1/sip/push", key=key, json=wish | {"call_id": "2"})

    assert [one.status_code for one in asked] == [202, 202], asked[0].text
    assert again.status_code == 429
    assert (await send(acme, key)).status_code == 429
