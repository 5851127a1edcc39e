"""Administration of our own Bitrix24 portal: what is made is shown once, and works at once."""

from __future__ import annotations

from typing import Any

import pytest

from unit.edges.rest.gateway import Gateway
from wakeline.edges.bitrix24 import secrets
from wakeline.edges.bitrix24.scopes import ALL
from wakeline.edges.bitrix24.table import METHODS
from wakeline.model.key import Scope

pytestmark = pytest.mark.anyio

APPLICATION = {"name": "Sales", "app": "acme-chat", "redirect_uri": "myapp://back"}


async def made(gateway: Gateway, **more: Any) -> Any:
    await gateway.with_app()
    answer = await gateway.call("POST", "/v1/bitrix24/applications", json=APPLICATION | more)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_an_application_shows_its_secrets_once_and_keeps_digests(gateway: Gateway) -> None:
    application = await made(gateway)
    listed = await gateway.call("GET", "/v1/bitrix24/applications")
    shown = await gateway.call("GET", f"/v1/bitrix24/applications/{application['client_id']}")
    kept = gateway.store.portal_access.application_of(application["client_id"])

    assert application["scopes"] == list(ALL)
    assert application["client_secret"] not in listed.text + shown.text
    assert application["application_token"] not in listed.text + shown.text
    assert kept is not None
    assert secrets.matches(application["client_secret"], kept.secret)
    assert kept.application_token == application["application_token"]
    assert shown.json()["app"] == "acme-chat"


async def test_an_application_is_found_by_client_id_and_number_and_forgotten(gateway: Gateway) -> None:
    application = await made(gateway)
    token = {"application": application["client_id"], "user": 1}
    access = (await gateway.call("POST", "/v1/bitrix24/tokens", json=token)).json()["access_token"]
    for name in (application["client_id"], str(application["id"])):
        assert (await gateway.call("GET", f"/v1/bitrix24/applications/{name}")).status_code == 200
    deleted = await gateway.call("DELETE", f"/v1/bitrix24/applications/{application['client_id']}")
    again = await gateway.call("DELETE", f"/v1/bitrix24/applications/{application['client_id']}")

    assert (deleted.status_code, again.status_code) == (204, 404)
    assert await gateway.store.portal_access.grant_by_access(secrets.digest(access)) is None


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"app": "none"}, "/app"),
        ({"redirect_uri": "javascript:alert(1)"}, "/redirect_uri"),
        ({"redirect_uri": "https://app.test/#x"}, "/redirect_uri"),
        ({"scopes": ["Not A Scope"]}, "/scopes/0"),
        ({"users": [0]}, "/users/0"),
    ],
)
async def test_a_wrong_application_is_refused_at_its_field(gateway: Gateway, wrong: Any, pointer: str) -> None:
    await gateway.with_app()
    created = await gateway.call("POST", "/v1/bitrix24/applications", json=APPLICATION | wrong)
    there = (await gateway.call("POST", "/v1/bitrix24/applications", json=APPLICATION)).json()
    changed = await gateway.call("PATCH", f"/v1/bitrix24/applications/{there['client_id']}", json=wrong)

    for answer in (created, changed):
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == pointer


async def test_an_application_changes_where_told_and_stays_elsewhere(gateway: Gateway) -> None:
    application = await made(gateway, users=[1])
    path = f"/v1/bitrix24/applications/{application['client_id']}"
    patch = {"name": "", "scopes": ["crm", "crm"], "users": [], "manifest": False}
    changed = (await gateway.call("PATCH", path, json=patch)).json()

    assert (changed["name"], changed["scopes"], changed["users"], changed["manifest"]) == ("", ["crm"], [], False)
    assert changed["redirect_uri"] == "myapp://back"
    assert (await gateway.call("PATCH", path, json={"redirect_uri": ""})).json()["redirect_uri"] == ""


async def test_a_webhook_shows_its_address_once_and_makes_its_user(gateway: Gateway) -> None:
    answer = await gateway.call("POST", "/v1/bitrix24/webhooks", json={"user": 5, "scopes": ["crm", "pull"]})
    url = answer.json()["url"]
    code = url.rstrip("/").rpartition("/")[2]
    kept = gateway.store.portal_access.webhook_by(secrets.digest(code))
    user = await gateway.store.portal_access.user(5)

    assert url == f"http://127.0.0.1:8750/rest/5/{code}/"
    assert len(code) == 16
    assert kept is not None
    assert kept.scopes == ("crm", "pull")
    assert user is not None
    assert not user.admin
    listed = await gateway.call("GET", "/v1/bitrix24/webhooks")
    assert code not in listed.text
    assert (await gateway.call("DELETE", f"/v1/bitrix24/webhooks/{kept.id}")).status_code == 204
    assert gateway.store.portal_access.webhook_by(secrets.digest(code)) is None
    assert (await gateway.call("DELETE", f"/v1/bitrix24/webhooks/{kept.id}")).status_code == 404
    assert (await gateway.call("DELETE", "/v1/bitrix24/webhooks/x")).status_code == 404


