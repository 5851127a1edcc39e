"""What a stranger may send to any door of the portal: refused in the door's own words, soon, and never as a defect of ours.

And from where it comes: an address is what the connection says, or a proxy that the operator trusts.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import httpx2
import pytest

from unit.service.guesses import never_forgiven
from wakeline.config import Bitrix24, SecretsSection, Server, Settings, Storage
from wakeline.edges.bitrix24.secrets import digest
from wakeline.model.bitrix24.access import IncomingWebhook, PortalUser
from wakeline.model.bitrix24.broker import PortalKey, key_digest
from wakeline.model.bitrix24.installation import Installation, InstallationState, WebhookAccess
from wakeline.model.errors import AddressRefused
from wakeline.service import listeners, wiring
from wakeline.service.listeners import Listener
from wakeline.service.wiring import Gateway

pytestmark = pytest.mark.anyio

CODE = "hook0123456789ab"
KEY = "0123456789abcdef0123456789abcdef"
NAME = "connected0123456789"
FORM, JSON = "application/x-www-form-urlencoded", "application/json"


def _settings(directory: Path) -> Settings:
    return Settings(
        server=Server(data_dir=str(directory)),
        storage=Storage(url=f"sqlite:///{directory}/wakeline.db", ballast=0, low_disk=0),
        secrets=SecretsSection(master_key_file=f"{directory}/master.key"),
        bitrix24=Bitrix24(rate_limit=False, failed_authentications=10, require_https=False),
    )


@pytest.fixture
async def gateway(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Gateway]:
    async with wiring.opened(_settings(tmp_path)) as opened:
        ports = opened._portal.ports
        await ports.access.put_user(PortalUser(id=1, name="Anna", admin=True))
        await ports.access.create_webhook(IncomingWebhook(id=0, user=1, digest=digest(CODE), scopes=("crm", "user")))
        app = await ports.apps.create("acme", "Acme", ports.clock.now())
        key = PortalKey(id=0, app=app.id, digest=key_digest(KEY), ending=KEY[-6:])
        await opened._rest_ports.portal_keys.bind(key)
        await opened._rest_ports.connected.installations.create(
            Installation(
                id=0,
                name=NAME,
                app=app.id,
                access=WebhookAccess(url="https://crm.test/rest/1/hook0123456789ab/"),
                client_endpoint="https://crm.test/rest/",
                application_token="t" * 32,
                state=InstallationState.ACTIVE,
            )
        )
        never_forgiven(opened)
        yield opened


DOORS = (
    f"/rest/1/{CODE}/user.get",
    f"/rest/1/{CODE}/batch",
    f"/rest/1/{CODE}/crm.deal.list",
    "/rest/profile",
    "/oauth/token/",
    "/oauth/authorize/",
    f"/send/?key={KEY}",
    f"/pub/?key={KEY}",
    f"/bitrix24/events/{NAME}",
    f"/bitrix24/events/{NAME}?DOMAIN=crm.test&PROTOCOL=1",
    f"/bitrix24/oauth/{NAME}",
    "/bitrix24/events/nobodys",
)
BODIES = {
    "a form of fifty levels": (FORM, b"MessageBody" + b"[a]" * 50 + b"=1"),
    "a form whose brackets never close": (FORM, b"filter" + b"[" * 100_000 + b"=1"),
    "a form of a hundred thousand brackets": (FORM, b"filter" + b"[]" * 100_000 + b"=1"),
    "a form of ten thousand fields": (FORM, b"&".join(b"a%d=1" % number for number in range(10_000))),
    "a form of ten thousand places": (FORM, b"&".join([b"cmd[]=profile"] * 10_000)),
    "a command of fifty levels": (FORM, b"halt=0&cmd[a]=user.get%3Ffilter" + b"%5Ba%5D" * 50 + b"%3D1"),
    "JSON of a hundred thousand levels": (JSON, b"[" * 100_000),
    "JSON of maps within maps": (JSON, b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
    "a filter of two hundred levels": (JSON, b'{"filter":' + b'{"a":' * 200 + b"1" + b"}" * 200 + b"}"),
    "a number beyond all bounds": (JSON, b'{"start":1e400,"ID":' + b"9" * 5000 + b"}"),
    "half a character": (JSON, rb'{"cmd":{"a":"user.get?NAME=\ud800"},"filter":{"\ud800":"\udfff"}}'),
    "no text at all": (FORM, b"\xff\xfe\x00" * 1000),
    "percent signs": (FORM, b"a=%" * 3000),
    "a megabyte too much": (JSON, b'"' + b"x" * 2_000_000 + b'"'),
    "a form with parts that never end": (
        "multipart/form-data; boundary=x",
        b'--x\r\ncontent-disposition: form-data; name="a',
    ),
    "parts without a boundary": ("multipart/form-data", b"--x"),
    "a type that is none": ("application/json; charset=" + "x" * 3000, b"{}"),
}


@pytest.mark.parametrize("body", BODIES)
async def test_no_door_breaks_or_lingers_over_a_hostile_body(gateway: Gateway, body: str) -> None:
    content_type, content = BODIES[body]
    transport = httpx2.ASGITransport(app=gateway.app)
    async with httpx2.AsyncClient(transport=transport, base_url="https://portal.test") as client:
        for door in DOORS:
            began = time.process_time()
            answer = await client.post(door, content=content, headers={"content-type": content_type})
            assert answer.status_code < 500, (door, answer.text)
            assert time.process_time() - began < 2, door
            assert "Traceback" not in answer.text
        assert (await client.get(f"/rest/1/{CODE}/profile")).status_code == 200


async def test_a_handler_whose_name_turns_to_this_machine_is_not_connected_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler is bound by its name; where that leads is judged with each connection, and nothing is looked up again."""

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    connected: list[asyncio.StreamWriter] = []

    def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.append(writer)
        writer.close()

    monkeypatch.setattr("wakeline.service.portal.ApartResolver", lambda: resolve)
    server = await asyncio.start_server(note, "127.0.0.1", 0)
    async with server, wiring.opened(_settings(tmp_path)) as gateway:
        url = f"https://handler.test:{server.sockets[0].getsockname()[1]}/b24"
        with pytest.raises(AddressRefused, match=r"handler\.test.*loopback"):
            await gateway._portal.ports.http.post(url, b"event=ONCRMDEALADD", {}, timeout=5)
    assert connected == []


