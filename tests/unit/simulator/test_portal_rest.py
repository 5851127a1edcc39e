from __future__ import annotations

import time
from typing import Any

import pytest

from unit.simulator.portal_client import PortalClient
from wakeline.simulator.portal.batch import resolved
from wakeline.simulator.portal.php import form, parse_form, shaped
from wakeline.simulator.portal.selection import matching

pytestmark = pytest.mark.anyio


def test_forms_are_read_and_written_as_php_does() -> None:
    assert parse_form("filter[>ID]=5&a%5Bb%5D[]=x&a[b][]=y+z&n=1&n=2&") == {
        "filter": {">ID": "5"},
        "a": {"b": {"0": "x", "1": "y z"}},
        "n": "2",
    }
    assert form({"data": {"FIELDS": {"ID": 7}}, "none": None, "empty": {}, "yes": True, "list": ["a", "b"]}) == (
        "data%5BFIELDS%5D%5BID%5D=7&yes=1&list%5B0%5D=a&list%5B1%5D=b"
    )


def test_a_map_with_the_keys_of_a_list_is_a_list() -> None:
    assert shaped({"0": {}, "1": {"1": "x"}}) == [[], {"1": "x"}]


@pytest.mark.parametrize(
    ("condition", "wanted", "found"),
    [
        (">ID", "9", ["10"]),
        ("<=ID", "2", ["1", "2"]),
        ("@ID", ["1", "10"], ["1", "10"]),
        ("!@ID", ["1", "10"], ["2"]),
        ("!ID", "1", ["2", "10"]),
        ("%TITLE", "LAMP", ["1", "2"]),
        ("!%TITLE", "lamp", ["10"]),
        ("%=TITLE", "red%", ["1"]),
        (">=DATE", "2026-01-01T13:00:00+03:00", ["2", "10"]),
        (">ID", {"0": {"ID": "1"}}, []),
        ("title", "Red lamp", ["1"]),
    ],
)
def test_a_filter_finds(condition: str, wanted: object, found: list[str]) -> None:
    rows: list[dict[str, object]] = [
        {"ID": "1", "TITLE": "Red lamp", "DATE": "2026-01-01T09:00:00+00:00"},
        {"ID": "2", "TITLE": "A red lamp", "DATE": "2026-01-01T10:00:00+00:00"},
        {"ID": "10", "TITLE": "Pump", "DATE": "2026-01-01T14:00:00+03:00"},
    ]
    assert [row["ID"] for row in matching(rows, {condition: wanted})] == found


def test_a_reference_gives_what_it_reaches() -> None:
    answers: dict[str, Any] = {"result": {"a": [{"ID": "7"}], "n": 3}, "total": {"a": 5}}
    said = {"x": "$result[a][0][ID]", "y": "n=$result[n]/$total[a]", "z": "$result[a][9][ID]", "w": "$result[a] b"}
    assert resolved(said, answers) == {"x": "7", "y": "n=3/5", "z": [{"ID": "7"}], "w": "$result[a] b"}


async def test_lists_come_in_pages_of_50_with_total_and_next(portal: PortalClient) -> None:
    first = (await portal.call("crm.deal.list", order={"ID": "ASC"}, select=["ID"])).json()
    last = (await portal.call("crm.deal.list", start=300)).json()
    fast = (await portal.call("crm.deal.list", start=-1, filter={">ID": 320})).json()
    assert ([row["ID"] for row in first["result"]], first["total"], first["next"]) == (
        [str(n) for n in range(1, 51)],
        323,
        50,
    )
    assert (len(last["result"]), "next" in last) == (23, False)
    assert ([row["ID"] for row in fast["result"]], fast["total"], "next" in fast) == (["321", "322", "323"], 0, False)


async def test_records_are_the_same_at_every_start(portal: PortalClient) -> None:
    deal = await portal.result("crm.deal.get", id=7)
    assert (deal["ID"], deal["OPPORTUNITY"], deal["CURRENCY_ID"]) == ("7", "875.00", "EUR")
    kinds = {kind: (await portal.call(f"crm.{kind}.list")).json()["total"] for kind in ("lead", "contact", "activity")}
    tasks = (await portal.call("tasks.task.list")).json()
    assert kinds == {"lead": 60, "contact": 120, "activity": 75}
    assert (tasks["total"], tasks["result"]["tasks"][0]["responsibleId"]) == (75, "2")


