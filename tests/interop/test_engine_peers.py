"""Our pool against servers that nobody here wrote: nghttpd (nghttp2, in C) and one on the `h2` library."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
import trustme

from wakeline.transport.http2_connect import Origin
from wakeline.transport.http2_pool import Pool, PoolSettings
from wakeline.transport.tls import client_context
from wakeline.wire.http2 import Answer, Fields, RequestBatch

pytestmark = [pytest.mark.anyio, pytest.mark.interop, pytest.mark.timeout(60)]

BATCH = 250
NGHTTPD = shutil.which("nghttpd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
STABLE: Fields = (
    (b":method", b"POST"),
    (b":scheme", b"https"),
    (b":authority", b"localhost"),
    (b"apns-topic", b"com.example.chat"),
    (b"apns-push-type", b"alert"),
)
LITERAL: Fields = ((b"authorization", b"bearer " + b"t" * 150),)


class Certificate:
    """Files of one server certificate and of the authority that signed it."""

    def __init__(self, directory: Path) -> None:
        authority = trustme.CA()
        leaf = authority.issue_cert("localhost", "127.0.0.1")
        self.ca, self.chain, self.key = (str(directory / name) for name in ("ca.pem", "chain.pem", "key.pem"))
        authority.cert_pem.write_to_path(self.ca)
        Path(self.chain).write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        leaf.private_key_pem.write_to_path(self.key)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("certificate"))


def body_of(number: int) -> bytes:
    """Bodies from nothing to more than a frame, mostly of the size of a push."""
    size = {0: 0, 1: 1, 2: 17_000, 3: 4096}.get(number % 100, 200 + number % 97)
    return (b"%d " % number * size)[:size]


class Campaign:
    """`total` numbered requests through a pool; every answer is kept."""

    def __init__(self, total: int, *, keep_bodies: bool) -> None:
        self.accepted: list[int] = []
        self.others: dict[int, Answer] = {}
        self._total = total
        self._keep = keep_bodies
        self._done = asyncio.Event()

    async def run(self, port: int, certificate: Certificate, *, connections: int) -> None:
        context = client_context(ca_file=certificate.ca)
        origin = Origin(host="127.0.0.1", port=port, ssl_context=context, server_name="localhost")
        pool = Pool(origin, wake=lambda: None, settings=PoolSettings(max_connections=connections))
        for first in range(0, self._total, BATCH):
            pool.submit(self._batch(range(first, min(first + BATCH, self._total))))
        await self._done.wait()
        await pool.close(drain=5)

    def _batch(self, numbers: range) -> RequestBatch:
        paths = [b"/3/device/%064x" % number for number in numbers]
        bodies = [body_of(number) for number in numbers]
        ids = [b"019a8f4e-2b3c-7d10-9000-%012x" % number for number in numbers]
        digests = [
            hashlib.sha256(path + name + body).hexdigest() for path, name, body in zip(paths, ids, bodies, strict=True)
        ]
        return RequestBatch(
            stable=STABLE,
            literal=LITERAL,
            paths=paths,
            body=bodies,
            extra=[
                ((b"apns-id", name), (b"x-digest", digest.encode())) for name, digest in zip(ids, digests, strict=True)
            ],
            deadline=asyncio.get_running_loop().time() + 45,
            on_answers=self._told(numbers),
            keep_bodies=self._keep,
        )

    def _told(self, numbers: range) -> Callable[[RequestBatch, list[int], list[tuple[int, Answer]]], None]:
        def told(_: RequestBatch, accepted: list[int], others: list[tuple[int, Answer]]) -> None:
            self.accepted += [numbers[index] for index in accepted]
            for index, answer in others:
                assert numbers[index] not in self.others
                self.others[numbers[index]] = answer
            if len(self.accepted) + len(self.others) >= self._total:
                self._done.set()

        return told


# --- nghttpd ---------------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def listening(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until the server accepts connections."""
    while process.poll() is None:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
            continue
        writer.close()
        await writer.wait_closed()
        return
    raise AssertionError(f"nghttpd ended with {process.returncode}")


@contextmanager
def nghttpd(port: int, certificate: Certificate, directory: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    assert NGHTTPD is not None
    command = [NGHTTPD, "-a", "127.0.0.1", "-d", str(directory), "--echo-upload", *options]
    process = subprocess.Popen([*command, str(port), certificate.key, certificate.chain])
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.skipif(NGHTTPD is None, reason="NGHTTPD IS MISSING: apt-get install nghttp2-server")
@pytest.mark.parametrize(
    ("options", "connections"),
    [
        pytest.param(("-m", "1000"), 1, id="roomy"),
        pytest.param(("-m", "1000", "-w", "16", "-W", "16", "-b", "255"), 1, id="padding"),
        pytest.param(("-m", "7", "-w", "14", "-W", "15", "-c", "0"), 3, id="narrow, no header table"),
        pytest.param(("-m", "100", "-c", "150", "--encoder-header-table-size=0"), 2, id="small header table"),
    ],
)
async def test_nghttpd_gives_back_every_body_unchanged(
    options: tuple[str, ...], connections: int, certificate: Certificate, tmp_path: Path
) -> None:
    total, port = 4_000, free_port()
    campaign = Campaign(total, keep_bodies=True)

    with nghttpd(port, certificate, tmp_path, *options) as process:
        await listening(port, process)
        await campaign.run(port, certificate, connections=connections)

    assert sorted(campaign.others) == list(range(total))
    wrong = {
        number: answer
        for number, answer in campaign.others.items()
        if answer.status != 200 or answer.body != body_of(number)
    }
    assert wrong == {}


# --- h2 --------------------------------------------------------------------------------------------------------------


@contextmanager
def h2_server(certificate: Certificate, *limits: int) -> Iterator[tuple[int, Callable[[], dict[str, int]]]]:
    """A port, and a function that ends the server and returns its books."""
    program = str(Path(__file__).with_name("h2_server.py"))
    command = [sys.executable, program, certificate.chain, certificate.key, *map(str, limits)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def books() -> dict[str, int]:
        output, _ = process.communicate(timeout=10)
        counts: dict[str, int] = json.loads(output)
        return counts

    try:
        yield _port(process.stdout), books
    finally:
        process.kill()
        process.communicate()


def _port(output: IO[bytes] | None) -> int:
    assert output is not None
    port: int = json.loads(output.readline())["port"]
    return port


@pytest.mark.parametrize(
    ("streams", "window", "per_connection"),
    [
        pytest.param(100, 65_535, 10**9, id="one connection"),
        pytest.param(40, 3_000, 700, id="small windows and a GOAWAY every 700 requests"),
    ],
)
async def test_a_server_on_h2_gets_every_request_once_and_unchanged(
    streams: int, window: int, per_connection: int, certificate: Certificate
) -> None:
    total = 2_000
    campaign = Campaign(total, keep_bodies=False)

    with h2_server(certificate, streams, window, per_connection) as (port, books):
        await campaign.run(port, certificate, connections=1)
        seen = books()

    assert campaign.others == {}
    assert sorted(campaign.accepted) == list(range(total))
    assert (seen["wrong"], seen["once"]) == (0, total)
    assert seen["connections"] >= total // per_connection
