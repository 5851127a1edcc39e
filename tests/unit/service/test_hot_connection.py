"""Connections that serve the hot route themselves: order, silence, leaving, stopping, what waits for whom."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import trustme

from unit.service.served import LAST, LOOPBACK, Client, Served, comparable, key_text, served
from wakeline import ports
from wakeline.config import Server
from wakeline.config.tree import Logs
from wakeline.service.hot_connection import _Exchange

pytestmark = pytest.mark.anyio

LOOPS = [
    pytest.param(("asyncio", {"use_uvloop": use}), id=name) for name, use in (("asyncio", False), ("uvloop", True))
]


@pytest.fixture(params=LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both loops that the gateway may run on."""
    if request.param[1]["use_uvloop"]:
        pytest.importorskip("uvloop")
    backend: tuple[str, dict[str, bool]] = request.param
    return backend


@pytest.fixture
async def hot(anyio_backend: str) -> AsyncIterator[Served]:
    async with served(hot=True) as made:
        made.by_asgi.clear()
        yield made


PATH = "/v1/apps/acme-chat/notifications"
BODY = b'{"to":{"users":["alice"]},"alert":{"title":"Hi"}}'


def ask(name: str = "r") -> bytes:
    """Return a request whose answer bears this id."""
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key_text('send')}\r\n"
        f"X-Request-Id: {name}\r\nContent-Length: {len(BODY)}\r\n\r\n"
    )
    return head.encode() + BODY


class Slow:
    """A store whose commits wait until they are let go; it counts them."""

    def __init__(self, one: Served) -> None:
        self.go = asyncio.Event()
        self.batches: list[int] = []
        self._accept = one.gateway.store.acceptance.accept
        one.gateway.store.acceptance.accept = self.accept  # type: ignore[method-assign] # the same store, later

    async def accept(
        self, admissions: Sequence[ports.Admission]
    ) -> list[ports.Committed | ports.Replayed | ports.Mismatch | ports.Running]:
        self.batches.append(len(admissions))
        await self.go.wait()
        return await self._accept(admissions)


async def until(ready: object, one: Served) -> None:
    """Let the listener work until something is so."""
    assert callable(ready)
    async with asyncio.timeout(20):
        while not ready():
            await one.read()


async def test_a_hundred_pipelined_requests_are_answered_in_their_order(hot: Served) -> None:
    client = await hot.connect()

    await client.say(b"".join(ask(f"r{number}") for number in range(100)))
    heads = [await client.answer() for _ in range(100)]

    assert [head.split(b"x-request-id: ")[1].split(b"\r\n")[0] for head in heads] == [
        b"r%d" % number for number in range(100)
    ]
    assert await hot.gateway.store.queue.pending() == 100
    await client.leave()


async def test_while_a_pipelined_request_waits_no_more_is_read(hot: Served) -> None:
    store = Slow(hot)
    client = await hot.connect()

    await client.say(ask("first") + ask("second"))
    await until(lambda: store.batches, hot)
    [connection] = hot.connections
    assert connection.flow.read_paused
    store.go.set()

    assert b"x-request-id: first" in await client.answer()
    assert b"x-request-id: second" in await client.answer()
    assert not connection.flow.read_paused
    await client.leave()


async def test_requests_of_many_connections_share_a_commit(hot: Served) -> None:
    store = Slow(hot)
    clients = [await hot.connect() for _ in range(20)]
    await hot.read()

    for client in clients:
        client.writer.write(ask())
    await until(lambda: sum(isinstance(one.cycle, _Exchange) for one in hot.connections) == 20, hot)
    store.go.set()
    answers = [await client.answer() for client in clients]

    assert all(answer.startswith(b"HTTP/1.1 202 ") for answer in answers)
    assert sum(store.batches) == 20
    assert len(store.batches) <= 4
    assert hot.by_asgi == []
    for client in clients:
        await client.leave()


async def test_who_leaves_before_the_body_is_whole_has_asked_for_nothing(hot: Served) -> None:
    client = await hot.connect()
    await client.say(ask()[:-5])
    await until(lambda: hot.connections, hot)

    await client.leave()
    await until(lambda: not hot.connections, hot)

    assert await hot.gateway.store.queue.pending() == 0


async def test_who_leaves_before_the_answer_has_asked_all_the_same(
    hot: Served, caplog: pytest.LogCaptureFixture
) -> None:
    store = Slow(hot)
    client = await hot.connect()
    await client.say(ask())
    await until(lambda: store.batches, hot)

    await client.leave()
    await until(lambda: not hot.connections, hot)
    store.go.set()
    async with asyncio.timeout(20):
        while not await hot.gateway.store.queue.pending():
            await hot.read()

    assert await hot.gateway.store.queue.pending() == 1
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("said", [len(ask()) - 5, len(ask())], ids=["whose body comes", "whose commit runs"])
async def test_a_request_under_way_is_answered_when_the_listener_stops(hot: Served, said: int) -> None:
    store = Slow(hot)
    client, idle = await hot.connect(), await hot.connect()
    await idle.say(ask())
    await client.say(ask()[:said])
    store.go.set()
    assert (await idle.answer()).startswith(b"HTTP/1.1 202 ")
    if said == len(ask()):
        await client.answer()
        store.go.clear()
        await client.say(ask())
        await until(lambda: sum(store.batches) >= 3, hot)
    else:
        await hot.read()

    stopping = asyncio.create_task(hot.listener.stop())
    assert await idle.rest() == b""  # idle connections go at once
    if said < len(ask()):
        await client.say(ask()[said:])
    store.go.set()
    answer = await client.rest()
    await stopping

    assert answer.startswith(b"HTTP/1.1 202 ")
    assert b"connection: close\r\n" in answer
    await client.leave()
    await idle.leave()


