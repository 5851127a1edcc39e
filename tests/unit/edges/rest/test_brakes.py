"""Brakes over HTTP: listed with their evidence, released, undone; by whom, and how often."""

from __future__ import annotations

from typing import Any

import pytest

from stories.post import BAD_TOKEN, unregistered
from unit.edges.rest.gateway import Gateway
from wakeline.model.app import ApnsEnvironment, AppSettings
from wakeline.model.device import TargetState
from wakeline.model.key import Scope
from wakeline.model.route import ProviderKind

pytestmark = pytest.mark.anyio

PHONES = 60
APP = "/v1/apps/acme-chat"


async def run(gateway: Gateway) -> None:
    """Let everything happen that can happen now."""
    pipeline = gateway.pipeline
    for _ in range(1000):
        pipeline.watch.refresh()
        busy = await pipeline.dispatch.turn()
        for post in gateway.posts.values():
            busy |= post.deliver()
        if not pipeline.settle.idle:
            busy |= await pipeline.settle.flush()
        if not busy:
            return
    raise AssertionError("it never comes to rest")


def wrong_setting(gateway: Gateway, *, wrong: bool) -> None:
    gateway.posts[ProviderKind.APNS].to_all = BAD_TOKEN if wrong else None


@pytest.fixture
async def braked(gateway: Gateway) -> Gateway:
    """A gateway whose app was put into the wrong environment, and whose route stopped for it."""
    await gateway.with_app()
    app = gateway.store.apps.get("acme-chat")
    assert app is not None
    settings = AppSettings(apns_environment=ApnsEnvironment.PRODUCTION, limits=False, max_devices_per_user=0)
    await gateway.store.apps.update(app.id, settings=settings)
    for number in range(PHONES):
        target = {"kind": "apns", "value": f"{number:064x}", "topic": "com.acme.chat"}
        await gateway.call("PUT", f"{APP}/devices/phone-{number}", json={"user": "crowd", "targets": [target]})
    wrong_setting(gateway, wrong=True)
    gateway.clock.advance(60)
    await gateway.call("POST", f"{APP}/notifications", json={"to": {"users": ["crowd"]}, "alert": {"title": "Hello"}})
    await run(gateway)
    return gateway


async def brakes(gateway: Gateway, **more: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await gateway.call("GET", "/v1/brakes", **more)).json()["brakes"]
    return found


async def test_a_closed_brake_is_listed_with_its_evidence(braked: Gateway) -> None:
    [brake] = await brakes(braked)

    assert (brake["app"], brake["provider"], brake["environment"]) == ("acme-chat", "apns", "production")
    assert (brake["state"], brake["released_at"], brake["undone_at"]) == ("closed", None, None)
    assert (brake["answers"], brake["doubtful"], brake["distinct"], brake["share"]) == (20, 20, 20, 1.0)
    assert brake["reasons"] == [{"reason": "BadDeviceToken", "count": 20}]
    assert (brake["hold"]["reason"], brake["hold"]["code"]) == ("brake", 902)
    assert brake["waiting"] == PHONES - 19


async def test_released_it_sends_again_and_a_second_release_changes_nothing(braked: Gateway) -> None:
    wrong_setting(braked, wrong=False)
    released = await braked.call("POST", "/v1/brakes/1/release")
    braked.clock.advance(5)
    again = await braked.call("POST", "/v1/brakes/1/release")
    await run(braked)

    assert (released.json()["state"], released.json()["hold"]) == ("released", None)
    assert again.json()["released_at"] == released.json()["released_at"]
    assert (await brakes(braked))[0]["waiting"] == 0


async def test_a_route_released_by_its_own_door_releases_the_brake(braked: Gateway) -> None:
    [brake] = await brakes(braked)
    await braked.call("POST", f"/v1/routes/{brake['route']}/release")
    assert [one["state"] for one in await brakes(braked)] == ["released"]


async def test_undone_leaves_no_token_out_of_use_and_may_be_repeated(braked: Gateway) -> None:
    undone = await braked.call("POST", "/v1/brakes/1/undo", json={})
    again = await braked.call("POST", "/v1/brakes/1/undo", json={})

    assert undone.json()["brake"]["state"] == "undone"
    assert again.json()["restored"] == 0
    assert again.json()["brake"]["undone_at"] == undone.json()["brake"]["undone_at"]
    counts = await braked.store.devices.app_counts(1)
    assert counts == {TargetState.ACTIVE: PHONES + 1, TargetState.QUARANTINED: 0, TargetState.RETIRED: 0}


async def test_undo_takes_proof_back_only_if_all_is_asked_for(gateway: Gateway, braked: Gateway) -> None:
    await braked.call("POST", "/v1/brakes/1/release")
    wrong_setting(braked, wrong=False)
    await run(braked)
    apple = braked.posts[ProviderKind.APNS]
    await braked.call("POST", f"{APP}/notifications", json={"to": {"users": ["alice"]}, "alert": {"title": "x"}})
    braked.clock.advance(60)
    apple.to_token["ab" * 32].append(unregistered(braked.clock.now()))
    await run(braked)
    until = {"since": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}

    some = await braked.call("POST", "/v1/brakes/1/undo", json=until)
    everything = await braked.call("POST", "/v1/brakes/1/undo", json=until | {"all": True})

    assert (some.json()["restored"], everything.json()["restored"]) == (0, 1)
    assert everything.json()["brake"]["restored"] == 1


async def test_a_bound_key_neither_sees_nor_turns_brakes_of_others(braked: Gateway) -> None:
    await braked.call("POST", "/v1/apps", json={"id": "other"})
    bound = await braked.key(Scope.ADMIN, apps=("other",))

    assert await brakes(braked, key=bound) == []
    assert (await braked.call("GET", "/v1/brakes?app=acme-chat", key=bound)).status_code == 404
    assert (await braked.call("POST", "/v1/brakes/1/release", key=bound)).status_code == 404
    assert (await braked.call("POST", "/v1/brakes/1/undo", key=bound, json={})).status_code == 404


async def test_reading_needs_read_and_turning_needs_admin(braked: Gateway) -> None:
    reader = await braked.key(Scope.READ)
    sender = await braked.key(Scope.SEND)

    assert len(await brakes(braked, key=reader)) == 1
    assert (await braked.call("GET", "/v1/brakes", key=sender)).status_code == 403
    assert (await braked.call("POST", "/v1/brakes/1/release", key=reader)).status_code == 403
    assert (await braked.call("POST", "/v1/brakes/1/undo", key=reader, json={})).status_code == 403


@pytest.mark.parametrize("brake", ["2", "nonsense", "9" * 30, "-1"])
async def test_an_unknown_brake_is_not_found(braked: Gateway, brake: str) -> None:
    answer = await braked.call("POST", f"/v1/brakes/{brake}/undo", json={})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_brakes_of_one_app_can_be_asked_for(braked: Gateway) -> None:
    await braked.call("POST", "/v1/apps", json={"id": "other"})

    assert len((await braked.call("GET", "/v1/brakes?app=acme-chat")).json()["brakes"]) == 1
    assert (await braked.call("GET", "/v1/brakes?app=other")).json() == {"brakes": []}
    assert (await braked.call("GET", "/v1/brakes?app=nobody")).status_code == 404
