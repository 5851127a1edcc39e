"""An answer that is given before all was said reaches a client who says it all first (RFC 9112 section 9.6)."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import trustme
from starlette.types import Receive, Scope, Send

from wakeline.config import Server, Settings
from wakeline.service import listeners
from wakeline.service.connections import HEAD_SECONDS

pytestmark = pytest.mark.anyio

LONG = 8_000_000
"""Bytes of a body; more than the buffers of two sockets hold."""

Asked = list[str]


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def asked() -> Asked:
    """What the application was asked, in order."""
    return []


@pytest.fixture(params=["plain", "TLS"])
async def listener(
    anyio_backend: str, request: pytest.FixtureRequest, tmp_path: Path, authority: trustme.CA, asked: Asked
) -> AsyncIterator[listeners.Listener]:
    """A listener that answers 413 and closes, whatever is said, and reads no body."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append(scope["path"])
        headers = [(b"content-length", b"9"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": b"too large"})

    server = Server(listen="127.0.0.1:0")
    if request.param == "TLS":
        chain, key = tmp_path / "cert.pem", tmp_path / "key.pem"
        certificate = authority.issue_cert("127.0.0.1")
        certificate.cert_chain_pems[0].write_to_path(chain)
        certificate.private_key_pem.write_to_path(key)
        server = Server(listen="127.0.0.1:0", tls_certificate=str(chain), tls_key=str(key))
    made = listeners.public(app, Settings(server=server))
    made.start()
    yield made
    await made.stop(at_once=True)


class Client:
    """A client that says all it has before it reads; each step in a thread, as such clients block."""

    def __init__(self, listener: listeners.Listener, authority: trustme.CA, *, tls: bool) -> None:
        self._socket = socket.create_connection(("127.0.0.1", listener.port), timeout=20)
        if tls:
            context = ssl.create_default_context()
            authority.configure_trust(context)
            self._socket = context.wrap_socket(self._socket, server_hostname="127.0.0.1")

    def say(self, data: bytes) -> None:
        self._socket.sendall(data)

    def say_on(self) -> None:
        """Say something until that fails."""
        while True:
            self.say(b"a" * 65536)

    def hear(self, size: int) -> bytes:
        """Return that many bytes, or fewer if the connection ends before."""
        heard = b""
        while len(heard) < size and (more := self._socket.recv(size - len(heard))):
            heard += more
        return heard

    def leave(self) -> None:
        self._socket.close()


Meet = Callable[[], Awaitable[Client]]


@pytest.fixture
async def meet(
    listener: listeners.Listener, authority: trustme.CA, request: pytest.FixtureRequest
) -> AsyncIterator[Meet]:
    """Connect clients, and see all of them off at the end."""
    tls = request.node.callspec.params["listener"] == "TLS"
    met: list[Client] = []

    async def one() -> Client:
        met.append(await asyncio.to_thread(Client, listener, authority, tls=tls))
        return met[-1]

    yield one
    for each in met:
        each.leave()


@pytest.fixture
async def client(meet: Meet) -> Client:
    return await meet()


def post(path: str, length: int) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()


async def test_a_client_that_says_all_first_reads_why_it_was_refused(client: Client) -> None:
    await asyncio.to_thread(client.say, post("/a", LONG) + b"a" * LONG)

    assert (await asyncio.to_thread(client.hear, 30)).startswith(b"HTTP/1.1 413 ")


async def test_what_comes_behind_is_not_acted_on(client: Client, meet: Meet, asked: Asked) -> None:
    await asyncio.to_thread(client.say, post("/a", 10))
    await asyncio.to_thread(client.hear, 30)

    await asyncio.to_thread(client.say, b"a" * 10 + post("/b", 0))
    later = await meet()
    await asyncio.to_thread(later.say, post("/c", 0))
    await asyncio.to_thread(later.hear, 30)

    assert asked == ["/a", "/c"]


async def test_who_does_not_close_is_hung_up_on(listener: listeners.Listener, client: Client) -> None:
    await asyncio.to_thread(client.say, post("/a", 10))
    head = await asyncio.to_thread(client.hear, 30)

    listener.sweep(asyncio.get_running_loop().time() + HEAD_SECONDS + 1)

    assert head.startswith(b"HTTP/1.1 413 ")
    with pytest.raises((ConnectionError, ssl.SSLError)):
        await asyncio.to_thread(client.say_on)


@pytest.mark.parametrize("listener", ["plain"], indirect=True)  # TLS has a farewell of its own that is waited for
async def test_half_a_head_does_not_keep_the_gateway_from_ending(
    listener: listeners.Listener, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.to_thread(client.say, b"GET /b HTTP/1.1\r\nHo")

    await listener.stop()

    assert [said.message for said in caplog.records if "exceeded" in said.message] == []
