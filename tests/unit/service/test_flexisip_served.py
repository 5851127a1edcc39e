"""A Flexisip's pushes over sockets: HTTP/2, and HTTP/1.1 as Flexisip writes it."""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import urlencode

import httpx2
import pytest

from unit.edges.rest.gateway import opened
from wakeline.config import Server, Settings
from wakeline.edges.flexisip import FlexisipDoor
from wakeline.model.key import Scope
from wakeline.service import listeners

pytestmark = pytest.mark.anyio

CALL = {"type": "apple", "token": "c3" * 32, "app-id": "com.acme.chat.voip.prod", "event": "call", "call-id": "c1"}
MESSAGE = CALL | {"app-id": "com.acme.chat.prod", "event": "message", "call-id": "c2"}


async def test_pushes_come_by_http_2_and_by_http_1_1_with_a_line_too_much(anyio_backend: str) -> None:
    gateway = await opened()
    await gateway.with_app()
    key = await gateway.key(Scope.SEND)
    door = FlexisipDoor(gateway.ports)
    listener = listeners.public(door, Settings(server=Server(listen="127.0.0.1:0")))
    listener.start()
    try:
        base_url = f"http://127.0.0.1:{listener.port}"
        async with httpx2.AsyncClient(http1=False, http2=True, base_url=base_url) as client:
            answers = [
                await client.get(f"/flexisip?{urlencode({'key': key, **CALL})}"),
                await client.post(
                    f"/flexisip?{urlencode({'key': key, **MESSAGE})}",
                    content=b"Hello",
                    headers={"content-type": "text/plain"},
                ),
            ]
        assert [(one.status_code, one.http_version) for one in answers] == [(200, "HTTP/2")] * 2

        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        head = f"POST /flexisip?{urlencode({'key': key, **MESSAGE})} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nHello\r\n"
        for _ in range(2):
            writer.write(head.encode())
            said = await asyncio.wait_for(reader.readuntil(b"}"), 20)
            assert said.startswith(b"HTTP/1.1 200 ")
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        assert await gateway.store.queue.pending() == 2
    finally:
        await listener.stop(at_once=True)
        await door.close()
        await gateway.client.aclose()
        await gateway.store.close()
