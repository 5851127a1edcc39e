"""The doctor's look at push services: real servers on the loopback, reached as pushes reach them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from email.utils import formatdate
from pathlib import Path

import h2.config
import h2.connection
import pytest
import trustme

from stories.clock import FakeClock
from wakeline.config import Apns, Fcm, Providers
from wakeline.model.errors import AddressRefused, ConnectFailed, TransportError
from wakeline.model.route import ProviderKind
from wakeline.transport.service_probe import PushServiceProbe

pytestmark = pytest.mark.anyio


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _resolve(_host: str, _port: int) -> Sequence[str]:
    return ["127.0.0.1"]


class Servers:
    """An HTTP/2 service, an HTTP/1.1 service and a CONNECT proxy, with one authority."""

    def __init__(self, ca_file: str, authority: trustme.CA) -> None:
        self.ca_file = ca_file
        self.authority = authority
        self.asked: list[bytes] = []
        self.date = ""
        self.stack: list[asyncio.Server] = []
        self.busy: list[asyncio.Task[None]] = []

    async def serve(self, handler: Handler, *, alpn: str = "") -> int:
        context: ssl.SSLContext | None = None
        if alpn:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.set_alpn_protocols([alpn])
            self.authority.issue_cert("localhost").configure_cert(context)

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self.busy.append(task)
            try:
                await handler(reader, writer)
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()

        server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
        self.stack.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def http2(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        while data := await reader.read(65_536):
            connection.receive_data(data)
            writer.write(connection.data_to_send())

    async def http1(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append(await reader.readuntil(b"\r\n\r\n"))
        date = f"Date: {self.date}\r\n" if self.date else ""
        writer.write(f"HTTP/1.1 404 Not Found\r\n{date}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())

    async def proxy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head)
        port = int(head.split(b" ")[1].rpartition(b":")[2])
        onward, away = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(_pump(reader, away), _pump(onward, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
    finally:
        writer.close()


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Servers]:
    authority = trustme.CA()
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    servers = Servers(str(path), authority)
    yield servers
    for server in servers.stack:
        server.close()
    for task in servers.busy:
        task.cancel()
    await asyncio.gather(*servers.busy, return_exceptions=True)


def probe(servers: Servers, *, proxy: str = "", clock: FakeClock | None = None) -> PushServiceProbe:
    settings = Providers(
        apns=Apns(ca_file=servers.ca_file, proxy=proxy),
        fcm=Fcm(ca_file=servers.ca_file, base_url="https://localhost"),
    )
    return PushServiceProbe(settings, _resolve, clock or FakeClock())


async def test_apns_is_reached_over_http2(servers: Servers) -> None:
    port = await servers.serve(servers.http2, alpn="h2")
    answer = await probe(servers).service(ProviderKind.APNS, f"https://localhost:{port}")

    assert (answer.place, answer.proxy, answer.ahead) == (f"localhost:{port}", "", None)


async def test_apns_is_reached_through_its_proxy_which_is_named_without_its_password(servers: Servers) -> None:
    port = await servers.serve(servers.http2, alpn="h2")
    through = await servers.serve(servers.proxy)
    answer = await probe(servers, proxy=f"http://bob:secret@127.0.0.1:{through}").service(
        ProviderKind.APNS, f"https://localhost:{port}"
    )

    assert (answer.place, answer.proxy) == (f"localhost:{port}", f"127.0.0.1:{through}")
    assert servers.asked[0].startswith(f"CONNECT localhost:{port} ".encode())


async def test_a_service_that_speaks_no_http2_and_a_proxy_that_is_none_are_told_apart(servers: Servers) -> None:
    port = await servers.serve(servers.http1, alpn="http/1.1")
    with pytest.raises(ConnectFailed, match=r"HTTP/2|protocol"):
        await probe(servers).service(ProviderKind.APNS, f"https://localhost:{port}")
    with pytest.raises(ConnectFailed, match="the proxy cannot be reached"):
        await probe(servers, proxy="http://127.0.0.1:1").service(ProviderKind.APNS, f"https://localhost:{port}")


async def test_google_is_asked_for_nothing_and_its_date_tells_how_our_clock_is(servers: Servers) -> None:
    port = await servers.serve(servers.http1, alpn="http/1.1")
    clock = FakeClock()
    servers.date = formatdate(clock.now() // 1000 - 90, usegmt=True)
    answer = await probe(servers).service(ProviderKind.FCM, f"https://localhost:{port}/v1/projects/acme")

    assert answer.place == f"localhost:{port}"
    assert answer.ahead == 90_000 + clock.now() % 1000
    assert servers.asked[0].startswith(b"GET / HTTP/1.1\r\n")
    assert b"acme" not in servers.asked[0]


async def test_who_answered_is_not_asked_again_for_a_minute_and_who_did_not_is(servers: Servers) -> None:
    port, clock = await servers.serve(servers.http1, alpn="http/1.1"), FakeClock()
    asking = probe(servers, clock=clock)
    for _ in range(3):
        await asking.service(ProviderKind.FCM, f"https://localhost:{port}")
    once = len(servers.asked)
    clock.advance(61)
    await asking.service(ProviderKind.FCM, f"https://localhost:{port}")
    for server in servers.stack:
        server.close()
    clock.advance(61)

    assert (once, len(servers.asked)) == (1, 2)
    for _ in range(2):
        with pytest.raises(TransportError):
            await asking.service(ProviderKind.FCM, f"https://localhost:{port}")


@pytest.mark.parametrize("date", ["", "yesterday"])
async def test_a_service_that_does_not_say_its_time_is_reached_all_the_same(servers: Servers, date: str) -> None:
    port = await servers.serve(servers.http1, alpn="http/1.1")
    servers.date = date

    assert (await probe(servers).service(ProviderKind.FCM, f"https://localhost:{port}")).ahead is None


async def test_a_certificate_of_a_stranger_and_a_port_where_nobody_listens_are_no_answer(servers: Servers) -> None:
    port = await servers.serve(servers.http1, alpn="http/1.1")
    strangers = PushServiceProbe(Providers(fcm=Fcm(base_url="https://localhost")), _resolve, FakeClock())
    with pytest.raises(ConnectFailed, match="certificate"):
        await strangers.service(ProviderKind.FCM, f"https://localhost:{port}")
    with pytest.raises(TransportError, match="localhost:1"):
        await probe(servers).service(ProviderKind.FCM, "https://localhost:1")


@pytest.mark.parametrize("provider", [ProviderKind.WEBPUSH, ProviderKind.HTTP])
async def test_a_private_place_that_a_phone_or_a_credential_names_is_not_connected_to(
    servers: Servers, provider: ProviderKind
) -> None:
    port = await servers.serve(servers.http1, alpn="http/1.1")
    with pytest.raises(AddressRefused):
        await probe(servers).service(provider, f"https://localhost:{port}")
    assert servers.asked == []
