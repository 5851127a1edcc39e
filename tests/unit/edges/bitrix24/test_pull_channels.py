"""`pull.application.event.add` and what clients ask of channels that are not ours."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from unit.edges.bitrix24 import phones
from unit.edges.bitrix24.portal import ADMIN, MEMBER, Portal
from wakeline.model.notification import PushType

pytestmark = pytest.mark.anyio

EVENT, CONFIG, OWN = "pull.application.event.add", "pull.application.config.get", "pull.config.get"
CHANNEL = "Get access to application config available only for application authorization."


@pytest.fixture
async def tokens(portal: Portal) -> dict[int, str]:
    return {user: await phones.phone(portal, user) for user in (ADMIN, MEMBER)}


async def test_an_event_wakes_the_app_of_its_users_and_shows_nothing(portal: Portal, tokens: dict[int, str]) -> None:
    given = {"COMMAND": "orders:new", "PARAMS": {"id": 5, "list": [1]}, "USER_ID": MEMBER, "MODULE_ID": "shop.orders"}
    assert portal.result(await portal.call(EVENT, given)) is True
    assert await phones.reached(portal) == [tokens[MEMBER]]
    notification = await phones.sent(portal)
    assert notification.content.type is PushType.BACKGROUND
    assert phones.on_apple(notification) == {
        "aps": {"content-available": 1},
        "module_id": "shop.orders",
        "command": "orders:new",
        "params": {"id": 5, "list": [1]},
    }
    assert phones.on_google(notification)["data"]["params"] == '{"id":5,"list":[1]}'


async def test_an_event_without_users_is_for_all_of_the_portal(portal: Portal, tokens: dict[int, str]) -> None:
    assert portal.result(await portal.call(EVENT, {"COMMAND": "reload"}, token=portal.member)) is True
    assert sorted(await phones.reached(portal)) == sorted(tokens.values())
    assert phones.on_apple(await phones.sent(portal))["module_id"] == "application"


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"a": "b"}, {"a": "b"}),
        (["id", "name"], ["id", "name"]),
        ('{"a":{"b":1}}', {"a": {"b": 1}}),
        ("{'a':'b'}", {"a": "b"}),
        ("{}", {}),
        ("[]", {}),
        ("", {}),
        (None, {}),
    ],
)
async def test_the_data_of_an_event_is_read_as_clients_write_it(
    portal: Portal, tokens: dict[int, str], params: Any, expected: Any
) -> None:
    answer = await portal.call(EVENT, {"COMMAND": "test", "PARAMS": params, "USER_ID": MEMBER})
    assert portal.result(answer) is True
    assert await phones.reached(portal) == [tokens[MEMBER]]
    assert phones.on_apple(await phones.sent(portal))["params"] == expected


@pytest.mark.parametrize(
    ("given", "code", "text"),
    [
        ({"COMMAND": "x", "MODULE_ID": "Shop"}, "MODULE_ID_ERROR", "Module ID format error"),
        ({"COMMAND": "x", "MODULE_ID": "a b"}, "MODULE_ID_ERROR", "Module ID format error"),
        ({}, "COMMAND_ERROR", "Command format error"),
        ({"COMMAND": "no spaces"}, "COMMAND_ERROR", "Command format error"),
        ({"COMMAND": "line\n"}, "COMMAND_ERROR", "Command format error"),
        ({"COMMAND": "x", "PARAMS": "neither"}, "PARAMS_ERROR", "Params format error"),
        ({"COMMAND": "x", "PARAMS": 5}, "PARAMS_ERROR", "Params format error"),
    ],
)
async def test_an_event_of_another_form_is_refused(
    portal: Portal, tokens: dict[int, str], given: dict[str, Any], code: str, text: str
) -> None:
    assert portal.refusal(await portal.call(EVENT, given)) == (400, code, text)
    assert await phones.reached(portal) == []
    assert tokens


@pytest.mark.parametrize("users", [ADMIN, [MEMBER, ADMIN], "nobody"])
async def test_only_an_administrator_speaks_to_others(portal: Portal, users: Any) -> None:
    answer = await portal.call(EVENT, {"COMMAND": "x", "USER_ID": users}, token=portal.member)
    assert portal.refusal(answer) == (
        400,
        "USER_ID_ACCESS_ERROR",
        "Only admin can send notifications to other channels",
    )


async def test_everybody_speaks_to_themselves(portal: Portal, tokens: dict[int, str]) -> None:
    answer = await portal.call(EVENT, {"COMMAND": "x", "USER_ID": str(MEMBER)}, token=portal.member)
    assert portal.result(answer) is True
    assert await phones.reached(portal) == [tokens[MEMBER]]


@pytest.mark.parametrize("method", [EVENT, CONFIG])
async def test_channels_are_for_applications(portal: Portal, method: str) -> None:
    assert portal.refusal(await portal.hook(method, {"COMMAND": "x"})) == (403, "WRONG_AUTH_TYPE", CHANNEL)


async def test_the_own_configuration_is_not_for_applications(portal: Portal) -> None:
    assert portal.refusal(await portal.call(OWN)) == (
        403,
        "WRONG_AUTH_TYPE",
        "Method not available for OAuth authorization.",
    )


async def test_a_configuration_says_that_there_is_no_server_to_listen_to(portal: Portal) -> None:
    found = portal.result(await portal.call(CONFIG, {"CACHE": "Y", "REOPEN": "N"}))
    server = found["server"]
    assert (server["mode"], server["server_enabled"]) == ("personal", False)
    assert (server["publish_enabled"], server["websocket_enabled"]) == (False, False)
    assert server["hostname"] == "portal.test"
    assert found["api"] == {"revision_web": 19, "revision_mobile": 3}
    assert found["clientId"] == "local.test"
    assert found["publicChannels"] == []


async def test_channels_have_names_of_their_own_until_they_end(portal: Portal) -> None:
    async def channels(token: str) -> dict[str, Any]:
        found: dict[str, Any] = portal.result(await portal.call(CONFIG, token=token))["channels"]
        return found

    first = await channels(portal.admin)
    assert await channels(portal.admin) == first
    others = await channels(portal.member)
    assert others["shared"] == first["shared"]
    names = {
        *(first["private"][key] for key in ("id", "public_id")),
        *(others["private"][key] for key in ("id", "public_id")),
        first["shared"]["id"],
    }
    assert len(names) == 5
    start, end = (datetime.fromisoformat(first["private"][key]) for key in ("start", "end"))
    assert (end - start).total_seconds() == 43_205
    portal.clock.advance((end.timestamp() * 1000 - portal.clock.now()) / 1000)
    await portal.grant(ADMIN, "n" * 32)
    assert (await channels("n" * 32))["private"]["id"] != first["private"]["id"]


async def test_a_webhooks_user_has_channels_too(portal: Portal) -> None:
    found = portal.result(await portal.hook(OWN))
    assert set(found["channels"]) == {"shared", "private"}
    assert datetime.fromisoformat(found["serverTime"]).timestamp() == portal.clock.now() // 1000


async def test_a_users_public_channel_is_the_one_in_his_own_configuration(portal: Portal) -> None:
    for config, application, hook in (("pull.config.get", "N", True), ("pull.application.config.get", "Y", False)):
        own = portal.result(await (portal.hook(config) if hook else portal.call(config)))["channels"]["private"]
        given = {"USER_ID": 1, "APPLICATION": application}
        found = portal.result(await portal.call("pull.channel.public.get", given, token=portal.member))
        assert found == {
            "user_id": 1,
            "public_id": own["public_id"],
            "signature": "",
            "start": own["start"],
            "end": own["end"],
        }
        several = portal.result(
            await portal.call("pull.channel.public.list", {"USERS": "[1,7]", "APPLICATION": application})
        )
        assert several["1"] == found
        assert several["7"]["public_id"] != found["public_id"]


@pytest.mark.parametrize("users", [None, [], "x", [0, -1], list(range(1, 1002))])
async def test_channels_are_asked_for_by_users(portal: Portal, users: Any) -> None:
    answer = await portal.call("pull.channel.public.list", {"USERS": users})
    assert portal.refusal(answer) == (400, "INVALID_FORMAT", "A wrong format for the USERS field is passed")


@pytest.mark.parametrize("tags", [["CRM_1", 12], {"0": "CRM_1", "5": "12"}, '["CRM_1","12"]', "['CRM_1',12]"])
async def test_a_watch_that_nobody_keeps_has_ended(portal: Portal, tags: Any) -> None:
    assert portal.result(await portal.call("pull.watch.extend", {"tags": tags})) == {"CRM_1": False, "12": False}
    assert portal.result(await portal.hook("pull.watch.extend", {"TAGS": tags})) == {"CRM_1": False, "12": False}


async def test_a_watch_is_of_tags_and_not_of_too_many(portal: Portal) -> None:
    assert portal.result(await portal.call("pull.watch.extend")) == []
    assert portal.result(await portal.call("pull.watch.extend", {"TAGS": "one"})) == {"one": False}
    many = await portal.call("pull.watch.extend", {"TAGS": [f"tag{number}" for number in range(1001)]})
    assert portal.refusal(many)[:2] == (400, "ERROR_ARGUMENT")


async def test_a_webhook_has_no_applications_channels(portal: Portal) -> None:
    answer = await portal.hook("pull.channel.public.get", {"USER_ID": 1, "APPLICATION": "Y"})
    assert portal.refusal(answer)[:2] == (400, "WRONG_AUTH_TYPE")
