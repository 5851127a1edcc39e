"""How a pool connects, and what it says when it cannot."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
import trustme

from scripted_http2 import LoopTime, Server, Session, keep_silent, serving, until
from wakeline.model.errors import ConfigError, CredentialRefused
from wakeline.transport.backoff import Backoff
from wakeline.transport.http2_connect import Origin, read_proxy
from wakeline.transport.http2_pool import Pool, PoolSettings
from wakeline.transport.tls import ClientCertificate, client_context
from wakeline.wire.http2 import Answer, ConnectFailure, Lost

pytestmark = pytest.mark.anyio

STABLE = ((b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"localhost"))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def server(authority: trustme.CA) -> AsyncIterator[Server]:
    async with serving(authority) as running:
        yield running


@asynccontextmanager
async def pooled(origin: Origin, *, connect_timeout: float = 30.0) -> AsyncIterator[Pool]:
    pool = Pool(origin, wake=nothing, settings=PoolSettings(connect_timeout=connect_timeout), random=lambda: 0.0)
    try:
        yield pool
    finally:
        await pool.close(drain=0.0)


BACKOFF = 60.0


def patient(pool: Pool) -> None:
    """Have a pool wait so many seconds after its first failure: it is the test that lets them pass, or does not."""
    pool._fleet._dialer._backoff = Backoff(lambda: 0.0, first=2 * BACKOFF, longest=2 * BACKOFF)


def nothing() -> None:
    """A caller with nothing more to send."""


async def ask(pool: Pool, *, call: bool = False) -> Answer:
    return await pool.request(stable=STABLE, path=b"/", timeout=30.0, call=call)


async def failure(origin: Origin, *, connect_timeout: float = 30.0) -> ConnectFailure:
    """Ask once and return why no connection could be made."""
    async with pooled(origin, connect_timeout=connect_timeout) as pool:
        answer = await ask(pool)
        assert answer.lost is Lost.CONNECT
        assert answer.failure is not None
        assert answer.detail == answer.failure.detail
        assert pool.stats.last_failure == answer.failure
        return answer.failure


@contextmanager
def closed_port() -> Iterator[int]:
    """A port at which nobody listens, nor will anybody: it is ours."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        yield nobody.getsockname()[1]


@pytest.fixture
async def time(anyio_backend: str) -> LoopTime:
    return LoopTime()


