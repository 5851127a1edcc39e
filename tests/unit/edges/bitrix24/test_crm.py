"""Lists and single records of the CRM and of tasks."""

from __future__ import annotations

from typing import Any

import pytest

from computing import computing_at_most
from unit.edges.bitrix24.portal import Portal
from wakeline.model.bitrix24.records import Fields, Record, RecordKind

pytestmark = pytest.mark.anyio

DEALS = 323


def deal(number: int) -> Record:
    fields: Fields = {
        "TITLE": f"Deal {number}",
        "STAGE_ID": "NEW" if number % 2 else "WON",
        "OPPORTUNITY": f"{number}.00",
        "CLOSED": "N",
        "COMPANY_ID": None,
        "UF_CRM_1": "custom",
    }
    return Record(kind=RecordKind.DEAL, id=number, fields=fields)


@pytest.fixture
async def deals(portal: Portal) -> Portal:
    await portal.store.portal_records.put([deal(number) for number in range(1, DEALS + 1)])
    return portal


async def listed(portal: Portal, **params: Any) -> dict[str, Any]:
    answer = await portal.call("crm.deal.list", params)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def ids(body: dict[str, Any]) -> list[int]:
    return [int(row["ID"]) for row in body["result"]]


async def test_a_page_has_fifty_rows_and_says_where_the_next_begins(deals: Portal) -> None:
    body = await listed(deals)
    assert ids(body) == list(range(1, 51))
    assert (body["next"], body["total"]) == (50, DEALS)
    last = await listed(deals, start=300)
    assert ids(last) == list(range(301, 324))
    assert "next" not in last
    assert last["total"] == DEALS


async def test_a_start_within_a_page_is_that_page(deals: Portal) -> None:
    assert ids(await listed(deals, start=75))[0] == 51


async def test_beyond_the_end_is_nothing_but_the_count(deals: Portal) -> None:
    body = await listed(deals, start=400)
    assert (body["result"], body["total"]) == ([], DEALS)
    assert "next" not in body


async def test_start_minus_one_counts_nothing(deals: Portal) -> None:
    body = await listed(deals, start=-1, filter={">ID": 100}, order={"ID": "ASC"})
    assert ids(body) == list(range(101, 151))
    assert body["total"] == 0
    assert "next" not in body


async def test_order_may_fall(deals: Portal) -> None:
    assert ids(await listed(deals, order={"ID": "desc"}))[:3] == [323, 322, 321]


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("ID", "5", [5]),
        ("=ID", 5, [5]),
        ("ID", ["5", "7", "999"], [5, 7]),
        ("@ID", [5, 7], [5, 7]),
        ("@ID", "5", [5]),
        ("<=ID", "3", [1, 2, 3]),
        ("<ID", "3", [1, 2]),
        (">ID", "321", [322, 323]),
        (">=ID", "322", [322, 323]),
        ("TITLE", "Deal 9", [9]),
        ("%TITLE", "deal 32", [32, 320, 321, 322, 323]),
        ("=%TITLE", "Deal 1_", []),
        ("=%TITLE", "%10", [10, 110, 210, 310]),
        ("%=TITLE", "%l 10", [10]),
        (">=OPPORTUNITY", "323.00", [323]),
    ],
)
async def test_each_prefix_compares_in_its_way(deals: Portal, key: str, value: Any, found: list[int]) -> None:
    body = await listed(deals, filter={key: value})
    assert ids(body) == found
    assert body["total"] == len(found)


@pytest.mark.parametrize(
    ("key", "value", "total"),
    [
        ("!STAGE_ID", "NEW", 161),
        ("!=STAGE_ID", "NEW", 161),
        ("!@STAGE_ID", ["NEW", "WON"], 0),
        ("!@STAGE_ID", [], DEALS),
        ("@STAGE_ID", [], 0),
        ("!%TITLE", "Deal", 0),
        ("!=%TITLE", "Deal 1%", DEALS - 111),
        ("!%=TITLE", "Deal 1%", DEALS - 111),
        ("CLOSED", False, DEALS),
        ("COMPANY_ID", None, DEALS),
    ],
)
async def test_each_negation_finds_the_rest(deals: Portal, key: str, value: Any, total: int) -> None:
    assert (await listed(deals, filter={key: value}))["total"] == total


@pytest.mark.parametrize("value", [[{"ID": "1"}], {"ID": "1"}, {"ID": "1", "TITLE": "x"}, [["1"]], []])
async def test_what_a_filter_cannot_compare_with_meets_nothing(deals: Portal, value: Any) -> None:
    body = await listed(deals, filter={">ID": value})
    assert (body["result"], body["total"]) == ([], 0)


async def test_fifty_chained_pages_end_in_empty_ones(deals: Portal) -> None:
    commands = {"1": "crm.deal.list?order[ID]=ASC&filter[>ID]=0&start=-1"}
    for place in range(2, 51):
        commands[str(place)] = (
            f"crm.deal.list?order[ID]=ASC&filter[%3EID]=%24result%5B{place - 1}%5D%5B49%5D%5BID%5D&start=-1"
        )
    found = deals.result(await deals.call("batch", {"halt": True, "cmd": commands}))
    assert found["result_error"] == []
    pages = found["result"]
    assert sum(len(page) for page in pages.values()) == DEALS
    assert pages["50"] == []


