from __future__ import annotations

import pytest

from unit.edges.rest.gateway import Gateway
from wakeline.model.bitrix24.broker import key_digest, seen_from
from wakeline.model.key import Scope

pytestmark = pytest.mark.anyio

LICENCE = "0123456789abcdef0123456789abcdef"


async def test_a_licence_key_is_bound_listed_without_its_text_and_removed(gateway: Gateway) -> None:
    await gateway.with_app()

    bound = await gateway.call(
        "POST",
        "/v1/bitrix24/keys",
        json={"app": "acme-chat", "key": LICENCE, "name": "Office", "topic": "com.acme.chat"},
    )
    kept = gateway.store.portal_keys.by_digest(key_digest(LICENCE))
    assert kept is not None
    seen, _ = seen_from(kept, "portal.example", "192.0.2.1", gateway.clock.now())
    await gateway.store.portal_keys.remember(seen)
    listed = await gateway.call("GET", "/v1/bitrix24/keys")
    removed = await gateway.call("DELETE", f"/v1/bitrix24/keys/{bound.json()['id']}")

    assert bound.status_code == 201
    assert (bound.json()["key"], bound.json()["url"]) == (LICENCE, f"/bitrix24/send/?key={LICENCE}")
    [shown] = listed.json()["keys"]
    assert (shown["app"], shown["name"], shown["topic"], shown["ending"]) == (
        "acme-chat",
        "Office",
        "com.acme.chat",
        "abcdef",
    )
    assert [(one["host"], one["address"]) for one in shown["sources"]] == [("portal.example", "192.0.2.1")]
    assert LICENCE not in listed.text
    assert removed.status_code == 204
    assert gateway.store.portal_keys.all() == []


async def test_without_a_key_one_is_made(gateway: Gateway) -> None:
    await gateway.with_app()

    made = (await gateway.call("POST", "/v1/bitrix24/keys", json={"app": "acme-chat"})).json()

    assert len(made["key"]) == 32
    assert gateway.store.portal_keys.by_digest(key_digest(made["key"])) is not None


async def test_a_key_is_bound_to_one_app(gateway: Gateway) -> None:
    await gateway.with_app()
    await gateway.call("POST", "/v1/apps", json={"id": "other"})
    await gateway.call("POST", "/v1/bitrix24/keys", json={"app": "acme-chat", "key": LICENCE})

    assert (await gateway.call("POST", "/v1/bitrix24/keys", json={"app": "other", "key": LICENCE})).status_code == 409


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"app": "none"}, "/app"),
        ({"app": "acme-chat", "key": "short"}, "/key"),
        ({"app": "acme-chat", "key": f"{LICENCE}?&"}, "/key"),
        ({"app": "acme-chat", "topic": "a b"}, "/topic"),
    ],
)
async def test_wrong_keys_are_refused_with_their_pointer(gateway: Gateway, body: dict[str, str], pointer: str) -> None:
    await gateway.with_app()

    answer = await gateway.call("POST", "/v1/bitrix24/keys", json=body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("number", ["77", "x", "9" * 30, "%C2%B2"])
async def test_a_key_that_is_not_there_cannot_be_removed(gateway: Gateway, number: str) -> None:
    assert (await gateway.call("DELETE", f"/v1/bitrix24/keys/{number}")).status_code == 404


async def test_only_an_administrator_of_the_installation_binds_keys(gateway: Gateway) -> None:
    await gateway.with_app()
    sender = await gateway.key(Scope.SEND)
    bound = await gateway.key(Scope.ADMIN, apps=("acme-chat",))

    for key in (sender, bound):
        assert (await gateway.call("GET", "/v1/bitrix24/keys", key=key)).status_code == 403
