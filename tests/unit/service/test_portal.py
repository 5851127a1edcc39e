"""A gateway on a disk serves its Bitrix24 portal beside the REST API."""

from __future__ import annotations

import io
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from unit.service.guesses import never_forgiven
from wakeline.config import Bitrix24, Logs, SecretsSection, Server, Settings, Storage
from wakeline.edges.bitrix24.secrets import digest
from wakeline.model.bitrix24.access import IncomingWebhook, PortalUser
from wakeline.model.errors import AddressRefused, ConnectFailed
from wakeline.observe.logs import configure
from wakeline.service import listeners, wiring
from wakeline.service.wiring import Gateway

pytestmark = pytest.mark.anyio

CODE = "hook0123456789ab"


def _settings(directory: Path, bitrix24: Bitrix24) -> Settings:
    return Settings(
        server=Server(data_dir=str(directory)),
        storage=Storage(url=f"sqlite:///{directory}/wakeline.db", ballast=0, low_disk=0),
        secrets=SecretsSection(master_key_file=f"{directory}/master.key"),
        bitrix24=bitrix24,
    )


@pytest.fixture
async def gateway(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Gateway]:
    async with wiring.opened(_settings(tmp_path, Bitrix24())) as opened:
        access = opened._portal.ports.access
        await access.put_user(PortalUser(id=1, name="Anna", admin=True))
        await access.create_webhook(IncomingWebhook(id=0, user=1, digest=digest(CODE), scopes=("crm",)))
        never_forgiven(opened)
        yield opened


def _client(gateway: Gateway) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=gateway.app), base_url="https://portal.test")


async def test_the_portal_and_the_api_are_behind_one_address(gateway: Gateway) -> None:
    async with _client(gateway) as client:
        assert (await client.get(f"/rest/1/{CODE}/profile")).json()["result"]["NAME"] == "Anna"
        assert (await client.get("/rest/profile")).json()["error"] == "NO_AUTH_FOUND"
        assert (await client.get("https://portal.test//oauth/token/?grant_type=none")).json()["error"]
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/v1/apps")).json()["code"] == "unauthenticated"


async def test_a_reload_reaches_the_portal(gateway: Gateway, tmp_path: Path) -> None:
    gateway.apply(_settings(tmp_path, Bitrix24(require_https=False)))
    async with _client(gateway) as client:
        assert (await client.get(f"http://portal.test/rest/1/{CODE}/profile")).status_code == 200


async def test_a_reload_tells_the_doctor_which_private_hosts_it_may_ask(gateway: Gateway, tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(AddressRefused):
            await gateway._rest_ports.probe.https(host)
        gateway.apply(_settings(tmp_path, Bitrix24(connected_hosts=("127.0.0.1",))))
        with pytest.raises(ConnectFailed):
            await gateway._rest_ports.probe.https(host)


async def test_when_a_webhook_was_used_is_kept_when_the_gateway_ends(tmp_path: Path) -> None:
    settings = _settings(tmp_path, Bitrix24())
    async with wiring.opened(settings) as first:
        access = first._portal.ports.access
        await access.put_user(PortalUser(id=1, name="Anna"))
        await access.create_webhook(IncomingWebhook(id=0, user=1, digest=digest(CODE), scopes=("crm",)))
        async with _client(first) as client:
            assert (await client.get(f"/rest/1/{CODE}/profile")).status_code == 200

    async with wiring.opened(settings) as again:
        now = again._portal.ports.clock.now()
        assert now - 60_000 < again._portal.ports.access.webhooks()[0].used <= now


async def test_keys_and_codes_are_tried_at_one_bucket(gateway: Gateway) -> None:
    async with _client(gateway) as client:
        for number in range(25):
            assert (await client.get(f"/rest/1/guess-{number}/profile")).status_code == 401
            assert (await client.post(f"/send/?key=guess-{number}", data={"MessageBody": ""})).status_code == 401
        assert (await client.get("/rest/1/another/profile")).status_code == 503
        assert (await client.post("/send/?key=another", data={"MessageBody": ""})).status_code == 503


async def test_no_line_of_the_access_log_shows_what_opens_a_door(gateway: Gateway) -> None:
    out = io.StringIO()
    settings = Settings(server=Server(listen="127.0.0.1:0"), logs=Logs(access=True, format="json"))
    configure(settings.logs, out)
    listener = listeners.public(gateway.app, settings, gateway.hot)
    listener.start()
    asked = (
        f"/rest/1/{CODE}/profile.json",
        f"//rest//1//{CODE}/batch/",
        f"/rest/1%2F{CODE}/profile",
        f"/%72est/1/{CODE[0]}%{ord(CODE[1]):02x}{CODE[2:]}/profile",
        "/rest/profile?auth=token-in-query",
        "/rest/profile?%61uth=token-in-query",
        "/rest/batch?cmd[a]=profile%3Fauth%3Dtoken-in-query",
        "/oauth/token/?grant_type=refresh_token&client_id=local.x&client_secret=client-in-query&refresh_token=token-in-query",
        "/send/?key=licence-in-query",
    )
    try:
        async with httpx2.AsyncClient() as client:
            for path in asked:
                await client.get(f"http://127.0.0.1:{listener.port}{path}")
    finally:
        await listener.stop(at_once=True)
    lines = [line for line in out.getvalue().splitlines() if "http.request" in line]
    assert len(lines) == len(asked)
    for secret in (CODE, "token-in-query", "client-in-query", "licence-in-query"):
        assert secret not in out.getvalue()


@pytest.mark.parametrize(("trusted", "status"), [(("127.0.0.1",), 200), ((), 400)])
async def test_a_webhook_is_secure_if_a_trusted_proxy_says_so(
    gateway: Gateway, trusted: tuple[str, ...], status: int
) -> None:
    settings = Settings(server=Server(listen="127.0.0.1:0", trusted_proxies=trusted))
    listener = listeners.public(gateway.app, settings, gateway.hot)
    listener.start()
    url = f"http://127.0.0.1:{listener.port}/rest/1/{CODE}/profile"
    try:
        async with httpx2.AsyncClient() as client:
            answer = await client.get(url, headers={"x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.5"})
            assert answer.status_code == status
            assert (await client.get(url)).status_code == 400
    finally:
        await listener.stop(at_once=True)
