"""`im.notify*` and `mobile.push.*`: a notification for one user, and what users want on their phones."""

from __future__ import annotations

import json
from typing import Any

import pytest

from computing import computing_at_most
from unit.edges.bitrix24 import phones
from unit.edges.bitrix24.portal import ADMIN, MEMBER, Portal
from wakeline.edges.bitrix24.bb_code import plain
from wakeline.model.bitrix24.access import PortalApplication

pytestmark = pytest.mark.anyio

NOTIFY = "im.notify"
HELLO: dict[str, Any] = {"USER_ID": MEMBER, "MESSAGE": "Hello"}
TYPE = {"module_id": "rest", "type": "rest_notify"}


@pytest.fixture
async def token(portal: Portal) -> str:
    return await phones.phone(portal, MEMBER)


async def shown(portal: Portal) -> tuple[str, str]:
    alert = phones.on_apple(await phones.sent(portal))["aps"]["alert"]
    return alert["title"], alert["body"]


@pytest.mark.parametrize(
    ("method", "given", "title"),
    [
        ("im.notify", {}, "Anna Adler"),
        ("im.notify", {"TYPE": "USER"}, "Anna Adler"),
        ("im.notify", {"TYPE": "system"}, "Sales"),
        ("im.notify.personal.add", {"TYPE": "SYSTEM"}, "Anna Adler"),
        ("im.notify.system.add", {}, "Sales"),
    ],
)
async def test_a_notification_speaks_in_its_senders_name(
    portal: Portal, token: str, method: str, given: dict[str, Any], title: str
) -> None:
    assert portal.result(await portal.call(method, {**HELLO, **given})) > 0
    assert await phones.reached(portal) == [token]
    assert await shown(portal) == (title, "Hello")


async def test_ids_grow_and_are_whole_numbers_to_javascript(portal: Portal, token: str) -> None:
    found = [portal.result(await portal.call(NOTIFY, HELLO)) for _ in range(3)]
    assert found == sorted(set(found))
    assert 0 < found[0] < found[-1] < 2**53
    assert await phones.reached(portal) == [token] * 3


async def test_a_repeat_has_the_id_of_the_first(portal: Portal, token: str) -> None:
    given = {**HELLO, "bx24_request_id": "019a-1"}
    first, again = [portal.result(await portal.call(NOTIFY, given)) for _ in range(2)]
    assert first == again
    assert await phones.reached(portal) == [token]


@pytest.mark.parametrize(
    ("given", "code", "text"),
    [
        ({"MESSAGE": "x"}, "USER_ID_EMPTY", "User ID can't be empty"),
        ({"MESSAGE": "x", "USER_ID": 0}, "USER_ID_EMPTY", "User ID can't be empty"),
        ({"MESSAGE": "x", "USER_ID": "-1"}, "USER_ID_EMPTY", "User ID can't be empty"),
        ({"USER_ID": 7}, "MESSAGE_EMPTY", "Message can't be empty"),
        ({"USER_ID": 7, "MESSAGE": "  "}, "MESSAGE_EMPTY", "Message can't be empty"),
        ({**HELLO, "ATTACH": "no JSON"}, "ATTACH_ERROR", "Incorrect attach params"),
        ({**HELLO, "ATTACH": 5}, "ATTACH_ERROR", "Incorrect attach params"),
        (
            {**HELLO, "ATTACH": {"BLOCKS": ["x" * 31_000]}},
            "ATTACH_OVERSIZE",
            "You have exceeded the maximum allowable size of attach",
        ),
        (
            {**HELLO, "ATTACH": json.dumps(["x" * 31_000])},
            "ATTACH_OVERSIZE",
            "You have exceeded the maximum allowable size of attach",
        ),
    ],
)
async def test_a_notification_of_another_form_is_refused(
    portal: Portal, token: str, given: dict[str, Any], code: str, text: str
) -> None:
    assert portal.refusal(await portal.call(NOTIFY, given)) == (400, code, text)
    assert await phones.reached(portal) == []
    assert token


@pytest.mark.parametrize("attach", [{"ID": 1, "BLOCKS": [{"MESSAGE": "x"}]}, '[{"MESSAGE":"x"}]', "", None])
async def test_an_attachment_is_taken_and_the_text_is_shown(portal: Portal, token: str, attach: Any) -> None:
    given = {"TO": MEMBER, "MESSAGE": "See [b]this[/b]", "ATTACH": attach}
    assert portal.result(await portal.call(NOTIFY, given)) > 0
    assert (await shown(portal))[1] == "See this"
    assert await phones.reached(portal) == [token]


