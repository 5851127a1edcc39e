from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import httpx2
import pytest

from unit.edges.rest.gateway import START, TOKEN, Gateway, opened
from wakeline.config import Settings
from wakeline.config.tree import QueueSection
from wakeline.edges.rest.moments import moment
from wakeline.model.errors import StoreUnavailable
from wakeline.model.key import Scope

pytestmark = pytest.mark.anyio

PATH = "/v1/apps/acme-chat/notifications"
HELLO = {"to": {"users": ["alice"]}, "alert": {"title": "Hello"}}


@pytest.fixture
async def app(gateway: Gateway) -> Gateway:
    await gateway.with_app()
    return gateway


async def lines(app: Gateway, *given: Any, **more: Any) -> httpx2.Response:
    body = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in given)
    headers = {"content-type": "application/x-ndjson", **more.pop("headers", {})}
    return await app.call("POST", PATH, content=body, headers=headers, **more)


async def test_a_notification_is_taken_with_its_exact_count(app: Gateway) -> None:
    answer = await app.call("POST", PATH, json=HELLO)

    assert answer.status_code == 202
    assert answer.json()["recipients"] == 1
    assert answer.json()["id"][14] == "7"
    assert await app.store.queue.pending() == 1


async def test_everyone_gets_an_estimate(app: Gateway) -> None:
    answer = await app.call("POST", PATH, json={"to": {"everyone": True}, "alert": {"title": "x"}})

    assert answer.status_code == 202
    assert answer.json()["estimate"] == 1
    assert "recipients" not in answer.json()


async def test_a_repeat_with_its_key_is_sent_once(app: Gateway) -> None:
    first = await app.call("POST", PATH, json=HELLO, headers={"idempotency-key": "a"})
    again = await app.call("POST", PATH, json=HELLO, headers={"idempotency-key": "a"})
    other = await app.call("POST", PATH, json={**HELLO, "ttl": 1}, headers={"idempotency-key": "a"})

    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert other.json()["code"] == "idempotency_mismatch"
    assert await app.store.queue.pending() == 1


async def test_a_limited_call_is_told_at_once_with_its_code(app: Gateway) -> None:
    await app.call("PUT", "/v1/apps/acme-chat/devices/ios-1/targets/apns-voip", json={"value": "cd" * 32})
    body = {"to": {"users": ["alice"]}, "call": {"id": "c1", "caller": "Bob"}}
    answers = [(await app.call("POST", PATH, json=body)).json() for _ in range(7)]

    assert all("failures" not in answer for answer in answers[:6])
    assert [failure["code"] for failure in answers[6]["failures"]] == [914]
    shown = (await app.call("GET", f"{PATH}/{answers[6]['id']}")).json()
    assert (shown["state"], shown["counts"]["failed"]) == ("done", 1)
    assert shown["deliveries"][0]["outcome"]["code"] == 914


async def test_a_raw_token_is_the_same_in_any_spelling(app: Gateway) -> None:
    body = {"to": {"targets": [{"kind": "apns", "value": TOKEN.upper()}]}, "alert": {"title": "x"}}
    sent = (await app.call("POST", PATH, json=body)).json()

    shown = (await app.call("GET", f"{PATH}/{sent['id']}")).json()

    assert shown["deliveries"][0]["device"] == "ios-1"


async def test_an_app_without_a_credential_is_told_so(gateway: Gateway) -> None:
    await gateway.call("POST", "/v1/apps", json={"id": "acme-chat"})
    body = {"to": {"targets": [{"kind": "apns", "value": TOKEN}]}, "alert": {"title": "x"}}

    answer = await gateway.call("POST", PATH, json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "no_credential")


async def test_a_push_that_would_not_fit_names_the_field(app: Gateway) -> None:
    answer = await app.call("POST", PATH, json={**HELLO, "alert": {"title": "x", "body": "y" * 5000}})

    assert (answer.status_code, answer.json()["code"]) == (422, "payload_too_large")
    assert answer.json()["errors"][0]["pointer"] == "/alert/body"