@asynccontextmanager
async def tcp_server(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """A TCP server that does what a test says with each connection; its port."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = asyncio.current_task()
        assert conversation is not None
        conversations.append(conversation)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await talk(reader, writer)
        finally:
            writer.close()

    conversations: list[asyncio.Task[None]] = []
    listener = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        for conversation in conversations:
            conversation.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)


async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def stay_silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    while await reader.read(65_536):
        pass


# --- failures, classified ------------------------------------------------------------------------------------------------


async def test_a_name_without_address_is_dns(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a name server thinks of a name that does not exist is the machine's business."""

    def look_up(*_: object, **__: object) -> Sequence[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    said = await failure(msgspec.structs.replace(server.origin(), host="no-such-host.invalid"))
    assert said.kind == "dns"
    assert "no-such-host.invalid" in said.detail


async def test_a_closed_port_is_refused(server: Server) -> None:
    with closed_port() as port:
        assert (await failure(server.origin(port=port))).kind == "refused"


async def test_a_server_that_says_nothing_is_a_timeout(server: Server) -> None:
    async with tcp_server(stay_silent) as port:
        assert (await failure(server.origin(port=port), connect_timeout=0.2)).kind == "timeout"


async def test_a_server_that_sends_no_settings_is_a_timeout(server: Server) -> None:
    server.on_connect = lambda _: None
    server.deaf = True
    assert (await failure(server.origin(), connect_timeout=0.3)).kind == "timeout"


async def test_a_server_that_hangs_up_is_closed(server: Server) -> None:
    async with tcp_server(hang_up) as port:
        assert (await failure(server.origin(port=port))).kind == "closed"


async def test_an_unknown_authority_is_tls_verify(server: Server) -> None:
    said = await failure(server.origin(context=client_context()))
    assert said.kind == "tls_verify"
    assert "authority" in said.detail


async def test_a_certificate_for_another_name_is_tls_verify(server: Server) -> None:
    said = await failure(msgspec.structs.replace(server.origin(), server_name="api.push.example"))
    assert said.kind == "tls_verify"


async def test_a_server_that_speaks_another_protocol_is_alpn(server: Server) -> None:
    server.context.set_alpn_protocols(["http/1.1"])
    context = server.client_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    said = await failure(server.origin(context=context))
    assert said.kind == "alpn"
    assert "http/1.1" in said.detail


async def test_a_server_without_alpn_is_taken_at_its_word(authority: trustme.CA) -> None:
    async with serving(authority) as server:
        plain = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(plain)
        listener = await asyncio.get_running_loop().create_server(lambda: Session(server), "127.0.0.1", 0, ssl=plain)
        async with pooled(server.origin(port=listener.sockets[0].getsockname()[1])) as pool:
            assert (await ask(pool)).status == 200
        listener.close()


async def test_something_else_than_http2_behind_tls_is_alpn(server: Server) -> None:
    server.on_connect = lambda session: session.transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    server.deaf = True
    said = await failure(server.origin())
    assert said.kind == "alpn"


@asynccontextmanager
async def strict(authority: trustme.CA, version: ssl.TLSVersion) -> AsyncIterator[int]:
    """A server on blocking sockets that demands a certificate of its authority: asyncio's would not send its alert."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])
    authority.issue_cert("localhost").configure_cert(context)
    authority.configure_trust(context)
    listener = socket.create_server(("127.0.0.1", 0))

    def shake_hands() -> None:
        connection, _ = listener.accept()
        with suppress(OSError), context.wrap_socket(connection, server_side=True):
            pass

    working = asyncio.get_running_loop().run_in_executor(None, shake_hands)
    try:
        yield listener.getsockname()[1]
    finally:
        await working
        listener.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_refused_client_certificate_is_a_tls_alert(
    server: Server, authority: trustme.CA, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    """With TLS 1.3 the alert comes after our side of the handshake has succeeded."""
    stranger = trustme.CA().issue_cert("push.example")
    certificate = ClientCertificate(
        chain_pem=b"".join(pem.bytes() for pem in stranger.cert_chain_pems), key_pem=stranger.private_key_pem.bytes()
    )
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    context = client_context(ca_file=str(ca_file), certificate=certificate)
    async with strict(authority, version) as port:
        origin = msgspec.structs.replace(server.origin(context=context, port=port), presents_certificate=True)
        said = await failure(origin)
    assert said.kind == "tls_alert"
    assert "unknown_ca" in said.detail


async def test_a_server_that_waits_for_our_first_words_gets_them(server: Server) -> None:
    """With a client certificate we listen before we speak, but not for ever."""
    server.on_connect = lambda _: None  # its SETTINGS leave with its first answer to anything
    async with pooled(msgspec.structs.replace(server.origin(), presents_certificate=True)) as pool:
        asking = asyncio.ensure_future(ask(pool))
        await until(lambda: server.sessions and server.sessions[0].heard)
        server.sessions[0].greet()
        assert (await asking).status == 200


async def test_a_missing_client_certificate_is_a_tls_alert(server: Server, authority: trustme.CA) -> None:
    async with strict(authority, ssl.TLSVersion.TLSv1_2) as port:
        said = await failure(server.origin(port=port))
    assert said.kind == "tls_alert"


@pytest.mark.parametrize("presents", [True, False])
async def test_a_silent_end_of_the_handshake_is_about_the_client_certificate_if_there_is_one(
    server: Server, *, presents: bool
) -> None:
    server.on_connect = lambda session: session.transport.abort()
    said = await failure(msgspec.structs.replace(server.origin(), presents_certificate=presents))
    assert said.kind == ("tls_alert" if presents else "closed")


async def test_a_close_before_the_first_answer_speaks_against_the_client_certificate(server: Server) -> None:
    server.script = lambda request: request.session.transport.close()
    async with pooled(msgspec.structs.replace(server.origin(), presents_certificate=True)) as pool:
        answer = await ask(pool)
        assert answer.lost is Lost.UNKNOWN
        assert answer.failure is not None
        assert answer.failure.kind == "tls_alert"


async def test_a_context_that_cannot_be_made_fails_the_batch(server: Server) -> None:
    def context() -> ssl.SSLContext:
        raise CredentialRefused("the key does not match the certificate")

    said = await failure(msgspec.structs.replace(server.origin(), ssl_context=context))
    assert "does not match" in said.detail


async def test_a_context_is_made_anew_for_each_connection(server: Server) -> None:
    made: list[ssl.SSLContext] = []

    def context() -> ssl.SSLContext:
        made.append(server.client_context())
        return made[-1]

    async with pooled(msgspec.structs.replace(server.origin(), ssl_context=context)) as pool:
        assert (await ask(pool)).status == 200
        server.sessions[0].transport.abort()
        await until(lambda: pool.stats.connections == 0)
        assert (await ask(pool)).status == 200
    assert len(made) == 2


# --- after a failure -----------------------------------------------------------------------------------------------------


async def test_after_a_failure_requests_fail_at_once_until_the_next_attempt(server: Server, time: LoopTime) -> None:
    with closed_port() as port:
        async with pooled(server.origin(port=port)) as pool:
            patient(pool)
            assert (await ask(pool)).lost is Lost.CONNECT
            assert (pool.room(), pool.room(call=True)) == (0, 100)  # a call hears of it at once
            again = await ask(pool, call=True)
            assert (again.lost, pool._fleet._dialer.busy) == (Lost.CONNECT, False)
            assert pool.room() == 0
            await time.leap(BACKOFF)
            await until(pool.room)


async def test_the_caller_is_woken_when_another_attempt_may_be_made(server: Server, time: LoopTime) -> None:
    woken: list[bool] = []
    with closed_port() as port:
        pool = Pool(server.origin(port=port), wake=lambda: woken.append(pool.room() > 0), random=lambda: 0.0)
        patient(pool)
        assert (await ask(pool)).lost is Lost.CONNECT
        woken.clear()
        await time.leap(BACKOFF)
        await until(lambda: True in woken)
        await pool.close(drain=0.0)


async def test_attempts_become_rarer(server: Server) -> None:
    attempts: list[float] = []

    async def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        attempts.append(asyncio.get_running_loop().time())
        writer.transport.abort()

    async with tcp_server(note) as port, pooled(server.origin(port=port)) as pool:
        while len(attempts) < 4:
            await ask(pool)
            await asyncio.sleep(0.001)
    gaps = [later - earlier for earlier, later in pairwise(attempts)]
    # Half of 0.2 s, of 0.4 s and of 0.8 s, as the test's "random" is always 0; a busy machine makes them longer.
    assert [gap >= least for gap, least in zip(gaps, (0.09, 0.19, 0.39), strict=True)] == [True] * 3


async def test_connections_that_end_before_an_answer_are_failures_too(server: Server) -> None:
    server.script = lambda request: request.session.transport.abort()
    async with pooled(server.origin()) as pool:
        patient(pool)
        assert (await ask(pool)).lost is Lost.UNKNOWN
        assert (await ask(pool)).lost is Lost.CONNECT
        assert len(server.sessions) == 1


async def test_a_working_server_is_found_again(server: Server) -> None:
    refusing = True

    def moody(session: Session) -> None:
        session.transport.abort() if refusing else session.greet()

    server.on_connect = moody
    async with pooled(server.origin()) as pool:
        assert (await ask(pool)).lost is Lost.CONNECT
        refusing = False
        await until(pool.room)
        assert (await ask(pool)).status == 200
        assert pool._fleet._dialer.failure is None


async def test_a_goaway_before_any_answer_does_not_lead_to_rapid_connects(server: Server) -> None:
    started: list[float] = []

    def short_lived(session: Session) -> None:
        started.append(asyncio.get_running_loop().time())
        session.greet()
        session.goaway(0)

    server.on_connect = short_lived
    async with pooled(server.origin()) as pool:
        asking = asyncio.ensure_future(ask(pool))
        await until(lambda: len(started) == 3)
        asking.cancel()
    assert started[2] - started[0] >= 0.3


async def test_closing_stops_an_attempt(server: Server) -> None:
    async with tcp_server(stay_silent) as port:
        pool = Pool(server.origin(port=port), wake=nothing)
        asking = asyncio.ensure_future(ask(pool))
        await until(lambda: pool._fleet._dialer.busy)
        await pool.close(drain=0.05)
        assert (await asking).lost is Lost.NOT_WRITTEN
        assert not pool._fleet._dialer.busy


def test_waits_double_with_jitter_up_to_a_limit_and_begin_again() -> None:
    chances = iter([0.0, 0.5, *[0.999] * 20])
    backoff = Backoff(lambda: next(chances))
    waits = [backoff.next() for _ in range(12)]
    assert waits[:3] == pytest.approx([0.1, 0.3, 0.8], rel=0.01)
    assert waits[-1] == pytest.approx(30.0, rel=0.01)
    backoff.reset()
    assert backoff.next() == pytest.approx(0.2, rel=0.01)


# --- a proxy -------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def proxying(
    reply: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n",
) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A proxy that connects everybody to where they want, or says what a test wants; its port, and what it was asked."""
    heads: list[bytes] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                while data := await reader.read(65_536):
                    writer.write(data)
                    await writer.drain()
        finally:
            writer.close()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        heads.append(head)
        host, _, port = head.split(b" ")[1].rpartition(b":")
        writer.write(reply)
        if b" 200 " not in reply:
            return
        far_reader, far_writer = await asyncio.open_connection(host.decode(), int(port))
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    async with tcp_server(talk) as port:
        yield port, heads


async def test_a_proxy_is_asked_to_connect(server: Server) -> None:
    async with proxying() as (port, heads), pooled(server.origin(proxy=f"http://me:s%40cret@127.0.0.1:{port}")) as pool:
        assert (await ask(pool)).status == 200
    assert heads[0].startswith(
        f"CONNECT localhost:{server.port} HTTP/1.1\r\nHost: localhost:{server.port}\r\n".encode()
    )
    assert b"Proxy-Authorization: Basic bWU6c0BjcmV0\r\n" in heads[0]


async def test_a_proxy_without_password_is_sent_none(server: Server) -> None:
    async with proxying() as (port, heads), pooled(server.origin(proxy=f"http://127.0.0.1:{port}")) as pool:
        assert (await ask(pool)).status == 200
    assert b"authorization" not in heads[0].lower()


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "403"),
        (b"220 mail.example ESMTP\r\n\r\n", "220"),
        (b"HTTP/1.1 407 Pro", "broke off"),
        (b"HTTP/1.1 407 " + b"x" * 20_000, "broke off"),
    ],
)
async def test_what_a_proxy_refuses_is_told_in_its_words(server: Server, reply: bytes, words: str) -> None:
    async with proxying(reply) as (port, _):
        said = await failure(server.origin(proxy=f"http://127.0.0.1:{port}"))
    assert said.kind == "proxy"
    assert words in said.detail


