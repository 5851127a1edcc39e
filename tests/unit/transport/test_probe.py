"""The doctor's look at a host: a real TLS server on the loopback, an authority made for the test, names resolved by hand."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import trustme

from wakeline.model.errors import AddressRefused, ConnectFailed
from wakeline.transport.guard import Guard
from wakeline.transport.probe import TlsProbe

pytestmark = pytest.mark.anyio
NAME = "portal.test"


async def _resolve(host: str, _port: int) -> Sequence[str]:
    if host == "nowhere.test":
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return ["127.0.0.1"]


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def port(authority: trustme.CA) -> AsyncIterator[int]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(NAME).configure_cert(context)

    def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
def probe(authority: trustme.CA, tmp_path: Path) -> TlsProbe:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return TlsProbe(Guard(resolve=_resolve, configured=frozenset({NAME, "other.test"})), ca_file=str(path))


async def test_a_host_that_answers_with_its_certificate_is_reached(probe: TlsProbe, port: int) -> None:
    assert await probe.https(f"{NAME}:{port}") == "127.0.0.1"


async def test_a_certificate_of_another_name_is_no_answer(probe: TlsProbe, port: int) -> None:
    with pytest.raises(ConnectFailed, match=r"other\.test.*certificate"):
        await probe.https(f"other.test:{port}")


async def test_a_port_where_nobody_listens_is_no_answer(probe: TlsProbe) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectFailed, match=NAME):
            await probe.https(f"{NAME}:{free.getsockname()[1]}")


async def test_a_name_that_is_nobodys_is_told(probe: TlsProbe) -> None:
    with pytest.raises(ConnectFailed, match="cannot be resolved"):
        await probe.https("nowhere.test")


@pytest.mark.parametrize("host", ["inside.test", "127.0.0.1", "169.254.169.254", "[::1]:22"])
async def test_a_private_place_that_the_operator_did_not_name_is_not_connected_to(probe: TlsProbe, host: str) -> None:
    with pytest.raises(AddressRefused):
        await probe.https(host)


@pytest.mark.parametrize("host", ["user@a.test", "a.test:0", "a test", "a.test\\@b.test", "2130706433"])
async def test_what_is_no_host_is_refused_before_anything_is_resolved(host: str) -> None:
    asked: list[str] = []

    async def resolve(name: str, _port: int) -> Sequence[str]:
        asked.append(name)
        return ["127.0.0.1"]

    with pytest.raises(AddressRefused):
        await TlsProbe(Guard(resolve=resolve, allow_private=True)).https(host)
    assert asked == []


async def test_when_the_certificate_of_a_listener_ends_is_read_whoever_issued_it(port: int) -> None:
    blind = TlsProbe(Guard(resolve=_resolve))

    assert await blind.shown_until("127.0.0.1", port) > time.time() * 1000


async def test_a_listener_that_does_not_speak_tls_shows_none(probe: TlsProbe) -> None:
    silent = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with silent:
        with pytest.raises(ConnectFailed, match=r"127\.0\.0\.1"):
            await probe.shown_until("127.0.0.1", silent.sockets[0].getsockname()[1])
