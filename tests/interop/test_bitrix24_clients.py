"""Clients of Bitrix24 that nobody here wrote take our portal for one of Bitrix24's, unchanged.

b24pysdk has https, portal and OAuth host built in: a proxy leads its names to us. fast_bitrix24 takes any URL, so it speaks in
plain here. @bitrix24/b24jssdk takes webhooks over https and applications at any URL.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from interop.bitrix24_portal import CLIENT_ID, CLIENT_SECRET, CODE, DEALS, Portal, served
from interop.clients import KEY_ID, TEAM_ID, TOPIC, device_token, pem, run_node
from processes import until
from wakeline.config import Apns, Providers

if TYPE_CHECKING:
    from interop.conftest import Services

pytestmark = [
    pytest.mark.interop,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # the clients' own
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # sockets that they leave to the collector
]

_MISSING = "the extra `interop` is not installed: clients of Bitrix24 did NOT judge our portal"
b24pysdk = pytest.importorskip("b24pysdk", reason=_MISSING)
fast_bitrix24 = pytest.importorskip("fast_bitrix24", reason=_MISSING)
aiohttp = pytest.importorskip("aiohttp", reason=_MISSING)
ALL = [str(number) for number in range(1, DEALS + 1)]


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    with served(tmp_path_factory.mktemp("portal")) as made:
        yield made


@pytest.fixture
def named(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> Portal:
    """The portal under the names that b24pysdk has built in."""
    _lead(monkeypatch, portal)
    return portal


def _lead(monkeypatch: pytest.MonkeyPatch, portal: Portal) -> None:
    monkeypatch.setenv("HTTPS_PROXY", portal.proxy)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(portal.ca_file))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)


@pytest.fixture
def hook(named: Portal) -> Any:
    return b24pysdk.Client(b24pysdk.BitrixWebhook(domain="portal.test", webhook_token=f"1/{CODE}"))


def application(token: str, refresh: str | None = None) -> Any:
    app = b24pysdk.BitrixApp(client_id=CLIENT_ID, client_secret=CLIENT_SECRET)
    return b24pysdk.BitrixToken(domain="portal.test", auth_token=token, refresh_token=refresh, bitrix_app=app)


class TestB24pysdk:
    def test_profile_with_its_times(self, hook: Any) -> None:
        response = hook.profile().response
        assert (response.result["ID"], response.result["ADMIN"]) == ("1", True)
        assert response.time.date_start.tzinfo is not None

    def test_a_list_page_by_page_and_by_references(self, hook: Any) -> None:
        deals = hook.crm.deal.list(select=["ID", "TITLE"])
        assert sorted((row["ID"] for row in deals.as_list().result), key=int) == ALL
        assert [row["ID"] for row in deals.as_list_fast().result] == ALL

    def test_a_batch_with_a_failure(self, hook: Any) -> None:
        found = hook.call_batch(
            {"one": hook.crm.deal.get(bitrix_id=7), "bad": hook.crm.deal.get(bitrix_id=99999)}
        ).result
        assert found.result["one"]["TITLE"] == "Deal 7"
        assert set(found.result_error) == {"bad"}

    def test_a_batch_with_a_reference_and_a_failure(self, hook: Any) -> None:
        found = hook.call_batch(
            {
                "last": hook.crm.deal.list(select=["ID"], order={"ID": "DESC"}),
                "same": hook.crm.deal.list(select=["ID", "TITLE"], filter={"ID": "$result[last][0][ID]"}),
                "none": hook.crm.deal.get(bitrix_id=99999),
            }
        ).result
        assert found.result["same"] == [{"ID": str(DEALS), "TITLE": f"Deal {DEALS}"}]
        assert set(found.result_error) == {"none"}

    def test_what_the_portal_says_of_itself_is_read_by_its_types(self, named: Portal, hook: Any) -> None:
        own = b24pysdk.Client(application(named.token("types-token")))
        for client in (hook, own):
            assert [client.feature.get(code).value.value for code in ("rest_offline_extended", "sip")] == [True, False]
            assert client.user.current().value.bitrix_pk == 1
            assert [user.bitrix_pk for user in client.user.search(filter={"NAME": "An"}).values] == [1]
            assert abs(client.server.time().value.timestamp() - time.time()) < 60
            assert client.method.get("profile").value.is_available is True
            assert "ONCRMDEALADD" in client.events().result
            assert client.access.name(["U1"]).value["U1"].name == "Anna Adler"
            assert "pull" in client.scope().result
        assert own.app.info().value.code == CLIENT_ID
        assert set(hook.app.info().value.scope) == set(hook.scope().result)
        assert own.pull.application.config.get().result["server"]["server_enabled"] is False

    def test_refusals_are_its_own_exceptions(self, named: Portal, hook: Any) -> None:
        errors = b24pysdk.errors
        token = hook.get_token()
        with pytest.raises(errors.BitrixAPIError) as unknown:
            token.call_method("no.such.method")
        assert (unknown.value.status_code, unknown.value.error) == (404, "ERROR_METHOD_NOT_FOUND")
        stranger = b24pysdk.BitrixWebhook(domain="portal.test", webhook_token="1/wrong0123456789a")
        with pytest.raises(errors.BitrixSDKException, match="Wrong authorization data"):
            stranger.call_method("profile")
        with pytest.raises(errors.BitrixAPIWrongAuthType):
            token.call_method("pull.application.push.add", {"USER_ID": 1, "TEXT": "Hi"})
        named.set(closed=True)
        try:
            with pytest.raises(errors.BitrixAPIPortalDeleted):
                token.call_method("profile")
        finally:
            named.set(closed=False)

    def test_a_push_by_an_application(self, named: Portal) -> None:
        client = b24pysdk.Client(application(named.token("push-token")))
        assert client.pull.application.push.add(user_id=[1, 2], text="Hello, world!").result is True

    def test_an_expired_token_is_refreshed_and_the_call_succeeds(self, named: Portal) -> None:
        token = application(named.token("expired-token", seconds=0), "refresh-expired-token")
        assert token.call_method("profile")["result"]["ID"] == "1"
        assert token.auth_token != "expired-token"

    def test_a_code_becomes_tokens_once(self, named: Portal) -> None:
        app = b24pysdk.BitrixApp(client_id=CLIENT_ID, client_secret=CLIENT_SECRET)
        code = named.code("signed-in")
        granted = app.get_oauth_token(code)
        client = b24pysdk.Client(application(granted.oauth_token.access_token))
        assert client.profile().result["ID"] == "1"
        renewed = app.refresh_oauth_token(granted.oauth_token.refresh_token)
        assert renewed.oauth_token.access_token != granted.oauth_token.access_token
        with pytest.raises(b24pysdk.errors.BitrixSDKException):
            app.get_oauth_token(code)

    def test_a_portal_that_is_busy_is_asked_again(self, named: Portal, hook: Any) -> None:
        named.set(blocked=True)
        timer = threading.Timer(0.5, named.set, kwargs={"blocked": False})
        timer.start()
        try:
            assert hook.profile().result["ID"] == "1"
        finally:
            timer.join()
            named.set(blocked=False)

    def test_what_is_too_much_is_its_own_exceptions(self, named: Portal, hook: Any) -> None:
        errors = b24pysdk.errors
        named.worked("crm.lead.list", 2)
        with named.limited(operating_limit=1), pytest.raises(errors.BitrixAPIOperationTimeLimit) as slow:
            hook.get_token().call_method("crm.lead.list")
        assert slow.value.status_code == 429
        hasty = b24pysdk.Client(hook.get_token(), max_retries=1)
        with named.used_up(1), pytest.raises(errors.BitrixAPIQueryLimitExceeded) as many:
            hasty.profile().response  # noqa: B018 - it is asked for here
        assert many.value.status_code == 503

    def test_it_is_served_after_two_refusals(self, named: Portal, hook: Any) -> None:
        with named.used_up(2) as limits:
            assert hook.profile().result["ID"] == "1"
        assert limits.refusals == 0

    def test_it_gives_up_after_three_refusals(self, named: Portal, hook: Any) -> None:
        began = time.monotonic()
        named.set(blocked=True)
        try:
            with pytest.raises(b24pysdk.errors.BitrixAPIError) as refused:
                hook.profile().response  # noqa: B018 - it is asked for here
        finally:
            named.set(blocked=False)
        assert (refused.value.status_code, refused.value.error) == (503, "OVERLOAD_LIMIT")
        assert time.monotonic() - began >= 3, "it asked three times, 1 s and 2 s apart"

    def test_the_oauth_host_describes_the_token(self, named: Portal) -> None:
        found = application(named.token("info-token")).get_app_info().result
        assert (found.client_id, found.user_id) == (CLIENT_ID, 1)
        assert found.install.domain == "portal.test"


def test_a_push_of_a_client_reaches_the_phone_of_the_user(
    services: Services,
    apns_key: ec.EllipticCurvePrivateKey,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    apple = Apns(production=services.ready["apns"], ca_file=str(services.ca_file))
    phone = device_token()
    with served(tmp_path, Providers(apns=apple)) as portal:
        portal.administer(
            "POST",
            "/v1/apps/acme-chat/credentials",
            files={"file": (f"AuthKey_{KEY_ID}.p8", pem(apns_key).encode())},
            data={"key_id": KEY_ID, "team_id": TEAM_ID, "topics": TOPIC},
        )
        target = {"kind": "apns", "value": phone, "topic": TOPIC}
        portal.administer("PUT", "/v1/apps/acme-chat/devices/phone", json={"user": "7", "targets": [target]})
        _lead(monkeypatch, portal)
        client = b24pysdk.Client(application(portal.token("push-token")))
        assert client.pull.application.push.add(user_id=[7], text="Hello, world!").result is True
        sent = until(lambda: services.requests(phone), "the push arrives")
    assert [request["body"]["aps"]["alert"]["body"] for request in sent] == ["Hello, world!"]


DOCUMENTED = r"""curl -X POST \
          -H "Content-Type: application/json" \
          -d '{
            "USER_ID": [1, 2, 3],
            "TEXT": "Hello, world!",
            "AVATAR": "https://example.com/images/avatar.png",
            "auth": "**put_access_token_here**"
          }' \
          "https://**put.your-domain-here**/rest/pull.application.push.add.json"
