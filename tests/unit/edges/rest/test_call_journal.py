"""Calls of a connected portal's users are noted before their 202, and end by a request of their own."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import msgspec
import pytest

from unit.edges.rest.gateway import START, Gateway
from wakeline.connectors.bitrix24.calls import FINISH, REGISTER, Calls
from wakeline.model.bitrix24.installation import Installation, InstallationState, WebhookAccess
from wakeline.model.bitrix24.outbox import PortalWrite, WriteState
from wakeline.model.errors import StoreUnavailable
from wakeline.model.key import Scope

pytestmark = pytest.mark.anyio

PATH = "/v1/apps/acme-chat/notifications"
RINGING = {"to": {"users": ["p:7"]}, "call": {"id": "c1", "caller": "Carol"}, "data": {"phone_number": "+49 30 123456"}}


@pytest.fixture
async def office(gateway: Gateway) -> Gateway:
    """Return a gateway with a connected portal of which p:7 is a user."""
    await gateway.with_app()
    store = gateway.store
    app = store.apps.get("acme-chat")
    assert app is not None
    await store.installations.create(
        Installation(
            id=0,
            name="portal",
            app=app.id,
            access=WebhookAccess(url="https://portal.example/rest/1/code/"),
            client_endpoint="https://portal.example/rest/",
            prefix="p:",
            telephony=True,
            state=InstallationState.ACTIVE,
        )
    )
    gateway.ports.calls = Calls(store.installations, store.outbox, lambda _: None, lambda: 3600)
    await gateway.call(
        "PUT",
        "/v1/apps/acme-chat/devices/ios-7",
        json={"user": "p:7", "targets": [{"kind": "apns-voip", "value": "cd" * 32, "topic": "com.acme.chat"}]},
    )
    return gateway


async def writes(gateway: Gateway) -> list[PortalWrite]:
    return (await gateway.store.outbox.recorded(limit=100))[::-1]


async def registered(gateway: Gateway) -> list[dict[str, Any]]:
    return [msgspec.json.decode(write.params) for write in await writes(gateway) if write.method == REGISTER]


async def finished(gateway: Gateway) -> dict[str, Any]:
    [finish] = [write for write in await writes(gateway) if write.method == FINISH]
    said: dict[str, Any] = msgspec.json.decode(finish.params)
    return said


async def ring(gateway: Gateway, **more: Any) -> httpx2.Response:
    headers = more.pop("headers", {})
    return await gateway.call("POST", PATH, json={**RINGING, **more}, headers=headers)


async def test_a_call_is_noted_with_the_number_of_who_calls(office: Gateway) -> None:
    answer = await ring(office, data={"phone_number": "+49 30 123456", "line_number": "4930"})

    assert (answer.status_code, answer.json()["recipients"]) == (202, 1)
    [call] = await registered(office)
    assert (call["USER_ID"], call["PHONE_NUMBER"], call["LINE_NUMBER"]) == (7, "+49 30 123456", "4930")
    assert call["EXTERNAL_CALL_ID"] == "c1"


@pytest.mark.parametrize(
    ("caller", "data", "phone"),
    [
        ("+4930123456", {}, "+4930123456"),
        ("(030) 12", {}, ""),
        ("Carol 7", {}, ""),
        ("", {"phone_number": 4930123456}, ""),
        ("4930123456", {"phone_number": "private"}, "4930123456"),
        ("4930123456", {"phone_number": "+49301"}, "+49301"),
    ],
)
async def test_a_call_without_a_number_is_nobodys(
    office: Gateway, caller: str, data: dict[str, Any], phone: str
) -> None:
    await ring(office, call={"id": "c1", "caller": caller}, data=data)

    assert [call["PHONE_NUMBER"] for call in await registered(office)] == ([phone] if phone else [])


@pytest.mark.parametrize(
    "more",
    [
        {"to": {"users": ["alice"]}},
        {"to": {"users": ["p:alice"]}},
        {"call": None, "type": "alert", "alert": {"title": "Missed call"}},
        {"call": {"id": "", "caller": "Carol"}},
        {"alert": {"body": "x" * 9000}},
    ],
    ids=["another user", "no number of a user", "no call", "no id", "too long"],
)
async def test_what_is_no_call_of_a_portal_is_not_noted(office: Gateway, more: dict[str, Any]) -> None:
    await ring(office, **more)

    assert await writes(office) == []


async def test_a_dry_run_notes_nothing(office: Gateway) -> None:
    answer = await office.call("POST", f"{PATH}?validate_only=true", json=RINGING)

    assert answer.status_code == 200
    assert await writes(office) == []


async def test_a_repeat_with_its_key_notes_what_a_crash_left_out(office: Gateway) -> None:
    journal, office.ports.calls = office.ports.calls, None
    await ring(office, headers={"idempotency-key": "a"})
    office.ports.calls = journal

    again = await ring(office, headers={"idempotency-key": "a"})

    assert again.headers["idempotent-replayed"] == "true"
    assert len(await registered(office)) == 1


async def test_nobody_hears_yes_to_a_call_that_could_not_be_noted(
    office: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def put(_: object) -> list[PortalWrite]:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(office.store.outbox, "put", put)

    assert (await ring(office)).json()["code"] == "store_unavailable"
    lines = [{**RINGING, "call": {"id": "c2"}}, {"to": {"users": ["p:7"]}, "alert": {"title": "Hi"}}]
    content = b"\n".join(json.dumps(line).encode() for line in lines)
    answer = await office.call("POST", PATH, content=content, headers={"content-type": "application/x-ndjson"})
    said = answer.json()
    assert [line["line"] for line in said["accepted"]] == [2]
    assert [(line["line"], line["problem"]["code"]) for line in said["rejected"]] == [(1, "store_unavailable")]


async def test_calls_of_a_stream_are_noted(office: Gateway) -> None:
    lines = [RINGING, {**RINGING, "call": {"id": "c2"}}, {"to": {"users": ["p:7"]}, "alert": {"title": "Hi"}}]
    content = b"\n".join(json.dumps(line).encode() for line in lines)
    answer = await office.call("POST", PATH, content=content, headers={"content-type": "application/x-ndjson"})

    assert [line["line"] for line in answer.json()["accepted"]] == [1, 2, 3]
    assert [call["EXTERNAL_CALL_ID"] for call in await registered(office)] == ["c1", "c2"]


@pytest.mark.parametrize(
    ("said", "duration", "status", "reason"),
    [
        ({"duration": 75}, 75, "200", None),
        ({}, 0, "304", None),
        ({"duration": 0, "status": 486, "reason": "Busy"}, 0, "486", "Busy"),
        ({"duration": 75, "status": 200, "reason": "", "user": "p:8"}, 75, "200", None),
    ],
)
async def test_a_call_ends(
    office: Gateway, said: dict[str, Any], duration: int, status: str, reason: str | None
) -> None:
    await ring(office)
    office.clock.advance(80)
    answer = await office.call("POST", "/v1/apps/acme-chat/calls/c1/end", json=said)

    assert (answer.status_code, answer.json()) == (200, {"call": "c1", "noted": True})
    finish = await finished(office)
    assert (finish["DURATION"], finish["STATUS_CODE"], finish.get("FAILED_REASON")) == (duration, status, reason)
    assert finish["USER_ID"] == (8 if "user" in said else 7)
    assert (await writes(office))[1].due == START + 80_000


async def test_the_end_of_a_call_that_nobody_noted_is_no_error(office: Gateway) -> None:
    answer = await office.call("POST", "/v1/apps/acme-chat/calls/a%2Fb/end", json={"duration": 75})

    assert answer.json() == {"call": "a/b", "noted": False}
    office.ports.calls = None
    assert (await office.call("POST", "/v1/apps/acme-chat/calls/c1/end")).json()["noted"] is False


@pytest.mark.parametrize(
    ("said", "pointer"),
    [
        ({"duration": -1}, "/duration"),
        ({"duration": 1.5}, "/duration"),
        ({"status": 100}, "/status"),
        ({"reason": "x" * 256}, "/reason"),
        ({"seconds": 1}, "/seconds"),
    ],
)
async def test_a_wrong_end_is_refused_with_its_field(office: Gateway, said: dict[str, Any], pointer: str) -> None:
    answer = await office.call("POST", "/v1/apps/acme-chat/calls/c1/end", json=said)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


async def test_who_may_send_may_end_calls_of_his_apps_alone(office: Gateway) -> None:
    await ring(office)
    path = "/v1/apps/acme-chat/calls/c1/end"

    assert (await office.call("POST", path, key=await office.key(Scope.READ))).status_code == 403
    stranger = await office.key(Scope.SEND, apps=("else",))
    assert (await office.call("POST", path, key=stranger)).status_code == 404
    sender = await office.key(Scope.SEND, apps=("acme-chat",))
    assert (await office.call("POST", path, key=sender)).json()["noted"] is True


async def test_a_call_that_is_cancelled_was_missed(office: Gateway) -> None:
    sent = (await ring(office)).json()

    assert (await office.call("DELETE", f"{PATH}/{sent['id']}")).status_code == 200

    assert (await finished(office))["STATUS_CODE"] == "304"


async def test_a_cancel_after_the_end_changes_nothing(office: Gateway) -> None:
    sent = (await ring(office)).json()
    await office.call("POST", "/v1/apps/acme-chat/calls/c1/end", json={"duration": 75})
    await office.call("DELETE", f"{PATH}/{sent['id']}")

    assert (await finished(office))["DURATION"] == 75
    assert {write.state for write in await writes(office)} == {WriteState.WAITING}
