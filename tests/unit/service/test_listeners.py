"""The two doors: TCP for the world, a private socket for the administrator."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx2
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from starlette.types import Receive, Scope, Send

from wakeline.config import Server, Settings
from wakeline.model.errors import ConfigError, ConnectFailed
from wakeline.service import admin_socket, listeners

pytestmark = pytest.mark.anyio


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what the scope says of the connection."""
    body = json.dumps({"admin": scope.get("wakeline.admin"), "scheme": scope["scheme"], "client": scope["client"]})
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body.encode()})


@contextlib.asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[listeners.Listener]:
    listener = listeners.public(echo, settings)
    listener.start()
    try:
        yield listener
    finally:
        await listener.stop()


@contextlib.asynccontextmanager
async def door(directory: Path) -> AsyncIterator[httpx2.AsyncClient]:
    listener = listeners.admin(echo, Settings(), admin_socket.listen(directory))
    listener.start()
    with admin_socket.address_of(directory) as address:
        async with httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(uds=address)) as client:
            yield client
    await listener.stop()


def certified(directory: Path, authority: trustme.CA) -> tuple[ssl.SSLContext, Server]:
    """Write a certificate; returns what trusts it, and the settings of a listener that shows it."""
    leaf = authority.issue_cert("127.0.0.1")
    chain, key = directory / "cert.pem", directory / "key.pem"
    leaf.private_key_pem.write_to_path(key)
    leaf.cert_chain_pems[0].write_to_path(chain)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    return trust, Server(listen="127.0.0.1:0", tls_certificate=str(chain), tls_key=str(key))


async def test_tcp_connections_are_not_the_administrators() -> None:
    async with serving(Settings(server=Server(listen="127.0.0.1:0"))) as listener, httpx2.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{listener.port}/")
    assert answer.json()["admin"] is None
    assert "server" not in answer.headers


async def test_the_listener_speaks_tls_if_it_has_a_certificate(tmp_path: Path) -> None:
    trust, server = certified(tmp_path, trustme.CA())
    async with (
        serving(Settings(server=server)) as listener,
        httpx2.AsyncClient(verify=trust) as client,
    ):
        answer = await client.get(f"https://127.0.0.1:{listener.port}/")
    assert answer.json()["scheme"] == "https"


async def test_a_renewed_certificate_is_shown_from_the_next_reload_on_and_ends_no_connection(tmp_path: Path) -> None:
    first, server = certified(tmp_path, trustme.CA())
    settings = Settings(server=server)
    async with serving(settings) as listener, httpx2.AsyncClient(verify=first) as early:
        url = f"https://127.0.0.1:{listener.port}/"
        await early.get(url)
        second, _ = certified(tmp_path, trustme.CA())

        listener.apply(settings)

        async with httpx2.AsyncClient(verify=second) as late:
            assert (await late.get(url)).status_code == 200
        assert (await early.get(url)).status_code == 200


async def test_half_a_renewed_certificate_changes_nothing(tmp_path: Path) -> None:
    trust, server = certified(tmp_path, trustme.CA())
    settings = Settings(server=server)
    async with serving(settings) as listener, httpx2.AsyncClient(verify=trust) as client:
        trustme.CA().issue_cert("127.0.0.1").cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")

        with pytest.raises(ConfigError, match=r"server\.tls_certificate"):
            listener.apply(settings)

        assert (await client.get(f"https://127.0.0.1:{listener.port}/")).status_code == 200


@pytest.mark.parametrize(("trusted", "seen"), [(("127.0.0.1",), "203.0.113.9"), ((), "127.0.0.1")])
async def test_a_forwarded_address_is_believed_only_from_a_trusted_proxy(trusted: tuple[str, ...], seen: str) -> None:
    settings = Settings(server=Server(listen="127.0.0.1:0", trusted_proxies=trusted))
    async with serving(settings) as listener, httpx2.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{listener.port}/", headers={"X-Forwarded-For": "203.0.113.9"})
    assert answer.json()["client"][0] == seen


async def test_an_address_in_use_is_told_with_its_fix() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConnectFailed) as caught:
            listeners.public(echo, Settings(server=Server(listen=address)))
    assert address in caught.value.detail
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("content", ["", "no PEM", "encrypted"])
async def test_a_certificate_beyond_use_is_told_before_anything_is_served(tmp_path: Path, content: str) -> None:
    leaf = trustme.CA().issue_cert("127.0.0.1")
    leaf.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    if content == "encrypted":
        key = load_pem_private_key(leaf.private_key_pem.bytes(), None)
        sealed = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
        await anyio.Path(tmp_path / "key.pem").write_bytes(sealed)
    elif content:
        await anyio.Path(tmp_path / "key.pem").write_text(content)
    server = Server(listen="127.0.0.1:0", tls_certificate=str(tmp_path / "cert.pem"), tls_key=str(tmp_path / "key.pem"))

    with pytest.raises(ConfigError) as caught:
        listeners.public(echo, Settings(server=server))

    assert "tls_certificate" in caught.value.detail


async def test_the_private_socket_marks_its_connections_and_is_private(tmp_path: Path) -> None:
    async with door(tmp_path) as client:
        answer = await client.get("http://wakeline/")
        mode = stat.S_IMODE((tmp_path / "wakeline.sock").stat().st_mode)
    assert answer.json()["admin"] is True
    assert mode == 0o600


async def test_a_data_directory_with_a_very_long_path_has_a_socket_too(tmp_path: Path) -> None:
    directory = tmp_path / ("x" * 120)
    directory.mkdir()
    async with door(directory) as client:
        assert (await client.get("http://wakeline/")).json()["admin"] is True


async def test_a_socket_that_cannot_be_made_is_told_with_its_fix(tmp_path: Path) -> None:
    (tmp_path / admin_socket.NAME).mkdir()

    with pytest.raises(ConnectFailed) as caught:
        admin_socket.listen(tmp_path)

    assert str(tmp_path / admin_socket.NAME) in caught.value.detail


async def test_a_socket_left_by_a_killed_process_is_replaced(tmp_path: Path) -> None:
    left = admin_socket.listen(tmp_path)
    left.close()
    async with door(tmp_path) as client:
        assert (await client.get("http://wakeline/")).status_code == 200


STRANGER = """
import os, socket, sys
os.setgid(65534); os.setuid(65534)
door = socket.socket(socket.AF_UNIX); door.settimeout(20); door.connect(sys.argv[1])
try:
    door.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    answer = door.recv(100)
except ConnectionError: answer = b""
sys.exit(0 if answer == b"" else 1)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_strangers_are_hung_up_on_even_if_the_file_mode_lets_them_in() -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        async with door(directory):
            await anyio.Path(directory).chmod(0o711)
            await anyio.Path(directory / admin_socket.NAME).chmod(0o666)
            command = [sys.executable, "-c", STRANGER, str(directory / admin_socket.NAME)]
            done = await anyio.run_process(command, check=False, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout.decode()
