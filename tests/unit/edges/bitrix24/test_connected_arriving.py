"""An administrator comes back from the portal with a code: only from a visit that was begun here, a short time ago."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from unit.edges.bitrix24.neighbour import MEMBER, NAME, PORTAL, TOKEN, Neighbour, installed, opened, webhook
from wakeline.edges.bitrix24.connected import state
from wakeline.model.bitrix24.installation import InstallationState

pytestmark = pytest.mark.anyio


def visit(portal: Neighbour) -> str:
    """Begin a visit as an operator does; return its state."""
    url = state.authorization_url(portal.now, portal.sealer.derive(state.PURPOSE), portal.clock.now())
    assert url.startswith("https://acme.bitrix24.test/oauth/authorize/?client_id=local.acme&")
    (said,) = parse_qs(urlsplit(url).query)["state"]
    return said


async def test_a_code_becomes_tokens_that_are_kept() -> None:
    portal = await opened()
    portal.oauth.codes["code-1"] = "access-1"
    query = {"code": "code-1", "state": visit(portal), "domain": "evil.test", "member_id": "b" * 32, "scope": "crm"}

    page = await portal.client.get(f"/bitrix24/oauth/{NAME}", params=query)

    assert (page.status_code, "Connected" in page.text) == (200, True)
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert "<script" not in page.text
    assert portal.tokens is not None
    assert (portal.tokens.access, portal.now.member_id, portal.now.client_endpoint) == ("access-1", MEMBER, PORTAL)
    assert (portal.now.state, portal.now.application_token) == (InstallationState.ACTIVE, "")
    assert portal.oauth.bound == [portal.number]


async def test_a_portal_that_sends_people_to_the_address_of_events_is_understood() -> None:
    portal = await opened()
    portal.oauth.codes["code-1"] = "access-1"

    page = await portal.client.get(f"/bitrix24/events/{NAME}", params={"code": "code-1", "state": visit(portal)})

    assert (page.status_code, portal.now.state) == (200, InstallationState.ACTIVE)


async def test_a_state_that_we_did_not_issue_brings_nothing() -> None:
    portal = await opened()
    good = visit(portal)
    await portal.connect(name="other")
    portal.oauth.codes["code-1"] = "access-1"
    forged = state.issued(portal.now, b"x" * 32, portal.clock.now())

    for said in ("", "x", ".", "e30.e30", "\u00e4.\u00e4", good[:-1] + "A", good[:-2], forged, "x" * 5000):
        page = await portal.client.get("/bitrix24/oauth/other", params={"code": "code-1", "state": said})
        assert (page.status_code, page.headers["content-type"]) == (403, "text/html; charset=utf-8")
    page = await portal.client.get("/bitrix24/oauth/other", params={"code": "code-1", "state": good})
    assert page.status_code == 403
    assert (portal.oauth.asked, list(portal.oauth.codes)) == ([], ["code-1"])


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("oauth.bitrix24.tech", "https://oauth.bitrix24.tech/rest/"),
        ("evil.test", ""),
        ("evil.test/rest/?", ""),
        ("oauth.bitrix.info@evil.test", ""),
        ("", ""),
    ],
)
async def test_the_portal_may_name_one_of_bitrix24s_oauth_servers_and_no_other(said: str, asked: str) -> None:
    portal = await opened()
    portal.oauth.codes["code-1"] = "access-1"
    query = {"code": "code-1", "state": visit(portal), "server_domain": said}

    assert (await portal.client.get(f"/bitrix24/oauth/{NAME}", params=query)).status_code == 200
    assert portal.oauth.server == asked


async def test_a_visit_is_over_after_half_an_hour() -> None:
    portal = await opened()
    portal.oauth.codes["code-1"] = "access-1"
    said = visit(portal)
    portal.clock.advance(state.LIFE)

    page = await portal.client.get(f"/bitrix24/oauth/{NAME}", params={"code": "code-1", "state": said})

    assert (page.status_code, portal.oauth.asked) == (403, [])


async def test_a_code_that_the_portal_does_not_know_brings_nothing() -> None:
    portal = await opened()
    said = visit(portal)

    page = await portal.client.get(f"/bitrix24/oauth/{NAME}", params={"code": "wrong", "state": said})
    assert (page.status_code, portal.now.state) == (403, InstallationState.WAITING)
    for code in ("", "a b", "<script>", "x" * 513):
        page = await portal.client.get(f"/bitrix24/oauth/{NAME}", params={"code": code, "state": said})
        assert (page.status_code, "<script" in page.text) == (400, False)
    denied = await portal.client.get(f"/bitrix24/oauth/{NAME}", params={"error": "access_denied", "state": said})
    assert denied.status_code == 400


async def test_a_code_of_another_portal_does_not_replace_the_one_that_is_known() -> None:
    portal = await installed()
    portal.token("others", member_id="b" * 32)
    portal.oauth.codes["code-2"] = "others"

    page = await portal.client.get(f"/bitrix24/oauth/{NAME}", params={"code": "code-2", "state": visit(portal)})

    assert page.status_code == 403
    assert portal.tokens is not None
    assert (portal.tokens.access, portal.now.member_id) == ("access-1", MEMBER)


async def test_an_operator_may_have_the_tokens_replaced_and_the_application_token_stays() -> None:
    portal = await installed()
    portal.token("second", user=7)
    portal.oauth.codes["code-2"] = "second"

    page = await portal.client.get(f"/bitrix24/oauth/{NAME}", params={"code": "code-2", "state": visit(portal)})

    assert page.status_code == 200
    assert portal.tokens is not None
    assert (portal.tokens.access, portal.now.application_token) == ("second", TOKEN)


async def test_people_do_not_come_back_by_post_nor_to_unknown_addresses() -> None:
    portal = await installed()

    assert (await portal.client.post(f"/bitrix24/oauth/{NAME}")).status_code == 405
    assert (await portal.client.get("/bitrix24/oauth/other?state=x")).status_code == 404
    assert (await portal.client.head(f"/bitrix24/oauth/{NAME}?state={visit(portal)}&code=x")).status_code == 405


async def test_a_portal_of_webhooks_needs_no_visit() -> None:
    portal = await opened(**webhook())
    key, now = portal.sealer.derive(state.PURPOSE), portal.clock.now()

    assert state.authorization_url(portal.now, key, now) == ""
    said = state.issued(portal.now, key, now)
    page = await portal.client.get(f"/bitrix24/oauth/{NAME}", params={"code": "x", "state": said})
    assert (page.status_code, portal.oauth.asked) == (403, [])