async def test_the_newer_methods_use_newer_names(portal: PortalClient) -> None:
    wanted = {"entityTypeId": 2, "filter": {">id": 320}, "select": ["id", "stageId", "opportunity"]}
    items = (await portal.result("crm.item.list", **wanted))["items"]
    assert items[0] == {"id": 321, "stageId": "PREPARATION", "opportunity": 40125.0}
    added = (await portal.result("crm.item.add", entityTypeId=2, fields={"title": "New", "opportunity": 5.25}))["item"]
    assert added["opportunity"] == 5.25
    deal = await portal.result("crm.deal.get", ID=added["id"])
    assert (deal["TITLE"], deal["OPPORTUNITY"]) == ("New", "5.25")
    lead = (await portal.result("crm.item.get", entityTypeId=1, id=1))["item"]
    assert (lead["stageId"], "statusId" in lead) == ("IN_PROCESS", False)
    refused = await portal.call("crm.item.list", entityTypeId=31)
    assert (refused.status_code, refused.json()["error"]) == (400, "ENTITY_TYPE_NOT_SUPPORTED")


async def test_users_are_found_by_fields_beside_the_filter(portal: PortalClient) -> None:
    assert [row["NAME"] for row in await portal.result("user.get", ID=3)] == ["Clara"]
    active = await portal.result("user.get", filter={"ACTIVE": "Y"}, sort="ID", order="DESC")
    assert (active[0]["ID"], active[0]["ACTIVE"]) == ("8", True)
    assert (await portal.result("user.current"))["ID"] == (await portal.result("profile"))["ID"] == "1"


async def test_a_batch_refers_to_what_came_before_and_halts(portal: PortalClient) -> None:
    commands = {
        "list": "crm.deal.list?filter[%3EID]=320&start=-1",
        "get": "crm.deal.get?ID=$result[list][0][ID]",
        "bad": "crm.deal.get?ID=99999",
        "nested": "batch?cmd[]=profile",
    }
    found = await portal.result("batch", cmd=commands)
    assert found["result"]["get"]["ID"] == "321"
    assert {key: error["error"] for key, error in found["result_error"].items()} == {
        "bad": "",
        "nested": "ERROR_BATCH_METHOD_NOT_ALLOWED",
    }
    halted = await portal.result("batch", cmd=["no.such", "profile"], halt=1)
    assert (halted["result"], halted["result_error"][0]["error"]) == ([], "ERROR_METHOD_NOT_FOUND")
    long = await portal.result("batch", cmd=["server.time"] * 51)
    assert (len(long["result"]), long["result_error"]["50"]["error"]) == (50, "ERROR_BATCH_LENGTH_EXCEEDED")


async def test_addresses_and_bodies_of_all_clients_are_understood(portal: PortalClient) -> None:
    http, hook = portal.http, portal.hook
    replies = [
        await http.get(f"{hook}crm.deal.get.json?id=7"),
        await http.get(f"{hook}crm.deal.Get/?ID=7", headers={"content-type": "application/json"}),
        await http.post(f"{hook}crm.deal.get", data={"id": "7"}),
        await http.post(hook.replace("/rest/1", "//rest/1") + "crm.deal.get?id=7", content=b"{bad"),
    ]
    assert [reply.json()["result"]["ID"] for reply in replies] == ["7"] * 4
    assert replies[0].headers["content-type"] == "application/json; charset=utf-8"
    assert {"start", "finish", "duration", "processing", "date_start", "date_finish"} <= set(replies[0].json()["time"])
    asked = await http.request("OPTIONS", f"{hook}profile")
    assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (200, "*")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/rest/1/wrong/profile", 401, "NO_AUTH_FOUND"),
        ("/rest/profile", 401, "NO_AUTH_FOUND"),
        ("/rest/profile?auth=nobody", 401, "invalid_token"),
        ("/rest/1/simulatorwebhook/no.such", 404, "ERROR_METHOD_NOT_FOUND"),
        ("/rest/1/simulatorwebhook/event.get", 403, "WRONG_AUTH_TYPE"),
        ("/rest/1/simulatorwebhook/crm.deal.get", 400, ""),
        ("/rest/1/simulatorwebhook/tasks.task.get?taskId=x", 400, "0"),
        ("/elsewhere", 404, "ERROR_METHOD_NOT_FOUND"),
    ],
)
async def test_refusals_have_their_status_and_code(portal: PortalClient, path: str, status: int, code: str) -> None:
    reply = await portal.http.get(portal.origin + path)
    assert (reply.status_code, reply.json()["error"]) == (status, code)


