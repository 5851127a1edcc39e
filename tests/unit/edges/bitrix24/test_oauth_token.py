"""/oauth/token/ and the OAuth host's app.info: codes, refresh tokens, and what clients read in the replies."""

from __future__ import annotations

import asyncio
from datetime import datetime

import httpx2
import msgspec
import pytest

from unit.edges.bitrix24.portal import ADMIN, HOUR, Portal
from unit.edges.bitrix24.signing import CLIENT, code, refresh, serve, token, tokens
from wakeline.config import Bitrix24, Settings
from wakeline.edges.bitrix24 import secrets
from wakeline.edges.bitrix24.door import Door
from wakeline.edges.bitrix24.granting import new_pair
from wakeline.edges.bitrix24.oauth.refresh import Refresh
from wakeline.model.bitrix24.access import PortalApplication
from wakeline.model.errors import StoreUnavailable

pytestmark = pytest.mark.anyio

DAY = 86_400


@pytest.fixture
async def signing(portal: Portal) -> Portal:
    await serve(portal)
    return portal


def error(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]


async def called(portal: Portal, access: str) -> httpx2.Response:
    """Call the portal with a token."""
    before, portal.client = portal.client, portal.client
    portal.serve(Door(portal.ports))
    answer = await portal.call("profile", token=access)
    portal.client = before
    return answer


async def works(portal: Portal, access: str) -> bool:
    """Tell whether a token opens the portal."""
    return (await called(portal, access)).status_code == 200


async def test_a_code_becomes_tokens_with_every_field_that_strict_clients_need(signing: Portal) -> None:
    reply = await tokens(signing)
    now = signing.clock.now() // 1000

    assert len(reply.pop("access_token")) >= 32
    assert len(reply.pop("refresh_token")) >= 32
    assert reply == {
        "expires": now + 3600,
        "expires_in": 3600,
        "scope": ",".join(signing.application.scopes),
        "domain": "portal.test",
        "server_endpoint": "https://portal.test/rest/",
        "status": "L",
        "client_endpoint": "https://portal.test/rest/",
        "member_id": signing.store.portal_access.portal().member_id,
        "user_id": ADMIN,
    }


async def test_the_token_opens_the_portal_for_an_hour(signing: Portal) -> None:
    access = (await tokens(signing))["access_token"]

    assert await works(signing, access)
    signing.clock.advance(3600)
    assert not await works(signing, access)


@pytest.mark.parametrize("path", ["/oauth/token/", "//oauth/token/", "/oauth/token"])
async def test_get_and_post_and_any_number_of_slashes(signing: Portal, path: str) -> None:
    url = f"https://portal.test{path}"
    asked = {**CLIENT, "grant_type": "authorization_code"}
    by_get = await signing.client.get(url, params={**asked, "code": await code(signing)})
    by_post = await signing.client.post(url, data={**asked, "code": await code(signing)})
    halves = {name: CLIENT[name] for name in ("client_id",)}
    mixed = await signing.client.post(
        url, params=halves, data={**asked, "code": await code(signing), "client_secret": CLIENT["client_secret"]}
    )

    assert [one.status_code for one in (by_get, by_post, mixed)] == [200, 200, 200]
    assert by_get.headers["content-type"] == "application/json; charset=utf-8"
    assert by_get.headers["cache-control"] == "no-store"


async def test_a_code_is_good_for_thirty_seconds(signing: Portal) -> None:
    in_time, too_late = await code(signing), await code(signing)
    signing.clock.advance(29)
    assert (await token(signing, grant_type="authorization_code", code=in_time)).status_code == 200
    signing.clock.advance(1)
    assert error(await token(signing, grant_type="authorization_code", code=too_late)) == (400, "invalid_grant")


async def test_a_replayed_code_is_refused_and_takes_back_what_it_gave(signing: Portal) -> None:
    one, other = await code(signing), (await tokens(signing))["access_token"]
    first = await token(signing, grant_type="authorization_code", code=one)
    assert await works(signing, first.json()["access_token"])

    again = await token(signing, grant_type="authorization_code", code=one)

    assert error(again) == (400, "invalid_grant")
    assert not await works(signing, first.json()["access_token"])
    assert error(await refresh(signing, first.json()["refresh_token"])) == (400, "invalid_grant")
    assert await works(signing, other), "what another code gave stays"


