"""The doctor's lines about hosts of connected portals, over a memory store."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from unit.doctor.surgery import ports_of
from unit.edges.rest.gateway import Gateway
from wakeline.doctor import connected_portals, reaching
from wakeline.model.bitrix24.installation import Installation, InstallationState, WebhookAccess
from wakeline.model.errors import AddressRefused, ConnectFailed
from wakeline.observe.health import Check, Status

pytestmark = pytest.mark.anyio
GOOD = Installation(
    id=0,
    name="",
    app=0,
    access=WebhookAccess(url="https://crm.test:8443/rest/1/secret0123456789/"),
    client_endpoint="https://crm.test:8443/rest/",
    server_endpoint="https://oauth.test/rest/",
    state=InstallationState.ACTIVE,
)


@pytest.fixture
async def gateway() -> Gateway:
    made = Gateway()
    await made.with_app()
    return made


async def connect(gateway: Gateway, **fields: Any) -> Installation:
    app = gateway.store.apps.get("acme-chat")
    assert app is not None
    name = f"name{len(gateway.store.installations.all())}"
    return await gateway.store.installations.create(msgspec.structs.replace(GOOD, app=app.id, name=name, **fields))


async def lines(gateway: Gateway) -> list[Check]:
    return list(await connected_portals.look(ports_of(gateway)))


async def test_without_a_connected_portal_nobody_is_asked(gateway: Gateway) -> None:
    assert [line.status for line in await lines(gateway)] == [Status.SKIPPED]
    assert gateway.probe.asked == []


async def test_a_portal_and_its_oauth_server_are_asked_once_for_all(gateway: Gateway) -> None:
    first, second = await connect(gateway), await connect(gateway, client_endpoint="https://other.test/rest/")
    found = await lines(gateway)

    assert {line.status for line in found} == {Status.OK}
    names = [f"connected portal {number}" for number in (first.id, first.id, second.id, second.id)]
    assert [line.name for line in found] == names
    assert sorted(gateway.probe.asked) == ["crm.test:8443", "oauth.test", "other.test"]


@pytest.mark.parametrize("state", [InstallationState.DEAD, InstallationState.WAITING])
async def test_a_portal_that_does_not_let_us_in_is_not_asked(gateway: Gateway, state: InstallationState) -> None:
    await connect(gateway, state=state)

    assert await lines(gateway) == []
    assert gateway.probe.asked == []


async def test_a_portal_in_clear_has_no_certificate_to_look_at(gateway: Gateway) -> None:
    await connect(gateway, client_endpoint="http://10.0.0.3/rest/", server_endpoint="")

    assert await lines(gateway) == []


@pytest.mark.parametrize(
    ("failure", "said", "todo"),
    [
        (ConnectFailed("crm.test cannot be resolved: no such name"), "cannot be resolved", "network"),
        (AddressRefused("crm.test resolves to 10.0.0.3"), "Nothing is asked there", "connected_hosts"),
    ],
)
async def test_a_portal_that_cannot_be_asked_is_a_failure(
    gateway: Gateway, failure: ConnectFailed | AddressRefused, said: str, todo: str
) -> None:
    await connect(gateway, server_endpoint="")
    gateway.probe.failures["crm.test:8443"] = failure
    (line,) = await lines(gateway)

    assert line.status is Status.FAILED
    assert said in line.cause
    assert todo in line.fix
    assert "secret" not in repr(line)


async def test_a_portal_that_takes_its_time_is_left(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaching, "PATIENCE", 0.05)
    await connect(gateway)
    gateway.probe.silent.add("crm.test:8443")

    assert [line.status for line in await lines(gateway)] == [Status.SKIPPED, Status.OK]
