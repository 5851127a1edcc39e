"""External calls: registered once, ringing, finished with a statistic; calls that the operator's hook makes."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from unit.edges.bitrix24.phones import phone, reached, sent
from unit.edges.bitrix24.portal import ADMIN, MEMBER, Portal, opened
from unit.edges.bitrix24.test_event_binding import bound, posted
from wakeline.config import Bitrix24, Settings
from wakeline.model.bitrix24.access import PortalUser
from wakeline.model.bitrix24.records import Record, RecordKind
from wakeline.model.errors import TimedOut
from wakeline.model.notification import PushType
from wakeline.model.route import ProviderKind
from wakeline.ports import HttpAnswer

pytestmark = pytest.mark.anyio

NUMBER = "+4930123"
INCOMING = {"USER_ID": MEMBER, "PHONE_NUMBER": NUMBER, "TYPE": 2}
HOOK = "http://127.0.0.1:9000/calls"


async def registered(portal: Portal, **params: Any) -> dict[str, Any]:
    answer = await portal.call("telephony.externalCall.register", INCOMING | params)
    found: dict[str, Any] = portal.result(answer)
    return found


async def finished(portal: Portal, call_id: str, **params: Any) -> dict[str, Any]:
    given = {"CALL_ID": call_id, "USER_ID": MEMBER, **params}
    found: dict[str, Any] = portal.result(await portal.call("telephony.externalCall.finish", given))
    return found


async def test_a_registered_call_has_an_id_and_no_lead(portal: Portal) -> None:
    found = await registered(portal, CRM_CREATE=1)
    assert re.fullmatch(r"externalCall\.[0-9a-f]{32}\.[0-9]{10}", found.pop("CALL_ID"))
    assert "portal" in found.pop("LEAD_CREATION_ERROR")
    assert found == {
        "CRM_CREATED_LEAD": None,
        "CRM_CREATED_ENTITIES": [],
        "CRM_ENTITY_TYPE": None,
        "CRM_ENTITY_ID": None,
    }


async def test_an_incoming_call_rings_with_the_name_of_who_calls(portal: Portal) -> None:
    token = await phone(portal, MEMBER, kind="fcm")
    fields: dict[str, object] = {"NAME": "Carla", "LAST_NAME": "Client", "PHONE": [{"VALUE": NUMBER}]}
    await portal.store.portal_records.put([Record(kind=RecordKind.CONTACT, id=797, fields=fields)])
    found = await registered(portal, PHONE_NUMBER="+49 30 123")
    assert (found["CRM_ENTITY_TYPE"], found["CRM_ENTITY_ID"]) == ("CONTACT", 797)
    assert await reached(portal, ProviderKind.FCM) == [token]
    notification = await sent(portal, ProviderKind.FCM)
    assert notification.content.type is PushType.CALL
    assert notification.content.call is not None
    assert (notification.content.call.id, notification.content.call.caller) == (found["CALL_ID"], "Carla Client")
    assert notification.content.data["crm_entity_id"] == "797"


async def test_a_caller_without_a_name_is_a_number(portal: Portal) -> None:
    await phone(portal, MEMBER, kind="fcm")
    await registered(portal, CRM_ENTITY_TYPE="COMPANY", CRM_ENTITY_ID=5)
    notification = await sent(portal, ProviderKind.FCM)
    assert notification.content.call is not None
    assert notification.content.call.caller == NUMBER


@pytest.mark.parametrize(("params", "rings"), [({"TYPE": 3}, 1), ({"TYPE": 1}, 0), ({"SHOW": 0}, 0), ({"TYPE": 4}, 0)])
async def test_only_what_comes_in_and_is_shown_rings(portal: Portal, params: dict[str, int], rings: int) -> None:
    await phone(portal, MEMBER, kind="fcm")
    await registered(portal, **params)
    assert len(await reached(portal, ProviderKind.FCM)) == rings


async def test_the_same_call_within_half_an_hour_is_the_same_and_rings_once(portal: Portal) -> None:
    await phone(portal, MEMBER, kind="fcm")
    first = await registered(portal)
    assert len(await reached(portal, ProviderKind.FCM)) == 1
    portal.clock.advance(29 * 60)
    assert await registered(portal) == first
    assert (await registered(portal, EXTERNAL_CALL_ID="pbx-1"))["CALL_ID"] != first["CALL_ID"]
    assert len(await reached(portal, ProviderKind.FCM)) == 2
    portal.clock.advance(2 * 60)
    assert (await registered(portal))["CALL_ID"] != first["CALL_ID"]


async def test_a_user_is_found_by_his_extension(portal: Portal) -> None:
    user = await portal.store.portal_access.user(MEMBER)
    assert user is not None
    await portal.store.portal_access.put_user(msgspec.structs.replace(user, inner_phone="107"))
    await phone(portal, MEMBER, kind="fcm")
    await registered(portal, USER_ID=None, USER_PHONE_INNER="107")
    assert len(await reached(portal, ProviderKind.FCM)) == 1


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"USER_ID": None}, "USER_ID or USER_PHONE_INNER should be set"),
        ({"TYPE": 6}, "Unknown TYPE"),
        ({"TYPE": None}, "Unknown TYPE"),
        ({"CALL_START_DATE": "yesterday"}, "CALL_START_DATE should be in the ISO-8601 format"),
        ({"CALL_START_DATE": "0001-01-01"}, "CALL_START_DATE should be in the ISO-8601 format"),
        ({"PHONE_NUMBER": "nobody"}, "Unsupported phone number format"),
        ({"PHONE_NUMBER": ""}, "Unsupported phone number format"),
        ({"USER_ID": 99}, "User is not found or is not active"),
        ({"USER_ID": 8}, "User is not found or is not active"),
        ({"USER_ID": None, "USER_PHONE_INNER": "999"}, "User is not found or is not active"),
    ],
)
async def test_what_is_no_call_is_refused(portal: Portal, params: dict[str, Any], text: str) -> None:
    await portal.store.portal_access.put_user(PortalUser(id=8, login="gone", active=False))
    answer = await portal.call("telephony.externalcall.register", INCOMING | params)
    assert portal.refusal(answer) == (400, "ERROR_CORE", text)


async def test_names_of_parameters_count_in_capitals_only(portal: Portal) -> None:
    answer = await portal.call("telephony.externalcall.register", {name.lower(): one for name, one in INCOMING.items()})
    assert portal.refusal(answer)[2] == "USER_ID or USER_PHONE_INNER should be set"


async def test_a_finished_call_is_a_row_of_the_statistics(portal: Portal) -> None:
    call = await registered(
        portal, CALL_START_DATE="2026-11-20T10:00:00+01:00", LINE_NUMBER="3", EXTERNAL_CALL_ID="pbx-7"
    )
    row = await finished(portal, call["CALL_ID"], DURATION="63", COST="1.50", COST_CURRENCY="EUR", VOTE=5)
    assert row == {
        "ID": "1",
        "CALL_ID": call["CALL_ID"],
        "CALL_TYPE": "2",
        "PHONE_NUMBER": NUMBER,
        "PORTAL_NUMBER": "3",
        "PORTAL_USER_ID": str(MEMBER),
        "CALL_DURATION": "63",
        "CALL_START_DATE": "2026-11-20T09:00:00+00:00",
        "COST": "1.50",
        "COST_CURRENCY": "EUR",
        "CALL_FAILED_CODE": "200",
        "CALL_FAILED_REASON": None,
        "CRM_ACTIVITY_ID": None,
        "EXTERNAL_CALL_ID": "pbx-7",
        "INCOMING": "2",
        "CALL_STATUS": "1",
        "CALL_VOTE": "5",
        "CALL_RECORD_URL": None,
        "REST_APP_ID": str(portal.application.id),
        "REST_APP_NAME": "Sales",
        "COMMENT": None,
        "CRM_ENTITY_TYPE": None,
        "CRM_ENTITY_ID": None,
    }
    assert await finished(portal, call["CALL_ID"], DURATION=1) == row


async def test_a_call_that_nobody_took_has_failed(portal: Portal) -> None:
    row = await finished(portal, (await registered(portal))["CALL_ID"], FAILED_REASON="busy")
    assert (row["CALL_FAILED_CODE"], row["CALL_STATUS"], row["CALL_FAILED_REASON"]) == ("304", "0", "busy")
    assert row["PORTAL_NUMBER"] == f"REST_APP:{portal.application.id}"


async def test_finish_takes_back_what_has_not_rung_yet(portal: Portal) -> None:
    await phone(portal, MEMBER, kind="fcm")
    await finished(portal, (await registered(portal))["CALL_ID"])
    assert await reached(portal, ProviderKind.FCM) == []


async def test_a_call_is_shown_to_further_users_and_hidden_from_some(portal: Portal) -> None:
    tokens = {user: await phone(portal, user, kind="fcm") for user in (ADMIN, MEMBER, 9)}
    call_id = (await registered(portal, SHOW=0))["CALL_ID"]
    given = {"CALL_ID": call_id, "USER_ID": list(tokens)}
    assert portal.result(await portal.call("telephony.externalcall.show", given)) is True
    hidden = {"CALL_ID": call_id, "USER_ID": ADMIN}
    assert portal.result(await portal.call("telephony.externalcall.hide", hidden)) is True
    assert sorted(await reached(portal, ProviderKind.FCM)) == sorted([tokens[MEMBER], tokens[9]])


@pytest.mark.parametrize(
    ("method", "params", "refusal"),
    [
        ("finish", {"USER_ID": 7}, ("INVALID_ARGUMENT", "CALL_ID must be a string")),
        ("finish", {"CALL_ID": ["x"], "USER_ID": 7}, ("INVALID_ARGUMENT", "CALL_ID must be a string")),
        (
            "finish",
            {"CALL_ID": "x", "USER_ID": 7},
            ("ERROR_CORE", "Call is not found (call should be registered prior to finishing"),
        ),
        ("finish", {"CALL_ID": "x"}, ("ERROR_CORE", "USER_ID or USER_PHONE_INNER should be set")),
        ("show", {"CALL_ID": "x"}, ("ERROR_CORE", "Call is not found")),
        ("hide", {"CALL_ID": "x"}, ("ERROR_CORE", "Call is not found")),
    ],
)
async def test_a_call_that_is_not_there_is_refused(
    portal: Portal, method: str, params: dict[str, Any], refusal: tuple[str, str]
) -> None:
    answer = await portal.call(f"telephony.externalcall.{method}", params)
    assert portal.refusal(answer) == (400, *refusal)


async def test_a_webhook_may_register_calls_too(portal: Portal) -> None:
    await phone(portal, MEMBER, kind="fcm")
    call = portal.result(await portal.hook("telephony.externalcall.register", INCOMING))
    assert len(await reached(portal, ProviderKind.FCM)) == 1
    given = {"CALL_ID": call["CALL_ID"], "USER_ID": MEMBER}
    assert portal.result(await portal.hook("telephony.externalcall.finish", given))["REST_APP_ID"] is None


async def test_beginning_and_end_of_a_call_are_events(portal: Portal) -> None:
    await bound(portal, "OnVoximplantCallInit")
    await bound(portal, "OnVoximplantCallEnd")
    call_id = (await registered(portal))["CALL_ID"]
    await registered(portal)
    await finished(portal, call_id, DURATION=5)
    begun, ended = await posted(portal)
    assert (begun["event"], begun["data"]["CALL_ID"]) == ("ONVOXIMPLANTCALLINIT", call_id)
    assert (ended["event"], ended["data"]["CALL_DURATION"]) == ("ONVOXIMPLANTCALLEND", "5")


# --- the call hook

SOUND = {"FROM_LINE": "reg1", "TO_NUMBER": "4930123", "URL": "https://sound.test/a.mp3"}


@pytest.fixture
async def hooked(anyio_backend: str) -> AsyncIterator[Portal]:
    made = await opened(Settings(bitrix24=Bitrix24(call_hook=HOOK)))
    yield made
    await made.client.aclose()
    await made.gateway.client.aclose()
    await made.store.close()


def answers(portal: Portal, body: Any, status: int = 200) -> None:
    given = body if isinstance(body, bytes) else json.dumps(body).encode()
    portal.world.answers[HOOK] = HttpAnswer(status=status, headers={}, body=given)


async def test_without_a_hook_there_is_no_line(portal: Portal) -> None:
    answer = await portal.call("voximplant.infocall.startwithsound", SOUND)
    assert portal.refusal(answer) == (400, "ERROR_CORE", "Could not find config for number reg1")
    answer = await portal.call("telephony.call.attachbyqueue", {"CALL_ID": "x"})
    assert portal.refusal(answer) == (400, "ERROR_CORE", "Telephony is not configured")
    assert portal.world.posts == []


@pytest.mark.parametrize("result", [{"RESULT": True, "CALL_ID": "infocall.1"}, None, False])
async def test_the_hook_makes_the_call_and_its_result_is_passed_on(hooked: Portal, result: Any) -> None:
    answers(hooked, {"result": result})
    assert hooked.result(await hooked.call("voximplant.infocall.startwithsound", SOUND)) == result
    [(url, body, _)] = hooked.world.posts
    told = json.loads(body)
    assert url == HOOK
    assert told["request_id"]
    assert (told["method"], told["params"]) == ("voximplant.infocall.startwithsound", SOUND)
    assert (told["user"], told["application"]) == (str(ADMIN), "local.test")


async def test_the_hook_may_refuse(hooked: Portal) -> None:
    answers(hooked, {"error": "BUSY", "error_description": "All lines are busy"})
    answer = await hooked.call("telephony.call.attachbyqueue", {"CALL_ID": "x"})
    assert hooked.refusal(answer) == (400, "BUSY", "All lines are busy")


@pytest.mark.parametrize(
    "answer",
    [
        HttpAnswer(status=500, headers={}, body=b"{}"),
        HttpAnswer(status=200, headers={}, body=b"<html>"),
        HttpAnswer(status=200, headers={}, body=b"{}"),
        TimedOut("no answer within 10 s"),
    ],
)
async def test_a_hook_that_fails_is_a_failed_call(hooked: Portal, answer: HttpAnswer | TimedOut) -> None:
    hooked.world.answers[HOOK] = answer
    told = await hooked.call("voximplant.infocall.startwithsound", SOUND)
    assert hooked.refusal(told) == (400, "ERROR_CORE", "Infocall failure")


@pytest.mark.parametrize(
    ("params", "refusal"),
    [
        (SOUND | {"URL": ""}, ("ERROR_ARGUMENT", "Argument 'URL' is null or empty")),
        (SOUND | {"TO_NUMBER": "nobody"}, ("ERROR_CORE", "Phone number is not correct")),
    ],
)
async def test_what_cannot_be_called_is_refused_before_the_hook(
    hooked: Portal, params: dict[str, str], refusal: tuple[str, str]
) -> None:
    answer = await hooked.call("voximplant.infocall.startwithsound", params)
    assert hooked.refusal(answer) == (400, *refusal)
    assert hooked.world.posts == []


async def test_one_request_does_not_ring_a_whole_town(portal: Portal) -> None:
    given = {"CALL_ID": (await registered(portal, SHOW=0))["CALL_ID"], "USER_ID": list(range(1, 10_000))}
    answer = await portal.call("telephony.externalcall.show", given)
    text = "A call is shown to 100 users at most"
    assert portal.refusal(answer) == (400, "ERROR_ARGUMENT", text)
