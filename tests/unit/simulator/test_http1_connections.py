from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator

import httpx2
import pytest

from wakeline.simulator import Simulator

pytestmark = pytest.mark.anyio

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def stream(simulator: Simulator) -> AsyncIterator[Stream]:
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.ports.fcm)
    yield reader, writer
    writer.transport.abort()


def message(token: str, *, extra: str = "") -> bytes:
    body = b'{"message":{"token":"%s"}}' % token.encode()
    head = f"POST /v1/projects/p/messages:send HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n{extra}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    async with asyncio.timeout(20):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(int(line.split(":")[1]) for line in head.splitlines() if line.startswith("content-length"))
        return int(head.split(" ")[1]), await reader.readexactly(length)


async def test_pipelined_requests_are_answered_in_their_order(stream: Stream, control: httpx2.AsyncClient) -> None:
    slow = {"target": "slow", "answers": [{"status": 404, "delay_ms": 30}]}
    await control.post("/script", json=slow)
    reader, writer = stream
    writer.write(message("slow") + message("quick"))
    assert [(await read_answer(reader))[0] for _ in range(2)] == [404, 200]


async def test_a_client_that_waits_for_continue_is_told_to_go_on(stream: Stream) -> None:
    reader, writer = stream
    whole = message("phone", extra="Expect: 100-continue\r\n")
    head, _, body = whole.partition(b"\r\n\r\n")
    writer.write(head + b"\r\n\r\n")
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)).startswith(b"HTTP/1.1 100 ")
    writer.write(body)
    assert (await read_answer(reader))[0] == 200


async def test_what_is_no_http_is_refused(stream: Stream) -> None:
    reader, writer = stream
    writer.write(b"HELLO\r\n\r\n")
    assert (await read_answer(reader))[0] == 400
    assert await asyncio.wait_for(reader.read(), 20) == b""


async def test_a_connection_is_closed_after_the_given_number(stream: Stream, control: httpx2.AsyncClient) -> None:
    await control.post("/behave", json={"provider": "fcm", "goaway_after": 1})
    reader, writer = stream
    writer.write(message("phone"))
    assert (await read_answer(reader))[0] == 200
    assert await asyncio.wait_for(reader.read(), 20) == b""


async def test_a_connection_can_be_cut_instead_of_an_answer(stream: Stream, control: httpx2.AsyncClient) -> None:
    await control.post("/script", json={"target": "phone", "answers": [{"close": True}]})
    reader, writer = stream
    writer.write(message("phone"))
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await read_answer(reader)


@pytest.mark.parametrize(
    ("offered", "chosen"), [(["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1"), (["spdy/3"], None)]
)
async def test_the_protocol_is_negotiated_by_alpn(simulator: Simulator, offered: list[str], chosen: str | None) -> None:
    context = ssl.create_default_context(cafile=str(simulator.ca_file))
    context.set_alpn_protocols(offered)
    _, writer = await asyncio.open_connection("localhost", simulator.ports.fcm, ssl=context)
    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == chosen
    writer.transport.abort()


async def test_both_loopback_addresses_are_served(simulator: Simulator) -> None:
    context = ssl.create_default_context(cafile=str(simulator.ca_file))
    for host in ("127.0.0.1", "::1"):
        try:
            _, writer = await asyncio.open_connection(host, simulator.ports.fcm, ssl=context)
        except OSError:
            assert host == "::1", "IPv4 is always there"
        else:
            writer.transport.abort()


async def test_apns_speaks_no_http1(simulator: Simulator) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.ports.apns)
    writer.write(b"POST /3/device/ab HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
    assert b"HTTP/1.1 " not in await asyncio.wait_for(reader.read(), 20)
    writer.transport.abort()