"""
"""The example of the method's page, to the letter."""


@pytest.mark.skipif(shutil.which("curl") is None, reason="CURL IS MISSING: apt-get install curl")
def test_the_documented_command_works_but_for_host_and_token(portal: Portal) -> None:
    host = urlsplit(portal.secure).netloc
    command = DOCUMENTED.replace("**put_access_token_here**", portal.token("curl-token"))
    command = command.replace("**put.your-domain-here**", host)
    where = {"PATH": os.environ["PATH"], "CURL_CA_BUNDLE": str(portal.ca_file), "NO_PROXY": "*"}
    done = subprocess.run(["sh", "-c", command], env=where, capture_output=True, text=True, check=True, timeout=60)
    answer = json.loads(done.stdout)
    assert answer["result"] is True
    assert set(answer["time"]) >= {"start", "finish", "duration", "processing", "date_start", "date_finish"}


class TestFastBitrix24:
    def client(self, portal: Portal) -> Any:
        return fast_bitrix24.BitrixAsync(f"{portal.plain}/rest/1/{CODE}/", verbose=False)

    def test_all_rows_of_a_list(self, portal: Portal) -> None:
        rows = asyncio.run(self.client(portal).get_all("crm.deal.list", {"select": ["ID", "TITLE"]}))
        assert sorted((row["ID"] for row in rows), key=int) == ALL

    def test_many_by_id_and_calls_in_order(self, portal: Portal) -> None:
        async def both() -> tuple[Any, Any]:
            client = self.client(portal)
            return (
                await client.get_by_ID("crm.deal.get", [5, 6, 7]),
                await client.call("crm.deal.get", [{"ID": number} for number in (9, 3, 120)]),
            )

        by_id, called = asyncio.run(both())
        assert {key: row["TITLE"] for key, row in by_id.items()} == {n: f"Deal {n}" for n in ("5", "6", "7")}
        assert [row["ID"] for row in called] == ["9", "3", "120"]

    def test_an_unknown_id_is_its_own_exception(self, portal: Portal) -> None:
        from fast_bitrix24.server_response import ErrorInServerResponseException  # noqa: PLC0415 - only if installed

        with pytest.raises(ErrorInServerResponseException):
            asyncio.run(self.client(portal).call("crm.deal.get", {"ID": 99999}))

    def test_a_batch_with_a_reference(self, portal: Portal) -> None:
        commands = {"list": "crm.deal.list?start=-1&order[ID]=DESC", "get": "crm.deal.get?ID=$result[list][0][ID]"}
        found = asyncio.run(self.client(portal).call_batch({"halt": 0, "cmd": commands}))
        assert found["get"]["ID"] == str(DEALS)

    def test_a_push_with_a_token_that_is_fetched_again_when_it_has_expired(self, portal: Portal) -> None:
        tokens = iter([portal.token("stale", seconds=0), portal.token("fresh")])
        asked: list[str] = []

        async def token() -> str:
            asked.append(next(tokens))
            return asked[-1]

        client = fast_bitrix24.BitrixAsync(f"{portal.plain}/rest/", token_func=token, verbose=False)
        found = asyncio.run(client.call("pull.application.push.add", {"USER_ID": [1, 2], "TEXT": "hi & bye"}))
        assert found is True
        assert asked == ["stale", "fresh"]

    def test_refusals_for_too_many_requests_are_asked_again(self, portal: Portal) -> None:
        with portal.used_up(2) as limits:
            (found,) = asyncio.run(self.client(portal).call("crm.deal.get", [{"ID": 7}]))
        assert found["TITLE"] == "Deal 7"
        assert limits.refusals == 0

    def test_a_method_that_took_too_long_is_its_own_exception(self, portal: Portal) -> None:
        portal.worked("crm.contact.list", 2)
        with portal.limited(operating_limit=1), pytest.raises(aiohttp.ClientResponseError) as slow:
            asyncio.run(self.client(portal).get_all("crm.contact.list"))
        assert slow.value.status == 429


