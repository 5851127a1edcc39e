from __future__ import annotations

import pytest

from unit.edges.rest.gateway import Gateway

pytestmark = pytest.mark.anyio


async def test_a_key_is_shown_once_listed_without_its_text_and_revoked(gateway: Gateway) -> None:
    made = await gateway.call("POST", "/v1/keys", json={"name": "backend", "scopes": ["read"]})
    key = made.json()
    works = await gateway.call("GET", "/v1/apps", key=key["key"])
    listed = await gateway.call("GET", "/v1/keys")
    revoked = await gateway.call("DELETE", f"/v1/keys/{key['id']}")
    after = await gateway.call("GET", "/v1/apps", key=key["key"])

    assert made.status_code == 201
    assert key["key"].startswith("wk_")
    assert len(key["key"]) == 46
    assert (works.status_code, revoked.status_code, after.status_code) == (200, 204, 401)
    assert key["key"] not in listed.text
    shown = listed.json()["keys"][1]
    assert (shown["name"], shown["prefix"], shown["revoked"]) == ("backend", key["key"][:9], None)


async def test_a_key_bound_to_an_app_works_there_alone(gateway: Gateway) -> None:
    await gateway.with_app()
    await gateway.call("POST", "/v1/apps", json={"id": "other"})
    key = (await gateway.call("POST", "/v1/keys", json={"scopes": ["devices"], "apps": ["acme-chat"]})).json()["key"]

    own = await gateway.call("PUT", "/v1/apps/acme-chat/devices/d", key=key, json={})
    foreign = await gateway.call("PUT", "/v1/apps/other/devices/d", key=key, json={})

    assert (own.status_code, foreign.status_code) == (201, 404)


async def test_wrong_keys_are_refused_with_their_pointer(gateway: Gateway) -> None:
    for body, pointer in (
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["root"]}, "/scopes/0"),
        ({"scopes": ["read"], "apps": ["none"]}, "/apps/0"),
        ({"scopes": ["read"], "expires": "2020-01-01T00:00:00Z"}, "/expires"),
    ):
        answer = await gateway.call("POST", "/v1/keys", json=body)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == pointer


async def test_a_key_that_is_not_there_cannot_be_revoked(gateway: Gateway) -> None:
    assert (await gateway.call("DELETE", "/v1/keys/77")).status_code == 404
