"""The way of one request: paths, bodies, who is it, what the portal's switches refuse, and the form of every answer."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from unit.edges.bitrix24.portal import ADMIN, ADMIN_TOKEN, CODE, HOUR, MEMBER, MEMBER_TOKEN, Portal, opened
from wakeline.config import Settings
from wakeline.config.tree import Bitrix24
from wakeline.edges.bitrix24 import request
from wakeline.edges.bitrix24.call import Call, Method, Result
from wakeline.edges.bitrix24.delivering import Posting
from wakeline.edges.bitrix24.door import Door
from wakeline.edges.bitrix24.secrets import digest
from wakeline.edges.bitrix24.table import BY_NAME
from wakeline.model.bitrix24.access import IncomingWebhook, PortalApplication
from wakeline.model.errors import InvalidRequest, Overloaded, StoreUnavailable

pytestmark = pytest.mark.anyio

TIME = {"start", "finish", "duration", "processing", "date_start", "date_finish"}


async def _echo(call: Call) -> Result:
    return Result({"params": call.params, "start": call.start, "base": call.base})


async def _broken(call: Call) -> Result:
    raise ZeroDivisionError("a secret of ours")


async def _full(call: Call) -> Result:
    raise Overloaded("the queue is full")


async def _unwritten(call: Call) -> Result:
    raise StoreUnavailable("the disk is full")


async def _wrong(call: Call) -> Result:
    raise InvalidRequest("the collapse id is too long", pointer="/collapse_id")


async def _empty(call: Call) -> Result:
    return Result({"none": {}, "list": {"0": "a", "1": "b"}, "map": {"1": "b"}})


EXTRA = {
    "test.echo": Method(name="test.echo", scope="", handler=_echo, folded=False),
    "test.folded": Method(name="test.folded", scope="", handler=_echo),
    "test.broken": Method(name="test.broken", scope="", handler=_broken),
    "test.full": Method(name="test.full", scope="", handler=_full),
    "test.unwritten": Method(name="test.unwritten", scope="", handler=_unwritten),
    "test.wrong": Method(name="test.wrong", scope="", handler=_wrong),
    "test.shape": Method(name="test.shape", scope="", handler=_empty),
    "test.crm": Method(name="test.crm", scope="crm", handler=_echo),
}


@pytest.fixture
def echo(portal: Portal) -> Portal:
    portal.serve(Door(portal.ports, {**BY_NAME, **EXTRA}))
    return portal


@pytest.mark.parametrize(
    "path",
    [
        f"/rest/{ADMIN}/{CODE}/profile",
        f"/rest/{ADMIN}/{CODE}/profile.json",
        f"/rest/{ADMIN}/{CODE}/profile.xml",
        f"/rest/{ADMIN}/{CODE}/Profile/",
        f"/rest/{ADMIN}/{CODE}/PROFILE.JSON/?bx24_request_id=5",
        f"//rest//{ADMIN}/{CODE}//profile",
        f"/rest/profile.json?auth={ADMIN_TOKEN}",
        f"/rest//profile?access_token={ADMIN_TOKEN}&bx24_sdk_ver=2.2.0",
    ],
)
async def test_every_way_to_write_an_address_is_the_same_method(portal: Portal, path: str) -> None:
    for method in ("GET", "POST"):
        answer = await portal.client.request(method, f"https://portal.test{path}")
        assert portal.result(answer)["ID"] == "1"
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        assert answer.headers["access-control-allow-origin"] == "*"


async def test_a_success_has_the_six_times_that_clients_read(portal: Portal) -> None:
    body = (await portal.call("profile")).json()
    assert body.keys() == {"result", "time"}
    assert body["time"].keys() >= TIME
    assert body["time"]["date_start"] == "2026-11-18T11:06:40+00:00"
    assert body["time"]["operating"] == 0


async def test_without_an_operating_limit_its_two_times_are_left_out() -> None:
    portal = await opened(Settings(bitrix24=Bitrix24(operating_limit=0)))
    assert (await portal.call("profile")).json()["time"].keys() == TIME


MULTIPART = (
    b"".join(
        b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % part
        for part in ((b"filter[>ID]", b"5"), (b"list[]", b"1"), (b"list[]", b"2"), (b"start", b"50"))
    )
    + b"--x--\r\n"
)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"filter": {">ID": "5"}, "list": ["1", "2"], "start": 50}'),
        ("application/json; charset=utf-8", b'{"filter": {">ID": "5"}, "list": {"0": "1", "1": "2"}, "start": "50"}'),
        ("application/x-www-form-urlencoded", b"filter[%3EID]=5&list[]=1&list[]=2&start=50"),
        ("", b"filter%5B%3EID%5D=5&list%5B0%5D=1&list%5B1%5D=2&start=50&"),
        ("multipart/form-data; boundary=x", MULTIPART),
    ],
)
async def test_every_kind_of_body_is_the_same_tree(echo: Portal, content_type: str, body: bytes) -> None:
    headers = {"content-type": content_type} if content_type else {}
    answer = await echo.client.post(f"/rest/test.echo?auth={ADMIN_TOKEN}", content=body, headers=headers)
    assert echo.result(answer) == {
        "params": {"filter": {">ID": "5"}, "list": ["1", "2"]},
        "start": 50,
        "base": "https://portal.test",
    }


async def test_a_body_is_laid_over_the_query_by_its_outermost_names(echo: Portal) -> None:
    answer = await echo.client.post(f"/rest/test.echo?a=1&f[x]=1&auth={ADMIN_TOKEN}", json={"f": {"y": 2}})
    assert echo.result(answer)["params"] == {"a": "1", "f": {"y": 2}}


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[" * 5000])
async def test_json_that_cannot_be_read_is_as_if_it_were_not_there(echo: Portal, body: bytes) -> None:
    headers = {"content-type": "application/json", "authorization": f"Bearer {ADMIN_TOKEN}"}
    for method in ("GET", "POST"):
        answer = await echo.client.request(method, "/rest/test.echo?a=1", content=body, headers=headers)
        assert echo.result(answer)["params"] == {"a": "1"}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", "a" + "[b]" * 50 + "=1"),
        ("application/x-www-form-urlencoded", "a=1&" * 5001),
        ("application/json", '{"a":' * 40 + "1" + "}" * 40),
        ("application/json", '"' + "x" * 1_100_000 + '"'),
    ],
)
async def test_what_is_too_deep_or_too_much_is_refused_in_words(portal: Portal, content_type: str, body: str) -> None:
    answer = await portal.client.post(
        f"/rest/profile?auth={ADMIN_TOKEN}", content=body, headers={"content-type": content_type}
    )
    status, code, _ = portal.refusal(answer)
    assert (status, code) == (400, "INVALID_REQUEST")


async def test_names_of_parameters_count_in_any_case_where_the_method_says_so(echo: Portal) -> None:
    answer = await echo.call("test.folded", {"User_id": 5})
    assert echo.result(answer)["params"] == {"USER_ID": 5}


async def test_the_bearer_is_asked_first_then_auth_then_access_token(portal: Portal) -> None:
    async def asker(query: str, bearer: str = "") -> str:
        headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
        answer = await portal.client.get(f"/rest/profile?{query}", headers=headers)
        return str(portal.result(answer)["ID"])

    assert await asker(f"auth={MEMBER_TOKEN}", ADMIN_TOKEN) == str(ADMIN)
    assert await asker(f"auth={MEMBER_TOKEN}&access_token={ADMIN_TOKEN}") == str(MEMBER)
    assert await asker(f"access_token={ADMIN_TOKEN}") == str(ADMIN)


NO_AUTH = (401, "NO_AUTH_FOUND", "Wrong authorization data")


@pytest.mark.parametrize(
    "path", ["/rest/profile", "/rest/profile?auth=unknown", f"/rest/1/{CODE[::-1]}/profile", f"/rest/7/{CODE}/profile"]
)
async def test_who_says_nothing_or_something_wrong_is_nobody(portal: Portal, path: str) -> None:
    assert portal.refusal(await portal.client.get(path)) == NO_AUTH


async def test_a_token_expires(portal: Portal) -> None:
    portal.clock.advance(HOUR / 1000)
    expected = (401, "expired_token", "The access token provided has expired")
    assert portal.refusal(await portal.call("profile")) == expected


async def test_a_deleted_application_takes_its_tokens_along(portal: Portal) -> None:
    await portal.store.portal_access.delete_application(portal.application.id)
    assert (await portal.call("profile")).status_code == 401


async def test_an_unknown_method_is_told_before_who_asks(portal: Portal) -> None:
    for path in ("/rest/no.such", "/rest/1/x/no.such", "/rest/", "/rest/1/2/3/4"):
        answer = await portal.client.get(path)
        assert portal.refusal(answer) == (404, "ERROR_METHOD_NOT_FOUND", "Method not found!")


async def test_version_3_refuses_in_its_own_form(portal: Portal) -> None:
    for path in ("/rest/api/profile", f"/rest/api/{ADMIN}/{CODE}/tasks.task.get", "/rest/api/batch"):
        answer = await portal.client.post(path)
        assert answer.status_code == 404
        code = "BITRIX_REST_V3_EXCEPTION_METHODNOTFOUNDEXCEPTION"
        assert answer.json() == {"error": {"code": code, "message": "Method not found!"}}


async def test_options_are_answered_for_browsers(portal: Portal) -> None:
    answer = await portal.client.options("/rest/profile")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["access-control-allow-headers"] == "origin, content-type, accept"


async def test_maps_have_the_shape_that_php_gives_them(echo: Portal) -> None:
    assert echo.result(await echo.call("test.shape")) == {"none": [], "list": ["a", "b"], "map": {"1": "b"}}


async def test_a_defect_of_ours_is_an_answer_without_its_traceback(echo: Portal) -> None:
    answer = await echo.call("test.broken")
    assert echo.refusal(answer) == (500, "INTERNAL_SERVER_ERROR", "Internal server error")
    assert "secret" not in answer.text


async def test_a_full_gateway_asks_clients_to_come_again(echo: Portal) -> None:
    assert echo.refusal(await echo.call("test.full")) == (503, "QUERY_LIMIT_EXCEEDED", "Too many requests")


async def test_a_store_that_fails_is_an_unexpected_answer(echo: Portal) -> None:
    expected = (500, "ERROR_UNEXPECTED_ANSWER", "Server returned an unexpected response")
    assert echo.refusal(await echo.call("test.unwritten")) == expected


async def test_what_the_pipeline_refuses_is_told_in_its_words(echo: Portal) -> None:
    assert echo.refusal(await echo.call("test.wrong")) == (400, "ERROR_CORE", "the collapse id is too long")


async def test_a_portal_with_names_answers_to_no_other() -> None:
    portal = await opened(Settings(bitrix24=Bitrix24(portal_hosts=("Portal.test", "[::1]"))))
    for host, status in (("portal.test", 200), ("PORTAL.test:8750", 200), ("[::1]:80", 200), ("other.test", 404)):
        answer = await portal.client.get(f"/rest/profile?auth={ADMIN_TOKEN}", headers={"host": host})
        assert answer.status_code == status


@pytest.mark.parametrize("host", ["evil.test/path", "a@b", "x" * 300, "", "\xe4.test"])
async def test_a_host_that_is_none_is_not_repeated(echo: Portal, host: str) -> None:
    headers = {b"host": host.encode("latin-1")}
    answer = await echo.client.get(f"/rest/test.echo?auth={ADMIN_TOKEN}", headers=headers)
    assert echo.result(answer)["base"] == "https://localhost"


async def test_the_portals_own_name_is_put_before_that_of_the_request(echo: Portal) -> None:
    await echo.set(domain="crm.example:8443")
    assert echo.result(await echo.call("test.echo"))["base"] == "https://crm.example:8443"


# --- rows of the table of system errors that an operator can provoke -----------------------------------------------


async def test_a_closed_portal_says_that_it_was_deleted(portal: Portal) -> None:
    await portal.set(closed=True)
    assert portal.refusal(await portal.call("profile")) == (500, "PORTAL_DELETED", "Portal was deleted")


async def test_a_blocked_portal_says_that_it_is_overloaded(portal: Portal) -> None:
    await portal.set(blocked=True)
    expected = (503, "OVERLOAD_LIMIT", "REST API is blocked due to overload")
    assert portal.refusal(await portal.call("profile")) == expected


async def test_a_plan_without_rest_denies_access(portal: Portal) -> None:
    await portal.set(commercial=False)
    expected = (403, "ACCESS_DENIED", "REST API is available only on commercial plans")
    assert portal.refusal(await portal.call("profile")) == expected


async def test_an_application_restricted_to_users_refuses_the_others(portal: Portal) -> None:
    await portal.change(users=(ADMIN,))
    assert (await portal.call("profile")).status_code == 200
    expected = (403, "user_access_error", "The user does not have access to the application")
    assert portal.refusal(await portal.call("profile", token=MEMBER_TOKEN)) == expected


async def test_a_missing_manifest_is_told(portal: Portal) -> None:
    await portal.change(manifest=False)
    expected = (404, "ERROR_MANIFEST_IS_NOT_AVAILABLE", "Manifest is not available")
    assert portal.refusal(await portal.call("profile")) == expected


async def test_a_dismissed_user_has_no_credentials_any_more(portal: Portal) -> None:
    user = await portal.store.portal_access.user(ADMIN)
    assert user is not None
    await portal.store.portal_access.put_user(msgspec.structs.replace(user, active=False))
    expected = (403, "INVALID_CREDENTIALS", "Invalid request credentials")
    assert portal.refusal(await portal.call("profile")) == expected
    assert portal.refusal(await portal.hook("profile")) == expected


async def test_a_webhook_needs_https_unless_the_settings_lift_that(portal: Portal) -> None:
    url = f"http://portal.test/rest/{ADMIN}/{CODE}/profile"
    assert portal.refusal(await portal.client.get(url)) == (400, "INVALID_REQUEST", "Https required")
    lenient = await opened(Settings(bitrix24=Bitrix24(require_https=False)))
    assert (await lenient.client.get(url)).status_code == 200


async def test_a_scope_that_the_token_lacks_is_told(echo: Portal) -> None:
    await echo.grant(MEMBER, "narrow", scopes=("pull",))
    text = "The request requires higher privileges than provided by the access token"
    assert echo.refusal(await echo.call("test.crm", token="narrow")) == (403, "insufficient_scope", text)
    assert (await echo.call("test.crm")).status_code == 200
    narrow = IncomingWebhook(id=0, user=ADMIN, digest=digest("narrow-hook"), scopes=("pull",))
    await echo.store.portal_access.create_webhook(narrow)
    text = "The request requires higher privileges than provided by the webhook token"
    refused = echo.refusal(await echo.hook("test.crm", code="narrow-hook"))
    assert refused == (403, "insufficient_scope", text)


async def test_requests_beyond_the_bucket_are_one_too_many_until_it_leaks(portal: Portal) -> None:
    statuses = [(await portal.call("profile")).status_code for _ in range(52)]
    assert statuses == [200] * 51 + [503]
    assert (await portal.hook("profile")).status_code == 200  # another credential, another bucket
    portal.clock.advance(1)
    answers: list[Any] = [await portal.call("profile") for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 503]
    assert portal.refusal(answers[2]) == (503, "QUERY_LIMIT_EXCEEDED", "Too many requests")


async def test_a_bucket_by_address_is_shared_by_all_credentials() -> None:
    portal = await opened(Settings(bitrix24=Bitrix24(rate_limit_by="address", rate_limit_burst=1)))
    answers = [await portal.call("profile"), await portal.hook("profile"), await portal.call("profile")]
    assert [one.status_code for one in answers] == [200, 200, 503]


async def test_a_method_that_worked_too_long_is_blocked_until_it_is_forgotten() -> None:
    portal = await opened(Settings(bitrix24=Bitrix24(operating_limit=5)))

    async def slow(call: Call) -> Result:
        portal.clock.advance(6)
        return Result(value=True)

    portal.serve(Door(portal.ports, {**BY_NAME, "test.slow": Method(name="test.slow", scope="", handler=slow)}))
    time = (await portal.call("test.slow")).json()["time"]
    assert time["operating"] == 6
    text = "Method is blocked due to operation time limit."
    assert portal.refusal(await portal.call("test.slow")) == (429, "OPERATION_TIME_LIMIT", text)
    assert (await portal.call("profile")).status_code == 200
    portal.clock.advance(time["operating_reset_at"] - portal.clock.now() / 1000)
    assert (await portal.call("test.slow")).status_code == 200


@pytest.mark.parametrize("body", ['{"auth":"\\ud800"}', '{"access_token":"\\udfff"}'])
async def test_half_a_character_is_nobodys_token(portal: Portal, body: str) -> None:
    answer = await portal.client.post("/rest/profile", content=body, headers={"content-type": "application/json"})
    assert portal.refusal(answer) == NO_AUTH


async def test_no_repr_opens_a_door() -> None:
    found = request.address("/rest/1/hook0123456789ab/profile")
    asked = request.asked(found, {"auth": "token-of-anna", "TEXT": "words"})
    posting = Posting(handler=1, event="ONAPPTEST", url="https://app.test/hook0123456789ab", body=b"token-of-anna")
    application = PortalApplication(
        id=1,
        client_id="local.a",
        secret=b"token-of-anna",
        name="A",
        app=1,
        redirect_uri="",
        scopes=(),
        application_token="token-of-anna",
    )
    for one in (found, asked, posting, application):
        assert not re.search("hook0123456789ab|token-of-anna|words", repr(one)), repr(one)
