from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

import httpx2
import msgspec
import pytest

if TYPE_CHECKING:
    from unit.simulator.conftest import ApnsPeer, Connect

pytestmark = pytest.mark.anyio

LONG = b'{"aps":{"alert":"%s"}}'


def payload(size: int) -> bytes:
    return LONG % (b"x" * (size - len(LONG) + 2))


async def test_success_has_no_body_and_the_requests_id_in_lower_case(peer: ApnsPeer) -> None:
    identity = str(uuid.uuid4())
    reply = await peer.push(headers={"apns-id": identity.upper()})
    assert (reply.status, reply.body, reply.headers["apns-id"]) == (200, b"", identity)


async def test_an_id_is_made_where_none_was_sent(peer: ApnsPeer) -> None:
    reply = await peer.push()
    assert str(uuid.UUID(reply.headers["apns-id"])) == reply.headers["apns-id"]


async def test_an_error_is_one_data_frame_of_json_with_the_id(peer: ApnsPeer) -> None:
    identity = str(uuid.uuid4())
    reply = await peer.push("not-hex", headers={"apns-id": identity})
    assert (reply.status, reply.headers["apns-id"]) == (400, identity)
    assert [msgspec.json.decode(frame) for frame in reply.frames] == [{"reason": "BadDeviceToken"}]


@pytest.mark.parametrize("how", [{"alpn": False}, {"tls": False}])
async def test_clients_without_alpn_or_tls_are_served(connect: Connect, how: dict[str, bool]) -> None:
    peer = await connect(**how)
    assert (await peer.push()).status == 200


async def test_host_does_for_authority_and_authority_for_host(peer: ApnsPeer) -> None:
    with_authority = [(":authority", "localhost"), ("authorization", str(peer.authorization)), ("apns-topic", "a.b")]
    stream = peer.request("/3/device/ab", with_authority, b"{}")
    assert (await peer.answer(stream)).status == (await peer.push()).status == 200


async def test_faults_are_found_in_the_order_credential_topic_headers_payload_token(peer: ApnsPeer) -> None:
    faults: dict[str, str | None] = {"authorization": None, "apns-topic": None, "apns-priority": "7"}
    repairs = ["authorization", "apns-topic", "apns-priority"]
    body, device, seen = b"", "zz", []
    for repair in [*repairs, "payload", "token", "nothing"]:
        reply = await peer.push(device, body, headers=faults)
        seen.append(reply.reason or str(reply.status))
        faults.pop(repair, None)
        body = b'{"aps":{}}' if repair == "payload" else body
        device = "ab" if repair == "token" else device
    assert seen == ["MissingProviderToken", "MissingTopic", "BadPriority", "PayloadEmpty", "BadDeviceToken", "200"]


@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [
        ({"apns-topic": "not a topic"}, 400, "BadTopic"),
        ({"apns-id": "1234"}, 400, "BadMessageId"),
        ({"apns-push-type": "banner"}, 400, "InvalidPushType"),
        ({"apns-priority": "2"}, 400, "BadPriority"),
        ({"apns-push-type": "background"}, 400, "BadPriority"),
        ({"apns-push-type": "background", "apns-priority": "10"}, 400, "BadPriority"),
        ({"apns-push-type": "background", "apns-priority": "5"}, 200, ""),
        ({"apns-priority": "1"}, 200, ""),
        ({"apns-expiration": "soon"}, 400, "BadExpirationDate"),
        ({"apns-expiration": "0"}, 200, ""),
        ({"apns-collapse-id": "c" * 64}, 200, ""),
        ({"apns-collapse-id": "c" * 65}, 400, "BadCollapseId"),
        ({"apns-collapse-id": "é" * 33}, 400, "BadCollapseId"),
        ({"apns-push-type": "voip"}, 400, "TopicDisallowed"),
        ({"apns-push-type": "voip", "apns-topic": "com.example.chat.voip"}, 200, ""),
        ({"apns-push-type": "liveactivity"}, 400, "TopicDisallowed"),
    ],
)
async def test_headers_are_judged(peer: ApnsPeer, headers: dict[str, str], status: int, reason: str) -> None:
    reply = await peer.push(headers=headers)
    assert (reply.status, reply.reason) == (status, reason)


async def test_a_header_sent_twice_is_refused(peer: ApnsPeer) -> None:
    stream = peer.send(extra=(("apns-priority", "5"), ("apns-priority", "5")))
    assert (await peer.answer(stream)).reason == "DuplicateHeaders"


