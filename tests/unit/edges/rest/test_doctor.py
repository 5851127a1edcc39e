"""`GET /v1/doctor`: its shape, what it looks at, who may ask."""

from __future__ import annotations

import pytest

from unit.edges.rest.gateway import Gateway
from wakeline.model.bitrix24.access import PortalUser
from wakeline.model.bitrix24.broker import PortalKey, key_digest, seen_from
from wakeline.model.errors import ConnectFailed
from wakeline.model.key import Scope

pytestmark = pytest.mark.anyio


async def test_it_answers_lines_about_gateway_portal_and_push_service(gateway: Gateway) -> None:
    await gateway.with_app()
    app = gateway.store.apps.get("acme-chat")
    assert app is not None
    key = PortalKey(id=0, app=app.id, digest=key_digest("licence"), ending="icence", name="Office")
    bound, _ = seen_from(await gateway.store.portal_keys.bind(key), "gone.test", "192.0.2.7", gateway.clock.now())
    await gateway.store.portal_keys.remember(bound)
    await gateway.store.portal_access.put_user(PortalUser(id=1, admin=True))
    gateway.probe.failures["gone.test"] = ConnectFailed("gone.test:443: no connection")
    answer = await gateway.call("GET", "/v1/doctor")
    checks = answer.json()["checks"]
    names = [check["name"] for check in checks]

    assert answer.status_code == 200
    assert names[:4] == ["process", "store", "queue", "loops"]
    assert "own portal: applications" in names
    assert ("push service Office", "warning") in [(check["name"], check["status"]) for check in checks]
    assert all(set(check) == {"name", "status", "cause", "fix"} for check in checks)
    assert all(check["cause"] for check in checks)
    assert {check["status"] for check in checks} <= {"ok", "warning", "failed", "skipped"}


async def test_one_app_and_one_user_can_be_asked_for(gateway: Gateway) -> None:
    await gateway.with_app()
    await gateway.with_app("acme-mail")
    chat = {"app": "acme-chat"}

    async def names(**query: str) -> dict[str, str]:
        answer = await gateway.call("GET", "/v1/doctor", params=query)
        assert answer.status_code == 200
        return {check["name"]: check["status"] for check in answer.json()["checks"]}

    everything, of_app = await names(), await names(**chat)
    alice, nobody = await names(**chat, user="alice"), await names(**chat, user="nobody")

    assert {"app acme-chat", "app acme-mail"} <= set(everything)
    assert not [name for name in of_app if name.endswith("acme-mail")]
    assert (alice["user alice of acme-chat"], nobody["user nobody of acme-chat"]) == ("ok", "failed")
    assert "failed" not in alice.values()
    assert (await gateway.call("GET", "/v1/doctor", params={"app": "nothing"})).status_code == 404
    assert (await gateway.call("GET", "/v1/doctor", params={"ap": "acme-chat"})).status_code == 422


async def test_a_key_that_is_bound_to_apps_is_told_of_these_and_of_nothing_else(gateway: Gateway) -> None:
    await gateway.with_app()
    await gateway.with_app("acme-mail")
    bound = await gateway.key(Scope.READ, apps=("acme-chat",))
    answer = await gateway.call("GET", "/v1/doctor", key=bound)
    names = {check["name"] for check in answer.json()["checks"]}
    other = await gateway.call("GET", "/v1/doctor", key=bound, params={"app": "acme-mail"})

    assert answer.status_code == 200
    assert {"app acme-chat", "limits of acme-chat"} <= names
    assert not [name for name in names if "acme-mail" in name]
    assert not {"disk", "write-ahead log", "public_url", "store", "process"} & names
    assert not [name for name in names if "portal" in name]
    assert other.status_code == 404


async def test_it_takes_a_key_that_may_read(gateway: Gateway) -> None:
    await gateway.with_app()
    reader, sender = await gateway.key(Scope.READ), await gateway.key(Scope.SEND)

    assert (await gateway.call("GET", "/v1/doctor", key=reader)).status_code == 200
    assert (await gateway.call("GET", "/v1/doctor", key="")).status_code == 401
    assert (await gateway.call("GET", "/v1/doctor", key=sender)).status_code == 403
