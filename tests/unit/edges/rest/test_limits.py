"""Limits over REST: who is limited now, until when, page by page; and in the view of a user."""

from __future__ import annotations

import pytest

from unit.edges.rest.gateway import Gateway
from wakeline.config import Limits, Settings
from wakeline.model.key import Scope

pytestmark = pytest.mark.anyio


@pytest.fixture
async def gateway() -> Gateway:
    gateway = Gateway(Settings(limits=Limits(alert_per_hour=60, alert_burst=1)))
    gateway.admin = await gateway.key(Scope.ADMIN)
    await gateway.with_app()
    return gateway


async def send(gateway: Gateway, *users: str) -> None:
    for user in users:
        body = {"to": {"users": [user]}, "alert": {"title": "hello"}}
        assert (await gateway.call("POST", "/v1/apps/acme-chat/notifications", json=body)).status_code == 202


async def register(gateway: Gateway, *users: str) -> None:
    for user in users:
        body = {"user": user, "targets": [{"kind": "apns", "value": user.encode().hex() * 8}]}
        assert (await gateway.call("PUT", f"/v1/apps/acme-chat/devices/{user}", json=body)).status_code == 201


async def test_it_says_who_is_limited_until_when_and_what_one_may_get(gateway: Gateway) -> None:
    await register(gateway, "bob")
    before = (await gateway.call("GET", "/v1/apps/acme-chat/limits")).json()
    await send(gateway, "bob")
    after = (await gateway.call("GET", "/v1/apps/acme-chat/limits")).json()
    user = (await gateway.call("GET", "/v1/apps/acme-chat/users/bob")).json()

    assert (before["enabled"], before["alert_per_hour"], before["alert_burst"]) == (True, 60, 1)
    assert (before["limited"], before["next_cursor"]) == ([], None)
    [one] = after["limited"]
    assert (one["user"], one["type"]) == ("bob", "alert")
    assert user["limited"] == [{"type": "alert", "until": one["until"]}]
    assert [device["device_id"] for device in user["devices"]] == ["bob"]


async def test_pages_go_on_where_the_last_ended_and_a_made_up_cursor_is_refused(gateway: Gateway) -> None:
    users = ["anna", "bert", "carl", "dora", "zoe"]
    await register(gateway, *users)
    await send(gateway, *reversed(users))

    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        params = {"limit": 2, "cursor": cursor}
        page = (await gateway.call("GET", "/v1/apps/acme-chat/limits", params=params)).json()
        seen += [one["user"] for one in page["limited"]]
        cursor = page["next_cursor"]

    assert seen == users
    forged = await gateway.call("GET", "/v1/apps/acme-chat/limits", params={"cursor": "Ym9i"})
    assert forged.status_code == 422


async def test_an_app_with_limits_off_says_so(gateway: Gateway) -> None:
    await register(gateway, "bob")
    await send(gateway, "bob")
    await gateway.call("PATCH", "/v1/apps/acme-chat", json={"settings": {"limits": False}})
    shown = (await gateway.call("GET", "/v1/apps/acme-chat/limits")).json()

    assert (shown["enabled"], shown["limited"]) == (False, [])


async def test_a_user_who_is_erased_is_limited_no_more(gateway: Gateway) -> None:
    await register(gateway, "bob")
    await send(gateway, "bob")
    erased = await gateway.call("DELETE", "/v1/apps/acme-chat/users/bob")

    assert erased.status_code == 200
    assert (await gateway.call("GET", "/v1/apps/acme-chat/limits")).json()["limited"] == []


async def test_a_key_sees_the_limits_of_its_own_apps_alone(gateway: Gateway) -> None:
    await gateway.with_app("acme-mail")
    reader = await gateway.key(Scope.READ, apps=("acme-mail",))
    sender = await gateway.key(Scope.SEND)

    assert (await gateway.call("GET", "/v1/apps/acme-mail/limits", key=reader)).status_code == 200
    assert (await gateway.call("GET", "/v1/apps/acme-chat/limits", key=reader)).status_code == 404
    assert (await gateway.call("GET", "/v1/apps/acme-chat/limits", key=sender)).status_code == 403
