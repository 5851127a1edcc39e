"""Access codes: who has which, and what they are called."""

from __future__ import annotations

from typing import Any

import pytest

from unit.edges.bitrix24.portal import Portal

pytestmark = pytest.mark.anyio


async def test_an_administrator_is_told_from_others(portal: Portal) -> None:
    assert portal.result(await portal.call("user.admin")) is True
    assert portal.result(await portal.call("user.admin", token=portal.member)) is False


@pytest.mark.parametrize(
    ("given", "has"),
    [
        ("U7", True),
        (["U1", "IU7"], True),
        (["D1", "AU"], True),
        ("G2", True),
        (["U1", "G1", "D1", "CR", "U77"], False),
        ("", False),
        ([], False),
        (None, False),
    ],
)
async def test_a_caller_has_his_own_codes_and_an_administrator_all(portal: Portal, given: Any, has: bool) -> None:
    assert portal.result(await portal.call("user.access", {"ACCESS": given}, token=portal.member)) is has
    assert portal.result(await portal.call("user.access", {"ACCESS": given})) is True


async def test_codes_that_exist_have_names(portal: Portal) -> None:
    found = portal.result(
        await portal.call("access.name", {"ACCESS": ["AU", "U7", "IU1", "U99", "D1", "U" + 30 * "9"]})
    )
    assert found == {
        "AU": {"provider": "", "name": "All authorized users", "provider_id": "other"},
        "U7": {"provider": "User", "name": "Max Muster", "provider_id": "user"},
        "IU1": {"provider": "Employee and supervisors", "name": "Anna Adler", "provider_id": "intranet"},
    }
    assert portal.result(await portal.call("access.name", {"ACCESS": ["D1"]})) == []


@pytest.mark.parametrize("given", ["AU", [], None])
async def test_names_are_asked_for_in_a_list(portal: Portal, given: Any) -> None:
    assert portal.result(await portal.call("access.name", {"ACCESS": given})) is False


async def test_a_list_of_codes_has_an_end(portal: Portal) -> None:
    answer = await portal.call("access.name", {"ACCESS": [f"U{number}" for number in range(501)]})
    assert portal.refusal(answer)[:2] == (400, "ERROR_ARGUMENT")
