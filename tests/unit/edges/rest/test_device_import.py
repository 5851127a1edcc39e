from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from unit.edges.rest.gateway import START, TOKEN, Gateway
from wakeline.model.device import Device
from wakeline.model.errors import StoreUnavailable
from wakeline.model.key import Scope
from wakeline.observe.health import Phase

pytestmark = pytest.mark.anyio

PATH = "/v1/apps/acme-chat/devices"
NDJSON = {"content-type": "application/x-ndjson"}


@pytest.fixture
async def app(gateway: Gateway) -> Gateway:
    await gateway.with_app()
    return gateway


def line(device: str, token: str = TOKEN, **more: Any) -> str:
    return json.dumps({"device": device, "user": "alice", "targets": [{"kind": "apns", "value": token}]} | more)


async def post(app: Gateway, *lines: str, **more: Any) -> httpx2.Response:
    return await app.call("POST", PATH, content="\n".join(lines).encode(), headers=NDJSON, **more)


async def stored(app: Gateway, name: str) -> Device:
    found = app.store.apps.get("acme-chat")
    assert found is not None
    device = await app.store.devices.get(found.id, name)
    assert device is not None
    return device


async def test_every_line_is_a_device(app: Gateway) -> None:
    lines = [line(f"phone-{number}", f"{number:064x}", user=f"user-{number}") for number in range(2300)]

    answer = await post(app, *lines)

    assert (answer.status_code, answer.json()) == (200, {"accepted": 2300, "rejected": []})
    last = await stored(app, "phone-2299")
    assert (last.users, last.targets[0].value) == (("user-2299",), f"{2299:064x}")


async def test_bad_lines_are_named_and_do_not_stop_the_others(app: Gateway) -> None:
    answer = await post(
        app,
        line("good"),
        "{",
        line("raw-1"),
        "",
        line("x" * 256),
        line("y", "no hex"),
        line("z", colour="red"),
        line("big", locale="x" * 70_000),
        line("last", "cd" * 32),
    )

    found = answer.json()
    assert found["accepted"] == 2
    assert [(one["line"], one["problem"]["code"]) for one in found["rejected"]] == [
        (2, "malformed"),
        (3, "invalid"),
        (5, "invalid"),
        (6, "invalid"),
        (7, "invalid"),
        (8, "body_too_large"),
    ]
    assert found["rejected"][3]["problem"]["errors"][0]["pointer"] == "/targets/0/value"


async def test_a_token_without_a_date_was_never_confirmed(app: Gateway) -> None:
    dated = datetime.fromtimestamp(START / 1000 - 3600, UTC).isoformat()
    await post(app, line("a", "ef" * 32), line("b", "cd" * 32, confirmed_at=dated))

    assert (await stored(app, "a")).targets[0].confirmed == 0
    assert (await stored(app, "b")).targets[0].confirmed == START - 3_600_000


async def test_no_token_is_confirmed_in_the_future(app: Gateway) -> None:
    await post(app, line("a", "ef" * 32, confirmed_at="2999-01-01T00:00:00Z"))

    assert (await stored(app, "a")).targets[0].confirmed == START


async def test_the_rule_of_devices_per_user_holds(app: Gateway) -> None:
    await post(app, *(line(f"phone-{number:02}", f"{number:064x}") for number in range(30)))

    found = (await app.call("GET", f"{PATH}?user=alice&limit=100")).json()
    assert [one["device_id"] for one in found["devices"]] == [f"phone-{number:02}" for number in range(18, 30)]


async def test_a_browser_is_taken_as_put_takes_it(app: Gateway) -> None:
    keys = {
        "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "auth": "BTBZMqHH6r4Tts7J_aSIgg",
    }
    target = {"kind": "webpush", "value": "https://push.example.com/wp/1", "keys": keys}

    assert (await post(app, line("browser", targets=[target]))).json()["accepted"] == 1

    assert (await stored(app, "browser")).targets[0].topic == "https://push.example.com"


async def test_needs_the_scope_of_devices_and_no_device_token_will_do(app: Gateway) -> None:
    reader = await app.key(Scope.READ)
    phone = (await app.call("POST", "/v1/apps/acme-chat/device-tokens", json={"user": "u", "device": "d"})).json()

    for key in (reader, phone["token"]):
        assert (await post(app, line("d"), key=key)).status_code == 403


async def test_other_bodies_are_refused(app: Gateway) -> None:
    answer = await app.call("POST", PATH, json={"device": "d"})

    assert answer.status_code == 415
    assert "application/x-ndjson" in answer.json()["fix"]


async def test_a_list_of_wrong_lines_is_not_read_for_ever(app: Gateway) -> None:
    read = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(100):
            read += 1
            yield b"{\n" * 1000

    answer = await app.call("POST", PATH, content=pieces(), headers=NDJSON)

    assert read < 15
    assert len(answer.json()["rejected"]) == 10_001
    assert answer.json()["rejected"][-1]["problem"]["code"] == "body_too_large"
    assert answer.headers["connection"] == "close"


async def test_a_store_that_does_not_take_it_ends_the_request(app: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(_claims: object) -> None:
        raise StoreUnavailable("the disk is full", retry_after=30)

    monkeypatch.setattr(app.store.devices, "put", full)

    answer = await post(app, *(line(f"phone-{number}", f"{number:064x}") for number in range(100)))

    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")


async def test_a_gateway_that_stops_says_so(app: Gateway) -> None:
    app.health.phase = Phase.DRAINING

    assert (await post(app, line("d"))).status_code == 503