async def test_a_proxy_that_is_not_there_is_named(server: Server) -> None:
    with closed_port() as port:
        said = await failure(server.origin(proxy=f"http://127.0.0.1:{port}"))
    assert said.kind == "proxy"


async def test_a_silent_proxy_is_a_timeout(server: Server) -> None:
    async with tcp_server(stay_silent) as port:
        said = await failure(server.origin(proxy=f"http://127.0.0.1:{port}"), connect_timeout=0.2)
    assert said.kind in {"timeout", "proxy"}


async def test_a_proxy_url_that_is_none_is_refused_at_once(server: Server) -> None:
    for url in ("proxy:3128", "https://proxy:3128", "http://proxy", "http://:3128", "http://proxy:port"):
        with pytest.raises(ConfigError):
            Pool(server.origin(proxy=url), wake=nothing)
    proxy = read_proxy("http://me:s%40cret@[::1]:3128")
    assert proxy is not None
    assert (proxy.host, proxy.port, proxy.password) == ("::1", 3128, "s@cret")
    assert "cret" not in repr(proxy)


async def test_silence_before_the_first_answer_is_told_with_its_reason(server: Server) -> None:
    server.script = keep_silent
    async with pooled(server.origin()) as pool:
        asking = asyncio.ensure_future(ask(pool))
        await until(lambda: server.received)
        server.sessions[0].goaway(1, b'{"reason":"BadCertificate"}')
        await until(lambda: pool.stats.last_goaway is not None)
        server.sessions[0].transport.abort()
        answer = await asking
    assert answer.lost is Lost.UNKNOWN
    assert "BadCertificate" in answer.detail
