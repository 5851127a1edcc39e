"""HTTP/2 on the public listener: other people's clients, and clients that mean no good."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx2
import pytest
import trustme
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, Event, ResponseReceived, StreamEnded, StreamReset
from h2.settings import SettingCodes
from starlette.types import Receive, Scope, Send

from wakeline.config import Logs, Server, Settings
from wakeline.service import listeners
from wakeline.service.http2_connection import LONGEST_FRAME, MOST_RESETS, MOST_UNSENT, STILL_SECONDS, Http2Connection

pytestmark = pytest.mark.anyio

BIG = b"0123456789abcdef" * 12_000


class Application:
    """Echoes what it is sent; /big is more than a window, /slow waits, /broken fails, /deaf answers before it has read."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []
        self.left = 0
        self.go = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        body = b""
        while scope["path"] != "/deaf":
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        if scope["path"] == "/broken":
            raise ValueError("a defect")
        if scope["path"] == "/slow":
            await self._wait(receive)
        answer = BIG if scope["path"] == "/big" else body
        headers = [(b"Content-Length", str(len(answer)).encode()), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _wait(self, receive: Receive) -> None:
        left = asyncio.ensure_future(receive())
        go = asyncio.ensure_future(self.go.wait())
        await asyncio.wait({left, go}, return_when=asyncio.FIRST_COMPLETED)
        self.left += left.done()
        for each in (left, go):
            each.cancel()


class Listening:
    def __init__(self, listener: listeners.Listener, application: Application) -> None:
        self.listener = listener
        self.application = application

    @property
    def connections(self) -> list[Http2Connection]:
        state = self.listener._server.server_state
        return [one for one in state.connections if isinstance(one, Http2Connection)]

    def client(self, **more: object) -> httpx2.AsyncClient:
        base_url = f"http://127.0.0.1:{self.listener.port}"
        return httpx2.AsyncClient(http1=False, http2=True, base_url=base_url, **more)  # type: ignore[arg-type] # as given


@contextlib.asynccontextmanager
async def listening(server: Server) -> AsyncIterator[Listening]:
    application = Application()
    listener = listeners.public(application, Settings(server=server))
    listener.start()
    try:
        yield Listening(listener, application)
    finally:
        await listener.stop(at_once=True)


@pytest.fixture
async def here(anyio_backend: str) -> AsyncIterator[Listening]:
    async with listening(Server(listen="127.0.0.1:0")) as found:
        yield found


class Peer:
    """A client that says frame by frame what a test wants."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.events: list[Event] = []

    def ask(self, path: str = "/", method: str = "POST", *, end: bool = True, **more: str) -> int:
        number = self.h2.get_next_available_stream_id()
        fields = [(":method", method), (":path", path), (":scheme", "http"), (":authority", "here"), *more.items()]
        self.h2.send_headers(number, fields, end_stream=end)
        return number

    async def flush(self) -> None:
        self.writer.write(self.h2.data_to_send())
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await self.flush()
                data = await self.reader.read(65536)
                assert data, "hung up"
                self.events += self.h2.receive_data(data)

    async def hung_up(self) -> bool:
        async with asyncio.timeout(20):
            with contextlib.suppress(ConnectionError):
                while await self.reader.read(65536):
                    pass
        return True

    def of(self, kind: type[Event], number: int) -> list[Event]:
        return [one for one in self.events if isinstance(one, kind) and getattr(one, "stream_id", None) == number]


@contextlib.asynccontextmanager
async def peer(here: Listening) -> AsyncIterator[Peer]:
    reader, writer = await asyncio.open_connection("127.0.0.1", here.listener.port)
    made = Peer(reader, writer)
    made.h2.initiate_connection()
    await made.flush()
    try:
        yield made
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.005)


async def test_somebody_elses_client_is_served(here: Listening) -> None:
    async with here.client() as client:
        got = await client.get("/a%20b?c=d&e")
        posted = await client.post("/", content=b"Hello", headers={"x-one": "1"})
    assert (got.status_code, got.http_version, posted.content) == (200, "HTTP/2", b"Hello")
    assert "connection" not in posted.headers
    first, second = here.application.scopes
    assert (first["path"], first["raw_path"], first["query_string"], first["http_version"]) == (
        "/a b",
        b"/a%20b",
        b"c=d&e",
        "2",
    )
    assert dict(second["headers"])[b"x-one"] == b"1"
    assert dict(second["headers"])[b"host"].startswith(b"127.0.0.1:")


async def test_http_1_1_is_served_on_the_same_port(here: Listening) -> None:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{here.listener.port}") as client:
        assert (await client.get("/")).http_version == "HTTP/1.1"


async def test_tls_offers_http_2_and_both_are_served(tmp_path: Path) -> None:
    ca = trustme.CA()
    ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "pem"))
    context = ssl.create_default_context()
    ca.configure_trust(context)
    server = Server(listen="127.0.0.1:0", tls_certificate=str(tmp_path / "pem"), tls_key=str(tmp_path / "pem"))
    async with listening(server) as here:
        for http2, version in ((True, "HTTP/2"), (False, "HTTP/1.1")):
            async with httpx2.AsyncClient(http2=http2, verify=context) as client:
                answer = await client.get(f"https://127.0.0.1:{here.listener.port}/")
            assert (answer.http_version, here.application.scopes[-1]["scheme"]) == (version, "https")


async def test_bodies_larger_than_any_window_go_both_ways_side_by_side(here: Listening) -> None:
    async with here.client() as client:
        answers = await asyncio.gather(*(client.post("/", content=BIG) for _ in range(4)), client.get("/big"))
    assert all(answer.content == BIG for answer in answers)


async def test_a_slow_request_keeps_no_other_waiting(here: Listening) -> None:
    async with here.client() as client:
        slow = asyncio.ensure_future(client.get("/slow"))
        await until(lambda: len(here.application.scopes) == 1)
        assert (await client.get("/")).status_code == 200
        here.application.go.set()
        assert (await slow).status_code == 200


async def test_a_defect_ends_its_request_and_no_other(here: Listening) -> None:
    async with peer(here) as client:
        broken, whole = client.ask("/broken"), client.ask("/")
        await client.until(lambda: bool(client.of(StreamReset, broken) and client.of(StreamEnded, whole)))


async def test_an_answer_before_the_body_ends_the_stream_without_blame(here: Listening) -> None:
    async with peer(here) as client:
        number = client.ask("/deaf", end=False)
        await client.until(lambda: bool(client.of(StreamReset, number)))
        [reset] = client.of(StreamReset, number)
        assert isinstance(reset, StreamReset)
        assert reset.error_code == 0
        assert client.of(ResponseReceived, number)


async def test_a_client_that_takes_nothing_keeps_its_answer_waiting_and_nothing_else(here: Listening) -> None:
    async with peer(here) as client:
        number = client.ask("/big")
        await client.until(lambda: bool(client.of(DataReceived, number)))
        other = client.ask("/", end=True)
        await client.until(lambda: bool(client.of(StreamEnded, other)))
        received = sum(len(one.data) for one in client.of(DataReceived, number) if isinstance(one, DataReceived))
        assert received <= 65_535
        client.h2.increment_flow_control_window(len(BIG))
        client.h2.increment_flow_control_window(len(BIG), number)
        await client.until(lambda: bool(client.of(StreamEnded, number)))


async def test_a_request_whose_client_is_gone_is_told(here: Listening) -> None:
    async with peer(here) as client:
        number = client.ask("/slow")
        await client.flush()
        await until(lambda: len(here.application.scopes) == 1)
        client.h2.reset_stream(number)
        await client.flush()
        await until(lambda: here.application.left == 1)
        client.ask("/slow")
        await client.flush()
        await until(lambda: len(here.application.scopes) == 2)
    await until(lambda: here.application.left == 2)
    await until(lambda: not here.connections)


async def test_who_resets_faster_than_we_answer_is_hung_up_on(here: Listening) -> None:
    async with peer(here) as client:
        for _ in range(MOST_RESETS + 2):
            client.h2.reset_stream(client.ask("/slow"))
        await client.flush()
        assert await client.hung_up()


@pytest.mark.parametrize(
    "said",
    [
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * (LONGEST_FRAME + 64),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x04\x01\x05\x00\x00\x00\x01\xff\xff\xff\xff",
    ],
    ids=["preface", "frame", "head"],
)
async def test_what_is_no_http_2_is_hung_up_on(here: Listening, said: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", here.listener.port)
    writer.write(said)
    assert await Peer(reader, writer).hung_up()
    writer.close()
    assert here.application.scopes == []


@pytest.mark.parametrize(("method", "path"), [("GET", "no-slash"), ("GET", "/\u20ac"), ("GET", "http://elsewhere/")])
async def test_a_path_that_is_none_is_refused(here: Listening, method: str, path: str) -> None:
    async with peer(here) as client:
        number = client.ask(path, method)
        await client.until(lambda: bool(client.of(StreamReset, number)))
    assert here.application.scopes == []


async def test_crumbs_of_cookies_are_one_cookie(here: Listening) -> None:
    async with peer(here) as client:
        number = client.h2.get_next_available_stream_id()
        fields = [
            (":method", "GET"),
            (":path", "/"),
            (":scheme", "http"),
            ("host", "there"),
            ("cookie", "a=b"),
            ("cookie", "c=d"),
        ]
        client.h2.send_headers(number, [*fields[:3], (":authority", "there"), *fields[3:]], end_stream=True)
        await client.until(lambda: bool(client.of(StreamEnded, number)))
    [scope] = here.application.scopes
    assert [value for name, value in scope["headers"] if name == b"cookie"] == [b"a=b; c=d"]
    assert [value for name, value in scope["headers"] if name == b"host"] == [b"there"]


async def test_a_stop_lets_what_is_under_way_end_and_takes_nothing_new(here: Listening) -> None:
    async with peer(here) as client:
        number = client.ask("/slow")
        await client.flush()
        await until(lambda: len(here.application.scopes) == 1)
        stopping = asyncio.ensure_future(here.listener.stop())
        await client.until(lambda: any(isinstance(one, ConnectionTerminated) for one in client.events))
        here.application.go.set()
        data = await asyncio.wait_for(client.reader.read(), 20)
        assert data != b""
        await asyncio.wait_for(stopping, 20)
        assert number == 1
    assert here.connections == []


async def test_who_keeps_us_waiting_is_hung_up_on(here: Listening) -> None:
    async with peer(here) as idle, peer(here) as dripping, peer(here) as busy:
        dripping.ask("/", end=False)
        busy.ask("/slow")
        for client in (idle, dripping, busy):
            await client.flush()
        await until(lambda: len(here.connections) == 3 and len(here.application.scopes) == 2)
        now = asyncio.get_running_loop().time()
        here.listener.sweep(now + 1)
        assert len(here.connections) == 3
        here.listener.sweep(now + max(STILL_SECONDS, 75) + 1)
        assert await idle.hung_up()
        assert await dripping.hung_up()
        await until(lambda: len(here.connections) == 1)
        here.application.go.set()


async def test_answers_that_are_not_fetched_wait_in_the_streams_and_not_in_memory_and_not_for_ever(
    here: Listening,
) -> None:
    async with peer(here) as client:
        client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 2**30})
        client.h2.increment_flow_control_window(2**30)
        for _ in range(100):
            client.ask("/big")
        await client.flush()
        await until(lambda: len(here.application.scopes) == 100)
        [connection] = here.connections
        await until(lambda: connection._paused)
        assert connection.transport.get_write_buffer_size() < MOST_UNSENT
        now = asyncio.get_running_loop().time()
        here.listener.sweep(now)
        here.listener.sweep(now + STILL_SECONDS + 1)
        await until(lambda: not here.connections)


async def test_the_access_log_names_the_request(anyio_backend: str, caplog: pytest.LogCaptureFixture) -> None:
    application = Application()
    settings = Settings(server=Server(listen="127.0.0.1:0"), logs=Logs(access=True))
    with caplog.at_level(logging.INFO, logger="uvicorn.access"):
        listener = listeners.public(application, settings)
        listener.start()
        async with Listening(listener, application).client() as client:
            await client.get("/a?b=c")
        await listener.stop(at_once=True)
    assert any('"GET /a?b=c HTTP/2" 200' in record.getMessage() for record in caplog.records)
