from __future__ import annotations

import asyncio
from typing import Any

import pytest

from unit.simulator.portal_client import Handler, PortalClient

pytestmark = pytest.mark.anyio


@pytest.fixture
async def app(portal: PortalClient) -> PortalClient:
    await portal.sign_in()
    return portal


async def test_a_change_is_posted_to_who_bound_it(app: PortalClient, handler: Handler) -> None:
    assert (await app.as_app("event.bind", event="OnCrmDealUpdate", handler=handler.url)).json()["result"] is True
    done = await app.control("/portal/change", kind="deal", id=7, fields={"OPPORTUNITY": 5000})
    assert done == {"id": 7, "event": "ONCRMDEALUPDATE", "handlers": 1}
    (form,) = await handler.heard(1)
    assert list(form)[:4] == ["event", "event_handler_id", "data[FIELDS][ID]", "ts"]
    assert (form["event"], form["data[FIELDS][ID]"]) == ("ONCRMDEALUPDATE", "7")
    assert form["auth[member_id]"] == app.tokens["member_id"]
    assert len(form["auth[application_token]"]) == 32
    assert {"auth[expires]", "auth[expires_in]", "auth[user_id]"} <= set(form)
    assert "auth[refresh_token]" not in form
    app.tokens["access_token"] = form["auth[access_token]"]
    assert (await app.as_app("crm.deal.get", id=7)).json()["result"]["OPPORTUNITY"] == "5000"


async def test_a_burst_of_changes_is_posted_one_by_one(app: PortalClient, handler: Handler) -> None:
    await app.as_app("event.bind", event="ONCRMDEALUPDATE", handler=handler.url)
    burst = [{"kind": "deal", "id": number, "fields": {"TITLE": "x"}} for number in range(1, 201)]
    control = f"http://127.0.0.1:{app.simulator.ports.control}/portal/change"
    assert [one["id"] for one in (await app.http.post(control, json=burst)).json()] == list(range(1, 201))
    forms = await handler.heard(200)
    assert {form["data[FIELDS][ID]"] for form in forms} == {str(number) for number in range(1, 201)}


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "deal", "id": 99999, "fields": {}},
        {"kind": "quote", "fields": {}},
        {"kind": "deal", "felds": {}},
    ],
)
async def test_a_change_that_cannot_be_made_is_refused_in_words(portal: PortalClient, body: dict[str, object]) -> None:
    control = f"http://127.0.0.1:{portal.simulator.ports.control}/portal/change"
    reply = await portal.http.post(control, json=body)
    assert (reply.status_code, bool(reply.json()["error"])) == (422, True)


async def test_a_robots_change_carries_no_token(app: PortalClient, handler: Handler) -> None:
    await app.as_app("event.bind", event="ONTASKUPDATE", handler=handler.url)
    await app.control("/portal/change", kind="task", id=3, fields={"TITLE": "Other"}, user=None)
    (form,) = await handler.heard(1)
    assert (form["data[FIELDS_BEFORE][ID]"], form["data[FIELDS_AFTER][ID]"]) == ("3", "3")
    assert form["data[IS_ACCESSIBLE_AFTER]"] == "undefined"
    assert "auth[access_token]" not in form


async def test_a_change_by_rest_raises_the_event_too(app: PortalClient, handler: Handler) -> None:
    await app.as_app("event.bind", event="ONCRMLEADADD", handler=handler.url)
    added = await app.result("crm.lead.add", fields={"TITLE": "New lead"})
    (form,) = await handler.heard(1)
    assert (form["data[FIELDS][ID]"], added) == ("61", 61)


async def test_an_installation_brings_tokens_that_work(portal: PortalClient, handler: Handler) -> None:
    told = await portal.control("/portal/install", handler=handler.url)
    (form,) = await handler.heard(1)
    assert (form["event"], form["data[INSTALLED]"]) == ("ONAPPINSTALL", "Y")
    assert form["auth[refresh_token]"] == told["refresh_token"]
    portal.tokens = told
    assert (await portal.as_app("profile")).status_code == 200


