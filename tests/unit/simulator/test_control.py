from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx2
import pytest

from wakeline.simulator.exchange import Answer, Request
from wakeline.simulator.journal import Journal

if TYPE_CHECKING:
    from unit.simulator.conftest import ApnsPeer

pytestmark = pytest.mark.anyio


async def test_requests_are_shown_as_received(peer: ApnsPeer, control: httpx2.AsyncClient) -> None:
    before = time.time() * 1000
    await peer.push("AB12", b'{"aps":{"badge":3}}', headers={"apns-collapse-id": "chat"})
    (entry,) = (await control.get("/requests")).json()
    assert (entry["provider"], entry["target"], entry["path"]) == ("apns", "AB12", "/3/device/AB12")
    assert entry["body"] == {"aps": {"badge": 3}}
    assert entry["headers"]["apns-collapse-id"] == "chat"
    assert entry["headers"]["authorization"] == peer.authorization
    assert before - 1 <= entry["at"] <= time.time() * 1000
    assert (entry["status"], entry["reason"]) == (200, "")


async def test_a_body_that_is_not_json_is_shown_as_text(peer: ApnsPeer, control: httpx2.AsyncClient) -> None:
    await peer.push(body=b"{oops")
    assert (await control.get("/requests")).json()[0]["body"] == "{oops"


async def test_requests_are_the_newest_in_the_order_they_came(peer: ApnsPeer, control: httpx2.AsyncClient) -> None:
    for token in ("aa", "bb", "AA", "cc"):
        await peer.push(token)
    listed = (await control.get("/requests", params={"limit": 2})).json()
    of_one = (await control.get("/requests", params={"target": "aa"})).json()
    assert [entry["target"] for entry in listed] == ["AA", "cc"]
    assert [entry["target"] for entry in of_one] == ["aa", "AA"]
    assert (await control.get("/requests?limit=0")).json() == []


async def test_counts_say_what_was_answered(peer: ApnsPeer, control: httpx2.AsyncClient) -> None:
    await control.post("/script", json={"target": "aa", "answers": [{"status": 410}]})
    for token in ("aa", "aa", "zz"):
        await peer.push(token)
    counts = (await control.get("/counts")).json()
    assert counts["total"] == 3
    assert counts["apns"] == {
        "requests": 3,
        "connections": 1,
        "answers": {"200": 1, "400 BadDeviceToken": 1, "410 Unregistered": 1},
    }


async def test_compact_rows_can_be_followed(peer: ApnsPeer, control: httpx2.AsyncClient) -> None:
    identities = [f"00000000-0000-0000-0000-00000000000{n}" for n in range(3)]
    for identity, token in zip(identities, ("aa", "zz", "cc"), strict=True):
        await peer.push(token, headers={"apns-id": identity, "apns-collapse-id": f"c-{token}"})
    first = (await control.get("/ids")).json()
    assert first == {
        "next": 3,
        "rows": [[i, f"c-{t}", t] for i, t in zip(identities, ("aa", "zz", "cc"), strict=True)],
    }
    accepted = (await control.get("/ids", params={"since": 1, "status": 200})).json()
    assert accepted["rows"] == [[identities[2], "c-cc", "cc"]]
    assert (await control.get("/ids", params={"since": 3})).json() == {"next": 3, "rows": []}


async def test_reset_forgets_scripts_behaviour_trust_and_requests(peer: ApnsPeer, control: httpx2.AsyncClient) -> None:
    await peer.push()
    await control.post("/script", json={"target": "ab12", "answers": [{"status": 410}]})
    await control.post("/behave", json={"provider": "apns", "silent": True})
    await control.post("/trust", json={"apns_keys": []})
    await control.post("/environment", json={"target": "ab12", "topic": "other"})
    await control.post("/reset")
    assert (await control.get("/requests")).json() == []
    assert (await control.get("/counts")).json()["total"] == 0
    assert (await peer.push()).status == 200


async def test_a_new_script_takes_the_place_of_the_old(peer: ApnsPeer, control: httpx2.AsyncClient) -> None:
    old, new = ({"target": "ab12", "answers": [{"status": status, "times": 9}]} for status in (500, 503))
    await control.post("/script", json=[old, new])
    assert (await peer.push()).status == 503
    await control.post("/script", json={"target": "ab12", "answers": []})
    assert (await peer.push()).status == 200


async def test_behaviour_changes_only_where_given_and_null_is_the_default(control: httpx2.AsyncClient) -> None:
    await control.post("/behave", json={"provider": "fcm", "max_streams": 5, "min_latency_ms": 2.5})
    told = (await control.post("/behave", json={"provider": "fcm", "max_streams": None})).json()
    assert (told["fcm"]["max_streams"], told["fcm"]["min_latency_ms"]) == (100, 2.5)
    assert told["apns"]["min_latency_ms"] == 0
    everywhere = (await control.post("/behave", json={"min_latency_ms": 1})).json()
    assert {behaviour["min_latency_ms"] for behaviour in everywhere.values()} == {1}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/script", {"answers": []}),
        ("/script", {"target": "", "answers": []}),
        ("/script", {"target": "*", "answers": []}),
        ("/script", {"target": "a", "answers": [{"status": 99}]}),
        ("/script", {"target": "a", "answers": [{"times": 0}]}),
        ("/script", {"target": "a", "answers": [{"reset": "SOMEHOW"}]}),
        ("/script", {"target": "a", "answers": [{"stauts": 410}]}),
        ("/behave", {"provider": "apple"}),
        ("/behave", {"goaway": 1}),
        ("/trust", {"apns_certificates": ["not hex"]}),
        ("/trust", {"apns_certificates": ["abcd"]}),
        ("/trust", {"apns_keys": [{"key_id": "a", "team_id": "b", "public_key_pem": "x"}]}),
        ("/environment", {"target": "a", "environment": "staging"}),
        ("/disconnect", {"provider": "apple"}),
    ],
)
async def test_what_cannot_be_understood_is_refused_in_words(
    control: httpx2.AsyncClient, path: str, body: dict[str, object]
) -> None:
    reply = await control.post(path, json=body)
    assert reply.status_code == 422
    assert reply.json()["error"]


async def test_bad_numbers_unknown_paths_and_wrong_methods_are_told_apart(control: httpx2.AsyncClient) -> None:
    statuses = [
        (await control.get("/requests?limit=x")).status_code,
        (await control.get("/requests?limit=-1")).status_code,
        (await control.post("/script", content=b"{")).status_code,
        (await control.get("/nowhere")).status_code,
        (await control.get("/script")).status_code,
    ]
    assert statuses == [422, 422, 422, 404, 405]


def test_the_journal_keeps_the_newest_and_counts_all() -> None:
    journal = Journal(requests_kept=3, rows_kept=4)
    for number in range(10):
        answer = Answer(200, provider="apns", target=f"a{number}", identity=str(number))
        journal.record(float(number), 1, Request("POST", "/3/device/aa", {}, b"{}"), answer)
    assert journal.requests().count(b'"provider"') == 3
    assert journal.rows(since=2) == (10, [(str(n), "", f"a{n}") for n in range(6, 10)])
    assert journal.rows(since=8) == (10, [("8", "", "a8"), ("9", "", "a9")])
    assert journal.counts(["apns"])["total"] == 10
