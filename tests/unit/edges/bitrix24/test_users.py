"""`user.*`: fields by scope, filters, order and pages."""

from __future__ import annotations

from typing import Any

import pytest

from unit.edges.bitrix24.portal import ADMIN, MEMBER, Portal
from wakeline.model.bitrix24.access import PortalUser

pytestmark = pytest.mark.anyio

GET, SEARCH = "user.get", "user.search"
PEOPLE = (
    PortalUser(
        id=20, login="eva", name="Eva", last_name="Muster", work_position="Head of Sales", created=1_700_000_000_000
    ),
    PortalUser(id=21, login="ed", name="Eduard", last_name="Zander", active=False, email="ed@example.org"),
    PortalUser(id=100, login="zoe", name="Zoe", last_name="Adler", personal_mobile="+49 30 1", inner_phone="17"),
)


@pytest.fixture
async def staff(portal: Portal) -> Portal:
    for user in PEOPLE:
        await portal.store.portal_access.put_user(user)
    return portal


async def ids(portal: Portal, method: str, given: dict[str, Any]) -> list[int]:
    return [int(row["ID"]) for row in portal.result(await portal.call(method, given))]


async def test_the_current_user_is_whose_token_it_is(staff: Portal) -> None:
    assert staff.result(await staff.call("user.current", token=staff.member))["ID"] == str(MEMBER)
    assert staff.result(await staff.hook("user.current"))["NAME"] == "Anna"


@pytest.mark.parametrize(("scope", "shows"), [("user", True), ("user_basic", True), ("user_brief", False)])
async def test_addresses_and_numbers_are_shown_to_wide_scopes_only(staff: Portal, scope: str, *, shows: bool) -> None:
    await staff.grant(ADMIN, "s" * 32, (scope,))
    [row] = staff.result(await staff.call(GET, {"ID": 21}, token="s" * 32))
    assert (row.get("EMAIL") == "ed@example.org") is shows
    assert ("PERSONAL_MOBILE" in row) is shows
    assert (row["NAME"], row["ACTIVE"]) == ("Eduard", False)
    found = staff.result(await staff.call(GET, {"FILTER": {"EMAIL": "ed@example.org"}}, token="s" * 32))
    assert bool(found) is shows


async def test_a_token_without_any_of_the_scopes_may_not(staff: Portal) -> None:
    await staff.grant(ADMIN, "s" * 32, ("pull",))
    assert staff.refusal(await staff.call(GET, token="s" * 32))[:2] == (403, "insufficient_scope")


async def test_a_user_is_a_flat_map_of_texts(staff: Portal) -> None:
    [row] = staff.result(await staff.call(GET, {"FILTER": {"ID": 20}}))
    assert row["ID"] == "20"
    assert row["DATE_REGISTER"] == "2023-11-14T22:13:20+00:00"
    assert row["USER_TYPE"] == "employee"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, [1, 7, 20, 21, 100]),
        ({"ID": 7}, [7]),
        ({"ID": [7, "20"]}, [7, 20]),
        ({"filter": {"ID": ["7", 100]}}, [7, 100]),
        ({"FILTER": {"@ID": [7, 100]}}, [7, 100]),
        ({"FILTER": {">ID": 20}}, [21, 100]),
        ({"FILTER": {">=ID": "20", "<ID": 100}}, [20, 21]),
        ({"FILTER": {"<=ID": 7}}, [1, 7]),
        ({"FILTER": {"!ID": 7}}, [1, 20, 21, 100]),
        ({"FILTER": {"ACTIVE": True}}, [1, 7, 20, 100]),
        ({"FILTER": {"ACTIVE": "N"}}, [21]),
        ({"ACTIVE": "false"}, [21]),
        ({"FILTER": {"LAST_NAME": "muster"}}, [7, 20]),
        ({"FILTER": {"LAST_NAME": "Muster", "NAME": "Eva"}}, [20]),
        ({"FILTER": {"%LAST_NAME": "DLE"}}, [1, 100]),
        ({"FILTER": {"UF_PHONE_INNER": 17}}, [100]),
        ({"FILTER": {"NAME_SEARCH": "ev"}}, [20]),
        ({"FILTER": {"UF_UNKNOWN": 1}}, []),
        ({"FILTER": {"ID": "x"}}, []),
        ({"FILTER": {">ID": "x"}}, []),
        ({"ADMIN_MODE": True, "IMAGE_RESIZE": "small"}, [1, 7, 20, 21, 100]),
        ({"sort": "ID", "order": "DESC"}, [100, 21, 20, 7, 1]),
        ({"SORT": "NAME", "ORDER": "asc"}, [1, 21, 20, 7, 100]),
        ({"sort": "UNKNOWN", "order": "DESC"}, [1, 7, 20, 21, 100]),
    ],
)
async def test_a_filter_and_an_order_are_those_of_the_portal(
    staff: Portal, given: dict[str, Any], found: list[int]
) -> None:
    assert await ids(staff, GET, given) == found


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"FIND": "must"}, [7, 20]),
        ({"FIND": "ev mus"}, [20]),
        ({"FIND": "sales"}, [20]),
        ({"FIND": "uster"}, []),
        ({"NAME": "e"}, [20, 21]),
        ({"LAST_NAME": "Adl", "NAME": "z"}, [100]),
        ({"WORK_POSITION": "head"}, [20]),
        ({"USER_TYPE": "employee", "ID": 7}, [7]),
        ({"USER_TYPE": "extranet"}, []),
    ],
)
async def test_a_search_looks_at_beginnings(staff: Portal, given: dict[str, Any], found: list[int]) -> None:
    assert await ids(staff, SEARCH, {"FILTER": given}) == found
    assert await ids(staff, SEARCH, given) == found


async def test_a_selection_leaves_only_what_was_asked_for(staff: Portal) -> None:
    [row] = staff.result(await staff.call(GET, {"ID": 100, "select": ["ID", "UF_*", "NOTHING"]}))
    assert row == {"ID": "100", "UF_PHONE_INNER": "17"}
    [row] = staff.result(await staff.call(GET, {"ID": 100, "select": ["*"]}))
    assert row["NAME"] == "Zoe"


async def test_pages_are_of_fifty_and_counted(portal: Portal) -> None:
    for number in range(1000, 1121):
        await portal.store.portal_access.put_user(PortalUser(id=number, login=f"u{number}", name="Page"))
    seen: list[str] = []
    start: int | None = 0
    while start is not None:
        answer = (await portal.call(GET, {"NAME": "page", "start": start})).json()
        assert answer["total"] == 121
        seen += [row["ID"] for row in answer["result"]]
        start = answer.get("next")
    assert seen == [str(number) for number in range(1000, 1121)]
    inside = (await portal.call(GET, {"NAME": "page", "start": 60})).json()
    assert inside["result"][0]["ID"] == "1050"
    uncounted = (await portal.call(GET, {"NAME": "page", "start": -1})).json()
    assert (len(uncounted["result"]), uncounted["total"], "next" in uncounted) == (50, 0, False)
    beyond = (await portal.call(GET, {"NAME": "page", "start": 500})).json()
    assert (beyond["result"], beyond["total"]) == ([], 121)


@pytest.mark.parametrize("method", ["user.get", "user.search"])
async def test_a_filter_of_users_is_no_longer_than_can_be_compared(staff: Portal, method: str) -> None:
    answer = await staff.call(method, {"FILTER": {"@NAME": [str(number) for number in range(10_000)]}})
    assert staff.refusal(answer)[:2] == (400, "ERROR_ARGUMENT")