@pytest.mark.parametrize(
    ("push_type", "topic", "limit"),
    [("alert", "com.example.chat", 4096), ("voip", "com.example.chat.voip", 5120)],
)
async def test_the_payload_limit_is_the_push_types(peer: ApnsPeer, push_type: str, topic: str, limit: int) -> None:
    headers = {"apns-push-type": push_type, "apns-topic": topic}
    fits = await peer.push(body=payload(limit), headers=headers)
    bursts = await peer.push(body=payload(limit + 1), headers=headers)
    assert (fits.status, bursts.status, bursts.reason) == (200, 413, "PayloadTooLarge")


@pytest.mark.parametrize("body", [b"not json", b"[]", b'{"aps":1}', b"\xff"])
async def test_a_payload_that_is_no_notification_is_refused(peer: ApnsPeer, body: bytes) -> None:
    assert (await peer.push(body=body)).status == 400


async def test_the_windows_taken_by_large_bodies_are_given_back(peer: ApnsPeer) -> None:
    replies = [await peer.push(body=payload(30_000)) for _ in range(6)]
    assert [reply.reason for reply in replies] == ["PayloadTooLarge"] * 6


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("POST", "/3/devices/ab", 404, "BadPath"),
        ("GET", "/3/device/ab", 405, "MethodNotAllowed"),
    ],
)
async def test_paths_and_methods_are_judged_first(
    peer: ApnsPeer, method: str, path: str, status: int, reason: str
) -> None:
    reply = await peer.answer(peer.request(path, [("host", "localhost")], b"", method))
    assert (reply.status, reply.reason) == (status, reason)


async def test_no_token_is_not_a_bad_token(peer: ApnsPeer) -> None:
    assert (await peer.push("")).reason == "MissingDeviceToken"


async def test_a_410_tells_when_and_now_unless_scripted(peer: ApnsPeer, control: httpx2.AsyncClient) -> None:
    answers = [{"status": 410}, {"status": 410, "reason": "ExpiredToken", "timestamp": 1_600_000_000_000}]
    await control.post("/script", json={"target": "AB12", "answers": answers})
    before = time.time() * 1000
    first, second, third = [msgspec.json.decode((await peer.push()).body or b"null") for _ in range(3)]
    assert first["reason"] == "Unregistered"
    assert before - 1 <= first["timestamp"] <= time.time() * 1000
    assert second == {"reason": "ExpiredToken", "timestamp": 1_600_000_000_000}
    assert third is None


async def test_a_script_is_played_in_order_and_then_answers_200(peer: ApnsPeer, control: httpx2.AsyncClient) -> None:
    answers = [
        {"status": 429, "times": 2, "headers": {"Retry-After": "3"}},
        {"status": 503, "reason": "Shutdown"},
        {"status": 400, "body": "<p>", "content_type": "text/html"},
    ]
    await control.post("/script", json={"target": "ab12", "answers": answers})
    replies = [await peer.push("AB12") for _ in range(5)]
    assert [reply.status for reply in replies] == [429, 429, 503, 400, 200]
    assert (replies[0].reason, replies[0].headers["retry-after"]) == ("TooManyRequests", "3")
    assert (replies[3].body, replies[3].headers["content-type"]) == (b"<p>", "text/html")


async def test_a_refused_request_uses_up_no_script(peer: ApnsPeer, control: httpx2.AsyncClient) -> None:
    await control.post("/script", json={"target": "ab12", "answers": [{"status": 410}]})
    assert (await peer.push(headers={"authorization": None})).status == 403
    assert (await peer.push(body=b"")).status == 400
    assert (await peer.push()).status == 410


async def test_a_script_without_an_end_is_given_for_ever(peer: ApnsPeer, control: httpx2.AsyncClient) -> None:
    script = {"target": "*", "provider": "apns", "answers": [{"status": 500, "times": None}]}
    await control.post("/script", json=script)
    assert [(await peer.push(token)).reason for token in ("a1", "b2", "a1")] == ["InternalServerError"] * 3


async def test_a_token_of_the_other_environment_is_a_bad_token(connect: Connect, control: httpx2.AsyncClient) -> None:
    await control.post("/environment", json={"target": "ab12", "environment": "sandbox"})
    production, sandbox = await connect(), await connect(sandbox=True)
    refused, taken = await production.push(), await sandbox.push()
    assert (refused.status, refused.reason, taken.status) == (400, "BadDeviceToken", 200)
    assert "apns-unique-id" in taken.headers


async def test_a_token_of_another_topic_is_refused(peer: ApnsPeer, control: httpx2.AsyncClient) -> None:
    await control.post("/environment", json={"target": "AB12", "topic": "com.example.other"})
    assert (await peer.push()).reason == "DeviceTokenNotForTopic"
    assert (await peer.push(headers={"apns-topic": "com.example.other"})).status == 200