async def test_any_event_goes_to_one_address_and_may_be_forged(portal: PortalClient, handler: Handler) -> None:
    data = {"PHONE_NUMBER": "+4930", "USER_ID": "3"}
    await portal.control("/portal/event", event="OnExternalCallStart", data=data, handler=handler.url)
    forged = {"application_token": "wrong", "member_id": None}
    await portal.control("/portal/event", event="ONCRMDEALADD", handler=handler.url, auth=forged)
    forms = {form["event"]: form for form in await handler.heard(2)}
    honest, other = forms["ONEXTERNALCALLSTART"], forms["ONCRMDEALADD"]
    assert [name for name in honest if name.startswith("auth")] == [
        f"auth[{name}]" for name in ("domain", "client_endpoint", "server_endpoint", "member_id", "application_token")
    ]
    assert honest["data[PHONE_NUMBER]"] == "+4930"
    assert other["auth[application_token]"] == "wrong"
    assert "auth[member_id]" not in other


async def test_a_handler_that_is_down_has_missed_the_event(portal: PortalClient) -> None:
    await portal.control("/portal/event", event="ONCRMDEALADD", handler="http://127.0.0.1:9/none")
    async with asyncio.timeout(20):
        deliveries: list[Any] = []
        while not deliveries:
            deliveries = await portal.shown("/portal/deliveries")
    assert (deliveries[0]["event"], deliveries[0]["status"]) == ("ONCRMDEALADD", None)
    assert deliveries[0]["error"]
    await portal.control("/reset")
    assert await portal.shown("/portal/deliveries") == []


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"event": "ONNOSUCH", "handler": "https://a.test/"}, "ERROR_EVENT_NOT_FOUND"),
        ({"event": "ONCRMDEALADD", "handler": "https://localhost/"}, "ERROR_WRONG_HANDLER_URL"),
        ({"event": "ONCRMDEALADD", "handler": "ftp://a.test/"}, "ERROR_UNSUPPORTED_PROTOCOL"),
        ({"event": "", "handler": "https://a.test/"}, "ERROR_ARGUMENT"),
    ],
)
async def test_a_binding_is_refused(app: PortalClient, said: dict[str, str], code: str) -> None:
    assert (await app.as_app("event.bind", **said)).json()["error"] == code


async def test_bindings_are_listed_unique_and_unbound(app: PortalClient, handler: Handler) -> None:
    wanted = {"event": "ONCRMDEALADD", "handler": handler.url}
    await app.as_app("event.bind", **wanted)
    assert (await app.as_app("event.bind", **wanted)).json()["error"] == "ERROR_CORE"
    listed = (await app.as_app("event.get")).json()["result"]
    assert listed == [{**wanted, "auth_type": "0", "offline": 0}]
    assert (await app.as_app("event.unbind", **wanted)).json()["result"] == {"count": 1}
    assert (await app.control("/portal/change", kind="deal", fields={}))["handlers"] == 0


async def offline(app: PortalClient, method: str, **params: Any) -> Any:
    return (await app.as_app(f"event.offline.{method}", **params)).json()["result"]


async def test_offline_events_collapse_are_reserved_and_cleared(app: PortalClient) -> None:
    await app.as_app("event.bind", event="ONCRMDEALUPDATE", event_type="offline")
    for deal in (7, 8, 7):
        await app.control("/portal/change", kind="deal", id=deal, fields={"TITLE": "x"})
    first = await offline(app, "get", clear=0, limit=1)
    rest = await offline(app, "get", clear=0)
    assert [len(found["events"]) for found in (first, rest)] == [1, 1]
    assert first["events"][0]["EVENT_DATA"] in ({"FIELDS": {"ID": "7"}}, {"FIELDS": {"ID": "8"}})
    assert (await offline(app, "get"))["events"] == []
    message = rest["events"][0]["MESSAGE_ID"]
    await offline(app, "clear", process_id=first["process_id"])
    await offline(app, "error", process_id=rest["process_id"], message_id=[message])
    assert [row["ERROR"] for row in await offline(app, "list")] == ["1"]
    failed = await offline(app, "get", error=1)
    assert ([row["MESSAGE_ID"] for row in failed["events"]], failed["process_id"]) == ([message], None)
    assert await offline(app, "list") == []


async def test_an_applications_own_changes_are_not_queued_and_others_are_announced(
    app: PortalClient, handler: Handler
) -> None:
    await app.as_app("event.bind", event="ONCRMDEALADD", event_type="offline")
    await app.as_app("event.bind", event="ONOFFLINEEVENT", handler=handler.url)
    await app.as_app("crm.deal.add", fields={"TITLE": "own"})
    assert await offline(app, "list") == []
    await app.result("crm.deal.add", fields={"TITLE": "of a webhook"})
    (form,) = await handler.heard(1)
    assert (form["event"], "auth[refresh_token]" in form) == ("ONOFFLINEEVENT", True)
    assert len(await offline(app, "list")) == 1