async def test_a_code_shown_twice_revokes_the_former_access_token_of_its_pair_as_well(signing: Portal) -> None:
    one = await code(signing)
    first = (await token(signing, grant_type="authorization_code", code=one)).json()
    second = (await token(signing, grant_type="refresh_token", refresh_token=first["refresh_token"])).json()
    assert await works(signing, first["access_token"])

    assert error(await token(signing, grant_type="authorization_code", code=one)) == (400, "invalid_grant")

    assert not await works(signing, first["access_token"])
    assert not await works(signing, second["access_token"])


async def test_of_a_code_shown_twice_at_once_nobody_keeps_anything(signing: Portal) -> None:
    one = await code(signing)
    answers = await asyncio.gather(*(token(signing, grant_type="authorization_code", code=one) for _ in range(3)))

    assert sum(answer.status_code == 200 for answer in answers) <= 1
    for answer in answers:
        if answer.status_code == 200:
            assert not await works(signing, answer.json()["access_token"])


async def test_a_wrong_secret_uses_up_no_code(signing: Portal) -> None:
    one = await code(signing)
    wrong = await token(signing, grant_type="authorization_code", code=one, client_secret="wrong")

    assert error(wrong) == (400, "invalid_client")
    assert (await token(signing, grant_type="authorization_code", code=one)).status_code == 200


async def test_a_code_belongs_to_its_application_and_its_address(signing: Portal) -> None:
    access = signing.store.portal_access
    other = await access.create_application(
        PortalApplication(
            id=0,
            client_id="local.other",
            secret=secrets.digest("other-secret"),
            name="Other",
            app=signing.application.app,
            redirect_uri="https://other.test/",
            scopes=("crm",),
        )
    )
    asked = {"grant_type": "authorization_code"}
    stolen = await token(
        signing, **asked, code=await code(signing), client_id=other.client_id, client_secret="other-secret"
    )
    elsewhere = await token(signing, **asked, code=await code(signing), redirect_uri="https://other.test/")
    same = await token(signing, **asked, code=await code(signing), redirect_uri="https://app.test/back")

    assert error(stolen) == error(elsewhere) == (400, "invalid_grant")
    assert same.status_code == 200


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, (400, "invalid_request")),
        ({"grant_type": "authorization_code"}, (400, "invalid_request")),
        ({"grant_type": "refresh_token"}, (400, "invalid_request")),
        ({"grant_type": "password"}, (400, "unsupported_grant_type")),
        ({"grant_type": "authorization_code", "code": "unknown"}, (400, "invalid_grant")),
        ({"grant_type": "refresh_token", "refresh_token": "unknown"}, (400, "invalid_grant")),
        ({"grant_type": "refresh_token", "refresh_token": "x", "client_id": ""}, (400, "invalid_request")),
        ({"grant_type": "refresh_token", "refresh_token": "x", "client_secret": ""}, (400, "invalid_request")),
        ({"grant_type": "refresh_token", "refresh_token": "x", "client_id": "local.none"}, (400, "invalid_client")),
    ],
)
async def test_refusals_have_their_codes(signing: Portal, params: dict[str, str], expected: tuple[int, str]) -> None:
    assert error(await token(signing, **params)) == expected


async def test_the_missing_parameter_is_named(signing: Portal) -> None:
    answer = await token(signing, grant_type="refresh_token")

    assert answer.json()["error_description"] == 'No "refresh_token" parameter found'


async def test_a_refresh_gives_a_new_pair_and_the_former_ends_after_its_grace(signing: Portal) -> None:
    first = await tokens(signing)
    second = (await refresh(signing, first["refresh_token"])).json()

    assert second["refresh_token"] != first["refresh_token"]
    assert second["access_token"] != first["access_token"]
    assert set(second) == set(first)
    assert await works(signing, second["access_token"])
    signing.clock.advance(60)
    assert error(await refresh(signing, first["refresh_token"])) == (400, "invalid_grant")
    assert (await refresh(signing, second["refresh_token"])).status_code == 200


