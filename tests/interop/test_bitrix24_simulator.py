"""Clients of Bitrix24 that nobody here wrote take the simulator's portal for one of Bitrix24's."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from interop.conftest import Services

pytestmark = [
    pytest.mark.interop,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # the clients' own
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # sockets that they leave to the collector
]

_MISSING = "the extra `interop` is not installed: clients of Bitrix24 did NOT judge the simulator's portal"
b24pysdk = pytest.importorskip("b24pysdk", reason=_MISSING)
fast_bitrix24 = pytest.importorskip("fast_bitrix24", reason=_MISSING)
ALL = [str(number) for number in range(1, 324)]


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    state = tmp_path_factory.mktemp("simulator")
    command = [sys.executable, "-m", "wakeline.simulator", "--state-dir", str(state), "--portal-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield Services(json.loads(process.stdout.readline()))
        process.terminate()


@pytest.fixture
def sdk(portal: Services, monkeypatch: pytest.MonkeyPatch) -> str:
    """b24pysdk, told where its OAuth host is; the portal's host and port."""
    portal.post("/reset")
    requester = b24pysdk.api.requesters.BitrixOAuthRequester
    monkeypatch.setattr(requester, "_OAUTH_TOKEN_URL", f"{portal.ready['portal_oauth']}/oauth/token/")
    monkeypatch.setattr(requester, "_APP_INFO_URL", f"{portal.ready['portal_oauth']}/rest/app.info/")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", portal.ready["ca_file"])
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    return str(portal.ready["portal"]).removeprefix("https://")


def app(portal: Services) -> Any:
    ready = portal.ready
    return b24pysdk.BitrixApp(client_id=ready["portal_client_id"], client_secret=ready["portal_client_secret"])


def signed_in(portal: Services, domain: str) -> Any:
    """A token of the application, by a code as a browser brings it."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            """Leave the code to us."""

    plain = portal.ready["portal"].replace("https://", "http://")
    client = urllib.parse.quote(portal.ready["portal_client_id"])
    url = f"{plain}/oauth/authorize/?client_id={client}&redirect_uri=https://app.test/back"
    with pytest.raises(urllib.error.HTTPError) as led:
        urllib.request.build_opener(Stay).open(url, timeout=30)
    with led.value as reply:
        query = urllib.parse.urlsplit(reply.headers["location"]).query
    got = app(portal).get_oauth_token(urllib.parse.parse_qs(query)["code"][0]).oauth_token
    return b24pysdk.BitrixToken(
        domain=domain, auth_token=got.access_token, refresh_token=got.refresh_token, bitrix_app=app(portal)
    )


def webhook(domain: str) -> Any:
    return b24pysdk.Client(b24pysdk.BitrixWebhook(domain=domain, webhook_token="1/simulatorwebhook"))


def test_b24pysdk_reads_lists_page_by_page_and_by_references(sdk: str) -> None:
    deals = webhook(sdk).crm.deal.list(select=["ID", "TITLE"])
    assert [row["ID"] for row in deals.as_list().result] == ALL
    assert [row["ID"] for row in deals.as_list_fast().result] == ALL
    assert webhook(sdk).profile().response.time.date_start.tzinfo is not None


def test_b24pysdk_makes_a_batch_with_a_failure(sdk: str) -> None:
    client = webhook(sdk)
    found = client.call_batch({"one": client.crm.deal.get(bitrix_id=7), "bad": client.crm.deal.get(bitrix_id=99999)})
    assert found.result.result["one"]["OPPORTUNITY"] == "875.00"
    assert set(found.result.result_error) == {"bad"}


def test_b24pysdk_takes_tokens_by_a_code_and_refreshes_expired_ones(portal: Services, sdk: str) -> None:
    token = signed_in(portal, sdk)
    assert token.call_method("profile")["result"]["ID"] == "1"
    old = token.auth_token
    portal.post("/portal/expire")
    assert token.call_method("profile")["result"]["ID"] == "1"
    assert token.auth_token != old
    described = token.get_app_info().result
    assert (described.client_id, described.install.domain) == (portal.ready["portal_client_id"], "localhost")


def test_b24pysdk_waits_out_the_limits_and_knows_the_refusals(portal: Services, sdk: str) -> None:
    token = signed_in(portal, sdk)
    limited = {"status": 503, "error": "QUERY_LIMIT_EXCEEDED"}
    portal.post("/script", target="profile", provider="portal", answers=[limited])
    assert token.call_method("profile")["result"]["ID"] == "1"
    portal.post("/portal/set", closed=True)
    with pytest.raises(b24pysdk.errors.BitrixAPIPortalDeleted):
        token.call_method("profile")


def test_fast_bitrix24_reads_everything_over_plain_http(portal: Services) -> None:
    portal.post("/reset")
    plain = portal.ready["portal_webhook"].replace("https://localhost", "http://127.0.0.1")

    async def work() -> tuple[Any, Any, Any]:
        client = fast_bitrix24.BitrixAsync(plain, verbose=False)
        commands = {"list": "crm.deal.list?start=-1&order[ID]=DESC", "get": "crm.deal.get?ID=$result[list][0][ID]"}
        return (
            await client.get_all("crm.deal.list", {"select": ["ID"]}),
            await client.get_by_ID("crm.deal.get", [5, 6]),
            await client.call_batch({"halt": 0, "cmd": commands}),
        )

    rows, by_id, batch = asyncio.run(work())
    assert sorted((row["ID"] for row in rows), key=int) == ALL
    assert {key: row["ID"] for key, row in by_id.items()} == {"5": "5", "6": "6"}
    assert batch["get"]["ID"] == "323"