async def test_limits_and_faults_are_played_from_the_control_port(portal: PortalClient) -> None:
    reset_at = int(time.time()) + 90
    await portal.script(
        "crm.deal.get",
        {"status": 503, "error": "QUERY_LIMIT_EXCEEDED", "times": 2},
        {"status": 429, "error": "OPERATION_TIME_LIMIT", "timestamp": reset_at * 1000},
        {"status": 302, "headers": {"location": "https://moved.portal.test/rest/"}},
        {"status": 401, "error": "expired_token"},
        {"delay_ms": 120},
    )
    replies = [await portal.call("crm.deal.get", id=7) for _ in range(6)]
    assert [reply.status_code for reply in replies] == [503, 503, 429, 302, 401, 200]
    assert replies[0].json() == {"error": "QUERY_LIMIT_EXCEEDED", "error_description": "Too many requests"}
    assert replies[2].json()["time"]["operating_reset_at"] == reset_at
    assert replies[3].headers["location"] == "https://moved.portal.test/rest/"
    assert replies[5].elapsed.total_seconds() >= 0.12
    shown = await portal.shown("/requests?provider=portal")
    assert [entry["status"] for entry in shown] == [503, 503, 429, 302, 401, 200]
    assert (shown[0]["target"], shown[0]["body"]) == ("crm.deal.get", {"id": 7})


async def test_the_bucket_lets_a_burst_pass_and_leaks(portal: PortalClient) -> None:
    await portal.control("/portal/set", bucket_size=5, bucket_per_s=0.5)
    assert [(await portal.call("server.time")).status_code for _ in range(6)] == [200] * 5 + [503]
    portal.clock.ahead += 4
    assert [(await portal.call("server.time")).status_code for _ in range(3)] == [200, 200, 503]
    await portal.control("/portal/set", bucket_size=None)
    assert (await portal.call("server.time")).status_code == 200


async def test_a_portal_may_be_closed_unpaid_or_elsewhere(portal: PortalClient) -> None:
    said = []
    for switches in ({"closed": True}, {"closed": None, "paid": False}):
        await portal.control("/portal/set", **switches)
        reply = await portal.call("profile")
        said.append((reply.status_code, reply.json()["error"]))
    assert said == [(403, "PORTAL_DELETED"), (403, "ACCESS_DENIED")]
    await portal.control("/portal/set", paid=None, moved_to=portal.oauth)
    moved = await portal.call("profile")
    assert (moved.status_code, moved.headers["location"]) == (
        302,
        f"{portal.oauth}/rest/1/simulatorwebhook/profile.json",
    )
    assert (await portal.http.post(moved.headers["location"])).json()["result"]["ID"] == "1"


async def test_a_call_is_registered_once_and_finished(portal: PortalClient) -> None:
    wanted = {"USER_PHONE_INNER": "103", "PHONE_NUMBER": "+493055512", "TYPE": 2}
    first = await portal.result("telephony.externalcall.register", **wanted)
    again = await portal.result("telephony.externalCall.register", **wanted)
    assert first["CALL_ID"] == again["CALL_ID"]
    assert await portal.result("telephony.externalcall.show", CALL_ID=first["CALL_ID"], USER_ID=[1, 2]) is True
    row = await portal.result("telephony.externalcall.finish", CALL_ID=first["CALL_ID"], USER_ID=3, DURATION=61)
    assert (row["PORTAL_USER_ID"], row["CALL_DURATION"], row["CALL_FAILED_CODE"]) == ("3", "61", "200")
    assert await portal.result("telephony.externalcall.show", CALL_ID=first["CALL_ID"]) is False
    for refused in ({"TYPE": 9}, {"PHONE_NUMBER": "x"}, {"USER_PHONE_INNER": "9"}, {"CALL_START_DATE": "soon"}):
        assert (await portal.call("telephony.externalcall.register", **wanted | refused)).status_code == 400


async def test_reset_brings_records_and_switches_back(portal: PortalClient) -> None:
    await portal.result("crm.deal.update", id=7, fields={"TITLE": "Changed"})
    await portal.control("/portal/set", closed=True)
    await portal.control("/reset")
    assert (await portal.result("crm.deal.get", id=7))["TITLE"] != "Changed"
