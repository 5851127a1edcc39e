"""Batches and long lists: every row once, in few requests."""

from __future__ import annotations

import pytest

from connected_portal import Connected
from wakeline.connectors.bitrix24.paging import id_of, rows_of
from wakeline.model.bitrix24.records import Fields
from wakeline.model.errors import PortalRefused, PortalUnreachable
from wakeline.simulator.portal.records import Kind
from wakeline.simulator.script import ScriptedAnswer
from wakeline.wire.bitrix24.commands import Call, Params

pytestmark = pytest.mark.anyio


async def ids(
    world: Connected, method: str, params: Params | None = None, *, after: int = 0, id_name: str = "ID"
) -> list[int]:
    client = world.client(await world.application())
    return [
        id_of(row) async for page in client.rows(method, params or {}, after=after, id_name=id_name) for row in page
    ]


@pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 100, 1049, 1050, 1051, 2101])
async def test_every_row_once_in_the_order_of_ids(world: Connected, count: int) -> None:
    world.rows(Kind.DEAL, count)

    assert await ids(world, "crm.deal.list", {"select": ["ID", "TITLE"]}) == list(range(1, count + 1))

    assert len(world.requests("batch")) == (0 if count < 50 else 1 + (count - 50) // 1000)


async def test_long_rows_come_in_shorter_chains(world: Connected) -> None:
    world.rows(Kind.DEAL, 1000)
    for row in world.portal.records[Kind.DEAL].values():
        row["COMMENTS"] = "x" * 9000

    assert await ids(world, "crm.deal.list") == list(range(1, 1001))

    assert len(world.requests("batch")) == 5


async def test_rows_behind_an_id_and_a_filter_of_ones_own(world: Connected) -> None:
    world.rows(Kind.DEAL, 300)

    found = await ids(world, "crm.deal.list", {"filter": {"<=ID": 200}}, after=120)

    assert found == list(range(121, 201))


@pytest.mark.parametrize(
    ("method", "params", "kind", "id_name"),
    [
        ("tasks.task.list", {}, Kind.TASK, "ID"),
        ("crm.item.list", {"entityTypeId": 2}, Kind.DEAL, "id"),
        ("user.get", {"sort": "ID", "order": "ASC"}, Kind.USER, "ID"),
        ("crm.activity.list", {}, Kind.ACTIVITY, "ID"),
    ],
)
async def test_lists_of_every_shape(world: Connected, method: str, params: Params, kind: Kind, id_name: str) -> None:
    world.rows(kind, 170)

    assert await ids(world, method, params, id_name=id_name) == list(range(1, 171))


async def test_pages_by_start_tell_how_many_there_are(world: Connected) -> None:
    client = world.client(await world.webhook())

    pages = [reply async for reply in client.pages("crm.deal.list", {"select": ["ID"]})]

    assert [len(rows_of(page.result)) for page in pages] == [50] * 6 + [23]
    assert {page.total for page in pages} == {323}


async def test_a_portal_that_never_comes_to_an_end_is_not_read_for_ever(world: Connected) -> None:
    client = world.client(await world.webhook())
    same = '{"result":[{"ID":"1"}],"next":50,"total":99999999}'
    world.script("crm.deal.list", ScriptedAnswer(body=same, times=None))

    assert len([page async for page in client.pages("crm.deal.list")]) == 2


async def test_rows_that_do_not_come_in_order_end_it(world: Connected) -> None:
    same = ",".join(['{"ID":"7"}'] * 50)
    world.script("crm.deal.list", ScriptedAnswer(body=f'{{"result":[{same}]}}', times=None))

    with pytest.raises(PortalUnreachable, match="order"):
        await ids(world, "crm.deal.list", after=7)


async def test_a_page_that_is_refused_in_the_middle_is_an_error(world: Connected) -> None:
    world.rows(Kind.DEAL, 200)
    answer = '{"result":{"result":[],"result_error":{"p0":{"error":"%s","error_description":"x"}}}}'
    for code, kind in (("ACCESS_DENIED", PortalRefused), ("OPERATION_TIME_LIMIT", PortalUnreachable)):
        world.script("batch", ScriptedAnswer(body=answer % code))
        with pytest.raises(kind, match=code):
            await ids(world, "crm.deal.list")


async def test_a_command_may_refer_to_what_an_earlier_one_answered(world: Connected) -> None:
    client = world.client(await world.application())
    commands: dict[str, Call] = {
        "deal": ("crm.deal.get", {"ID": 7}),
        "owner": ("user.get", {"ID": "$result[deal][ASSIGNED_BY_ID]"}),
    }

    answered = await client.batch(commands)

    deal, owner = answered.results["deal"], answered.results["owner"]
    assert deal["ASSIGNED_BY_ID"] == owner[0]["ID"]  # type: ignore[index] # maps of the portal
    assert answered.totals == {"owner": 1}


async def test_refused_commands_keep_no_other_from_being_done(world: Connected) -> None:
    client = world.client(await world.application())
    commands: dict[str, Call] = {
        "gone": ("crm.deal.get", {"ID": 999_999}),
        "none": ("crm.nothing.get", {}),
        "deal": ("crm.deal.get", {"ID": 7}),
    }

    answered = await client.batch(commands)

    assert answered.results.keys() == {"deal"}
    assert answered.errors["gone"].text == "Not found"
    assert answered.errors["none"].code == "ERROR_METHOD_NOT_FOUND"


async def test_with_halt_the_first_refusal_ends_it_over_requests_too(world: Connected) -> None:
    client = world.client(await world.application())
    commands: dict[str, Call] = {f"c{n}": ("crm.deal.get", {"ID": n}) for n in range(1, 121)}
    commands["c60"] = ("crm.deal.get", {"ID": 999_999})

    answered = await client.batch(commands, halt=True)

    assert list(answered.results) == [f"c{n}" for n in range(1, 60)]
    assert list(answered.errors) == ["c60"]
    assert len(world.requests("batch")) == 2


async def test_keys_that_php_takes_for_a_list_are_found(world: Connected) -> None:
    client = world.client(await world.application())
    commands: dict[str, Call] = {str(n): ("crm.deal.get", {"ID": n + 1}) for n in range(3)}

    assert list((await client.batch(commands)).results) == ["0", "1", "2"]
    assert (await client.batch({})).results == {}


async def test_words_survive_the_way_into_a_command(world: Connected) -> None:
    client = world.client(await world.application())
    title = "50 % off & more = [new]? +1 ü €\n#7 ~'\""
    fields: Fields = {"TITLE": title, "OPPORTUNITY": "1.50"}

    answered = await client.batch(
        {"new": ("crm.deal.add", {"fields": fields}), "got": ("crm.deal.get", {"ID": "$result[new]"})}
    )

    assert answered.results["got"]["TITLE"] == title  # type: ignore[index] # a map of a deal