async def test_validate_only_shows_the_request_and_sends_nothing(app: Gateway) -> None:
    answer = await app.call("POST", f"{PATH}?validate_only=true", json=HELLO)

    assert answer.status_code == 200
    [request] = answer.json()["requests"]
    assert (request["device"], request["target"], request["host"]) == ("ios-1", "apns", "production.example")
    assert request["request"]["method"] == "POST"
    credentials = (await app.call("GET", "/v1/apps/acme-chat/credentials")).json()["credentials"]
    assert request["credential"] == credentials[0]["id"]
    assert await app.store.queue.pending() == 0


async def test_a_failed_commit_is_503_and_may_be_repeated(app: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(_admissions: Any) -> Any:
        raise StoreUnavailable("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(app.store.acceptance, "accept", full)
        answer = await app.call("POST", PATH, json=HELLO)
        streamed = await lines(app, HELLO)

    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert streamed.status_code == 202
    assert streamed.json()["rejected"][0]["problem"]["code"] == "store_unavailable"


class TestNdjson:
    """Many at once: each line for itself."""

    async def test_each_line_is_answered_by_its_number(self, app: Gateway) -> None:
        answer = await lines(app, HELLO, b"", b"{broken", {"to": {}}, {**HELLO, "x": 1}, HELLO)

        assert answer.status_code == 202
        result = answer.json()
        assert [line["line"] for line in result["accepted"]] == [1, 6]
        assert [(line["line"], line["problem"]["code"]) for line in result["rejected"]] == [
            (3, "malformed"),
            (4, "invalid"),
            (5, "invalid"),
        ]
        assert result["rejected"][2]["problem"]["errors"][0]["pointer"] == "/x"

    async def test_what_is_taken_is_there(self, app: Gateway) -> None:
        answer = await lines(app, HELLO, HELLO)

        for line in answer.json()["accepted"]:
            assert (await app.call("GET", f"{PATH}/{line['id']}")).status_code == 200

    async def test_a_line_over_64_kib_is_rejected_and_the_next_is_taken(self, app: Gateway) -> None:
        long = {**HELLO, "data": {"x": "y" * 70_000}}
        answer = await lines(app, long, HELLO, long)

        assert [line["line"] for line in answer.json()["accepted"]] == [2]
        assert [(line["line"], line["problem"]["code"]) for line in answer.json()["rejected"]] == [
            (1, "body_too_large"),
            (3, "body_too_large"),
        ]

    async def test_it_is_read_as_it_comes_and_committed_a_thousand_at_a_time_at_most(self, app: Gateway) -> None:
        await app.call("PATCH", "/v1/apps/acme-chat", json={"settings": {"limits": False}})
        line = json.dumps(HELLO).encode() + b"\n"
        depths: list[int] = []

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(30):
                yield line * 100 + line[:7]
                depths.append(await app.store.queue.pending())
                yield line[7:]

        answer = await app.call("POST", PATH, content=pieces(), headers={"content-type": "application/x-ndjson"})

        assert len(answer.json()["accepted"]) == 3030
        seen = sorted({0, *depths})
        assert seen[-1] > 2000
        assert all(0 < later - earlier <= 1000 for earlier, later in pairwise(seen))

    async def test_a_body_without_end_of_line_and_over_a_mebibyte_is_taken(self, app: Gateway) -> None:
        padded = {**HELLO, "data": {"pad": "x" * 1000}}
        answer = await lines(app, *[padded] * 1100)

        assert len(answer.json()["accepted"]) == 1100

    async def test_a_stream_of_wrong_lines_is_not_read_for_ever_and_lets_others_in(self, app: Gateway) -> None:
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        good = b'{"to":{"users":["alice"]},"alert":{"title":"hi"}}\n'
        task = asyncio.create_task(others())
        answer = await app.call(
            "POST", PATH, content=good + b"1\n" * 10_005 + good, headers={"content-type": "application/x-ndjson"}
        )
        task.cancel()

        body = answer.json()
        assert [entry["line"] for entry in body["accepted"]] == [1]
        assert len(body["rejected"]) == 10_001
        assert body["rejected"][-1]["line"] == 10_002
        assert body["rejected"][-1]["problem"]["code"] == "body_too_large"
        assert answer.headers["connection"] == "close"
        assert turns > 100

    async def test_lines_are_idempotent_by_key_and_number(self, app: Gateway) -> None:
        mark = {"idempotency-key": "batch-1"}

        first = await lines(app, HELLO, HELLO, headers=mark)
        again = await lines(app, HELLO, HELLO, headers=mark)
        changed = await lines(app, HELLO, {**HELLO, "ttl": 5}, HELLO, headers=mark)

        assert again.json() == first.json()
        assert again.headers["idempotent-replayed"] == "true"
        assert [line["line"] for line in changed.json()["accepted"]] == [1, 3]
        assert changed.json()["rejected"][0]["problem"]["code"] == "idempotency_mismatch"
        assert await app.store.queue.pending() == 3

    async def test_validate_only_never_sends_a_stream(self, app: Gateway) -> None:
        body = json.dumps(HELLO).encode()
        answer = await app.call(
            "POST", f"{PATH}?validate_only=true", content=body, headers={"content-type": "application/x-ndjson"}
        )

        assert answer.status_code == 422
        assert await app.store.queue.pending() == 0


async def test_a_full_queue_is_said_early() -> None:
    full = await opened(Settings(queue=QueueSection(max_pending=1)))
    await full.with_app()
    first, second = await full.call("POST", PATH, json=HELLO), await full.call("POST", PATH, json=HELLO)

    assert (first.status_code, second.status_code) == (202, 503)
    assert second.json()["code"] == "overloaded"
    assert int(second.headers["retry-after"]) > 0


async def test_a_notification_is_shown_with_counts_and_deliveries(app: Gateway) -> None:
    sent = (await app.call("POST", PATH, json=HELLO)).json()

    shown = (await app.call("GET", f"{PATH}/{sent['id']}")).json()

    assert (shown["id"], shown["state"], shown["type"], shown["lane"]) == (sent["id"], "running", "alert", "alert")
    assert set(shown["counts"]) == {
        "accepted", "acknowledged", "opened", "failed", "pending", "held", "scheduled", "expired", "cancelled", "superseded",
        "skipped",
    }  # fmt: skip
    assert shown["counts"]["pending"] == 1
    [delivery] = shown["deliveries"]
    assert (delivery["device"], delivery["target"], delivery["state"]) == ("ios-1", "apns", "queued")
    assert delivery["attempts"] == []


async def test_deliveries_are_listed_by_state(app: Gateway) -> None:
    sent = (await app.call("POST", PATH, json=HELLO)).json()
    path = f"{PATH}/{sent['id']}/deliveries"

    queued = await app.call("GET", path, params={"state": "queued"})
    failed = await app.call("GET", path, params={"state": "failed"})

    assert len(queued.json()["deliveries"]) == 1
    assert failed.json() == {"deliveries": [], "next_cursor": None}


async def test_what_is_not_sent_can_be_cancelled(app: Gateway) -> None:
    sent = (
        await app.call("POST", PATH, json={**HELLO, "send_at": moment(START + 60_000).isoformat(), "ttl": 60})
    ).json()
    before = (await app.call("GET", f"{PATH}/{sent['id']}")).json()

    cancelled = await app.call("DELETE", f"{PATH}/{sent['id']}")
    after = (await app.call("GET", f"{PATH}/{sent['id']}")).json()

    assert before["state"] == "scheduled"
    assert (cancelled.json()["cancelled"], cancelled.json()["in_flight"]) == (1, 0)
    assert (after["state"], after["counts"]["cancelled"]) == ("cancelled", 1)


@pytest.mark.parametrize("wanted", ["none", "0190163d-8694-739b-aea5-966c26f8ad91", "%00"])
async def test_an_id_that_is_not_ours_is_404(app: Gateway, wanted: str) -> None:
    for method, path in (("GET", ""), ("GET", "/deliveries"), ("GET", "/explain"), ("DELETE", "")):
        assert (await app.call(method, f"{PATH}/{wanted}{path}")).status_code == 404


async def test_a_notification_of_another_app_is_not_there(app: Gateway) -> None:
    await app.call("POST", "/v1/apps", json={"id": "other"})
    sent = (await app.call("POST", PATH, json=HELLO)).json()

    assert (await app.call("GET", f"/v1/apps/other/notifications/{sent['id']}")).status_code == 404


async def test_the_sender_may_see_what_it_sent(app: Gateway) -> None:
    key = await app.key(Scope.SEND, apps=("acme-chat",))
    sent = await app.call("POST", PATH, json=HELLO, key=key)

    assert (await app.call("GET", f"{PATH}/{sent.json()['id']}", key=key)).status_code == 200
