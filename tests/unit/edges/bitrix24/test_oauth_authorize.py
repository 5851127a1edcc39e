"""/oauth/authorize/: the login page, what may be asked of it, and who gets a code."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re

import msgspec
import pytest

from unit.edges.bitrix24.portal import ADMIN, MEMBER, Portal
from unit.edges.bitrix24.signing import HASHES, PASSWORDS, code, landed, page, serve, submit, ticket, token
from wakeline.config import Bitrix24, Settings
from wakeline.model.bitrix24.access import PortalUser

pytestmark = pytest.mark.anyio


@pytest.fixture
async def signing(portal: Portal) -> Portal:
    await serve(portal)
    return portal


async def test_who_signs_in_is_sent_to_the_registered_address_with_all_that_clients_read(signing: Portal) -> None:
    answer = await submit(signing, await page(signing, state="s p&1=ü", response_type="code"), "ANNA", "correct horse")

    assert answer.headers["location"].startswith("https://app.test/back?code=")
    found = landed(answer)
    assert found.pop("code")
    assert found == {
        "state": "s p&1=ü",
        "domain": "portal.test",
        "member_id": signing.store.portal_access.portal().member_id,
        "scope": ",".join(signing.application.scopes),
        "server_domain": "portal.test",
    }


async def test_a_deep_link_into_a_mobile_app_is_an_address_like_any_other(signing: Portal) -> None:
    await signing.change(redirect_uri="myapp://bitrix/callback?from=portal")
    shown = await page(signing, response_type="code", redirect_uri="myapp://bitrix/callback?from=portal")
    answer = await submit(signing, shown, "max", PASSWORDS[MEMBER])

    assert answer.headers["location"].startswith("myapp://bitrix/callback?from=portal&code=")
    assert "form-action 'self' myapp:;" in shown.headers["content-security-policy"]
    assert "state" not in landed(answer)


@pytest.mark.parametrize(
    "query",
    [
        {"client_id": "local.unknown"},
        {"client_id": ""},
        {"redirect_uri": "https://evil.test/back"},
        {"redirect_uri": "https://app.test/back/"},
        {"redirect_uri": "https://app.test/back?x=1"},
        {"redirect_uri": "HTTPS://app.test/back"},
        {"redirect_uri": ""},
        {"response_type": "token"},
        {"state": "s" * 2001},
        {"code_challenge": "short", "code_challenge_method": "S256"},
        {"code_challenge": "c" * 43, "code_challenge_method": "plain"},
        {"code_challenge": "c" * 43},
    ],
)
async def test_what_is_wrong_is_said_on_the_page_and_redirects_nobody(signing: Portal, query: dict[str, str]) -> None:
    answer = await page(signing, **query)

    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert "<form" not in answer.text
    assert "This does not work" in answer.text


async def test_an_application_without_an_address_gets_no_page(signing: Portal) -> None:
    await signing.change(redirect_uri="")

    assert (await page(signing)).status_code == 400


async def test_a_closed_portal_lets_nobody_in(signing: Portal) -> None:
    shown = await page(signing)
    await signing.set(closed=True)

    assert (await page(signing)).status_code == 503
    assert (await submit(signing, shown, "anna", "correct horse")).status_code == 503


async def test_the_page_has_no_script_and_names_its_style_and_nobody_may_frame_it(signing: Portal) -> None:
    shown = await page(signing)
    policy = shown.headers["content-security-policy"]
    style = re.search(r"<style>(.*)</style>", shown.text, re.DOTALL)

    assert style
    assert base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode() in policy
    assert "<script" not in shown.text
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self' https://app.test;" in policy
    assert shown.headers["referrer-policy"] == "no-referrer"
    assert shown.headers["cache-control"] == "no-store"


async def test_what_others_chose_is_text_on_the_page(signing: Portal) -> None:
    await signing.change(name="<script>alert(1)</script>")
    shown = await page(signing)
    again = await submit(signing, shown, '"><img src=x>', "wrong")

    assert "<script" not in shown.text + again.text
    assert "<img" not in again.text


async def test_the_cookie_is_kept_from_scripts_and_from_plain_http(signing: Portal) -> None:
    cookie = (await page(signing)).headers["set-cookie"].lower()

    assert "httponly" in cookie
    assert "secure" in cookie
    assert "samesite=lax" in cookie


async def test_a_form_from_another_site_has_no_cookie_and_signs_nobody_in(signing: Portal) -> None:
    shown = await page(signing)
    signing.client.cookies.clear()
    answer = await submit(signing, shown, "anna", "correct horse")

    assert answer.status_code == 403
    assert "location" not in answer.headers


async def test_a_ticket_is_good_in_one_browser_for_ten_minutes_and_cannot_be_changed(signing: Portal) -> None:
    shown = await page(signing)
    mine = ticket(shown)
    changed = ("A" if mine[0] != "A" else "B") + mine[1:]
    form = {"login": "anna", "password": "correct horse"}

    for text in (changed, mine[:-4], "", ".", "x.y", mine.partition(".")[0]):
        answer = await signing.client.post("/oauth/authorize/", data={"ticket": text, **form})
        assert answer.status_code == 403, text
    signing.clock.advance(601)
    assert (await submit(signing, shown, "anna", "correct horse")).status_code == 403


async def test_two_pages_side_by_side_both_work(signing: Portal) -> None:
    one, two = await page(signing, state="1"), await page(signing, state="2")

    assert landed(await submit(signing, one, "anna", "correct horse"))["state"] == "1"
    assert landed(await submit(signing, two, "anna", "correct horse"))["state"] == "2"


@pytest.mark.parametrize(
    ("login", "password"), [("anna", "wrong"), ("nobody", "correct horse"), ("anna", ""), ("", "")]
)
async def test_a_wrong_password_and_an_unknown_login_look_the_same(signing: Portal, login: str, password: str) -> None:
    answer = await submit(signing, await page(signing, state="kept"), login, password)

    assert answer.status_code == 403
    assert "Login or password is wrong." in answer.text
    assert landed(await submit(signing, answer, "anna", "correct horse"))["state"] == "kept"


async def test_a_user_without_a_password_or_put_out_of_service_cannot_sign_in(signing: Portal) -> None:
    user = await signing.store.portal_access.user(ADMIN)
    assert user is not None
    for changed in (msgspec.structs.replace(user, password=""), msgspec.structs.replace(user, active=False)):
        await signing.store.portal_access.put_user(changed)
        answer = await submit(signing, await page(signing), "anna", "correct horse")
        assert answer.status_code == 403


async def test_an_application_restricted_to_users_is_not_open_to_others(signing: Portal) -> None:
    await signing.change(users=(ADMIN,))
    refused = await submit(signing, await page(signing), "max", PASSWORDS[MEMBER])

    assert refused.status_code == 403
    assert "some users only" in refused.text
    assert await code(signing)


async def test_a_user_who_guesses_too_often_waits_and_others_do_not(signing: Portal) -> None:
    shown = await page(signing)
    statuses = [(await submit(signing, shown, "anna", "wrong")).status_code for _ in range(11)]
    right = await submit(signing, shown, "anna", "correct horse")
    other = await submit(signing, shown, "max", PASSWORDS[MEMBER])
    signing.clock.advance(61)
    later = await submit(signing, shown, "anna", "correct horse")

    assert statuses == [403] * 10 + [429]
    assert right.status_code == 429
    assert 1 <= int(right.headers["retry-after"]) <= 61
    assert (other.status_code, later.status_code) == (302, 302)


async def test_pkce_binds_a_code_to_who_asked_for_it(signing: Portal) -> None:
    verifier = "v" * 64
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {"code_challenge": challenge, "code_challenge_method": "S256"}
    for proof, status in (({"code_verifier": verifier}, 200), ({"code_verifier": "w" * 64}, 400), ({}, 400)):
        found = await token(signing, grant_type="authorization_code", code=await code(signing, **asked), **proof)
        assert found.status_code == status
    without = await token(signing, grant_type="authorization_code", code=await code(signing), code_verifier=verifier)
    assert without.json()["error"] == "invalid_grant"


async def test_what_no_browser_sends_is_refused_without_a_trace(signing: Portal) -> None:
    long = await signing.client.post("/oauth/authorize/", data={"ticket": "x" * 20_000})
    many = await signing.client.get("/oauth/authorize/?" + "&".join(f"p{n}=1" for n in range(60)))
    broken = await signing.client.get("/oauth/authorize/?client_id=%ff%fe")
    put = await signing.client.put("/oauth/authorize/")

    assert [one.status_code for one in (long, many, broken, put)] == [400, 400, 400, 405]


async def test_slashes_do_not_count(signing: Portal) -> None:
    for path in ("/oauth/authorize", "//oauth/authorize/", "/oauth//authorize"):
        answer = await signing.client.get(f"https://portal.test{path}", params={"client_id": "local.test"})
        assert answer.status_code == 200, path


async def test_a_portal_with_names_signs_nobody_in_under_another(portal: Portal) -> None:
    portal.ports.settings = Settings(bitrix24=Bitrix24(portal_hosts=("Crm.test",), oauth_hosts=("oauth.test",)))
    await serve(portal)
    for host, status in (("crm.test:8443", 200), ("oauth.test", 200), ("portal.test", 404), ("", 404)):
        answer = await portal.client.get(
            "/oauth/authorize/", params={"client_id": "local.test"}, headers={"host": host}
        )
        assert answer.status_code == status, host


async def test_passwords_do_not_pile_up(signing: Portal) -> None:
    for number in range(100, 126):
        user = PortalUser(id=number, login=f"user{number}", password=HASHES[ADMIN])
        await signing.store.portal_access.put_user(user)
    shown = await page(signing)
    answers = await asyncio.gather(*(submit(signing, shown, f"user{n}", "wrong") for n in range(100, 126)))

    assert {answer.status_code for answer in answers} == {403, 429}
    assert (await submit(signing, shown, "anna", "correct horse")).status_code == 302


async def test_the_oauth_host_and_the_portal_know_each_other(portal: Portal) -> None:
    portal.ports.settings = Settings(bitrix24=Bitrix24(oauth_hosts=("oauth.test",), portal_hosts=("portal.test",)))
    await serve(portal)
    at_portal = landed(await submit(portal, await page(portal), "anna", "correct horse"))
    shown = await portal.client.get("https://OAuth.test/oauth/authorize/", params={"client_id": "local.test"})

    assert (at_portal["domain"], at_portal["server_domain"]) == ("portal.test", "oauth.test")
    assert "Sign in to portal.test" in shown.text
