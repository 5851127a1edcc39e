"""HTTP/2 servers that nobody here wrote, and a campaign of numbered requests that each can check as far as it is able."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO

import trustme

from ports import free_port
from wakeline.transport.http2_connect import Origin
from wakeline.transport.http2_pool import Pool, PoolSettings
from wakeline.transport.tls import client_context
from wakeline.wire.http2 import Answer, Fields, RequestBatch

BATCH = 250
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
NGHTTPD, NGINX = shutil.which("nghttpd", path=_PATH), shutil.which("nginx", path=_PATH)
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


def body_of(number: int) -> bytes:
    """Bodies from nothing to more than a frame, mostly of the size of a push."""
    size = {0: 0, 1: 1, 2: 17_000, 3: 4096}.get(number % 100, 200 + number % 97)
    return (b"%d " % number * size)[:size]


def digest_of(path: bytes, name: bytes, body: bytes) -> str:
    """What `x-digest` says of a request: a receiver that finds the same got path, apns-id and body unchanged."""
    return hashlib.sha256(path + name + body).hexdigest()


class Campaign:
    """`total` numbered requests through a pool; every answer is kept."""

    def __init__(self, total: int, *, keep_bodies: bool, seconds: float = 45.0) -> None:
        self.accepted: list[int] = []
        self.others: dict[int, Answer] = {}
        self._total = total
        self._keep = keep_bodies
        self._seconds = seconds
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
        digests = [digest_of(path, name, body) for path, name, body in zip(paths, ids, bodies, strict=True)]
        return RequestBatch(
            stable=STABLE,
            literal=LITERAL,
            paths=paths,
            body=bodies,
            extra=[
                ((b"apns-id", name), (b"x-digest", digest.encode())) for name, digest in zip(ids, digests, strict=True)
            ],
            deadline=asyncio.get_running_loop().time() + self._seconds,
            on_answers=self._told(numbers),
            keep_bodies=self._keep,
        )

    def _told(self, numbers: range) -> Callable[[RequestBatch, Sequence[int], list[tuple[int, Answer]]], None]:
        def told(_: RequestBatch, accepted: Sequence[int], others: list[tuple[int, Answer]]) -> None:
            self.accepted += [numbers[index] for index in accepted]
            for index, answer in others:
                assert numbers[index] not in self.others
                self.others[numbers[index]] = answer
            if len(self.accepted) + len(self.others) >= self._total:
                self._done.set()

        return told


@asynccontextmanager
async def listening(start: Callable[[int], AbstractContextManager[subprocess.Popen[bytes]]]) -> AsyncIterator[int]:
    """Run a server that cannot choose a port; gives the port once it accepts connections there.

    A port may be somebody else's by the time the server wants it: then it ends, and is started with another one.
    """
    for _ in range(5):
        port = free_port()
        with start(port) as process:
            if await _accepts(port, process):
                yield port
                return
    raise AssertionError("the server does not start")


async def _accepts(port: int, process: subprocess.Popen[bytes]) -> bool:
    """Wait until a server accepts connections or ends; tell which."""
    while process.poll() is None:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
            continue
        writer.close()
        await writer.wait_closed()
        return True
    return False


@contextmanager
def nghttpd(certificate: Certificate, directory: Path, *options: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    assert NGHTTPD is not None
    command = [NGHTTPD, "-a", "127.0.0.1", "-d", str(directory), "--echo-upload", *options]
    process = subprocess.Popen([*command, str(port), certificate.key, certificate.chain])
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def h2_server(certificate: Certificate, *limits: int) -> Iterator[tuple[int, Callable[[], dict[str, int]]]]:
    """A port, and a function that ends the server and returns its books."""
    program = str(Path(__file__).with_name("h2_server.py"))
    with _booked([sys.executable, program, certificate.chain, certificate.key, *map(str, limits)]) as booked:
        yield booked


@contextmanager
def _booked(command: list[str]) -> Iterator[tuple[int, Callable[[], dict[str, int]]]]:
    """A server that prints its port, and its books at the end of its input."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def books() -> dict[str, int]:
        output, _ = process.communicate(timeout=60)
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


_NGINX = """
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 512; }}
http {{
    log_format books escape=json '{{"path":"$request_uri","id":"$http_apns_id","digest":"$http_x_digest","body":"$request_body"}}';
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    client_body_buffer_size 64k;
    upstream back {{ server 127.0.0.1:{back}; keepalive 128; keepalive_requests 1000000; }}
    server {{
        listen 127.0.0.1:{front} ssl http2;
        ssl_certificate {chain};
        ssl_certificate_key {key};
        access_log {directory}/books.log books buffer=64k;
        location / {{ proxy_pass http://back; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    }}
    server {{
        listen 127.0.0.1:{back};
        access_log off;
        keepalive_requests 1000000;
        location / {{ return 200; }}
    }}
}}
"""


@contextmanager
def nginx(certificate: Certificate, directory: Path, *, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """nginx at a port, which hands on to itself at another, since only who hands a body on can log it (`nginx_books`)."""
    assert NGINX is not None
    config = directory / "nginx.conf"
    config.write_text(
        _NGINX.format(directory=directory, front=port, back=free_port(), chain=certificate.chain, key=certificate.key),
        encoding="utf-8",
    )
    process = subprocess.Popen([NGINX, "-p", str(directory), "-c", str(config), "-e", "stderr"])
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def nginx_books(directory: Path) -> dict[str, int]:
    """What an ended nginx saw: `once`, how many requests came exactly once; `wrong`, how many were not as sent."""
    seen: dict[str, int] = {}
    wrong = 0
    for line in (directory / "books.log").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        seen[row["id"]] = seen.get(row["id"], 0) + 1
        wrong += digest_of(row["path"].encode(), row["id"].encode(), row["body"].encode()) != row["digest"]
    return {"once": sum(count == 1 for count in seen.values()), "wrong": wrong}


@contextmanager
def node_server(certificate: Certificate) -> Iterator[tuple[int, Callable[[], dict[str, int]]]]:
    """node's own http2: a port, and a function that ends the server and returns its books."""
    program = str(Path(__file__).parent / "node" / "http2_server.js")
    with _booked(["node", program, certificate.chain, certificate.key]) as booked:
        yield booked
