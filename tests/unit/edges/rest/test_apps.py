from __future__ import annotations

import msgspec
import pytest

from unit.edges.rest.gateway import Gateway
from wakeline.edges.rest.apps import SettingsPatch
from wakeline.model.app import AppSettings
from wakeline.model.key import Scope

pytestmark = pytest.mark.anyio


async def test_an_app_is_made_listed_shown_changed_and_forgotten(gateway: Gateway) -> None:
    made = await gateway.call("POST", "/v1/apps", json={"id": "acme-chat", "name": "Acme"})
    listed = await gateway.call("GET", "/v1/apps")
    changed = await gateway.call(
        "PATCH", "/v1/apps/acme-chat", json={"settings": {"calls_by": "alert"}, "paused": True}
    )
    shown = await gateway.call("GET", "/v1/apps/acme-chat")
    gone = await gateway.call("DELETE", "/v1/apps/acme-chat")
    after = await gateway.call("GET", "/v1/apps/acme-chat")

    assert made.status_code == 201
    assert made.json()["id"] == "acme-chat"
    assert [app["id"] for app in listed.json()["apps"]] == ["acme-chat"]
    assert changed.json()["paused"] is True
    assert shown.json()["settings"]["calls_by"] == "alert"
    assert shown.json()["settings"]["limits"] is True
    assert (gone.status_code, gone.content) == (204, b"")
    assert after.status_code == 404


async def test_the_same_app_again_is_answered_and_another_name_is_a_conflict(gateway: Gateway) -> None:
    await gateway.call("POST", "/v1/apps", json={"id": "acme-chat", "name": "Acme"})

    same = await gateway.call("POST", "/v1/apps", json={"id": "acme-chat", "name": "Acme"})
    other = await gateway.call("POST", "/v1/apps", json={"id": "acme-chat", "name": "Other"})

    assert (same.status_code, same.json()["name"]) == (200, "Acme")
    assert (other.status_code, other.json()["code"]) == (409, "conflict")


@pytest.mark.parametrize("slug", ["", "UPPER", "a b", "-a", "a/b", "x" * 64, "acme\n"])
async def test_a_slug_that_cannot_stand_in_a_path_is_refused_with_its_pointer(gateway: Gateway, slug: str) -> None:
    answer = await gateway.call("POST", "/v1/apps", json={"id": slug})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/id"


async def test_a_bound_key_sees_its_apps_only(gateway: Gateway) -> None:
    for slug in ("one", "two"):
        await gateway.call("POST", "/v1/apps", json={"id": slug})
    bound = await gateway.key(Scope.READ, apps=("one",))

    listed = await gateway.call("GET", "/v1/apps", key=bound)
    other = await gateway.call("GET", "/v1/apps/two", key=bound)
    absent = await gateway.call("GET", "/v1/apps/three", key=bound)

    assert [app["id"] for app in listed.json()["apps"]] == ["one"]
    assert other.status_code == absent.status_code == 404
    assert other.json()["detail"].replace("two", "three") == absent.json()["detail"]


async def test_a_key_bound_to_an_app_makes_no_apps_and_no_keys(gateway: Gateway) -> None:
    await gateway.call("POST", "/v1/apps", json={"id": "one"})
    bound = await gateway.key(Scope.ADMIN, apps=("one",))

    app = await gateway.call("POST", "/v1/apps", key=bound, json={"id": "more"})
    key = await gateway.call("POST", "/v1/keys", key=bound, json={"scopes": ["admin"]})

    assert app.status_code == key.status_code == 403


def test_every_setting_of_an_app_can_be_patched() -> None:
    names = [field.name for field in msgspec.structs.fields(SettingsPatch)]

    assert names == [field.name for field in msgspec.structs.fields(AppSettings)]


async def test_an_app_shows_how_its_targets_fare(gateway: Gateway) -> None:
    await gateway.with_app()
    before = (await gateway.call("GET", "/v1/apps/acme-chat")).json()["targets"]
    gateway.clock.advance(40 * 86400)
    await gateway.pipeline.maintain.stale.walk()
    after = (await gateway.call("GET", "/v1/apps/acme-chat")).json()["targets"]

    assert (before["active"], before["quarantined"], before["retired"], before["stale"]) == (1, 0, 0, None)
    assert (after["stale"], after["stale_devices"]) == (1, 1)
    scraped = (await gateway.call("GET", "/metrics")).text
    assert 'wakeline_targets{app="acme-chat",state="active"} 1.0' in scraped
    assert 'wakeline_targets_stale{app="acme-chat"} 1.0' in scraped
    explained = (await gateway.call("GET", "/v1/explain?q=ios-1")).json()
    assert explained["verdict"] == "active, but stale: not heard of for 40 days"