@pytest.fixture
async def listening(gateway: Gateway, request: pytest.FixtureRequest) -> AsyncIterator[Listener]:
    settings = Settings(server=Server(listen="127.0.0.1:0", trusted_proxies=request.param))
    listener = listeners.public(gateway.app, settings, gateway.hot)
    listener.start()
    yield listener
    await listener.stop(at_once=True)


async def _guess(client: httpx2.AsyncClient, forwarded: str) -> int:
    answer = await client.get("/rest/1/wrong0123456789a/profile", headers={"x-forwarded-for": forwarded})
    return answer.status_code


@pytest.mark.parametrize("listening", [("127.0.0.1",)], indirect=True)
async def test_behind_a_trusted_proxy_each_client_answers_for_himself(listening: Listener) -> None:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{listening.port}", trust_env=False) as client:
        # what a client writes there himself stands before what the proxy adds, and is nobody's address
        guesses = [await _guess(client, f"198.51.100.{number}, 203.0.113.5") for number in range(10)]
        assert set(guesses) == {401}
        assert await _guess(client, "198.51.100.99, 203.0.113.5") == 503
        assert await _guess(client, "203.0.113.6") == 401


@pytest.mark.parametrize("listening", [()], indirect=True)
async def test_without_a_trusted_proxy_nobody_chooses_his_address(listening: Listener) -> None:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{listening.port}", trust_env=False) as client:
        guesses = [await _guess(client, f"203.0.113.{number}") for number in range(10)]
        assert set(guesses) == {401}
        assert await _guess(client, "203.0.113.99") == 503


@pytest.mark.parametrize(
    ("listening", "seen"), [(("127.0.0.1",), "203.0.113.5"), ((), "127.0.0.1")], indirect=["listening"]
)
async def test_a_portal_comes_from_the_address_that_a_trusted_proxy_names(
    gateway: Gateway, listening: Listener, seen: str
) -> None:
    push = {"token": "5e" * 32, "platform": "ios", "payload": {"title": "Hello"}}
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{listening.port}", trust_env=False) as client:
        headers = {"x-forwarded-for": "203.0.113.5", "content-type": JSON}
        answer = await client.post(f"/send/?key={KEY}", content=json.dumps(push), headers=headers)
    (key,) = gateway._rest_ports.portal_keys.all()

    assert answer.status_code < 500
    assert [source.address for source in key.sources] == [seen]
