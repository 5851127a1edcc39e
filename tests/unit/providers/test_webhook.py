"""One message to one endpoint: what is written, what the answer means, and where it never goes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import msgspec
import pytest

from stories.clock import START, FakeClock
from wakeline.config import Webhooks
from wakeline.model.app import App
from wakeline.model.errors import AddressRefused, TransportError
from wakeline.model.event import Event, EventData, EventType
from wakeline.model.webhook import Endpoint, EndpointSecret, Shape
from wakeline.ports import HttpAnswer
from wakeline.ports.webhooks import Said
from wakeline.providers.webhook import WebhookPost
from wakeline.storage.memory.registers import MemoryApps, MemoryCredentials
from wakeline.storage.sealing import Sealer
from wakeline.transport.guard import Guard
from wakeline.transport.http import GuardedClient

pytestmark = pytest.mark.anyio

ENDPOINT = Endpoint(url="https://hooks.example.com/in?key=1", id=3, created=START)
EVENT = Event(
    type=EventType.PUSH_FAILED, at=START, app="acme", seq=41, data=EventData(device="phone", users=("alice",))
)


class Wire:
    """An HTTP client that answers one thing and keeps what it was given."""

    def __init__(self, answer: HttpAnswer | Exception) -> None:
        self.answer = answer
        self.headers: dict[str, str] = {}
        self.body: dict[str, Any] = {}

    async def post(self, url: str, body: bytes, headers: dict[str, str], *, timeout: float) -> HttpAnswer:
        assert (url, timeout) == (ENDPOINT.url, 15.0)
        self.headers, self.body = dict(headers), msgspec.json.decode(body)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def answered(status: int, **headers: str) -> HttpAnswer:
    return HttpAnswer(
        status=status, headers={name.replace("_", "-"): value for name, value in headers.items()}, body=b"secret"
    )


def sender(http: Any, clock: FakeClock | None = None) -> WebhookPost:
    registers = {"apps": MemoryApps(), "credentials": MemoryCredentials(Sealer(b"k" * 32))}
    return WebhookPost(Webhooks(), clock or FakeClock(), http, **registers)  # type: ignore[arg-type]  # each by its name


async def said(answer: HttpAnswer | Exception) -> Said:
    return await sender(Wire(answer)).send(ENDPOINT, [EndpointSecret(value=b"s" * 32)], EVENT)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
async def test_every_2xx_takes_the_message(status: int) -> None:
    assert (await said(answered(status))).taken


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_a_failure_that_says_what_to_do(status: int) -> None:
    found = await said(answered(status, location="https://other.example.com/"))
    assert not found.taken
    assert "not followed" in found.detail


async def test_a_failure_is_told_in_the_words_of_the_standard_and_never_in_those_of_the_answer() -> None:
    found = await said(answered(503, retry_after="90"))
    assert (found.status, found.detail, found.retry_after) == (503, "Service Unavailable", 90.0)
    assert (await said(answered(599))).detail == ""


async def test_410_says_that_no_more_is_wanted() -> None:
    assert (await said(answered(410))).gone is not None
    assert (await said(answered(404))).gone is None


async def test_a_retry_after_may_be_a_date() -> None:
    date, later = "Sun, 01 Mar 2026 12:00:00 GMT", "Sun, 01 Mar 2026 12:02:00 GMT"
    assert (await said(answered(429, date=date, retry_after=later))).retry_after == 120.0
    assert (await said(answered(429, retry_after=formatdate(START / 1000 + 90, usegmt=True)))).retry_after == 90.0


async def test_who_may_not_be_told_names_the_settings_that_say_so() -> None:
    found = await said(AddressRefused("hooks.example.com resolves to 10.0.0.7, which is a private address"))
    assert (found.status, "10.0.0.7" in found.detail, "[webhooks] allow_private" in found.detail) == (0, True, True)


async def test_what_breaks_on_the_way_is_an_answer_without_status() -> None:
    assert (await said(TransportError("no connection"))).detail == "no connection"
    assert (await said(RuntimeError("what nobody expected"))).detail == "a defect of the gateway: RuntimeError"


async def test_secrets_sign_until_their_time_is_over() -> None:
    clock, wire = FakeClock(), Wire(answered(204))
    both = [EndpointSecret(value=b"n" * 32), EndpointSecret(value=b"o" * 32, until=clock.now() + 1000)]
    await sender(wire, clock).send(ENDPOINT, both, EVENT)
    assert len(wire.headers["webhook-signature"].split()) == 2
    clock.advance(1.0)
    await sender(wire, clock).send(ENDPOINT, both, EVENT)
    assert len(wire.headers["webhook-signature"].split()) == 1
    assert wire.headers["webhook-id"] == ENDPOINT.message_id(41)
    assert wire.headers["webhook-timestamp"] == str(clock.now() // 1000)


async def test_the_shape_of_an_endpoint_is_the_shape_of_its_messages() -> None:
    wire = Wire(answered(200))
    await sender(wire).send(msgspec.structs.replace(ENDPOINT, shape=Shape.MESIBO), [], EVENT)
    assert wire.body["events"][0]["user"] == {"address": "alice", "uid": 0}
    await sender(wire).send(ENDPOINT, [], EVENT)
    assert wire.body["data"]["users"] == ["alice"]


async def test_mesibos_envelope_names_the_app_by_its_number() -> None:
    wire, apps = Wire(answered(200)), MemoryApps()
    app: App = await apps.create("acme", "Acme", START)
    post = WebhookPost(Webhooks(), FakeClock(), wire, apps=apps, credentials=MemoryCredentials(Sealer(b"k" * 32)))  # type: ignore[arg-type]  # it only posts
    await post.send(msgspec.structs.replace(ENDPOINT, shape=Shape.MESIBO), [], EVENT)
    assert wire.body["aid"] == app.id


# --- behind the guard, over a socket


@contextlib.contextmanager
def redirecting() -> Iterator[tuple[int, list[str]]]:
    """Answer every request with a redirect to itself; yields the port, and what was asked for."""
    asked: list[str] = []

    class Redirecting(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers.get("content-length", "0")))
            self.send_response(307)
            self.send_header("location", "/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Redirecting)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1], asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@contextlib.asynccontextmanager
async def behind(
    addresses: Sequence[str], *, allow_private: bool = False
) -> AsyncIterator[tuple[WebhookPost, list[str]]]:
    looked_up: list[str] = []

    async def resolve(host: str, _port: int) -> Sequence[str]:
        looked_up.append(host)
        return [addresses[min(len(looked_up), len(addresses)) - 1]]

    async with GuardedClient(Guard(resolve=resolve, allow_http=True, allow_private=allow_private)) as http:
        yield sender(http), looked_up


async def test_a_redirect_is_never_followed() -> None:
    with redirecting() as (port, asked):
        async with behind(["127.0.0.1"], allow_private=True) as (post, _):
            found = await post.send(Endpoint(url=f"http://hook.example:{port}/in", id=1), [], EVENT)
    assert (found.status, asked) == (307, ["/in"])


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fd00::1", "::ffff:10.0.0.1"])
async def test_a_name_that_leads_inside_is_refused_and_nothing_is_sent(address: str) -> None:
    with redirecting() as (port, asked):
        async with behind([address]) as (post, _):
            found = await post.send(Endpoint(url=f"http://hook.example:{port}/in", id=1), [], EVENT)
    assert (found.status, asked) == (0, [])
    assert "not reachable from here by rule" in found.detail


async def test_an_address_is_looked_up_once_and_what_was_judged_is_connected_to() -> None:
    """Who would answer a second look-up with another address (DNS rebinding) is not asked a second time."""
    with redirecting() as (port, asked):
        async with behind(["127.0.0.1", "127.0.0.2"], allow_private=True) as (post, looked_up):
            await post.send(Endpoint(url=f"http://hook.example:{port}/in", id=1), [], EVENT)
    assert (asked, looked_up) == (["/in"], ["hook.example"])


async def test_plain_http_is_refused_unless_the_operator_allows_it() -> None:
    async with GuardedClient(Guard(resolve=lambda *_: pytest.fail("it is not looked up"))) as http:
        found = await sender(http).send(Endpoint(url="http://hook.example/in", id=1), [], EVENT)
    assert "plain http is not allowed" in found.detail
