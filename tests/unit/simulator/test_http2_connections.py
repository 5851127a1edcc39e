from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx2
import msgspec
import pytest

if TYPE_CHECKING:
    from unit.simulator.conftest import ApnsPeer, Connect, MakeCertificate

pytestmark = pytest.mark.anyio

REFUSED_STREAM = 7


async def behave(control: httpx2.AsyncClient, **switches: object) -> None:
    (await control.post("/behave", json={"provider": "apns", **switches})).raise_for_status()


async def test_one_stream_is_given_until_a_good_token_was_seen(peer: ApnsPeer) -> None:
    await peer.settle()
    assert peer.limits == [1]
    await peer.push()
    await peer.settle()
    assert peer.limits == [1, 1000]


async def test_a_rejected_token_takes_the_streams_back(peer: ApnsPeer) -> None:
    await peer.push()
    await peer.push(headers={"authorization": "bearer nonsense"})
    await peer.push()
    await peer.settle()
    assert peer.limits == [1, 1000, 1, 1000]


async def test_a_client_certificate_gives_all_streams_at_once(
    connect: Connect, client_certificate: MakeCertificate
) -> None:
    peer = await connect(certificate=client_certificate(uid="com.example.chat"))
    await peer.settle()
    assert peer.limits == [1000]


async def test_streams_above_the_limit_are_refused_and_not_taken(peer: ApnsPeer, control: httpx2.AsyncClient) -> None:
    await behave(control, max_streams=3, min_latency_ms=150)
    await peer.push()
    await peer.settle()
    streams = [peer.send() for _ in range(5)]
    for stream in streams[:3]:
        assert (await peer.answer(stream)).status == 200
    assert peer.resets == dict.fromkeys(streams[3:], REFUSED_STREAM)
    assert (await control.get("/counts")).json()["apns"]["requests"] == 4


async def test_the_limit_of_live_connections_can_be_changed(peer: ApnsPeer, control: httpx2.AsyncClient) -> None:
    await peer.push()
    await behave(control, max_streams=7)
    await peer.until(lambda: peer.limits[-1] == 7)


async def test_goaway_comes_with_a_json_reason_after_the_given_number(
    peer: ApnsPeer, control: httpx2.AsyncClient
) -> None:
    await behave(control, goaway_after=2, goaway_reason="BadCertificate", min_latency_ms=10)
    streams = [peer.send() for _ in range(5)]
    await peer.until(lambda: peer.goaway is not None)
    assert peer.goaway is not None
    assert (peer.goaway.error_code, peer.goaway.last_stream_id) == (0, streams[1])
    assert msgspec.json.decode(peer.goaway.additional_data or b"") == {"reason": "BadCertificate"}
    # h2 takes GOAWAY for the end and shows no more answers; the journal knows that two were given, and no more.
    assert (await control.get("/counts")).json()["apns"]["answers"] == {"200": 2}


async def test_goaway_can_be_sent_at_once(peer: ApnsPeer, control: httpx2.AsyncClient) -> None:
    await peer.push()
    ended = await control.post("/disconnect", json={"provider": "apns", "reason": "IdleTimeout"})
    assert ended.json() == {"connections": 1}
    await peer.until(lambda: peer.goaway is not None)
    assert peer.goaway is not None
    assert peer.goaway.last_stream_id == 1
    assert msgspec.json.decode(peer.goaway.additional_data or b"") == {"reason": "IdleTimeout"}


async def test_streams_opened_after_goaway_are_not_taken(peer: ApnsPeer, control: httpx2.AsyncClient) -> None:
    await behave(control, min_latency_ms=60_000)
    peer.send("aa")
    await peer.settle()
    await control.post("/disconnect")
    peer.send("bb")
    await peer.until(lambda: peer.goaway is not None)
    assert [entry["target"] for entry in (await control.get("/requests")).json()] == ["aa"]


async def test_what_is_under_way_is_answered_after_the_clients_goaway(
    peer: ApnsPeer, control: httpx2.AsyncClient
) -> None:
    await behave(control, min_latency_ms=30)
    stream = peer.send()
    goaway = b"\x00\x00\x08\x07\x00\x00\x00\x00\x00" + bytes(8)
    ping = b"\x00\x00\x08\x06\x00\x00\x00\x00\x00" + b"farewell"
    peer.writer.write(goaway + ping)
    assert (await peer.answer(stream)).status == 200


async def test_a_connection_can_be_cut(peer: ApnsPeer, control: httpx2.AsyncClient) -> None:
    await peer.push()
    await control.post("/disconnect", json={"abort": True})
    with pytest.raises((AssertionError, ConnectionError), match=r"(?i)closed|reset|pipe"):
        await peer.until(lambda: False)


async def test_a_ping_is_answered(peer: ApnsPeer) -> None:
    peer.h2.ping(b"12345678")
    peer.flush()
    await peer.until(lambda: b"12345678" in peer.pongs)


async def test_a_silent_service_takes_requests_and_answers_only_pings(
    peer: ApnsPeer, control: httpx2.AsyncClient
) -> None:
    await behave(control, silent=True)
    stream = peer.send()
    await peer.settle()
    assert stream not in peer.replies
    assert (await control.get("/counts")).json()["apns"]["answers"] == {"silent": 1}
    assert (await control.get("/requests")).json()[0]["status"] is None


async def test_an_answer_can_be_late_and_does_not_hold_others_back(peer: ApnsPeer, control: httpx2.AsyncClient) -> None:
    await control.post("/script", json={"target": "aa", "answers": [{"status": 200, "delay_ms": 60}]})
    await peer.push()
    began = time.monotonic()
    slow, quick = peer.send("aa"), peer.send("bb")
    await peer.answer(slow)
    assert time.monotonic() - began >= 0.06
    assert list(peer.replies)[1:] == [quick, slow]  # in the order in which they came


async def test_a_stream_can_be_refused_by_script(peer: ApnsPeer, control: httpx2.AsyncClient) -> None:
    await control.post("/script", json={"target": "aa", "answers": [{"reset": "REFUSED_STREAM"}, {"close": True}]})
    stream = peer.send("aa")
    await peer.until(lambda: stream in peer.resets)
    assert peer.resets[stream] == REFUSED_STREAM
    peer.send("aa")
    with pytest.raises((AssertionError, ConnectionError), match=r"(?i)closed|reset|pipe"):
        await peer.until(lambda: False)


async def test_a_client_that_speaks_no_http2_is_told_and_let_go(peer: ApnsPeer) -> None:
    peer.writer.write(b"\x00" * 64)
    await peer.until(lambda: peer.goaway is not None)


async def test_answers_wait_for_the_clients_window(peer: ApnsPeer, control: httpx2.AsyncClient) -> None:
    answers = [{"status": 500, "body": "x" * 100_000}]
    await control.post("/script", json={"target": "aa", "answers": answers})
    stream = peer.send("aa")
    await peer.until(lambda: stream in peer.replies)
    await peer.settle()
    assert 0 < len(peer.replies[stream].body) <= 65535
    peer.h2.increment_flow_control_window(100_000)
    peer.h2.increment_flow_control_window(100_000, stream)
    peer.flush()
    assert len((await peer.answer(stream)).body) == 100_000