async def test_a_process_that_does_not_know_of_a_refresh_is_told_to_refresh(signing: Portal) -> None:
    first = await tokens(signing)
    await refresh(signing, first["refresh_token"])

    signing.clock.advance(59)
    assert await works(signing, first["access_token"])
    signing.clock.advance(1)
    assert error(await called(signing, first["access_token"])) == (401, "expired_token")
    signing.clock.advance(DAY - 1)
    await signing.ports.access.prune(signing.clock.now())
    assert error(await called(signing, first["access_token"])) == (401, "expired_token")
    signing.clock.advance(1)
    await signing.ports.access.prune(signing.clock.now())
    assert error(await called(signing, first["access_token"])) == (401, "NO_AUTH_FOUND")


async def test_an_access_token_that_has_ended_is_not_made_good_by_a_refresh(signing: Portal) -> None:
    first = await tokens(signing)
    signing.clock.advance(3600)
    await refresh(signing, first["refresh_token"])

    assert error(await called(signing, first["access_token"])) == (401, "expired_token")


async def test_whoever_comes_second_within_the_grace_gets_the_same_pair(signing: Portal) -> None:
    first = await tokens(signing)
    second = (await refresh(signing, first["refresh_token"])).json()
    signing.clock.advance(59)
    late = (await refresh(signing, first["refresh_token"])).json()

    assert late["refresh_token"] == second["refresh_token"]
    assert late["access_token"] == second["access_token"]
    assert late["expires_in"] == 3600 - 59


async def test_refreshes_side_by_side_all_come_out_with_tokens_that_work(signing: Portal) -> None:
    first = await tokens(signing)
    answers = await asyncio.gather(*(refresh(signing, first["refresh_token"]) for _ in range(8)))

    assert {answer.status_code for answer in answers} == {200}
    for answer in answers:
        assert await works(signing, answer.json()["access_token"])
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1


async def test_after_a_restart_the_second_one_gets_a_grant_of_its_own(signing: Portal) -> None:
    first = await tokens(signing)
    second = (await refresh(signing, first["refresh_token"])).json()
    await serve(signing)
    third = (await refresh(signing, first["refresh_token"])).json()

    assert third["refresh_token"] != second["refresh_token"]
    for reply in (second, third):
        assert await works(signing, reply["access_token"])
        assert (await refresh(signing, reply["refresh_token"])).status_code == 200


async def test_without_a_grace_a_refresh_token_is_good_once(portal: Portal) -> None:
    portal.ports.settings = Settings(bitrix24=Bitrix24(refresh_token_grace=0))
    await serve(portal)
    first = await tokens(portal)
    assert (await refresh(portal, first["refresh_token"])).status_code == 200
    assert error(await refresh(portal, first["refresh_token"])) == (400, "invalid_grant")


async def test_lifetimes_are_settings(portal: Portal) -> None:
    lives = Bitrix24(access_token_lifetime=600, refresh_token_lifetime=30 * DAY)
    portal.ports.settings = Settings(bitrix24=lives)
    await serve(portal)
    one, two = await tokens(portal), await tokens(portal)
    assert one["expires_in"] == 600
    portal.clock.advance(30 * DAY - 1)
    assert (await refresh(portal, one["refresh_token"])).status_code == 200
    portal.clock.advance(1)
    assert error(await refresh(portal, two["refresh_token"])) == (400, "invalid_grant")


async def test_refreshed_tokens_have_what_the_application_still_may(signing: Portal) -> None:
    first = await tokens(signing)
    await signing.change(scopes=("crm", "disk"))
    second = (await refresh(signing, first["refresh_token"])).json()

    assert second["scope"] == "crm"


async def test_who_may_not_use_the_application_any_more_gets_no_tokens(signing: Portal) -> None:
    first = await tokens(signing)
    await signing.change(users=(99,))
    assert error(await refresh(signing, first["refresh_token"])) == (400, "invalid_grant")
    await signing.change(users=())
    user = await signing.store.portal_access.user(ADMIN)
    assert user is not None
    await signing.store.portal_access.put_user(msgspec.structs.replace(user, active=False))
    assert error(await refresh(signing, first["refresh_token"])) == (400, "invalid_grant")