async def test_tokens_without_a_browser_are_those_of_one_who_signed_in(gateway: Gateway) -> None:
    application = await made(gateway, scopes=["pull"])
    asked = {"application": application["client_id"], "user": 7, "admin": True}
    token = (await gateway.call("POST", "/v1/bitrix24/tokens", json=asked)).json()
    grant = await gateway.store.portal_access.grant_by_access(secrets.digest(token["access_token"]))
    user = await gateway.store.portal_access.user(7)

    assert grant is not None
    assert (grant.user, grant.scopes) == (7, ("pull",))
    assert grant.access_expires == gateway.clock.now() + 3_600_000
    assert secrets.matches(token["refresh_token"], grant.refresh)
    assert user is not None
    assert user.admin


async def test_a_restricted_application_gives_others_no_tokens(gateway: Gateway) -> None:
    application = await made(gateway, users=[1])
    asked = {"application": application["client_id"], "user": 2}

    assert (await gateway.call("POST", "/v1/bitrix24/tokens", json=asked)).status_code == 422
    assert (await gateway.call("POST", "/v1/bitrix24/tokens", json=asked | {"application": "x"})).status_code == 404
    assert await gateway.store.portal_access.user(2) is None


async def test_a_user_gets_a_password_that_nobody_can_read(gateway: Gateway) -> None:
    new = {"id": 3, "login": "Carl", "password": "long enough", "admin": True}
    user = (await gateway.call("POST", "/v1/bitrix24/users", json=new)).json()
    kept = await gateway.store.portal_access.user(3)

    assert user["signs_in"]
    assert "password" not in user
    assert kept is not None
    assert kept.password.startswith("$argon2id$")
    gone = (await gateway.call("PATCH", "/v1/bitrix24/users/3", json={"password": None, "active": False})).json()
    assert (gone["signs_in"], gone["active"], gone["admin"]) == (False, False, True)


async def test_the_same_user_again_is_answered_and_another_one_is_a_conflict(gateway: Gateway) -> None:
    new = {"id": 3, "login": "carl"}
    statuses = [
        (await gateway.call("POST", "/v1/bitrix24/users", json=body)).status_code
        for body in (
            new,
            new,
            new | {"admin": True},
            {"id": 4, "login": "CARL"},
            {"id": 0},
            new | {"password": "short"},
        )
    ]

    assert statuses == [201, 200, 409, 409, 422, 422]
    assert (await gateway.call("PATCH", "/v1/bitrix24/users/9", json={})).status_code == 404
    assert [one["id"] for one in (await gateway.call("GET", "/v1/bitrix24/users")).json()["users"]] == [3]


async def test_the_portals_switches_are_its_operators(gateway: Gateway) -> None:
    before = (await gateway.call("GET", "/v1/bitrix24/portal")).json()
    patch = {"domain": "crm.test:8443", "closed": True, "blocked": True, "plan": "free", "license": "ru_basic"}
    after = (await gateway.call("PATCH", "/v1/bitrix24/portal", json=patch)).json()
    state = gateway.store.portal_access.portal()

    assert (before["plan"], before["closed"], before["blocked"]) == ("commercial", False, False)
    assert after["member_id"] == before["member_id"]
    assert after["address"] == "http://crm.test:8443"
    assert (state.closed, state.blocked, state.commercial, state.license) == (True, True, False, "ru_basic")
    for wrong in ({"domain": "a/b"}, {"plan": "gold"}, {"member_id": "x"}, {"license": "X y"}):
        assert (await gateway.call("PATCH", "/v1/bitrix24/portal", json=wrong)).status_code == 422


async def test_nobody_but_an_administrator_of_the_installation_may(gateway: Gateway) -> None:
    keys = [await gateway.key(Scope.SEND, Scope.CREDENTIALS), await gateway.key(Scope.ADMIN, apps=("acme-chat",))]
    for key in keys:
        for path in ("portal", "users", "applications", "webhooks", "audit"):
            assert (await gateway.call("GET", f"/v1/bitrix24/{path}", key=key)).status_code == 403


async def test_the_audit_is_read_over_rest(gateway: Gateway) -> None:
    await made(gateway)
    checks = (await gateway.call("GET", "/v1/bitrix24/audit")).json()["checks"]

    assert {"name", "status", "cause", "fix"} == set(checks[0])
    assert "users" in [check["name"] for check in checks if check["status"] == "failed"]


def test_all_scopes_are_those_of_the_methods() -> None:
    asked = {method.scope for method in METHODS if method.scope}.union(*(method.narrower for method in METHODS))

    assert asked <= set(ALL)
