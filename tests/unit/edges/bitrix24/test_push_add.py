"""`pull.application.push.add`: who may, what is refused and in which order, and what reaches the push services."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from unit.edges.bitrix24 import phones
from unit.edges.bitrix24.portal import ADMIN, ADMIN_TOKEN, MEMBER, SCOPES, Portal, opened
from wakeline.config import Settings
from wakeline.config.tree import QueueSection
from wakeline.model.event import EventType
from wakeline.model.ids import parse_key, uuid_of
from wakeline.model.route import ProviderKind
from wakeline.wire import apns, fcm, webpush

pytestmark = pytest.mark.anyio

PUSH = "pull.application.push.add"
HELLO: dict[str, Any] = {"USER_ID": [MEMBER], "TEXT": "Hello, world!"}
FACE = "https://example.com/images/avatar.png"
WRONG_AUTH = (403, "WRONG_AUTH_TYPE", "Send push notifications available only for application authorization.")
ACCESS = (400, "ACCESS_ERROR", "You do not have access to send push notifications")
TEXT = (400, "TEXT_ERROR", "Text can't be empty")
NAMELESS = (400, "EMPTY_APP_NAME", "For send push-notification application name can't be empty")


async def test_a_push_reaches_the_users_of_the_applications_app(portal: Portal) -> None:
    ours, other = await phones.phone(portal, MEMBER), await phones.phone(portal, 8)
    answer = await portal.call(PUSH, HELLO)
    assert portal.result(answer) is True
    assert set(answer.json()) == {"result", "time"}
    assert await phones.reached(portal) == [ours]
    assert other not in await phones.reached(portal)


async def test_it_looks_on_an_iphone_as_a_portals_push_does(portal: Portal) -> None:
    await phones.phone(portal, MEMBER)
    await portal.call(PUSH, {**HELLO, "TEXT": "One\nTwo", "AVATAR": FACE})
    assert phones.on_apple(await phones.sent(portal)) == {
        "aps": {
            "alert": {"title": "Sales", "body": "One\nTwo"},
            "thread-id": "local.test",
            "mutable-content": 1,
        },
        "group": "local.test",
        "avatarUrl": FACE,
    }


async def test_it_looks_on_android_as_it_does_on_an_iphone(portal: Portal) -> None:
    await phones.phone(portal, MEMBER, "fcm")
    await portal.call(PUSH, {**HELLO, "AVATAR": FACE})
    notification = await phones.sent(portal, ProviderKind.FCM)
    name, expires = uuid_of(notification.key), notification.expires // 1000
    assert phones.on_google(notification) == {
        "notification": {"title": "Sales", "body": "Hello, world!", "image": FACE},
        "data": {"group": "local.test", "avatarUrl": FACE},
        "android": {"priority": "HIGH", "ttl": "43200s", "notification": {"tag": name}},
        "apns": {
            "headers": {"apns-expiration": str(expires), "apns-collapse-id": name},
            "payload": {"aps": {"thread-id": "local.test", "mutable-content": 1}},
        },
    }


async def test_a_browser_gets_the_picture_as_an_icon(portal: Portal) -> None:
    await phones.phone(portal, MEMBER)
    await portal.call(PUSH, {**HELLO, "AVATAR": FACE})
    shown = phones.in_browser(await phones.sent(portal))
    assert (shown["title"], shown["body"], shown["icon"]) == ("Sales", "Hello, world!", FACE)
    assert shown["thread"] == "local.test"


@pytest.mark.parametrize(
    "avatar",
    [
        "",
        "http://example.com/a.png",
        "javascript:alert(1)",
        "https://",
        "https:///a.png",
        "https://example.com/a b.png",
        f"https://example.com/{'a' * 1024}",
        ["https://example.com/a.png"],
    ],
)
async def test_a_picture_that_is_no_https_url_is_left_out(portal: Portal, avatar: Any) -> None:
    await phones.phone(portal, MEMBER)
    assert portal.result(await portal.call(PUSH, {**HELLO, "AVATAR": avatar})) is True
    notification = await phones.sent(portal)
    payload = phones.on_apple(notification)
    assert "avatarUrl" not in payload
    assert "mutable-content" not in payload["aps"]
    assert "image" not in phones.on_google(notification)["notification"]
    assert "icon" not in phones.in_browser(notification)


@pytest.mark.parametrize(
    ("said", "users"),
    [
        (7, [7]),
        ("7", [7]),
        ("[1,7]", [1, 7]),
        ("[1, 7, 7]", [1, 7]),
        ([7, 7, "7", -7, 0, "x", None], [7]),
        ([1, 7], [1, 7]),
        ({"0": "1", "1": "7"}, [1, 7]),
        (0, []),
        (-7, []),
        ("", []),
        ("nobody", []),
        (None, []),
        ([], []),
        (4711, []),
        ([4711, 7], [7]),
    ],
)
async def test_users_are_read_as_clients_write_them_and_the_answer_is_true(
    portal: Portal, said: Any, users: list[int]
) -> None:
    tokens = {user: await phones.phone(portal, user) for user in (ADMIN, MEMBER)}
    assert portal.result(await portal.call(PUSH, {"USER_ID": said, "TEXT": "hi"})) is True
    assert await phones.reached(portal) == [tokens[user] for user in users]


async def test_without_users_the_answer_is_true_and_nobody_is_reached(portal: Portal) -> None:
    await phones.phone(portal, MEMBER)
    assert portal.result(await portal.call(PUSH, {"TEXT": "hi"})) is True
    assert await phones.reached(portal) == []


async def test_a_webhook_is_the_wrong_authorization(portal: Portal) -> None:
    assert portal.refusal(await portal.hook(PUSH, HELLO)) == WRONG_AUTH


async def test_a_user_who_is_no_administrator_may_not(portal: Portal) -> None:
    assert portal.refusal(await portal.call(PUSH, HELLO, token=portal.member)) == ACCESS


@pytest.mark.parametrize("text", [{}, {"TEXT": ""}, {"TEXT": "0"}, {"TEXT": 0}, {"TEXT": None}, {"TEXT": False}])
async def test_a_push_needs_a_text(portal: Portal, text: dict[str, Any]) -> None:
    assert portal.refusal(await portal.call(PUSH, {"USER_ID": MEMBER, **text})) == TEXT


async def test_an_application_needs_a_name(portal: Portal) -> None:
    await portal.change(name=" ")
    assert portal.refusal(await portal.call(PUSH, HELLO)) == NAMELESS


async def test_the_checks_come_in_the_portals_order(portal: Portal) -> None:
    await phones.phone(portal, MEMBER)
    await portal.change(name="")
    assert portal.refusal(await portal.hook(PUSH)) == WRONG_AUTH
    assert portal.refusal(await portal.call(PUSH, token=portal.member)) == ACCESS
    assert portal.refusal(await portal.call(PUSH)) == TEXT
    assert portal.refusal(await portal.call(PUSH, {"TEXT": "hi"})) == NAMELESS
    assert await phones.reached(portal) == []


async def test_a_token_without_the_scope_may_not(portal: Portal) -> None:
    await portal.grant(ADMIN, "c" * 32, tuple(scope for scope in SCOPES if scope != "pull"))
    status, code, _ = portal.refusal(await portal.call(PUSH, HELLO, token="c" * 32))
    assert (status, code) == (403, "insufficient_scope")


async def test_more_users_than_one_transaction_takes_are_all_reached(portal: Portal) -> None:
    users = range(100, 1300)
    tokens = {await phones.phone(portal, user) for user in users}
    assert portal.result(await portal.call(PUSH, {"USER_ID": list(users), "TEXT": "hi"})) is True
    reached = await phones.reached(portal)
    assert (len(reached), set(reached)) == (len(users), tokens)


async def test_names_of_parameters_count_in_any_case_and_a_form_says_the_same(portal: Portal) -> None:
    ours = await phones.phone(portal, MEMBER)
    form = f"user_id%5B0%5D={MEMBER}&text=hi%20%26%20bye&auth={ADMIN_TOKEN}"
    answer = await portal.client.post(
        f"/rest/{PUSH}", content=form, headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert portal.result(answer) is True
    assert await phones.reached(portal) == [ours]
    assert phones.on_apple(await phones.sent(portal))["aps"]["alert"]["body"] == "hi & bye"


async def test_pushes_of_a_batch_go_out_one_by_one_and_a_refusal_stands_alone(portal: Portal) -> None:
    ours, admins = await phones.phone(portal, MEMBER), await phones.phone(portal, ADMIN)
    commands = {
        "a": f"{PUSH}?USER_ID[0]={MEMBER}&TEXT=one&",
        "b": f"{PUSH}?TEXT=",
        "c": f"{PUSH}?USER_ID={ADMIN}&TEXT=2",
    }
    found = portal.result(await portal.call("batch", {"halt": 0, "cmd": commands}))
    assert found["result"] == {"a": True, "c": True}
    assert found["result_error"] == {"b": {"error": "TEXT_ERROR", "error_description": "Text can't be empty"}}
    assert sorted(await phones.reached(portal)) == sorted([ours, admins])


@pytest.mark.parametrize("text", ["ä" * 50_000, "\U0001f469\u200d\U0001f469\u200d\U0001f467" * 3000, '"' * 9000])
async def test_a_text_that_no_push_bears_is_shortened(portal: Portal, text: str) -> None:
    await phones.phone(portal, MEMBER)
    await portal.change(name="N" * 5000)
    assert portal.result(await portal.call(PUSH, {**HELLO, "TEXT": text, "AVATAR": FACE})) is True
    notification = await phones.sent(portal)
    for service in (apns, fcm, webpush):
        found = service.measure(notification.content)
        assert found.size <= found.limit, service.__name__
    assert phones.on_apple(notification)["aps"]["alert"]["body"].startswith(text[:8])


async def test_half_a_character_is_no_defect(portal: Portal) -> None:
    await phones.phone(portal, MEMBER)
    body = b'{"USER_ID":7,"TEXT":"a\\ud83d","auth":"' + ADMIN_TOKEN.encode() + b'"}'
    answer = await portal.client.post(f"/rest/{PUSH}", content=body, headers={"content-type": "application/json"})
    assert answer.status_code < 500, answer.text


async def test_a_full_queue_is_503_and_what_is_repeated_then_arrives_once() -> None:
    portal = await opened(Settings(queue=QueueSection(max_pending=1)))
    ours, other = await phones.phone(portal, MEMBER), await phones.phone(portal, ADMIN)
    assert portal.result(await portal.call(PUSH, {"USER_ID": ADMIN, "TEXT": "first"})) is True
    for _ in range(3):
        refused = portal.refusal(await portal.call(PUSH, HELLO))
        assert refused == (503, "QUERY_LIMIT_EXCEEDED", "Too many requests")
    assert await phones.reached(portal) == [other]
    portal.clock.advance(60)
    assert portal.result(await portal.call(PUSH, HELLO)) is True
    assert await phones.reached(portal) == [other, ours]


async def test_the_same_push_twice_is_two_pushes(portal: Portal) -> None:
    ours = await phones.phone(portal, MEMBER)
    for _ in range(2):
        await portal.call(PUSH, HELLO)
    assert await phones.reached(portal) == [ours, ours]


async def test_a_repeat_under_the_id_of_its_sdk_is_one_push_for_ten_minutes(portal: Portal) -> None:
    ours = await phones.phone(portal, MEMBER)
    same = {**HELLO, "bx24_request_id": "019a-1"}
    for given in (same, same, {**same, "TEXT": "another"}, {**same, "bx24_request_id": "019a-2"}):
        assert portal.result(await portal.call(PUSH, given)) is True
    assert await phones.reached(portal) == [ours] * 3
    portal.clock.advance(600)
    assert portal.result(await portal.call(PUSH, same)) is True
    assert await phones.reached(portal) == [ours] * 4


async def test_a_push_that_the_app_cannot_send_is_true_and_our_own_api_says_why(portal: Portal) -> None:
    await phones.phone(portal, MEMBER, "webpush", "https://push.example/1 key secret")
    with capture_logs() as lines:
        assert portal.result(await portal.call(PUSH, HELLO)) is True
    [line] = [line for line in lines if line["event"] == "bitrix24.not_sent"]
    assert (line["code"], line["app"], line["method"]) == (901, "acme-chat", PUSH)
    assert line["request_id"]
    found = await portal.gateway.call("GET", f"/v1/apps/acme-chat/notifications/{line['notification']}")
    assert found.json()["counts"]["failed"] == 1
    [delivery] = found.json()["deliveries"]
    assert delivery["outcome"]["code"] == 901


async def test_a_push_for_somebody_without_a_phone_is_true_and_our_own_api_says_why(portal: Portal) -> None:
    with capture_logs() as lines:
        assert portal.result(await portal.call(PUSH, HELLO)) is True
    [line] = [line for line in lines if line["event"] == "bitrix24.nobody_reached"]
    notification = await portal.store.ledger.notification(parse_key(line["notification"]))
    assert notification is not None
    assert notification.request_id == line["request_id"]
    [event] = await portal.store.events.read(after=0, types=frozenset({EventType.PUSH_SKIPPED}), limit=10)
    assert event.data.users == (str(MEMBER),)


async def test_no_text_and_no_token_reach_the_log(portal: Portal) -> None:
    with capture_logs() as lines:
        await portal.call(PUSH, {**HELLO, "TEXT": "a very private word"})
    assert lines
    assert "private" not in str(lines)
    assert ADMIN_TOKEN not in str(lines)


async def test_who_is_blocked_on_the_portal_gets_nothing(portal: Portal) -> None:
    tokens = {user: await phones.phone(portal, user) for user in (ADMIN, MEMBER)}
    member = await portal.store.portal_access.user(MEMBER)
    assert member is not None
    await portal.put(member, active=False)
    await portal.call(PUSH, {"USER_ID": [MEMBER], "TEXT": "hi"})
    await portal.call(PUSH, {"USER_ID": [ADMIN, MEMBER], "TEXT": "hi"})
    assert await phones.reached(portal) == [tokens[ADMIN]]