async def test_a_request_that_turns_out_wrong_while_the_listener_stops_ends_its_connection_too(hot: Served) -> None:
    client, idle = await hot.connect(), await hot.connect()
    wrong = ask().replace(b'{"to"', b'{"ot"')
    await idle.say(ask())
    await idle.answer()
    await client.say(wrong[:-5])
    await hot.read()

    stopping = asyncio.create_task(hot.listener.stop())
    assert await idle.rest() == b""  # so this one was told as well
    await client.say(wrong[-5:])
    answer = await client.rest()
    await stopping

    assert answer.startswith(b"HTTP/1.1 422 ")
    assert b"connection: close\r\n" in answer
    await client.leave()
    await idle.leave()


async def test_a_connection_that_stays_silent_after_an_answer_is_closed(hot: Served) -> None:
    client, busy = await hot.connect(), await hot.connect()
    await client.say(ask())
    await client.answer()
    store = Slow(hot)
    await busy.say(ask())
    await until(lambda: store.batches, hot)
    now = asyncio.get_running_loop().time()

    hot.listener.sweep(now + 70)
    await client.say(ask())
    store.go.set()
    assert (await client.answer()).startswith(b"HTTP/1.1 202 ")
    assert (await busy.answer()).startswith(b"HTTP/1.1 202 ")
    store.go.clear()
    await busy.say(ask())
    await until(lambda: sum(store.batches) >= 3, hot)
    hot.listener.sweep(asyncio.get_running_loop().time() + 76)

    assert await client.rest() == b""
    store.go.set()
    assert (await busy.answer()).startswith(b"HTTP/1.1 202 ")
    await client.leave()
    await busy.leave()


async def test_who_does_not_fetch_answers_is_left_to_uvicorn_which_waits(hot: Served) -> None:
    client = await hot.connect()
    await until(lambda: hot.connections, hot)
    [connection] = hot.connections
    connection.flow.pause_writing()

    await client.say(ask())
    await until(lambda: hot.by_asgi, hot)
    connection.flow.resume_writing()

    assert (await client.answer()).startswith(b"HTTP/1.1 202 ")
    await client.leave()


@pytest.mark.parametrize("proxies", [(), ("127.0.0.1",)], ids=["direct", "behind a proxy"])
async def test_access_lines_are_those_of_uvicorn(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, proxies: tuple[str, ...]
) -> None:
    monkeypatch.setattr(logging.getLogger("uvicorn.access"), "propagate", True)
    server = Server(listen=LOOPBACK.listen, trusted_proxies=proxies)
    said = ask().replace(b"Host: x", b"Host: x\r\nX-Forwarded-For: 203.0.113.9")
    lines = []
    for way in (True, False):
        async with served(hot=way, server=server, logs=Logs(access=True)) as one:
            with caplog.at_level(logging.INFO, "uvicorn.access"):
                caplog.clear()
                one.by_asgi.clear()
                heard = await one.transcript([said], 1)
            lines.append([(record.msg, record.args) for record in caplog.records])
            assert one.by_asgi == ([] if way and not proxies else [f"POST {PATH}"])
            assert comparable(heard).startswith(b"HTTP/1.1 202 ")

    hot, plain = [[_without_port(*line) for line in given] for given in lines]
    assert hot == plain
    assert hot[0][1][0] == ("203.0.113.9" if proxies else "127.0.0.1")


def _without_port(said: str, arguments: object) -> tuple[str, tuple[object, ...]]:
    assert isinstance(arguments, tuple)
    return said, (arguments[0].partition(":")[0], *arguments[1:])


async def test_a_key_that_is_revoked_is_known_no_more_at_once(hot: Served) -> None:
    keys = hot.gateway.store.api_keys
    [key] = [key for key in keys.all() if key.prefix == "wk_send"]
    client = await hot.connect()
    await client.say(ask())
    accepted = await client.answer()
    await keys.touch({key.id: 7})
    await client.say(ask())
    touched = await client.answer()

    await keys.revoke(key.id, 8)
    await client.say(ask())
    refused = await client.answer()

    assert [said[9:12] for said in (accepted, touched, refused)] == [b"202", b"202", b"401"]
    await client.leave()


async def test_over_tls_the_route_is_hot_too(anyio_backend: object, tmp_path: Path) -> None:
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1")
    leaf.private_key_pem.write_to_path(tmp_path / "key.pem")
    leaf.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    server = Server(
        listen=LOOPBACK.listen, tls_certificate=str(tmp_path / "cert.pem"), tls_key=str(tmp_path / "key.pem")
    )
    async with served(hot=True, server=server) as one:
        one.by_asgi.clear()
        pair = await asyncio.open_connection("127.0.0.1", one.listener.port, ssl=trust)
        client = Client(*pair)
        for _ in range(2):
            await client.say(ask())
            assert (await client.answer()).startswith(b"HTTP/1.1 202 ")
        await client.leave()
        assert one.by_asgi == []


async def test_each_answer_is_counted_as_uvicorn_counts(hot: Served) -> None:
    client = await hot.connect()
    for _ in range(3):
        await client.say(ask())
        await client.answer()
    await client.say(LAST)
    await client.rest()
    await client.leave()

    assert hot.listener._server.server_state.total_requests == 4
    assert hot.by_asgi == []