async def test_a_refresh_token_belongs_to_its_application(signing: Portal) -> None:
    first = await tokens(signing)
    await signing.store.portal_access.create_application(
        msgspec.structs.replace(signing.application, id=0, client_id="local.other")
    )
    assert error(await refresh(signing, first["refresh_token"], client_id="local.other")) == (400, "invalid_grant")


async def test_an_operators_switches_close_the_token_endpoint(signing: Portal) -> None:
    first = await tokens(signing)
    await signing.set(commercial=False)
    assert error(await refresh(signing, first["refresh_token"])) == (401, "PAYMENT_REQUIRED")
    await signing.set(commercial=True, closed=True)
    assert error(await refresh(signing, first["refresh_token"])) == (500, "PORTAL_DELETED")


async def test_two_phones_of_one_user_do_not_sign_each_other_out(signing: Portal) -> None:
    phone, tablet = await tokens(signing), await tokens(signing)

    assert await works(signing, phone["access_token"])
    assert await works(signing, tablet["access_token"])


async def test_the_oauth_host_says_what_a_token_is(signing: Portal) -> None:
    reply = await tokens(signing)
    headers = {"authorization": f"Bearer {reply['access_token']}"}
    shown = await signing.client.get("/rest/app.info/", params={"auth": reply["access_token"]})
    by_header = await signing.client.get("/rest/app.info.json", headers=headers)
    body = shown.json()

    assert datetime.fromisoformat(body["result"].pop("expires")).timestamp() == reply["expires"]
    assert body["result"] == {
        "client_id": "local.test",
        "scope": reply["scope"],
        "install": {
            "installed": True,
            "version": "1",
            "status": "L",
            "scope": reply["scope"],
            "domain": "portal.test",
            "uri": "",
            "client_endpoint": "https://portal.test/rest/",
            "member_id": reply["member_id"],
            "member_type": "en_selfhosted",
        },
        "user_id": ADMIN,
    }
    assert {"start", "finish", "duration", "processing", "date_start", "date_finish"} <= set(body["time"])
    assert by_header.status_code == 200


async def test_the_oauth_host_knows_no_other_token(signing: Portal) -> None:
    reply = await tokens(signing)
    assert error(await signing.client.get("/rest/app.info/")) == (401, "NO_AUTH_FOUND")
    assert error(await signing.client.get("/rest/app.info/?auth=unknown")) == (401, "invalid_token")
    signing.clock.advance(3600)
    expired = await signing.client.get("/rest/app.info/", params={"auth": reply["access_token"]})
    assert error(expired) == (401, "expired_token")
    assert error(await signing.client.get("/rest/profile")) == (404, "ERROR_METHOD_NOT_FOUND")


async def test_browsers_may_ask_what_they_may_send(signing: Portal) -> None:
    answer = await signing.client.options("/oauth/token/")

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert (await signing.client.delete("/oauth/token/")).status_code == 405


async def test_neither_secrets_nor_tokens_are_in_any_repr(signing: Portal) -> None:
    pair = new_pair(1, 1, ("crm",), signing.ports.settings, signing.clock.now())
    assert pair.access not in repr(pair)
    assert pair.refresh not in repr(pair)


async def test_pairs_are_remembered_no_longer_than_their_grace(signing: Portal) -> None:
    remembering = Refresh(signing.ports)
    refresh_token = (await tokens(signing))["refresh_token"]
    for _ in range(5):
        signing.clock.advance(HOUR)
        pair = await remembering.pair(signing.application, {"refresh_token": refresh_token}, signing.clock.now())
        refresh_token = pair.refresh
    assert len(remembering._recent) == 1


async def test_a_store_that_was_busy_does_not_make_a_code_look_stolen(
    signing: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(_: bytes) -> None:
        raise StoreUnavailable("the store is busy")

    given = await code(signing)
    with monkeypatch.context() as patched:
        patched.setattr(signing.store.portal_access, "take_code", busy)
        assert (await token(signing, grant_type="authorization_code", code=given)).status_code == 500
    answer = await token(signing, grant_type="authorization_code", code=given)
    assert (answer.status_code, await works(signing, answer.json()["access_token"])) == (200, True)