class TestB24jssdk:
    def test_a_webhook_and_an_application(self, portal: Portal, node_modules: Path) -> None:
        token = {
            "applicationToken": "t" * 32,
            "userId": 1,
            "memberId": "m" * 32,
            "accessToken": portal.token("js-token", seconds=0),
            "refreshToken": "refresh-js-token",
            "expires": int(time.time()) + 3600,  # it believes in its token until the portal says otherwise
            "expiresIn": 3600,
            "scope": "pull,crm",
            "domain": "127.0.0.1",
            "status": "L",
        }
        document: dict[str, object] = {
            "hook": f"{portal.secure}/rest/1/{CODE}",
            "portal": portal.plain,
            "options": token,
            "secret": {"clientId": CLIENT_ID, "clientSecret": CLIENT_SECRET},
        }
        hook, application = run_node("bitrix24.js", node_modules, document, portal.ca_file)
        assert hook["profile"]["result"]["NAME"] == "Anna"
        assert sorted(hook["listed"], key=int) == sorted(hook["fetched"], key=int) == ALL
        assert hook["batch"]["result"]["get"]["ID"] == "301"
        assert hook["unknown"]["codes"] == ["ERROR_METHOD_NOT_FOUND"]
        assert hook["push"]["codes"] == ["WRONG_AUTH_TYPE"]
        assert application == {"push": {"result": True}, "refreshed": 1}
