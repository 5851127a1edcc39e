"""Batches: commands in order, references, halt, what is refused, and the five maps that clients index without asking."""

from __future__ import annotations

from typing import Any

import pytest

from unit.edges.bitrix24.portal import ADMIN_TOKEN, Portal, opened
from wakeline.config import Settings
from wakeline.config.tree import Bitrix24
from wakeline.edges.bitrix24 import paging
from wakeline.edges.bitrix24.call import Auth, Call, Method, MethodError, Result, Value
from wakeline.edges.bitrix24.door import Door
from wakeline.edges.bitrix24.reading import text, tree
from wakeline.edges.bitrix24.table import BY_NAME

pytestmark = pytest.mark.anyio

MAPS = {"result", "result_error", "result_total", "result_next", "result_time"}
ROWS = 323


async def _rows(call: Call) -> Result:
    """Answer rows 1 to 323, as crm.deal.list does."""
    page = paging.asked(call)
    after = text(tree(call.params, "FILTER"), ">ID")
    numbers = range(1 + (int(after) if after.isdigit() else 0), ROWS + 1)
    shown: list[Value] = [{"ID": str(number)} for number in numbers[page.offset : page.offset + paging.SIZE]]
    return paging.listed(shown, page, len(numbers))


async def _echo(call: Call) -> Result:
    return Result(call.params)


async def _fail(call: Call) -> Result:
    raise MethodError(400, "ERROR_CORE", "no", argument="X")


async def _broken(call: Call) -> Result:
    raise RuntimeError("ours")


EXTRA = {
    method.name: method
    for method in (
        Method(name="test.list", scope="", handler=_rows),
        Method(name="test.echo", scope="", handler=_echo),
        Method(name="test.fail", scope="", handler=_fail),
        Method(name="test.broken", scope="", handler=_broken),
        Method(name="test.alone", scope="", handler=_echo, batch=False),
        Method(name="test.scoped", scope="disk", handler=_echo),
        Method(name="test.hook", scope="", handler=_echo, auth=Auth.WEBHOOK, wrong_auth="Only webhooks."),
    )
}


@pytest.fixture
async def calls(portal: Portal) -> Portal:
    portal.serve(Door(portal.ports, {**BY_NAME, **EXTRA}))
    return portal


async def batch(portal: Portal, cmd: Any, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = portal.result(await portal.call("batch", {"cmd": cmd, **more}))
    assert found.keys() == MAPS
    return found


async def test_commands_answer_under_their_keys(calls: Portal) -> None:
    found = await batch(calls, {"a": "profile", "b": "test.list?start=50"})
    assert found["result"]["a"]["ID"] == "1"
    assert [row["ID"] for row in found["result"]["b"]][:2] == ["51", "52"]
    assert (found["result_total"], found["result_next"]) == ({"b": ROWS}, {"b": 100})
    assert found["result_error"] == []
    assert found["result_time"]["a"].keys() >= {
        "start",
        "finish",
        "duration",
        "processing",
        "date_start",
        "date_finish",
    }


async def test_a_list_of_commands_answers_with_lists_as_long_as_none_fails(calls: Portal) -> None:
    assert len((await batch(calls, ["profile", "profile"]))["result"]) == 2
    found = await batch(calls, ["profile", "test.fail", "server.time"])
    assert found["result"].keys() == {"0", "2"}
    assert found["result_error"] == {
        "1": {"error": "ERROR_CORE", "error_description": "no", "argument": "X"},
    }
    assert (await batch(calls, ["test.fail", "profile"]))["result_error"][0]["error"] == "ERROR_CORE"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", "halt=0&cmd[a]=test.echo%3FX%3D1%252B1&cmd[b]=profile"),
        ("application/json", '{"cmd":{"a":"test.echo?X=1%2B1&","b":"profile?"},"halt":false}'),
        ("application/json", '{"CMD":{"a":"Test.Echo.json?X=1%2B1","c":5,"b":"/profile/"},"HALT":0}'),
    ],
)
async def test_every_client_writes_batches_in_its_own_way(calls: Portal, content_type: str, body: str) -> None:
    answer = await calls.client.post(
        f"/rest/batch?auth={ADMIN_TOKEN}", content=body, headers={"content-type": content_type}
    )
    found = calls.result(answer)["result"]
    assert (found["a"], found["b"]["ID"]) == ({"X": "1+1"}, "1")


