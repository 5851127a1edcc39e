"""The SIP edge inside a gateway with its store on disk: it listens, registers, forwards, and is gone without settings."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trustme

from sip_registering import PASSWORD, proving, register
from sip_wire import LOOPBACK, Datagrams, Stream, request, response_to
from wakeline.config import SecretsSection, Server, Settings, Sip, Storage
from wakeline.edges.sip.flows import Transport
from wakeline.model.errors import ConfigError, ConnectFailed
from wakeline.service import listeners, wiring
from wakeline.service.sip import SipEdge
from wakeline.service.wiring import Gateway
from wakeline.wire.sip.message import Request, Response, parse

pytestmark = pytest.mark.anyio


def _settings(folder: Path, *listen: str, **sip: Any) -> Settings:
    return Settings(
        server=Server(data_dir=str(folder)),
        storage=Storage(url=f"sqlite:///{folder}/wakeline.db", ballast=0, low_disk=0),
        secrets=SecretsSection(master_key_file=str(folder / "master.key")),
        sip=Sip(**{"listen": listen, "domains": ("example.org",), "auth": "none", **sip}),
    )


@contextlib.asynccontextmanager
async def gateway(folder: Path, *listen: str, **sip: Any) -> AsyncIterator[Gateway]:
    """Give a gateway whose SIP edge runs."""
    async with wiring.opened(_settings(folder, *listen, **sip)) as opened:
        await opened.sip.start()
        yield opened


def port(edge: SipEdge, transport: Transport = Transport.UDP) -> int:
    """Return where it listens."""
    return next(bind.address.port for bind in edge.bound if bind.transport is transport)


def from_phone(asked: Request, at: int, transport: str, branch: str = "z9hG4bKr1") -> bytes:
    """Return a request as a phone sends it."""
    asked.prepend("via", f"SIP/2.0/{transport} {LOOPBACK}:{at};branch={branch};rport")
    return asked.to_bytes(stream=True)


def answer(data: bytes) -> Response:
    """Return a message that is an answer."""
    message = parse(data)
    assert isinstance(message, Response)
    return message


async def make_user(opened: Gateway) -> None:
    """Make Bob, as an operator does."""
    transport = httpx2.ASGITransport(app=listeners.as_admin(opened.app))
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway.test") as operator:
        made = await operator.put("/v1/sip/users/bob@example.org", json={"password": PASSWORD})
    assert made.status_code == 201


async def test_without_listen_nothing_is_opened(tmp_path: Path) -> None:
    async with gateway(tmp_path) as opened:
        assert opened.sip.bound == []


@pytest.mark.parametrize("transport", [Transport.TCP, Transport.TLS])
async def test_a_phone_registers_over_a_connection(tmp_path: Path, transport: Transport) -> None:
    authority = trustme.CA()
    made = authority.issue_cert("sip.example.org")
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    made.cert_chain_pems[0].write_to_path(str(certificate))
    made.private_key_pem.write_to_path(str(key))
    listen = f"{transport.value}:{LOOPBACK}:0"
    client = ssl.create_default_context()
    authority.configure_trust(client)
    async with gateway(tmp_path, listen, tls_certificate=str(certificate), tls_key=str(key)) as opened:
        tls = client if transport is Transport.TLS else None
        async with Stream(port(opened.sip, transport), tls) as phone:
            phone.send(from_phone(register("<sip:bob@127.0.0.1>"), phone.port, transport.value.upper()))
            assert answer(await phone.receive()).status == 200


async def test_a_renewed_certificate_counts_from_the_next_reload_on_and_a_broken_one_does_not(tmp_path: Path) -> None:
    authority = trustme.CA()
    files = {"tls_certificate": str(tmp_path / "c.pem"), "tls_key": str(tmp_path / "k.pem")}

    def issue(certificate: trustme.LeafCert, key: trustme.LeafCert) -> bytes:
        certificate.cert_chain_pems[0].write_to_path(files["tls_certificate"])
        key.private_key_pem.write_to_path(files["tls_key"])
        return ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode())

    def leaf() -> trustme.LeafCert:
        return authority.issue_cert("sip.example.org")

    client = ssl.create_default_context()
    authority.configure_trust(client)
    one, other = leaf(), leaf()
    shown = issue(one, one)
    async with gateway(tmp_path, f"tls:{LOOPBACK}:0", **files) as opened:

        async def seen() -> bytes | None:
            async with Stream(port(opened.sip, Transport.TLS), client) as phone:
                return phone.certificate

        assert await seen() == shown
        renewed = issue(other, other)
        assert await seen() == shown
        opened.apply(opened.settings)
        assert await seen() == renewed
        issue(leaf(), other)
        with pytest.raises(ConfigError):
            opened.apply(opened.settings)
        assert await seen() == renewed


async def test_what_is_registered_outlives_a_restart(tmp_path: Path) -> None:
    for cseq in (1, 2):
        async with gateway(tmp_path, f"udp:{LOOPBACK}:0") as opened, Datagrams() as phone:
            asked = register("<sip:bob@127.0.0.1>", cseq=1) if cseq == 1 else register(expires=None, cseq=2)
            phone.send(from_phone(asked, phone.port, "UDP"), port(opened.sip))
            assert [one.uri for one in answer(await phone.receive()).contacts] == ["sip:bob@127.0.0.1"]


async def test_a_scrape_counts_what_is_connected_and_under_way(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, f"udp:{LOOPBACK}:0", f"tcp:{LOOPBACK}:0") as opened,
        Datagrams() as phone,
        Stream(port(opened.sip, Transport.TCP)) as connected,
    ):
        phone.send(from_phone(register("<sip:bob@127.0.0.1>"), phone.port, "UDP"), port(opened.sip))
        assert answer(await phone.receive()).status == 200
        connected.send(from_phone(register("<sip:bob@127.0.0.1>", cseq=2), connected.port, "TCP"))
        assert answer(await connected.receive()).status == 200
        transport = httpx2.ASGITransport(app=listeners.as_admin(opened.app))
        async with httpx2.AsyncClient(transport=transport, base_url="http://gateway.test") as operator:
            scraped = (await operator.get("/metrics")).text
    assert "\nwakeline_sip_transactions 1.0\n" in scraped
    assert "\nwakeline_sip_connections 1.0\n" in scraped
    assert "\nwakeline_sip_datagrams_dropped 0.0\n" in scraped


async def test_a_call_goes_from_phone_to_phone(tmp_path: Path) -> None:
    async with gateway(tmp_path, f"udp:{LOOPBACK}:0") as opened, Datagrams() as bob, Datagrams() as alice:
        at = port(opened.sip)
        bob.send(from_phone(register(f"<sip:bob@127.0.0.1:{bob.port}>"), bob.port, "UDP"), at)
        assert answer(await bob.receive()).status == 200
        alice.send(request("INVITE", "z9hG4bKcall", alice.port), at)
        ringing = await bob.receive()
        invite = parse(ringing)
        assert isinstance(invite, Request)
        assert invite.uri == f"sip:bob@127.0.0.1:{bob.port}"
        bob.send(response_to(ringing, "200 OK"), at)
        statuses = [answer(await alice.receive()).status]
        while statuses[-1] < 200:
            statuses.append(answer(await alice.receive()).status)
        assert statuses[-1] == 200


async def test_a_user_of_the_store_proves_the_password(tmp_path: Path) -> None:
    async with gateway(tmp_path, f"udp:{LOOPBACK}:0", auth="digest") as opened, Datagrams() as phone:
        await make_user(opened)
        asked = register("<sip:bob@127.0.0.1>")
        phone.send(from_phone(asked.copy(), phone.port, "UDP"), port(opened.sip))
        question = answer(await phone.receive())
        assert question.status == 401
        phone.send(from_phone(proving(asked, question), phone.port, "UDP", "z9hG4bKr2"), port(opened.sip))
        assert answer(await phone.receive()).status == 200


async def test_a_program_that_does_not_answer_is_500_and_registers_nobody(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind((LOOPBACK, 0))
        url = f"http://{LOOPBACK}:{nobody.getsockname()[1]}/"
        async with gateway(tmp_path, f"udp:{LOOPBACK}:0", auth="digest", auth_url=url) as opened, Datagrams() as phone:
            phone.send(from_phone(register("<sip:bob@127.0.0.1>"), phone.port, "UDP"), port(opened.sip))
            said = answer(await phone.receive())
            assert (said.status, said.get("retry-after")) == (500, "5")


async def test_an_address_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((LOOPBACK, 0))
        listen = f"udp:{LOOPBACK}:0", f"udp:{LOOPBACK}:{taken.getsockname()[1]}"
        with pytest.raises(ConnectFailed, match=rf"sip\.listen: {re.escape(listen[1])} cannot"):
            async with gateway(tmp_path, *listen):
                raise AssertionError("it listens")


async def test_a_gateway_that_cannot_listen_for_sip_leaves_nothing_running(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((LOOPBACK, 0))
        settings = _settings(tmp_path, f"udp:{LOOPBACK}:{taken.getsockname()[1]}")
        async with wiring.opened(settings) as opened:
            before = asyncio.all_tasks()
            with pytest.raises(ConnectFailed):
                await opened.start()
            async with asyncio.timeout(15):  # what was begun to be written is written
                await asyncio.gather(*(asyncio.all_tasks() - before))


async def test_a_certificate_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    files = {"tls_certificate": str(tmp_path / "none.pem"), "tls_key": str(tmp_path / "none.key")}
    with pytest.raises(ConfigError, match=r"sip\.tls_certificate"):
        async with gateway(tmp_path, f"tls:{LOOPBACK}:0", **files):
            raise AssertionError("it listens")


async def test_after_it_stopped_nobody_is_heard(tmp_path: Path) -> None:
    async with gateway(tmp_path, f"tcp:{LOOPBACK}:0") as opened:
        at = port(opened.sip, Transport.TCP)
        await opened.sip.stop()
        with pytest.raises(ConnectionRefusedError):
            async with Stream(at):
                raise AssertionError("it listens")
