"""The client against real servers on the loopback: TLS by a run-time authority, answers scripted byte by byte."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from scripted_http2 import LoopTime
from wakeline.model.errors import AddressRefused, ConfigError, ConnectFailed, TimedOut, TransportError
from wakeline.transport.guard import Guard
from wakeline.transport.http import MAX_ANSWER, GuardedClient

pytestmark = pytest.mark.anyio
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]
NAME = "token.example"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Reads whole requests and answers each with `answer`; remembers what it saw."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            while True:
                self.requests.append(await _request(reader))
                writer.write(self.answer)
                await writer.drain()


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    return head + await reader.readexactly(length)


@asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None) -> AsyncIterator[int]:
    """A server on a free port; every connection is over before the loop ends, so that no socket outlives its test."""
    conversations: set[asyncio.Task[None]] = set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversations.add(asyncio.create_task(converse(reader, writer)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]
    for conversation in conversations:
        conversation.cancel()
    await asyncio.gather(*conversations, return_exceptions=True)


@asynccontextmanager
async def running(answer: bytes, tls: ssl.SSLContext | None) -> AsyncIterator[Server]:
    server = Server(answer)
    async with serving(server.serve, tls) as server.port:
        yield server


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


def tls_for(authority: trustme.CA, *names: str, not_after: dt.datetime | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names, not_after=not_after).configure_cert(context)
    return context


def guard(*addresses: str, **rules: Any) -> Guard:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses or ("127.0.0.1",)

    return Guard(resolve=resolve, **{"allow_private": True, "allow_http": True, **rules})


async def post(client: GuardedClient, port: int, **options: Any) -> Any:
    url = options.pop("url", f"https://{NAME}:{port}/token?a=b")
    return await client.post(url, b"grant=1", {"content-type": "x/y"}, timeout=options.pop("timeout", 30))


async def test_a_post_reaches_the_pinned_address_with_the_name_of_the_url(authority: trustme.CA, ca_file: str) -> None:
    async with running(OK, tls_for(authority, NAME)) as server, GuardedClient(guard(), ca_file=ca_file) as client:
        answer = await post(client, server.port)

    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"ok", "text/plain")
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /token?a=b HTTP/1.1\r\n")
    assert f"Host: {NAME}:{server.port}".encode() in head
    assert body == b"grant=1"


async def test_a_name_is_looked_up_once_and_what_was_judged_is_connected_to(
    authority: trustme.CA, ca_file: str
) -> None:
    """A name whose owner answers otherwise the second time (DNS rebinding) gets no second time."""
    answers = iter((["127.0.0.1"], ["127.0.0.9"]))
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return next(answers)

    rebound = Guard(resolve=resolve, allow_private=True)
    async with running(OK, tls_for(authority, NAME)) as server, GuardedClient(rebound, ca_file=ca_file) as client:
        assert (await post(client, server.port)).status == 200

    assert asked == [NAME]


async def test_one_connection_serves_several_requests(authority: trustme.CA, ca_file: str) -> None:
    async with running(OK, tls_for(authority, NAME)) as server, GuardedClient(guard(), ca_file=ca_file) as client:
        for _ in range(3):
            await post(client, server.port)

    assert (server.connections, len(server.requests)) == (1, 3)


async def test_two_names_at_one_address_share_no_connection(authority: trustme.CA, ca_file: str) -> None:
    tls = tls_for(authority, NAME, "other.example")
    async with running(OK, tls) as server, GuardedClient(guard(), ca_file=ca_file) as client:
        await post(client, server.port)
        await post(client, server.port, url=f"https://other.example:{server.port}/")

    assert server.connections == 2


async def test_the_second_address_is_tried_when_the_first_does_not_listen(authority: trustme.CA, ca_file: str) -> None:
    tls, client = tls_for(authority, NAME), GuardedClient(guard("127.0.0.2", "127.0.0.1"), ca_file=ca_file)
    async with running(OK, tls) as server, client:
        assert (await post(client, server.port)).status == 200


async def test_an_address_in_the_url_is_verified_as_an_address(authority: trustme.CA, ca_file: str) -> None:
    tls = tls_for(authority, "127.0.0.1")
    async with running(OK, tls) as server, GuardedClient(guard(), ca_file=ca_file) as client:
        assert (await post(client, server.port, url=f"https://127.0.0.1:{server.port}/")).status == 200


async def test_a_redirect_is_an_answer_and_is_not_followed(authority: trustme.CA, ca_file: str) -> None:
    moved = b"HTTP/1.1 307 Moved\r\nLocation: https://127.0.0.1/\r\nContent-Length: 0\r\n\r\n"
    async with running(moved, tls_for(authority, NAME)) as server, GuardedClient(guard(), ca_file=ca_file) as client:
        answer = await post(client, server.port)

    assert (answer.status, answer.headers["location"]) == (307, "https://127.0.0.1/")
    assert len(server.requests) == 1


async def test_repeated_headers_become_one_value(authority: trustme.CA, ca_file: str) -> None:
    twice = b"HTTP/1.1 200 OK\r\nVia: a\r\nvia: b\r\nContent-Length: 0\r\n\r\n"
    async with running(twice, tls_for(authority, NAME)) as server, GuardedClient(guard(), ca_file=ca_file) as client:
        assert (await post(client, server.port)).headers["via"] == "a, b"


async def test_the_longest_answer_is_read_and_one_byte_more_is_not(authority: trustme.CA, ca_file: str) -> None:
    def sized(length: int) -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length + b"x" * length

    async with running(b"", tls_for(authority, NAME)) as server, GuardedClient(guard(), ca_file=ca_file) as client:
        server.answer = sized(MAX_ANSWER)
        assert len((await post(client, server.port)).body) == MAX_ANSWER
        server.answer = sized(MAX_ANSWER + 1)
        with pytest.raises(TransportError, match="longer than"):
            await post(client, server.port)
        server.answer = OK
        assert (await post(client, server.port)).status == 200


async def test_who_wants_the_status_alone_gets_it_however_long_the_answer_is(
    authority: trustme.CA, ca_file: str
) -> None:
    async def long(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        writer.write(b"HTTP/1.1 500 Oh\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 3000)
        with suppress(ConnectionError, ssl.SSLError):
            await reader.read()

    async with (
        serving(long, tls_for(authority, NAME)) as port,
        GuardedClient(guard(), ca_file=ca_file, max_answer=1000, cut=True) as client,
    ):
        answer = await post(client, port)
        assert (answer.status, len(answer.body), client.connections) == (500, 1000, 0)


@pytest.mark.parametrize("piece", [b"HTTP/1.1 102 Processing\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"])
async def test_interim_answers_without_end_are_a_broken_connection(
    authority: trustme.CA, ca_file: str, piece: bytes
) -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        with suppress(ConnectionError, ssl.SSLError):
            while True:
                writer.write(piece * 100)
                await writer.drain()

    async with (
        serving(flood, tls_for(authority, NAME)) as port,
        GuardedClient(guard(), ca_file=ca_file, max_answer=1000) as client,
    ):
        with pytest.raises(TransportError, match="bytes came"):
            await post(client, port)


async def test_a_silent_server_times_out(authority: trustme.CA, ca_file: str) -> None:
    async with running(OK, tls_for(authority, NAME)) as server, GuardedClient(guard(), ca_file=ca_file) as client:
        await post(client, server.port)  # how long it takes to connect is another story
        server.answer = b""
        with pytest.raises(TimedOut, match=NAME):
            await post(client, server.port, timeout=0.2)


async def test_who_finds_all_connections_taken_knows_that_nothing_was_written(
    authority: trustme.CA, ca_file: str
) -> None:
    time = LoopTime()
    async with (
        running(b"", tls_for(authority, NAME)) as silent,
        running(OK, tls_for(authority, NAME)) as other,
        GuardedClient(guard(), ca_file=ca_file, max_connections=1) as client,
    ):
        hanging = asyncio.create_task(post(client, silent.port, timeout=600))
        while not silent.requests:  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.005)
        waiting = asyncio.create_task(post(client, other.port, timeout=60))
        await time.leap(0)
        await time.leap(31)
        with pytest.raises(ConnectFailed, match="all connections"):
            await waiting
        hanging.cancel()
        await asyncio.gather(hanging, return_exceptions=True)
        assert (await post(client, other.port)).status == 200
    assert len(other.requests) == 1


async def test_a_resolver_that_hangs_times_out() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return ()

    async with GuardedClient(Guard(resolve=resolve)) as client:
        with pytest.raises(TimedOut):
            await post(client, 443, timeout=0.1)


async def test_a_dropped_connection_is_a_transport_error(authority: trustme.CA, ca_file: str) -> None:
    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)

    async with serving(drop, tls_for(authority, NAME)) as port, GuardedClient(guard(), ca_file=ca_file) as client:
        with pytest.raises(TransportError, match="connection broke"):
            await post(client, port)


async def test_an_answer_that_is_no_http_is_a_transport_error(authority: trustme.CA, ca_file: str) -> None:
    tls = tls_for(authority, NAME)
    async with running(b"SSH-2.0-x\r\n\r\n", tls) as server, GuardedClient(guard(), ca_file=ca_file) as client:
        with pytest.raises(TransportError) as broken:
            await post(client, server.port)
    assert "SSH" not in broken.value.detail  # it may be anything, from anywhere


async def test_a_port_nobody_listens_on_is_a_failed_connection(ca_file: str) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # it is kept, and does not listen
        port = nobody.getsockname()[1]
        async with GuardedClient(guard(), ca_file=ca_file) as client:
            with pytest.raises(ConnectFailed, match=f"{NAME}:{port}"):
                await post(client, port)


async def test_an_untrusted_certificate_is_refused_and_told(authority: trustme.CA) -> None:
    async with running(OK, tls_for(authority, NAME)) as server, GuardedClient(guard()) as client:
        with pytest.raises(ConnectFailed, match="not trusted here"):
            await post(client, server.port)

    assert server.requests == []


async def test_a_certificate_of_another_name_is_refused_and_told(authority: trustme.CA, ca_file: str) -> None:
    tls = tls_for(authority, "other.example")
    async with running(OK, tls) as server, GuardedClient(guard(), ca_file=ca_file) as client:
        with pytest.raises(ConnectFailed, match="another name"):
            await post(client, server.port)


async def test_an_expired_certificate_is_refused_and_told(authority: trustme.CA, ca_file: str) -> None:
    tls = tls_for(authority, NAME, not_after=dt.datetime.now(tz=dt.UTC) - dt.timedelta(days=1))
    async with running(OK, tls) as server, GuardedClient(guard(), ca_file=ca_file) as client:
        with pytest.raises(ConnectFailed, match="expired"):
            await post(client, server.port)


async def test_the_guard_is_asked_before_a_connection_is_made(authority: trustme.CA, ca_file: str) -> None:
    strict = guard(allow_private=False, allow_http=False)
    async with running(OK, tls_for(authority, NAME)) as server, GuardedClient(strict, ca_file=ca_file) as client:
        with pytest.raises(AddressRefused, match="loopback"):
            await post(client, server.port)
        with pytest.raises(AddressRefused, match="plain http"):
            await post(client, server.port, url=f"http://{NAME}:{server.port}/")

    assert server.connections == 0


async def test_a_header_with_a_line_break_is_not_sent(authority: trustme.CA, ca_file: str) -> None:
    async with running(OK, tls_for(authority, NAME)) as server, GuardedClient(guard(), ca_file=ca_file) as client:
        with pytest.raises(TransportError):
            await client.post(f"https://{NAME}:{server.port}/", b"", {"x-a": "1\r\nx-b: 2"}, timeout=5)

    assert server.requests == []


class Proxy:
    """An HTTP CONNECT proxy that resolves every name to the loopback."""

    def __init__(self, status: bytes = b"200 OK") -> None:
        self.status = status
        self.heads: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        writer.write(b"HTTP/1.1 " + self.status + b"\r\n\r\n")
        if self.status.startswith(b"200"):
            port = int(head.split(b" ")[1].rpartition(b":")[2])
            there, back = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_pump(reader, back), _pump(there, writer))


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
    finally:
        sink.close()


async def test_a_proxy_tunnels_and_tls_stays_end_to_end(authority: trustme.CA, ca_file: str) -> None:
    proxy = Proxy()
    async with running(OK, tls_for(authority, NAME)) as server, serving(proxy.serve, None) as port:
        url = f"http://user:p%40ss@127.0.0.1:{port}"
        # The proxy is private and configured; the target is public by this machine's DNS.
        rules = guard("93.184.216.34", allow_private=False)
        async with GuardedClient(rules, ca_file=ca_file, proxy=url) as client:
            answer = await post(client, server.port)

    assert answer.status == 200
    assert proxy.heads[0].startswith(f"CONNECT {NAME}:{server.port} HTTP/1.1\r\n".encode())
    assert base64.b64encode(b"user:p@ss") in proxy.heads[0]
    assert b"p@ss" not in server.requests[0]


async def test_a_target_that_is_private_is_refused_through_a_proxy_too(ca_file: str) -> None:
    proxy = Proxy()
    async with serving(proxy.serve, None) as port:
        rules = guard("10.0.0.1", allow_private=False)
        async with GuardedClient(rules, ca_file=ca_file, proxy=f"http://127.0.0.1:{port}") as client:
            with pytest.raises(AddressRefused, match="private"):
                await post(client, 443)

    assert proxy.heads == []


async def test_a_proxy_that_refuses_is_a_failed_connection(ca_file: str) -> None:
    async with serving(Proxy(b"403 Forbidden").serve, None) as port:
        client = GuardedClient(guard(), ca_file=ca_file, proxy=f"http://127.0.0.1:{port}")
        with pytest.raises(ConnectFailed, match="403"):
            await post(client, 443)
        await client.aclose()


@pytest.mark.parametrize("proxy", ["proxy:3128", "socks5://proxy:1080", "http://user:hunter2@/"])
async def test_a_proxy_that_is_no_url_is_refused_without_its_password(proxy: str) -> None:
    with pytest.raises(ConfigError, match="proxy is not a URL") as caught:
        GuardedClient(guard(), proxy=proxy)

    assert "hunter2" not in caught.value.detail
