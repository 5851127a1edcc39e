"""Silence over REST: how slices do, who fell silent and who did; and only of the apps that a key sees."""

from __future__ import annotations

import msgspec
import pytest

from unit.edges.rest.gateway import Gateway
from wakeline.model.key import Scope
from wakeline.model.route import Lane
from wakeline.model.silence import CAUSES, HOUR, Count, Slice, SliceKind, Suspicion, Traits

pytestmark = pytest.mark.anyio

PIXEL = Traits("android", "14", "Pixel 8")


@pytest.fixture
async def gateway() -> Gateway:
    gateway = Gateway()
    gateway.admin = await gateway.key(Scope.ADMIN)
    for slug in ("acme-chat", "other"):
        await gateway.with_app(slug)
    now = gateway.clock.now()
    apps = [app.id for app in gateway.store.apps.all()]
    silent = Suspicion(
        app=apps[0],
        part=Slice(SliceKind.MODEL, "android", "Pixel 8"),
        since=now - HOUR,
        noticed=now,
        sent=40,
        heard=10,
        usual=0.9,
    )
    over = msgspec.structs.replace(silent, part=Slice(SliceKind.PLATFORM, "ios"), until=now)
    counts = [
        Count(app=app, hour=now // HOUR - ago, lane=Lane.ALERT, traits=PIXEL, sent=10, heard=heard)
        for app in apps
        for ago, heard in ((1, 3), (30, 9))
    ]
    await gateway.store.silence.record(counts, [over, over, silent], [], mark=None)
    await gateway.pipeline.maintain.tick()
    return gateway


async def test_it_shows_who_is_silent_who_was_and_how_all_slices_do(gateway: Gateway) -> None:
    body = (await gateway.call("GET", "/v1/silence", params={"app": "acme-chat", "limit": 1})).json()

    [silent], [over] = body["silent"], body["over"]
    assert (silent["app"], silent["slice"], silent["platform"], silent["value"]) == (
        "acme-chat",
        "model",
        "android",
        "Pixel 8",
    )
    assert (silent["sent"], silent["share"], silent["usual_share"], silent["ended_at"]) == (40, 0.25, 0.9, None)
    assert silent["cause"] == CAUSES[SliceKind.MODEL]
    assert (over["slice"], over["ended_at"] is None, over["taken_for_usual"]) == ("platform", False, False)
    assert [one["slice"] for one in body["slices"]] == ["app", "platform", "os_version", "model"]
    assert [one["silent"] for one in body["slices"]] == [False, False, False, True]
    assert body["slices"][0]["day"] == {"sent": 10, "confirmed": 3, "share": 0.3}
    assert body["slices"][0]["week"] == {"sent": 10, "confirmed": 9, "share": 0.9}


async def test_a_key_of_an_app_is_told_of_no_other(gateway: Gateway) -> None:
    bound = await gateway.key(Scope.READ, apps=("other",))

    seen = (await gateway.call("GET", "/v1/silence", key=bound)).json()
    hidden = await gateway.call("GET", "/v1/silence", key=bound, params={"app": "acme-chat"})

    assert {one["app"] for one in seen["slices"]} == {"other"}
    assert (seen["silent"], seen["over"]) == ([], [])
    assert hidden.status_code == 404


async def test_a_slice_to_which_nothing_was_sent_of_late_has_no_share(gateway: Gateway) -> None:
    gateway.clock.advance(30 * 3600)
    [whole, *_] = (await gateway.call("GET", "/v1/silence", params={"app": "other"})).json()["slices"]

    assert whole["day"] == {"sent": 0, "confirmed": 0, "share": None}


async def test_metrics_count_the_silences_that_last(gateway: Gateway) -> None:
    scraped = (await gateway.call("GET", "/metrics")).text

    assert 'wakeline_silences{app="acme-chat"} 1.0' in scraped
    assert 'wakeline_silences{app="other"} 0.0' in scraped