async def test_a_list_leaves_out_what_has_to_be_named(portal: Portal) -> None:
    fields: Fields = {"NAME": "Ann", "UF_CRM_1": "x", "PHONE": [{"ID": 3, "VALUE": "+4930"}], "HAS_PHONE": True}
    await portal.store.portal_records.put([Record(kind=RecordKind.CONTACT, id=9, fields=fields)])

    async def row(*select: str) -> Any:
        return portal.result(await portal.call("crm.contact.list", {"select": list(select)}))[0]

    assert await row() == {"ID": "9", "NAME": "Ann", "HAS_PHONE": "Y"}
    assert await row("*", "UF_*") == {"ID": "9", "NAME": "Ann", "HAS_PHONE": "Y", "UF_CRM_1": "x"}
    assert await row("PHONE", "EMAIL") == {"ID": "9", "PHONE": [{"ID": "3", "VALUE": "+4930"}], "EMAIL": None}
    whole = portal.result(await portal.call("crm.contact.get", {"id": "9"}))
    assert set(whole) == {"ID", "NAME", "UF_CRM_1", "PHONE", "HAS_PHONE"}


@pytest.mark.parametrize("kind", ["deal", "lead", "contact", "activity"])
async def test_what_is_not_there_is_not_found(portal: Portal, kind: str) -> None:
    method = f"crm.{kind}.get"
    assert portal.refusal(await portal.call(method, {"id": 4})) == (400, "ERROR_NOT_FOUND", "Not found")
    no_id = (400, "ERROR_ARGUMENT", "ID is not defined or invalid.")
    assert portal.refusal(await portal.call(method)) == no_id
    assert portal.refusal(await portal.call(method, {"ID": "x"})) == no_id
    assert (await portal.call(f"crm.{kind}.list")).json()["result"] == []


async def test_a_phone_reads_deals_by_a_query(deals: Portal) -> None:
    query = {"auth": deals.admin, "filter[STAGE_ID]": "NEW", "select[]": "TITLE", "start": "50"}
    body = (await deals.client.get("/rest/crm.deal.list", params=query)).json()
    assert body["result"][0] == {"ID": "101", "TITLE": "Deal 101"}
    assert (body["next"], body["total"]) == (100, 162)


async def test_a_filter_that_is_a_text_is_refused(portal: Portal) -> None:
    answer = await portal.call("crm.deal.list", {"filter": "ID"})
    assert portal.refusal(answer) == (400, "ERROR_ARGUMENT", "Parameter 'filter' must be array.")


async def test_records_need_their_scope(portal: Portal) -> None:
    await portal.grant(1, "narrow", ("pull",))
    for method in ("crm.deal.list", "tasks.task.list"):
        assert portal.refusal(await portal.call(method, token="narrow"))[:2] == (403, "insufficient_scope")


async def test_tasks_come_wrapped_and_by_the_names_of_answers(portal: Portal) -> None:
    tasks = [
        Record(
            kind=RecordKind.TASK,
            id=number,
            fields={"TITLE": f"Task {number}", "RESPONSIBLE_ID": str(number % 2), "UF_CRM_TASK": ["D_1"]},
        )
        for number in range(1, 61)
    ]
    await portal.store.portal_records.put(tasks)
    answer = await portal.call("tasks.task.list", {"filter": {"RESPONSIBLE_ID": 1}, "order": {"id": "desc"}})
    rows = portal.result(answer)["tasks"]
    assert rows[0] == {"id": "59", "title": "Task 59", "responsibleId": "1"}
    assert len(rows) == answer.json()["total"] == 30
    page = (await portal.call("tasks.task.list", {"start": 50})).json()
    assert len(page["result"]["tasks"]) == 10
    one = await portal.call("tasks.task.get", {"taskId": 7, "select": ["TITLE", "UF_CRM_TASK"]})
    assert portal.result(one) == {"task": {"id": "7", "title": "Task 7", "ufCrmTask": ["D_1"]}}


async def test_a_task_that_is_not_there_is_refused_by_number(portal: Portal) -> None:
    assert portal.refusal(await portal.call("tasks.task.get", {"taskId": 7})) == (400, "0", "wrong task id")
    assert portal.refusal(await portal.call("tasks.task.get"))[:2] == (400, "100")


@pytest.mark.parametrize(
    "params",
    [
        {"filter": {f"!UF_{number}": "1" for number in range(10_000)}},
        {"order": {f"UF_{number}": "ASC" for number in range(10_000)}},
        {"select": [f"*_{number}" for number in range(10_000)]},
    ],
)
async def test_what_would_cost_every_row_too_much_is_refused(deals: Portal, params: dict[str, Any]) -> None:
    answer = await deals.call("crm.deal.list", params)
    [name] = params
    status, code, text = deals.refusal(answer)
    assert (status, code) == (400, "ERROR_ARGUMENT")
    assert text.startswith(f"Parameter '{name}' has more than")


async def test_a_long_list_of_values_is_looked_up_and_not_gone_through(deals: Portal) -> None:
    values = [*(f"no such stage {number}" for number in range(35_000)), "1.00", "2024-01-01T00:00:00Z"]
    with computing_at_most(2):
        assert deals.result(await deals.call("crm.deal.list", {"filter": {"@TITLE": values}})) == []


@pytest.mark.parametrize(("pattern", "total"), [("%" * 500_000, DEALS), ("%a" * 250_000, 0)])
async def test_a_pattern_is_read_once_and_not_for_every_row(deals: Portal, pattern: str, total: int) -> None:
    with computing_at_most(2):
        answer = await deals.call("crm.deal.list", {"filter": {"=%TITLE": pattern}})
    assert answer.json()["total"] == total