async def test_a_tag_replaces_what_it_marked_before_and_tags_are_the_applications_own(
    portal: Portal, token: str
) -> None:
    marks = []
    for given in ({"TAG": "T|1"}, {"TAG": "T|1"}, {"TAG": "T|2"}, {"TAG": "t" * 200}):
        await portal.call(NOTIFY, {**HELLO, **given, "SUB_TAG": "orders"})
        marks.append((await phones.sent(portal)).content.collapse_id)
    await portal.hook(NOTIFY, {**HELLO, "TAG": "T|1", "CLIENT_ID": "mine"})
    marks.append((await phones.sent(portal)).content.collapse_id)
    assert marks[0] == marks[1]
    assert len(set(marks)) == 4
    assert phones.on_apple(await phones.sent(portal))["group"] == "mine"
    assert await phones.reached(portal) == [token] * 5


async def test_somebody_without_a_phone_is_false(portal: Portal) -> None:
    assert portal.result(await portal.call(NOTIFY, HELLO)) is False


async def test_a_webhook_sends_through_the_only_app_of_the_portal(portal: Portal, token: str) -> None:
    assert portal.result(await portal.hook(NOTIFY, {**HELLO, "TYPE": "SYSTEM"})) > 0
    assert await phones.reached(portal) == [token]
    assert await shown(portal) == ("acme-chat", "Hello")


async def _second_application(portal: Portal) -> None:
    app = await portal.store.apps.create("other", "Other", portal.clock.now())
    await portal.store.portal_access.create_application(
        PortalApplication(
            id=0, client_id="local.two", secret=b"s", name="Two", app=app.id, redirect_uri="", scopes=("im",)
        )
    )


async def test_a_webhook_is_told_what_to_do_if_there_are_several_apps_or_none(portal: Portal, token: str) -> None:
    await _second_application(portal)
    status, code, text = portal.refusal(await portal.hook(NOTIFY, HELLO))
    assert (status, code) == (400, "ERROR_CORE")
    assert "several apps" in text
    assert portal.result(await portal.call(NOTIFY, HELLO)) > 0
    for application in portal.store.portal_access.applications():
        await portal.store.portal_access.delete_application(application.id)
    _, _, text = portal.refusal(await portal.hook(NOTIFY, HELLO))
    assert "no application" in text
    assert await phones.reached(portal) == [token]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("[b]Bold[/b] and [I]more[/I]", "Bold and more"),
        ("[URL=https://a.example/?x=1]Deal[/URL] [user=5]Ann Lee[/user]", "Deal Ann Lee"),
        ("one[br]two#BR#three", "one\ntwo\nthree"),
        ("[draft] see [1] and [*] item", "[draft] see [1] and - item"),
        ("[icon=https://a.example/i.png size=20 title=Smile] hi", "Smile hi"),
        ("[icon=https://a.example/i.png] hi", "hi"),
        ("[send=/do]Do it[/send][put=/x]Put[/put]", "Do itPut"),
        ("[timestamp=1700000000 format=x] now", "now"),
        ("[b][/b]", "[b][/b]"),
        ("[b=" * 4000, "[b=" * 4000),
    ],
)
def test_markup_is_taken_away_and_words_stay(message: str, text: str) -> None:
    assert plain(message) == text


async def test_types_of_pushes_are_those_that_this_portal_sends(portal: Portal) -> None:
    [module] = portal.result(await portal.call("mobile.push.types.get"))
    assert (module["module_id"], module["name"]) == ("rest", "Applications")
    [kind] = module["types"]
    assert (kind["type"], kind["disabled"], kind["default"]) == ("rest_notify", False, True)


async def test_types_are_told_with_what_the_user_wants_if_asked(portal: Portal) -> None:
    async def wanted(params: dict[str, Any]) -> Any:
        [module] = portal.result(await portal.call("mobile.push.types.get", params, token=portal.member))
        return module["types"][0].get("value", "not said")

    assert [await wanted({}), await wanted({"user_values": "Y"})] == ["not said", True]
    await portal.call("mobile.push.config.set", {"CONFIG": [{**TYPE, "active": "N"}]}, token=portal.member)
    assert [await wanted({"USER_VALUES": "N"}), await wanted({"USER_VALUES": "Y"})] == ["not said", False]


async def test_a_portal_without_counters_counts_nothing_and_takes_what_clients_say_of_them(portal: Portal) -> None:
    assert portal.result(await portal.call("mobile.counter.types.get", {"USER_VALUES": "Y"})) == []
    assert portal.result(await portal.call("mobile.counter.config.get")) == []
    assert portal.result(await portal.call("mobile.counter.get")) == 0
    for given in ({"im_message": True}, [{"type": "tasks_total", "value": False}], '{"im_message":"N"}'):
        assert portal.result(await portal.call("mobile.counter.config.set", {"CONFIG": given})) is True
    nothings: tuple[Any, ...] = ({}, [], "", "no json", None)
    for nothing in nothings:
        refused = await portal.call("mobile.counter.config.set", {"CONFIG": nothing})
        assert portal.refusal(refused) == (400, "CONFIG_ERROR", "New config is not specified")


