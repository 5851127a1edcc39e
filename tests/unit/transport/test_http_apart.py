"""Many receivers: what one of them has open is no other's business."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from wakeline.model.errors import TransportError
from wakeline.transport.guard import Guard
from wakeline.transport.http import GuardedClient
from wakeline.transport.http_apart import ClientsApart

pytestmark = pytest.mark.anyio
OK = b"HTTP/1.1 204 No Content\r\n\r\n"


class Receiver:
    """Answers when it may; counts connections and what is under way."""

    def __init__(self) -> None:
        self.connections = 0
        self.under_way = 0
        self.most = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.port = 0
        self.made: list[GuardedClient] = []

    def make(self) -> GuardedClient:
        async def nobody(_host: str, _port: int) -> Sequence[str]:
            return []

        self.made.append(GuardedClient(Guard(resolve=nobody, allow_private=True, allow_http=True)))
        return self.made[-1]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(2)
                self.under_way += 1
                self.most = max(self.most, self.under_way)
                await self.may_answer.wait()
                self.under_way -= 1
                writer.write(OK)
        except (asyncio.IncompleteReadError, ConnectionError):
            """It is told nothing any more."""
        finally:
            writer.close()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"


@asynccontextmanager
async def receiving(*, most: int = 10, idle: float = 60.0) -> AsyncIterator[tuple[Receiver, ClientsApart]]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    clients = ClientsApart(receiver.make, most=most, idle=idle)
    async with server:
        yield receiver, clients
        await clients.aclose()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - it is about what a server and a client have open
            await asyncio.sleep(0.001)


async def told(clients: ClientsApart, url: str) -> int:
    return (await clients.post(url, b"{}", {}, timeout=30.0)).status


async def test_each_receiver_has_connections_of_its_own_and_keeps_them() -> None:
    async with receiving() as (receiver, clients):
        for _ in range(3):
            assert [await told(clients, receiver.url(str(number))) for number in range(4)] == [204] * 4
        assert [client.connections for client in receiver.made] == [1] * 4
        assert receiver.connections == 4


async def test_all_receivers_together_have_a_limit() -> None:
    async with receiving(most=3) as (receiver, clients):
        receiver.may_answer.clear()
        posts = [asyncio.create_task(told(clients, receiver.url(str(number)))) for number in range(5)]
        await until(lambda: receiver.under_way == 3)
        receiver.may_answer.set()
        assert await asyncio.gather(*posts) == [204] * 5
        assert receiver.most == 3


async def test_who_is_told_nothing_any_more_keeps_no_connection() -> None:
    async with receiving(idle=0.0) as (receiver, clients):
        await told(clients, receiver.url("former"))
        await told(clients, receiver.url("present"))
        await until(lambda: not receiver.made[0].connections)
        assert clients.urls == 1


async def test_what_fails_leaves_room_for_others() -> None:
    async with receiving(most=1) as (receiver, clients):
        for _ in range(2):
            with pytest.raises(TransportError):
                await told(clients, "http://127.0.0.1:9/")
        assert await told(clients, receiver.url("up")) == 204
