"""What applications keep on the portal, for themselves and for their users."""

from __future__ import annotations

from typing import Any

import pytest

from unit.edges.bitrix24.portal import Portal

pytestmark = pytest.mark.anyio


async def test_options_of_an_application_are_for_all_of_its_users(portal: Portal) -> None:
    assert portal.result(await portal.call("app.option.get")) == []
    assert (
        portal.result(await portal.call("app.option.set", {"options": {"data": "value", "more": {"a": [1]}}})) is True
    )
    assert portal.result(await portal.call("app.option.set", {"options": {"data": "new"}})) is True

    assert portal.result(await portal.call("app.option.get", token=portal.member)) == {
        "data": "new",
        "more": {"a": [1]},
    }
    assert portal.result(await portal.call("app.option.get", {"option": "data"})) == "new"
    assert portal.result(await portal.call("app.option.get", {"option": "none"})) is None
    assert portal.result(await portal.call("user.option.get")) == []


async def test_options_of_a_user_are_his_own(portal: Portal) -> None:
    assert portal.result(await portal.call("user.option.set", {"options": {"a": "1"}}, token=portal.member)) is True

    assert portal.result(await portal.call("user.option.get", {"option": "a"}, token=portal.member)) == "1"
    assert portal.result(await portal.call("user.option.get")) == []


async def test_only_administrators_set_options_of_an_application(portal: Portal) -> None:
    answer = await portal.call("app.option.set", {"options": {"a": "1"}}, token=portal.member)

    assert portal.refusal(answer)[:2] == (403, "ACCESS_DENIED")
    assert portal.result(await portal.call("app.option.get")) == []


@pytest.mark.parametrize("method", ["app.option.get", "app.option.set", "user.option.get", "user.option.set"])
async def test_webhooks_have_no_options(portal: Portal, method: str) -> None:
    answer = await portal.hook(method, {"options": {"a": "1"}})

    assert portal.refusal(answer)[:2] == (403, "ACCESS_DENIED")


@pytest.mark.parametrize("given", [{}, {"options": "text"}, {"options": []}, {"options": {"a": "x" * 70_000}}])
@pytest.mark.parametrize("method", ["app.option.set", "user.option.set"])
async def test_what_is_no_map_or_too_long_is_refused(portal: Portal, method: str, given: dict[str, Any]) -> None:
    assert portal.refusal(await portal.call(method, given))[:2] == (400, "ERROR_ARGUMENT")


async def test_what_is_nested_too_deeply_to_be_answered_is_not_kept(portal: Portal) -> None:
    deepest, too_deep = ("[" * levels + "]" * levels for levels in (31, 32))

    assert portal.result(await portal.call("user.option.set", {"options": f'{{"a":{deepest}}}'})) is True
    answer = await portal.call("user.option.set", {"options": f'{{"a":{too_deep}}}'})

    assert portal.refusal(answer)[:2] == (400, "ERROR_ARGUMENT")
    assert list(portal.result(await portal.call("user.option.get"))) == ["a"]


async def test_fields_of_users_have_names(portal: Portal) -> None:
    named = portal.result(await portal.call("user.fields"))

    assert list(named) == list(portal.result(await portal.call("user.current")))
    assert all(named.values())