async def test_a_type_that_is_not_wanted_is_not_sent_and_pushes_without_a_type_are(portal: Portal, token: str) -> None:
    get, put = "mobile.push.config.get", "mobile.push.config.set"
    assert portal.result(await portal.call(get, token=portal.member)) == [{**TYPE, "active": True}]
    unknown = {"module_id": "im", "type": "like", "active": False}
    off = {"CONFIG": [{**TYPE, "active": "N"}, unknown]}
    assert portal.result(await portal.call(put, off, token=portal.member)) is True
    assert portal.result(await portal.call(get, token=portal.member)) == [{**TYPE, "active": False}]
    assert portal.result(await portal.call(get)) == [{**TYPE, "active": True}]
    assert portal.result(await portal.call(NOTIFY, HELLO)) is False
    await portal.call("pull.application.push.add", {"USER_ID": MEMBER, "TEXT": "hi"})
    assert await phones.reached(portal) == [token]
    await portal.call(put, {"CONFIG": [{**TYPE, "active": True}]}, token=portal.member)
    assert portal.result(await portal.call(NOTIFY, HELLO)) > 0


@pytest.mark.parametrize("method", ["mobile.push.status.set", "mobile.push.smartfilter.status.set"])
@pytest.mark.parametrize("given", [{}, {"ACTIVE": ""}, {"ACTIVE": "perhaps"}, {"ACTIVE": ["Y"]}])
async def test_silence_switches_nothing(portal: Portal, method: str, given: dict[str, Any]) -> None:
    before = await portal.store.portal_access.user(ADMIN)
    assert portal.refusal(await portal.call(method, given))[:2] == (400, "ERROR_ARGUMENT")
    await portal.call("mobile.push.config.set", {"CONFIG": [TYPE]})
    assert await portal.store.portal_access.user(ADMIN) == before


@pytest.mark.parametrize("given", [{}, {"CONFIG": ""}, {"CONFIG": []}])
async def test_a_configuration_that_says_nothing_is_refused(portal: Portal, given: dict[str, Any]) -> None:
    answer = await portal.call("mobile.push.config.set", given)
    assert portal.refusal(answer) == (400, "CONFIG_ERROR", "New config is not specified")


async def test_who_wants_no_pushes_gets_none_of_any_kind(portal: Portal, token: str) -> None:
    admins = await phones.phone(portal, ADMIN)
    get, put = "mobile.push.status.get", "mobile.push.status.set"
    assert portal.result(await portal.call(get, token=portal.member)) is None
    assert portal.result(await portal.call(put, {"ACTIVE": False}, token=portal.member)) is True
    assert portal.result(await portal.call(get, token=portal.member)) is False
    await portal.call("pull.application.push.add", {"USER_ID": [ADMIN, MEMBER], "TEXT": "hi"})
    await portal.call("pull.application.event.add", {"COMMAND": "x", "USER_ID": MEMBER})
    assert portal.result(await portal.call(NOTIFY, HELLO)) is False
    assert await phones.reached(portal) == [admins]
    await portal.call(put, {"ACTIVE": "Y"}, token=portal.member)
    assert portal.result(await portal.call(get, token=portal.member)) is True
    assert portal.result(await portal.call(NOTIFY, HELLO)) > 0
    assert await phones.reached(portal) == [admins, token]


async def test_the_smart_filter_keeps_notifications_from_a_connected_phone(portal: Portal, token: str) -> None:
    get, put = "mobile.push.smartfilter.status.get", "mobile.push.smartfilter.status.set"
    assert portal.result(await portal.call(get, token=portal.member)) is False
    await portal.call(NOTIFY, HELLO)
    assert (await phones.sent(portal)).only_if_absent is False
    assert portal.result(await portal.call(put, {"ACTIVE": 1}, token=portal.member)) is True
    assert portal.result(await portal.call(get, token=portal.member)) is True
    await portal.call(NOTIFY, HELLO)
    assert (await phones.sent(portal)).only_if_absent is True
    assert await phones.reached(portal) == [token, token]


async def test_settings_of_one_batch_do_not_undo_each_other(portal: Portal) -> None:
    commands = [
        "mobile.push.status.set?ACTIVE=N",
        "mobile.push.smartfilter.status.set?ACTIVE=Y",
        "mobile.push.status.get",
    ]
    found = portal.result(await portal.call("batch", {"cmd": commands}))
    assert found["result"] == [True, True, False]
    kept = await portal.store.portal_access.user(ADMIN)
    assert kept is not None
    assert (kept.push.active, kept.push.smart) == (False, True)


@pytest.mark.parametrize(
    "message",
    ["[icon=title=" + " " * 16_000 + "]", "[icon=" + " title=a a=" * 1_400, "[" * 16_000, "[url=" * 3_000],
)
def test_no_markup_takes_its_time(message: str) -> None:
    with computing_at_most(1):
        plain(message)