async def test_fifty_chained_commands_walk_a_list_by_its_ids(calls: Portal) -> None:
    cmd = {"1": "test.list?order[ID]=ASC&filter[%3EID]=0&start=-1"}
    for number in range(2, 51):
        last = f"%24result%5B{number - 1}%5D%5B49%5D%5BID%5D"
        cmd[str(number)] = f"test.list?order[ID]=ASC&filter[%3EID]={last}&start=-1"
    found = await batch(calls, cmd, halt=True)
    pages = found["result"]
    assert [row["ID"] for number in range(1, 8) for row in pages[str(number)]] == [str(n) for n in range(1, ROWS + 1)]
    assert found["result_next"] == []
    assert set(found["result_total"].values()) == {0}


async def test_a_reference_is_the_value_and_not_its_text(calls: Portal) -> None:
    found = await batch(calls, {"a": "test.list", "b": "test.echo?X[]=$result[a][2]&N=$total[a]&T=n%20$next[a]"})
    assert found["result"]["b"] == {"X": [{"ID": "3"}], "N": ROWS, "T": "n 50"}


async def test_halt_ends_a_batch_at_the_first_failure(calls: Portal) -> None:
    cmd = {"a": "profile", "b": "test.fail", "c": "profile"}
    assert (await batch(calls, cmd))["result"].keys() == {"a", "c"}
    for halt in (1, "1", True, "true", "Y"):
        found = await batch(calls, cmd, halt=halt)
        assert (found["result"].keys(), found["result_error"].keys()) == ({"a"}, {"b"})


async def test_what_comes_after_the_fiftieth_is_too_much(calls: Portal) -> None:
    found = await batch(calls, {f"c{n}": "server.time" for n in range(52)})
    assert len(found["result"]) == 50
    expected = {"error": "ERROR_BATCH_LENGTH_EXCEEDED", "error_description": "Max batch length exceeded"}
    assert found["result_error"] == {"c50": expected, "c51": expected}


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("batch?cmd[a]=profile", "ERROR_BATCH_METHOD_NOT_ALLOWED"),
        ("test.alone", "ERROR_BATCH_METHOD_NOT_ALLOWED"),
        ("no.such", "ERROR_METHOD_NOT_FOUND"),
        ("", "ERROR_METHOD_NOT_FOUND"),
        ("test.scoped", "insufficient_scope"),
        ("test.hook", "WRONG_AUTH_TYPE"),
        ("test.broken", "INTERNAL_SERVER_ERROR"),
        ("test.echo?a" + "[b]" * 50 + "=1", "INVALID_REQUEST"),
    ],
)
async def test_a_command_that_cannot_be_served_is_told_and_the_rest_goes_on(
    calls: Portal, command: str, error: str
) -> None:
    found = await batch(calls, {"a": command, "b": "profile"})
    assert found["result_error"]["a"]["error"] == error
    assert found["result"]["b"]["ID"] == "1"


async def test_a_command_cannot_speak_for_somebody_else(calls: Portal) -> None:
    found = await batch(calls, {"a": f"profile?auth={calls.member}"})
    assert found["result"]["a"]["ID"] == "1"


@pytest.mark.parametrize("params", [{}, {"cmd": []}, {"cmd": "x"}, {"cmd": None}])
async def test_an_empty_batch_has_five_empty_lists(calls: Portal, params: dict[str, Any]) -> None:
    assert calls.result(await calls.call("batch", params)) == {name: [] for name in MAPS}


async def test_a_batch_is_one_request_to_the_bucket() -> None:
    portal = await opened(Settings(bitrix24=Bitrix24(rate_limit_burst=1)))
    for status in (200, 200, 503):
        answer = await portal.call("batch", {"cmd": ["server.time"] * 50})
        assert answer.status_code == status


async def test_a_page_begins_where_it_was_asked_and_tells_the_next(calls: Portal) -> None:
    for start, rows, following in ((None, 50, 50), (0, 50, 50), (50, 50, 100), (300, 23, None), (400, 0, None)):
        body = (await calls.call("test.list", {} if start is None else {"start": start})).json()
        assert (len(body["result"]), body.get("next"), body["total"]) == (rows, following, ROWS)
    uncounted = (await calls.call("test.list", {"start": -1})).json()
    assert (len(uncounted["result"]), "next" in uncounted, uncounted["total"]) == (50, False, 0)


async def test_commands_that_double_each_others_texts_fill_no_memory(calls: Portal) -> None:
    cmd = {"c0": f"test.echo?X={'x' * 1000}"}
    for number in range(1, 50):
        cmd[f"c{number}"] = f"test.echo?X=$result[c{number - 1}][X]$result[c{number - 1}][X]"
    answer = await calls.call("batch", {"cmd": cmd, "halt": 1})
    assert len(answer.content) < 8 * 1024 * 1024
    [(last, refused)] = calls.result(answer)["result_error"].items()
    assert (int(last[1:]) < 20, refused["error"]) == (True, "INVALID_REQUEST")
