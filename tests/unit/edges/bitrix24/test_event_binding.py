"""Binding handlers of events, and what is posted to them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from unit.edges.bitrix24.portal import ADMIN, HOUR, MEMBER, Portal
from wakeline.config import Server, Settings
from wakeline.edges.bitrix24 import event_names, secrets
from wakeline.edges.bitrix24.delivering import AT_ONCE_EACH, MOST_EACH, Posting
from wakeline.edges.bitrix24.raising import raise_event
from wakeline.model.bitrix24.access import Grant, PortalApplication
from wakeline.model.errors import StoreUnavailable, TimedOut
from wakeline.ports import HttpAnswer
from wakeline.wire import php_form

pytestmark = pytest.mark.anyio

URL = "https://handler.test/b24"


async def bound(portal: Portal, event: str = "ONCRMDEALADD", url: str = URL, **more: Any) -> None:
    token = more.pop("token", None)
    answer = await portal.call("event.bind", {"event": event, "handler": url, **more}, token=token)
    assert portal.result(answer) is True


async def posted(portal: Portal) -> list[dict[str, Any]]:
    """Return the events that were posted, each as a tree."""
    await portal.ports.deliveries.idle()
    found: list[dict[str, Any]] = [php_form.parse(body.decode()) for _, body, _ in portal.world.posts]
    portal.world.posts.clear()
    return found


async def test_a_deal_is_told_in_the_form_and_order_of_a_portal(portal: Portal) -> None:
    await bound(portal)
    await raise_event(portal.ports, "OnCrmDealAdd", {"FIELDS": {"ID": "7405"}}, user=MEMBER)
    await portal.ports.deliveries.idle()
    [(url, body, headers)] = portal.world.posts
    assert url == URL
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert body.startswith(b"event=ONCRMDEALADD&event_handler_id=1&data%5BFIELDS%5D%5BID%5D=7405&ts=")
    names = [pair.partition("=")[0] for pair in body.decode().split("&")]
    assert names[4:] == [
        f"auth%5B{name}%5D"
        for name in (
            "access_token",
            "expires",
            "expires_in",
            "scope",
            "domain",
            "server_endpoint",
            "status",
            "client_endpoint",
            "member_id",
            "user_id",
            "application_token",
        )
    ]


async def test_the_token_of_an_event_is_that_of_who_caused_it(portal: Portal) -> None:
    await bound(portal)
    await raise_event(portal.ports, "ONCRMDEALADD", {"FIELDS": {"ID": "1"}}, user=MEMBER)
    [event] = await posted(portal)
    auth = event["auth"]
    assert auth["user_id"] == str(MEMBER)
    assert auth["expires_in"] == "3600"
    assert int(auth["expires"]) == (portal.clock.now() + HOUR) // 1000
    assert auth["application_token"] == portal.application.application_token
    assert auth["member_id"] == portal.store.portal_access.portal().member_id
    who = portal.result(await portal.call("profile", token=auth["access_token"]))
    assert who["ID"] == str(MEMBER)
    # the caller's own token is still good
    assert portal.result(await portal.call("profile", token=portal.member))["ID"] == str(MEMBER)


async def test_the_token_of_an_event_is_that_of_the_bound_user(portal: Portal) -> None:
    await bound(portal, auth_type=ADMIN)
    await raise_event(portal.ports, "ONCRMDEALADD", {}, user=MEMBER)
    assert (await posted(portal))[0]["auth"]["user_id"] == str(ADMIN)


async def test_what_nobody_did_comes_with_the_application_token_alone(portal: Portal) -> None:
    await bound(portal)
    await raise_event(portal.ports, "ONCRMDEALADD", {"FIELDS": {"ID": "1"}})
    [event] = await posted(portal)
    assert set(event["auth"]) == {"domain", "client_endpoint", "server_endpoint", "member_id", "application_token"}


async def test_an_application_that_is_closed_to_the_user_gets_no_token_of_his(portal: Portal) -> None:
    await bound(portal)
    await portal.change(users=(ADMIN,))
    await raise_event(portal.ports, "ONCRMDEALADD", {}, user=MEMBER)
    assert "access_token" not in (await posted(portal))[0]["auth"]


async def test_a_test_event_brings_the_query_and_a_pair_of_tokens_to_its_own_application(portal: Portal) -> None:
    other = await portal.store.portal_access.create_application(
        PortalApplication(
            id=0, client_id="local.other", secret=b"", name="O", app=portal.application.app, redirect_uri="", scopes=()
        )
    )
    await bound(portal, "ONAPPTEST")
    handler = portal.store.portal_events.handlers()[0]
    await portal.store.portal_events.bind(msgspec.structs.replace(handler, application=other.id))
    portal.ports.settings = Settings(server=Server(public_url="https://portal.test"))
    assert portal.result(await portal.call("event.test", {"any": "thing"})) == 1
    [event] = await posted(portal)
    assert event["data"] == {"QUERY": {"any": "thing"}}
    assert event["auth"]["domain"] == "portal.test"
    assert event["auth"]["client_endpoint"] == "https://portal.test/rest/"
    grant = await portal.store.portal_access.grant_by_refresh(secrets.digest(event["auth"]["refresh_token"]))
    assert grant is not None
    assert grant.refresh_expires > portal.clock.now()


async def test_the_same_event_comes_once_in_one_request(portal: Portal) -> None:
    await bound(portal, "ONAPPTEST")
    commands = ["event.test?a=1", "event.test?a=1", "event.test?a=2"]
    await portal.call("batch", {"cmd": commands})
    assert [event["data"]["QUERY"] for event in await posted(portal)] == [{"a": "1"}, {"a": "2"}]
    await portal.call("event.test", {"a": "1"})
    assert len(await posted(portal)) == 1


async def test_a_chain_of_events_and_calls_ends(portal: Portal) -> None:
    await bound(portal, "ONAPPTEST")
    token, told = portal.admin, 0
    while True:
        assert portal.result(await portal.call("event.test", token=token)) == 1
        events = await posted(portal)
        if not events:
            break
        token, told = events[0]["auth"]["access_token"], told + 1
    assert told == 7


async def test_an_event_outside_the_scopes_is_not_told_any_more(portal: Portal) -> None:
    await bound(portal)
    await portal.change(scopes=("pull",))
    await raise_event(portal.ports, "ONCRMDEALADD", {}, user=ADMIN)
    assert await posted(portal) == []


async def test_an_event_that_cannot_be_told_harms_no_method(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await bound(portal, "ONAPPTEST")
    await bound(portal, "ONAPPTEST", event_type="offline")

    async def full(_: object) -> None:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(portal.store.portal_access, "issue", full)
    monkeypatch.setattr(portal.store.portal_events, "queue", full)
    assert portal.result(await portal.call("event.test")) == 1
    assert await posted(portal) == []
    said = capsys.readouterr().out
    assert "bitrix24.event_failed" in said
    assert "bitrix24.offline_event_lost" in said


# --- delivery


async def test_a_failed_post_is_not_repeated_but_counted(portal: Portal) -> None:
    portal.world.answers = {
        URL: HttpAnswer(status=500, headers={}, body=b""),
        f"{URL}/2": TimedOut("no answer within 10 s"),
    }
    await bound(portal)
    await bound(portal, url=f"{URL}/2")
    await bound(portal, url=f"{URL}/3")
    await raise_event(portal.ports, "ONCRMDEALADD", {})
    assert len(await posted(portal)) == 3
    counted = portal.gateway.ports.metrics.registry.get_sample_value
    assert counted("wakeline_bitrix24_events_total", {"outcome": "failed"}) == 2
    assert counted("wakeline_bitrix24_events_total", {"outcome": "delivered"}) == 1


async def test_a_handler_that_fails_rests_longer_each_time(portal: Portal) -> None:
    portal.world.answers[URL] = HttpAnswer(status=503, headers={}, body=b"")
    began = portal.clock.now()
    for number in range(AT_ONCE_EACH + 3):
        portal.ports.deliveries.post(Posting(handler=1, event="E", url=URL, body=b"%d" % number))
    await portal.ports.deliveries.idle()
    assert [body for _, body, _ in portal.world.posts] == [b"%d" % number for number in range(AT_ONCE_EACH + 3)]
    assert portal.clock.now() - began >= 60_000


async def test_too_many_events_for_one_handler_are_dropped_and_counted(portal: Portal) -> None:
    for number in range(MOST_EACH + 5):
        portal.ports.deliveries.post(Posting(handler=1, event="E", url=URL, body=b"%d" % number))
    await portal.ports.deliveries.idle()
    assert len(portal.world.posts) == MOST_EACH
    counted = portal.gateway.ports.metrics.registry.get_sample_value
    assert counted("wakeline_bitrix24_events_total", {"outcome": "dropped"}) == 5


# --- binding


async def test_handlers_are_bound_listed_and_unbound(portal: Portal) -> None:
    await bound(portal, "onCrmDealAdd")
    await bound(portal, auth_type=str(MEMBER))
    await bound(portal, "ONCRMDEALADD", event_type="offline", auth_connector="crm")
    assert portal.result(await portal.call("event.get")) == [
        {"event": "ONCRMDEALADD", "handler": URL, "auth_type": "0", "offline": 0},
        {"event": "ONCRMDEALADD", "handler": URL, "auth_type": str(MEMBER), "offline": 0},
        {"event": "ONCRMDEALADD", "connector_id": "crm", "offline": 1},
    ]
    unbound = await portal.call("event.unbind", {"event": "OnCrmDealAdd", "handler": URL})
    assert portal.result(unbound) == {"count": 2}
    offline = {"event": "OnCrmDealAdd", "event_type": "offline", "auth_connector": "other"}
    assert portal.result(await portal.call("event.unbind", offline)) == {"count": 0}
    assert portal.result(await portal.call("event.unbind", offline | {"auth_connector": "crm"})) == {"count": 1}


@pytest.mark.parametrize(
    ("params", "refusal"),
    [
        ({"handler": URL}, (400, "ERROR_ARGUMENT", "Argument 'EVENT' is null or empty")),
        ({"event": "ONCRMDEALADD"}, (400, "ERROR_ARGUMENT", "Argument 'HANDLER' is null or empty")),
        ({"event": "ONNOTHING", "handler": URL}, (400, "ERROR_EVENT_NOT_FOUND", "Event not found")),
        ({"event": "ONUSERADD", "handler": URL}, (400, "ERROR_EVENT_NOT_FOUND", "Event not found")),
        (
            {"event": "ONCRMDEALADD", "handler": "http://localhost/x"},
            (400, "ERROR_WRONG_HANDLER_URL", "Wrong handler URL"),
        ),
        ({"event": "ONCRMDEALADD", "handler": "http://[::1"}, (400, "ERROR_WRONG_HANDLER_URL", "Wrong handler URL")),
        (
            {"event": "ONCRMDEALADD", "handler": "ftp://handler.test/"},
            (400, "ERROR_UNSUPPORTED_PROTOCOL", "Unsupported handler protocol"),
        ),
        (
            {"event": "ONCRMDEALADD", "handler": URL, "event_type": "sometimes"},
            (400, "ERROR_ARGUMENT", "Value must be one of {online, offline}"),
        ),
    ],
)
async def test_what_cannot_be_bound_is_refused(
    portal: Portal, params: dict[str, Any], refusal: tuple[int, str, str]
) -> None:
    await portal.change(scopes=("crm",))
    assert portal.refusal(await portal.call("event.bind", params)) == refusal


async def test_a_missing_argument_is_named(portal: Portal) -> None:
    assert (await portal.call("event.bind", {"handler": URL})).json()["argument"] == "EVENT"


async def test_the_same_handler_is_bound_once(portal: Portal) -> None:
    await bound(portal)
    answer = await portal.call("event.bind", {"event": "ONCRMDEALADD", "handler": URL})
    text = "Unable to set event handler: Handler already binded"
    assert portal.refusal(answer) == (400, "ERROR_CORE", text)


async def test_a_member_binds_for_himself_only(portal: Portal) -> None:
    await bound(portal)
    await bound(portal, url=f"{URL}/mine", token=portal.member)
    mine = portal.result(await portal.call("event.get", token=portal.member))
    assert [row["auth_type"] for row in mine] == [str(MEMBER)]
    params = {"event": "ONCRMDEALADD", "handler": URL}
    others = await portal.call("event.bind", params | {"auth_type": ADMIN}, token=portal.member)
    text = "Access denied! Event binding with AUTH_TYPE requires administrator access rights"
    assert portal.refusal(others) == (403, "ACCESS_DENIED", text)
    offline = await portal.call("event.bind", params | {"event_type": "offline"}, token=portal.member)
    text = "Access denied! Offline events binding requires administrator access rights"
    assert portal.refusal(offline) == (403, "ACCESS_DENIED", text)
    unbound = await portal.call("event.unbind", params, token=portal.member)
    assert portal.result(unbound) == {"count": 0}


@pytest.mark.parametrize("method", ["event.bind", "event.unbind", "event.get", "event.test", "event.offline.get"])
async def test_events_belong_to_applications(portal: Portal, method: str) -> None:
    assert portal.refusal(await portal.hook(method, {"event": "ONCRMDEALADD"}))[:2] == (403, "WRONG_AUTH_TYPE")


async def test_events_are_named_by_scope(portal: Portal) -> None:
    await portal.grant(ADMIN, "narrow", ("task",))
    mine = portal.result(await portal.call("events", token="narrow"))
    assert set(mine) == {*event_names.BY_SCOPE[""], *event_names.BY_SCOPE["task"]}
    assert "ONCRMLEADADD" in portal.result(await portal.call("events", {"scope": "crm"}, token="narrow"))
    assert set(portal.result(await portal.call("events", {"full": True}, token="narrow"))) > set(mine)


async def test_who_causes_an_event_does_not_choose_where_its_tokens_are_used(portal: Portal) -> None:
    await bound(portal, event_names.CALL_BEGUN, auth_type=ADMIN)
    await portal.set(domain="")
    call = {"USER_ID": MEMBER, "PHONE_NUMBER": "+4930123456", "TYPE": 2, "auth": portal.member}
    answer = await portal.client.post(
        "/rest/telephony.externalcall.register", json=call, headers={"host": "elsewhere.test"}
    )
    portal.result(answer)
    [event] = await posted(portal)
    assert event["auth"]["user_id"] == str(ADMIN)
    assert not [name for name, said in event["auth"].items() if "elsewhere" in said]


async def test_no_token_is_made_for_an_event_that_is_dropped(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    issued: list[object] = []
    issue = portal.store.portal_access.issue

    async def counted(grant: Grant) -> Grant:
        issued.append(grant)
        return await issue(grant)

    await bound(portal, "ONAPPTEST")
    for number in range(MOST_EACH + AT_ONCE_EACH):
        portal.ports.deliveries.post(Posting(handler=1, event="E", url=URL, body=b"%d" % number))
    monkeypatch.setattr(portal.store.portal_access, "issue", counted)
    assert portal.ports.deliveries.is_full(URL)
    await raise_event(portal.ports, "ONAPPTEST", {}, user=ADMIN, application=portal.application.id)
    assert not issued
    await portal.ports.deliveries.idle()
    await raise_event(portal.ports, "ONAPPTEST", {}, user=ADMIN, application=portal.application.id)
    assert len(issued) == 1
