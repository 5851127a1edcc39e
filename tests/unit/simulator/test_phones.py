"""Phones that the simulator plays: they confirm what bears a token, but for what is lost on the way to their model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import msgspec
import pytest

from unit.simulator.conftest import ApnsPeer
from wakeline.simulator import Simulator
from wakeline.simulator.exchange import Answer, Request
from wakeline.simulator.phones import Phones, Play

pytestmark = pytest.mark.anyio

PUSH = b'{"aps":{"alert":"hello"},"wakeline":{"id":"n-1","receipt":"r-1"}}'
MESSAGE = b'{"message":{"token":"T","data":{"wakeline":"{\\"id\\":\\"n-2\\",\\"receipt\\":\\"r-2\\"}"}}}'


class Gateway:
    """What takes receipts; it refuses those of the device `stranger`."""

    def __init__(self) -> None:
        self.url = ""
        self.receipts: list[dict[str, Any]] = []

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            body = await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r\n")[0]))
            given = msgspec.json.decode(body)["receipts"]
            self.receipts += given
            known = [{"index": place} for place, one in enumerate(given) if one["device"] != "stranger"]
            answer = msgspec.json.encode({"accepted": known, "rejected": []})
            writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(answer) + answer)
        finally:
            writer.close()


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    gateway = Gateway()
    server = await asyncio.start_server(gateway.take, "127.0.0.1", 0)
    gateway.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/receipts"
    yield gateway
    server.close()


async def played(control: httpx2.AsyncClient, number: int) -> dict[str, int]:
    """Return what became of the pushes, once it is known of so many."""
    async with asyncio.timeout(20):
        while True:
            found: dict[str, int] = (await control.get("/phones")).json()
            if sum(found.values()) - found["phones"] >= number:
                return found
            await asyncio.sleep(0.01)


async def told(phones: Phones, number: int) -> None:
    """Wait until so many receipts were taken or refused."""
    async with asyncio.timeout(20):
        while True:
            if phones.played.confirmed + phones.played.refused >= number:
                return
            await asyncio.sleep(0.01)


def phones(*names: str, model: str = "") -> list[dict[str, str]]:
    return [{"target": name, "device": f"device-{name}", "model": model} for name in names]


async def test_phones_confirm_with_the_token_that_their_push_bore(
    peer: ApnsPeer, control: httpx2.AsyncClient, gateway: Gateway
) -> None:
    await control.post("/phones", json={"receipts": gateway.url, "phones": phones("aa", "bb")})
    for token, body in (("AA", PUSH), ("bb", b'{"aps":{}}'), ("cc", PUSH)):
        await peer.push(token, body)

    found = await played(control, 2)

    assert found == {"phones": 2, "confirmed": 1, "swallowed": 0, "unsaid": 1, "refused": 0}
    assert gateway.receipts == [
        {"notification": "n-1", "receipt": "r-1", "device": "device-aa", "status": "acknowledged"}
    ]


async def test_a_model_swallows_its_share_and_what_was_refused_reaches_nobody(
    peer: ApnsPeer, control: httpx2.AsyncClient, gateway: Gateway
) -> None:
    play = {"receipts": gateway.url, "swallow": {"Redmi 9": 1.0}, "phones": phones("aa", model="Redmi 9")}
    await control.post("/phones", json=play)
    await control.post("/phones", json={**play, "phones": phones("bb", "dd", model="Pixel 8")})
    await control.post("/script", json={"target": "dd", "answers": [{"status": 410}]})
    for token in ("aa", "bb", "dd"):
        await peer.push(token, PUSH)

    found = await played(control, 2)

    assert found == {"phones": 3, "confirmed": 1, "swallowed": 1, "unsaid": 0, "refused": 0}
    assert [one["device"] for one in gateway.receipts] == ["device-bb"]


async def test_a_reset_and_an_empty_address_make_phones_silent(
    peer: ApnsPeer, control: httpx2.AsyncClient, gateway: Gateway
) -> None:
    await control.post("/phones", json={"receipts": gateway.url, "phones": phones("aa")})
    await control.post("/phones", json={})
    await peer.push("aa", PUSH)
    silent = (await control.get("/phones")).json()
    await control.post("/reset")

    assert silent == {"phones": 1, "confirmed": 0, "swallowed": 0, "unsaid": 0, "refused": 0}
    assert (await control.get("/phones")).json()["phones"] == 0
    assert gateway.receipts == []


@pytest.mark.parametrize(
    "play", [{"confirm": 1.5}, {"swallow": {"x": -1}}, {"phone": []}, {"phones": [{"target": ""}]}]
)
async def test_what_cannot_be_played_is_refused(
    simulator: Simulator, control: httpx2.AsyncClient, play: object
) -> None:
    answer = await control.post("/phones", json=play)

    assert (answer.status_code, bool(answer.json()["error"])) == (422, True)
    assert simulator.state.phones.played.phones == 0


async def test_messages_of_fcm_are_understood_and_what_is_not_taken_is_told(gateway: Gateway) -> None:
    phones = Phones()
    phones.play(
        msgspec.convert(
            {
                "receipts": gateway.url,
                "phones": [{"target": "T", "device": "phone"}, {"target": "U", "device": "stranger"}],
            },
            Play,
        )
    )
    for target in ("T", "U"):
        phones.got(Request("POST", "/", {}, MESSAGE), Answer(200, provider="fcm", target=target))
    await told(phones, 2)
    phones.play(Play(receipts="http://127.0.0.1:1/"))
    phones.got(Request("POST", "/", {}, MESSAGE), Answer(200, provider="fcm", target="T"))
    await told(phones, 3)
    await phones.close()

    assert (phones.played.confirmed, phones.played.refused) == (1, 2)
    assert {one["notification"] for one in gateway.receipts} == {"n-2"}


async def test_bodies_that_are_no_pushes_say_nothing(gateway: Gateway) -> None:
    phones = Phones()
    phones.play(msgspec.convert({"receipts": gateway.url, "phones": [{"target": "T", "device": "phone"}]}, Play))
    for body in (b"", b"[]", b'{"message":{"data":{"wakeline":"x"}}}', b'{"wakeline":7}'):
        phones.got(Request("POST", "/", {}, body), Answer(200, provider="fcm", target="T"))
    await phones.close()

    assert (phones.played.unsaid, gateway.receipts) == (4, [])
