"""b24pysdk, unchanged, goes the whole way of OAuth 2.0 with our portal: a code from the login page, tokens, renewal, refusals."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import msgspec
import pytest

from interop.bitrix24_portal import CLIENT_ID, CLIENT_SECRET, SCOPES, Portal, served
from wakeline.edges.bitrix24.secrets import password_hash
from wakeline.service.wiring import Gateway

pytestmark = [
    pytest.mark.interop,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # the client's own
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # sockets that it leaves to the collector
]

b24pysdk = pytest.importorskip(
    "b24pysdk", reason="the extra `interop` is not installed: b24pysdk did NOT judge our OAuth server"
)
oauth_errors = pytest.importorskip("b24pysdk.errors.oauth")
PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    async def name(gateway: Gateway) -> None:
        access = gateway._portal.ports.access
        user = await access.user(1)
        assert user is not None
        kept = await password_hash(PASSWORD)
        await access.put_user(msgspec.structs.replace(user, login="anna", password=kept))

    with served(tmp_path_factory.mktemp("portal")) as made:
        made.run(name)
        yield made


@pytest.fixture
def portal(running: Portal, monkeypatch: pytest.MonkeyPatch) -> Portal:
    monkeypatch.setenv("HTTPS_PROXY", running.proxy)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(running.ca_file))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    return running


def code(portal: Portal) -> str:
    """Sign in with a browser and return what the application is given."""
    with httpx2.Client(base_url=portal.plain, trust_env=False) as browser:
        shown = browser.get("/oauth/authorize/", params={"client_id": CLIENT_ID, "state": "s"})
        ticket = re.search(r'name="ticket" value="([^"]+)"', shown.text)
        assert ticket, shown.text
        form = {"ticket": unescape(ticket[1]), "login": "anna", "password": PASSWORD}
        answer = browser.post("/oauth/authorize/", data=form)
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))["code"]


def app(secret: str = CLIENT_SECRET) -> Any:
    return b24pysdk.BitrixApp(client_id=CLIENT_ID, client_secret=secret)


def test_a_code_becomes_a_reply_that_the_client_finds_complete_and_consistent(portal: Portal) -> None:
    reply = app().get_oauth_token(code(portal))
    shown = app().get_app_info(reply.oauth_token.access_token).result

    assert (reply.user_id, reply.status, tuple(reply.scope)) == (1, "L", SCOPES)
    assert reply.validate_against_app_info(shown)
    assert tuple(shown.scope) == SCOPES


def test_tokens_of_a_code_call_methods_and_are_renewed(portal: Portal) -> None:
    first = app().get_oauth_token(code(portal))
    token = b24pysdk.BitrixToken(
        domain="portal.test",
        auth_token=first.oauth_token.access_token,
        refresh_token=first.oauth_token.refresh_token,
        bitrix_app=app(),
    )
    assert token.call_method("profile")["result"]["ID"] == "1"
    second = app().refresh_oauth_token(first.oauth_token.refresh_token)

    assert second.oauth_token.access_token != first.oauth_token.access_token
    assert app().get_app_info(second.oauth_token.access_token).result.user_id == 1


def test_refusals_are_the_clients_own_exceptions(portal: Portal) -> None:
    once = code(portal)
    app().get_oauth_token(once)
    with pytest.raises(oauth_errors.BitrixOAuthInvalidGrant):
        app().get_oauth_token(once)
    with pytest.raises(oauth_errors.BitrixOAuthInvalidGrant):
        app().refresh_oauth_token("unknown")
    with pytest.raises(oauth_errors.BitrixOAuthInvalidClient):
        app("wrong").refresh_oauth_token("unknown")
