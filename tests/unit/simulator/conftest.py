"""A simulator for each test, and a bare HTTP/2 client that shows every frame it gets."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import h2.events
import httpx2
import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes

from interop.apple_certificates import make_certificate, write_pem
from unit.simulator.portal_client import Clock, Handler, PortalClient
from wakeline.simulator import Simulator

TOPIC = "com.example.chat"
PAYLOAD = b'{"aps":{"alert":"hello"}}'
DEADLINE_S = 20.0
_SIGNING_KEY = ec.generate_private_key(ec.SECP256R1())


Headers = Mapping[str, str | None]
NO_HEADERS: Headers = MappingProxyType({})


class Reply(msgspec.Struct):
    """One answer, and the DATA frames that it came in."""

    status: int = 0
    headers: dict[str, str] = {}
    frames: list[bytes] = []
    ended: bool = False

    @property
    def body(self) -> bytes:
        return b"".join(self.frames)

    @property
    def reason(self) -> str:
        return str(msgspec.json.decode(self.body)["reason"]) if self.body else ""


class ApnsPeer:
    """An HTTP/2 client that obeys no limit unless told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.authorization: str | None = bearer()
        self.replies: dict[int, Reply] = {}
        self.resets: dict[int, int] = {}
        self.limits: list[int] = []
        self.pongs: list[bytes] = []
        self.goaway: h2.events.ConnectionTerminated | None = None
        self.closed = False
        self.flush()

    def flush(self) -> None:
        self.writer.write(self.h2.data_to_send())

    def send(
        self,
        device: str = "ab12",
        body: bytes = PAYLOAD,
        *,
        headers: Headers = NO_HEADERS,
        extra: tuple[tuple[str, str], ...] = (),
    ) -> int:
        """Writes one push with a good token; a header set to None is left out."""
        named = {"host": "localhost", "authorization": self.authorization, "apns-topic": TOPIC, **headers}
        given = [(name, value) for name, value in named.items() if value is not None]
        return self.request(f"/3/device/{device}", [*given, *extra], body)

    def request(self, path: str, headers: list[tuple[str, str]], body: bytes, method: str = "POST") -> int:
        stream = self.h2.get_next_available_stream_id()
        # What h2 believes of the server's limit does not hold this client back.
        self.h2.remote_settings.max_concurrent_streams = 2**31 - 1
        self.h2.remote_settings.acknowledge()
        pseudo = [(":method", method), (":scheme", "https"), (":path", path)]
        self.h2.send_headers(stream, [*pseudo, *headers], end_stream=not body)
        for start in range(0, len(body), 16384):
            self.h2.send_data(stream, body[start : start + 16384], end_stream=start + 16384 >= len(body))
        self.flush()
        return stream

    async def push(self, device: str = "ab12", body: bytes = PAYLOAD, *, headers: Headers = NO_HEADERS) -> Reply:
        return await self.answer(self.send(device, body, headers=headers))

    async def answer(self, stream: int) -> Reply:
        await self.until(lambda: stream in self.replies and self.replies[stream].ended)
        return self.replies[stream]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Reads until `condition` holds."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                assert not self.closed, "the server closed the connection"
                await self._read()

    async def settle(self) -> None:
        """Waits until the server has taken everything sent so far: it answers a PING in order."""
        mark = len(self.pongs)
        self.h2.ping(b"settled?")
        self.flush()
        await self.until(lambda: len(self.pongs) > mark)

    async def _read(self) -> None:
        data = await self._reader.read(65536)
        self.closed = not data
        for event in self.h2.receive_data(data) if data else ():
            self._take(event)
        self.flush()

    def _take(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived(stream_id=int(stream), headers=headers):
                named = {str(name): str(value) for name, value in headers or ()}
                self.replies[stream] = Reply(int(named.pop(":status")), named)
            case h2.events.DataReceived(stream_id=int(stream), data=bytes(data)):
                self.replies[stream].frames.append(data)
            case h2.events.StreamEnded(stream_id=int(stream)):
                self.replies[stream].ended = True
            case h2.events.StreamReset(stream_id=int(stream), error_code=code):
                self.resets[stream] = int(code or 0)
            case h2.events.RemoteSettingsChanged(changed_settings=changed):
                if SettingCodes.MAX_CONCURRENT_STREAMS in changed:
                    self.limits.append(changed[SettingCodes.MAX_CONCURRENT_STREAMS].new_value)
            case h2.events.PingAckReceived(ping_data=bytes(data)):
                self.pongs.append(data)
            case h2.events.ConnectionTerminated():
                self.goaway = event
            case _:
                pass


def bearer() -> str:
    """An `authorization` header with a good provider token."""
    claims = {"iss": "TEAM123456", "iat": int(time.time())}
    return f"bearer {jwt.encode(claims, _SIGNING_KEY, algorithm='ES256', headers={'kid': 'ABC123DEFG'})}"


@pytest.fixture
async def simulator(tmp_path: Path) -> AsyncIterator[Simulator]:
    async with Simulator(state_dir=tmp_path / "state", apns_sandbox_port=0) as running:
        yield running


@pytest.fixture
async def control(simulator: Simulator) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{simulator.ports.control}") as client:
        yield client


Connect = Callable[..., "asyncio.Future[ApnsPeer]"]


@pytest.fixture
async def connect(simulator: Simulator) -> AsyncIterator[Connect]:
    """Opens connections to APNs: `await connect(sandbox=..., alpn=..., certificate=..., tls=...)`."""
    opened: list[ApnsPeer] = []

    async def open_one(
        *, sandbox: bool = False, alpn: bool = True, tls: bool = True, certificate: Path | None = None
    ) -> ApnsPeer:
        context = ssl.create_default_context(cafile=str(simulator.ca_file)) if tls else None
        if context is not None and alpn:
            context.set_alpn_protocols(["h2"])
        if context is not None and certificate is not None:
            context.load_cert_chain(certificate)
        port = simulator.ports.apns_sandbox if sandbox else simulator.ports.apns
        host = "localhost" if tls else "127.0.0.1"
        peer = ApnsPeer(*await asyncio.open_connection(host, port, ssl=context))
        opened.append(peer)
        return peer

    yield lambda **options: asyncio.ensure_future(open_one(**options))
    for peer in opened:
        peer.writer.transport.abort()  # a leave of TLS would wait for the other side's


@pytest.fixture
async def peer(connect: Connect) -> ApnsPeer:
    return await connect()


MakeCertificate = Callable[..., Path]


@pytest.fixture
def client_certificate(tmp_path: Path) -> MakeCertificate:
    """Makes a self-signed client certificate with its key in one PEM file; see `make_certificate`."""

    def make(**options: Any) -> Path:
        certificate, key = make_certificate(**options)
        return write_pem(tmp_path / f"client-{certificate.serial_number}.pem", certificate, key)

    return make


@pytest.fixture
async def portal(tmp_path: Path) -> AsyncIterator[PortalClient]:
    clock = Clock()
    async with Simulator(state_dir=tmp_path / "portal", portal_port=0, clock=clock) as running:
        context = ssl.create_default_context(cafile=str(running.ca_file))
        async with httpx2.AsyncClient(verify=context, trust_env=False) as http:
            yield PortalClient(running, clock, http)


@pytest.fixture
async def handler() -> AsyncIterator[Handler]:
    made = Handler()
    server = await made.open()
    yield made
    server.close()
    await server.wait_closed()
