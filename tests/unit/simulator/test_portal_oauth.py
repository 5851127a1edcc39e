from __future__ import annotations

import pytest

from unit.simulator.portal_client import PortalClient
from wakeline.simulator.portal.memory import CLIENT_ID, CLIENT_SECRET

pytestmark = pytest.mark.anyio


async def test_authorize_leads_back_at_once_with_a_code_that_is_good_once(portal: PortalClient) -> None:
    said = await portal.code()
    assert (said["state"], said["domain"]) == ("s1", portal.origin.removeprefix("https://"))
    first = await portal.token("authorization_code", code=said["code"])
    again = await portal.token("authorization_code", code=said["code"])
    assert (first.json()["expires_in"], first.json()["user_id"], first.json()["status"]) == (3600, 1, "L")
    assert first.json()["client_endpoint"] == f"{portal.origin}/rest/"
    assert first.json()["server_endpoint"] == f"{portal.oauth}/rest/"
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


async def test_a_code_lives_half_a_minute(portal: PortalClient) -> None:
    said = await portal.code()
    portal.clock.ahead += 31
    assert (await portal.token("authorization_code", code=said["code"])).json()["error"] == "invalid_grant"


async def test_a_refresh_brings_both_tokens_anew_and_is_good_once(portal: PortalClient) -> None:
    await portal.sign_in()
    old = portal.tokens
    form = {"grant_type": "refresh_token", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    reply = await portal.http.post(
        f"{portal.oauth}//oauth/token/", data={**form, "refresh_token": old["refresh_token"]}
    )
    portal.tokens = reply.json()
    assert {old["access_token"], old["refresh_token"]}.isdisjoint(
        {portal.tokens["access_token"], portal.tokens["refresh_token"]}
    )
    assert (await portal.as_app("profile")).json()["result"]["ID"] == "1"
    assert (await portal.token("refresh_token", refresh_token=old["refresh_token"])).json()["error"] == "invalid_grant"


async def test_access_tokens_expire_as_set_or_when_told(portal: PortalClient) -> None:
    await portal.control("/behave", provider="portal", expires_in_s=5)
    await portal.sign_in()
    portal.clock.ahead += 6
    late = await portal.as_app("profile")
    assert (late.status_code, late.json()["error"]) == (401, "expired_token")
    portal.clock.ahead = 0
    assert (await portal.as_app("profile")).status_code == 200
    assert await portal.control("/portal/expire") == {"tokens": 1}
    assert (await portal.as_app("profile")).json()["error"] == "expired_token"


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        ({"client_secret": "wrong"}, 400, "invalid_client"),
        ({"client_id": "nobody"}, 400, "invalid_client"),
        ({"grant_type": "password"}, 400, "invalid_request"),
        ({"refresh_token": ""}, 400, "invalid_request"),
        ({"refresh_token": "other"}, 400, "invalid_grant"),
    ],
)
async def test_the_token_endpoint_refuses(portal: PortalClient, said: dict[str, str], status: int, code: str) -> None:
    form = {"grant_type": "refresh_token", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, **said}
    reply = await portal.http.get(f"{portal.oauth}/oauth/token/", params=form)
    assert (reply.status_code, reply.json()["error"]) == (status, code)


async def test_an_application_may_be_uninstalled_or_the_portal_unpaid(portal: PortalClient) -> None:
    await portal.sign_in()
    refresh = portal.tokens["refresh_token"]
    await portal.control("/portal/set", paid=False)
    unpaid = await portal.token("refresh_token", refresh_token=refresh)
    await portal.control("/portal/application", installed=False)
    gone = await portal.token("refresh_token", refresh_token=refresh)
    await portal.control("/portal/application")
    await portal.control("/portal/set", paid=None)
    fine = await portal.token("refresh_token", refresh_token=refresh)
    assert [(r.status_code, r.json().get("error")) for r in (unpaid, gone, fine)] == [
        (401, "PAYMENT_REQUIRED"),
        (401, "NOT_INSTALLED"),
        (200, None),
    ]


async def test_the_token_endpoint_plays_scripts(portal: PortalClient) -> None:
    await portal.sign_in()
    await portal.script("oauth/token", {"status": 500}, {"status": 400, "error": "invalid_grant"}, {"delay_ms": 60})
    replies = [await portal.token("refresh_token", refresh_token=portal.tokens["refresh_token"]) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [500, 400, 200]


async def test_app_info_differs_between_the_portal_and_its_oauth_host(portal: PortalClient) -> None:
    await portal.sign_in()
    token = {"auth": portal.tokens["access_token"]}
    here = (await portal.http.get(f"{portal.origin}/rest/app.info", params=token)).json()["result"]
    there = (await portal.http.get(f"{portal.oauth}/rest/app.info/", params=token)).json()["result"]
    assert (here["CODE"], here["INSTALLED"]) == (CLIENT_ID, True)
    assert (there["client_id"], there["install"]["domain"], there["user_id"]) == (CLIENT_ID, "localhost", 1)
    assert there["install"]["member_id"] == portal.tokens["member_id"]


async def test_an_application_has_its_scopes_and_its_redirect(portal: PortalClient) -> None:
    own = {"client_id": "local.own", "client_secret": "s", "redirect_uri": "https://own.test/cb?x=1", "scope": ["user"]}
    await portal.control("/portal/application", **own)
    said = await portal.code(client_id="local.own", redirect_uri="https://own.test/cb?x=1")
    assert said["x"] == "1"
    refused = await portal.http.get(
        f"{portal.origin}/oauth/authorize/?client_id=local.own&redirect_uri=https://evil.test"
    )
    assert refused.status_code == 400
    granted = await portal.token("authorization_code", client_id="local.own", client_secret="s", code=said["code"])
    portal.tokens = granted.json()
    assert (await portal.as_app("user.current")).status_code == 200
    assert (await portal.as_app("crm.deal.get", id=1)).json()["error"] == "insufficient_scope"


async def test_applications_may_be_told_another_address(portal: PortalClient) -> None:
    await portal.control("/portal/set", client_endpoint="http://169.254.169.254/rest/")
    await portal.sign_in()
    assert portal.tokens["client_endpoint"] == "http://169.254.169.254/rest/"
