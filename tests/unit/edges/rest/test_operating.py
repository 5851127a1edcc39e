"""Routes, queue, health and metrics: what an operator looks at and turns."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connected_nouns import event, installation, write
from unit.edges.rest.gateway import Gateway
from wakeline.model.credential import CredentialState
from wakeline.model.event import Event, EventType
from wakeline.model.key import Scope
from wakeline.model.webhook import Disabled, EndpointHealth, MessageState
from wakeline.observe.health import Phase
from wakeline.observe.metrics import ENDPOINTS
from wakeline.ports import StoreHealth
from webhook_nouns import listening, message, told

pytestmark = pytest.mark.anyio

SEND = "/v1/apps/acme-chat/notifications"
HELLO = {"to": {"users": ["alice"]}, "alert": {"title": "Hello"}}


@pytest.fixture
async def app(gateway: Gateway) -> Gateway:
    await gateway.with_app()
    await gateway.call("POST", SEND, json=HELLO)
    return gateway


async def test_a_route_is_listed_held_and_released(app: Gateway) -> None:
    [route] = (await app.call("GET", "/v1/routes")).json()["routes"]
    held = await app.call("POST", f"/v1/routes/{route['id']}/hold", json={"cause": "Maintenance at night."})
    shown = (await app.call("GET", SEND + "/" + (await app.call("POST", SEND, json=HELLO)).json()["id"])).json()
    released = await app.call("POST", f"/v1/routes/{route['id']}/release")

    assert (route["app"], route["provider"], route["topic"], route["hold"]) == (
        "acme-chat",
        "apns",
        "com.acme.chat",
        None,
    )
    assert route["waiting"] == 1
    assert (held.json()["hold"]["reason"], held.json()["hold"]["code"]) == ("operator", 902)
    assert "Maintenance at night." in held.json()["hold"]["cause"]
    assert shown["state"] == "held"
    assert released.json()["hold"] is None


async def test_everything_held_is_released_at_once(app: Gateway) -> None:
    await app.call("POST", "/v1/routes/1/hold", json={})

    other = await app.call("POST", "/v1/queue/release", json={"app": "none"})
    released = await app.call("POST", "/v1/queue/release")
    again = await app.call("POST", "/v1/queue/release", json={"app": "acme-chat"})

    assert other.status_code == 404
    assert (released.json(), again.json()) == ({"released": [1]}, {"released": []})


async def test_a_bound_key_neither_sees_nor_turns_routes_of_others(app: Gateway) -> None:
    await app.call("POST", "/v1/apps", json={"id": "other"})
    bound = await app.key(Scope.ADMIN, apps=("other",))

    assert (await app.call("GET", "/v1/routes", key=bound)).json() == {"routes": []}
    assert (await app.call("POST", "/v1/routes/1/hold", key=bound)).status_code == 404
    assert (await app.call("GET", "/v1/health", key=bound)).json()["credentials"] == []


@pytest.mark.parametrize("route", ["9", "x", "9" * 30, "-1"])
async def test_a_route_that_is_not_there_is_404(app: Gateway, route: str) -> None:
    assert (await app.call("POST", f"/v1/routes/{route}/hold")).status_code == 404


async def test_the_queue_says_how_much_waits(app: Gateway) -> None:
    queue = (await app.call("GET", "/v1/queue")).json()

    assert (queue["pending"], queue["max_pending"]) == (1, app.settings.queue.max_pending)
    [lane] = queue["lanes"]
    assert (lane["lane"], lane["jobs"], lane["deliveries"], lane["leased"]) == ("alert", 1, 1, 0)


async def test_probes_say_whether_traffic_may_come(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    well = await gateway.call("GET", "/readyz", key="")
    gateway.health.phase = Phase.DRAINING
    draining = await gateway.call("GET", "/readyz", key="")
    gateway.health.phase = Phase.READY
    monkeypatch.setattr(gateway.store.keeper, "health", lambda: StoreHealth(writable=True, low_disk=True))
    full = await gateway.call("GET", "/readyz", key="")

    assert (well.status_code, well.json()["status"]) == (200, "ok")
    assert (draining.status_code, draining.json()["status"]) == (503, "failed")
    assert [check["name"] for check in full.json()["checks"] if check["status"] == "failed"] == ["store"]
    assert (await gateway.call("GET", "/healthz", key="")).json() == {"status": "ok"}


async def test_health_warns_of_a_failed_credential_and_of_a_held_route(app: Gateway) -> None:
    well = (await app.call("GET", "/v1/health")).json()
    await app.store.credentials.set_state(1, CredentialState.FAILED, "InvalidProviderToken")
    failed = (await app.call("GET", "/v1/health")).json()
    await app.store.credentials.set_state(1, CredentialState.WORKING, "")
    await app.call("POST", "/v1/routes/1/hold")
    held = (await app.call("GET", "/v1/health")).json()

    assert (well["status"], failed["status"], held["status"]) == ("ok", "warning", "warning")
    assert failed["credentials"][0]["credential"]["state_note"] == "InvalidProviderToken"


async def test_calls_that_no_credential_carries_are_said_in_health_and_beside_the_credentials(app: Gateway) -> None:
    target = {"kind": "apns-voip", "value": "ab" * 32, "topic": "com.other.app", "environment": "sandbox"}
    await app.call("PUT", "/v1/apps/acme-chat/devices/phone", json={"user": "alice", "targets": [target]})

    listed = (await app.call("GET", "/v1/apps/acme-chat/credentials")).json()
    health = (await app.call("GET", "/v1/health")).json()

    [warning] = listed["warnings"]
    assert "sandbox com.other.app.voip" in warning
    [check] = [check for check in health["checks"] if check["name"] == "calls"]
    assert (health["status"], check["status"]) == ("warning", "warning")
    assert check["cause"] == f"acme-chat: {warning}"
    assert (await app.call("GET", "/readyz", key="")).status_code == 200


async def test_metrics_count_what_waits_and_need_a_key(app: Gateway) -> None:
    await app.call("POST", "/v1/routes/1/hold")
    anonymous = await app.call("GET", "/metrics", key="")
    text = (await app.call("GET", "/metrics")).text

    assert anonymous.status_code == 401
    assert 'wakeline_queue_depth{lane="alert",state="queued"} 1.0' in text
    assert 'wakeline_routes_held{reason="operator"} 1.0' in text
    assert 'wakeline_deliveries_held{reason="operator"} 1.0' in text


async def test_metrics_tell_how_old_due_work_of_each_lane_is(app: Gateway) -> None:
    later = datetime.fromtimestamp(app.clock.now() / 1000 + 60, UTC).isoformat()
    scheduled = await app.call("POST", SEND, json={"to": HELLO["to"], "data": {"n": "1"}, "send_at": later})
    app.clock.advance(7)

    lines = set((await app.call("GET", "/metrics")).text.splitlines())

    assert scheduled.status_code == 202
    assert 'wakeline_queue_depth{lane="background",state="queued"} 1.0' in lines
    assert "wakeline_queue_oldest_seconds 7.0" in lines
    assert {line for line in lines if line.startswith("wakeline_queue_age_seconds")} == {
        'wakeline_queue_age_seconds{lane="call"} 0.0',
        'wakeline_queue_age_seconds{lane="alert"} 7.0',
        'wakeline_queue_age_seconds{lane="background"} 0.0',
        'wakeline_queue_age_seconds{lane="bulk"} 0.0',
    }


async def test_metrics_tell_how_long_connected_portals_are_behind(app: Gateway) -> None:
    behind = (await app.store.installations.create(installation("behind"))).id
    idle = (await app.store.installations.create(installation("idle"))).id
    now = app.clock.now()
    await app.store.event_inbox.put([event(1, of=behind, received=now), event(2, of=behind, received=now + 1)])
    await app.store.outbox.put([write(of=behind, at=now, due=now + 2000), write(of=idle, at=now, due=now + 60_000)])
    app.clock.advance(5)

    lines = set((await app.call("GET", "/metrics")).text.splitlines())

    name = "wakeline_bitrix24_portal_oldest_seconds"
    assert {line for line in lines if line.startswith(name)} == {
        f'{name}{{installation="{behind}",kind="event"}} 5.0',
        f'{name}{{installation="{behind}",kind="write"}} 3.0',
        f'{name}{{installation="{idle}",kind="event"}} 0.0',
        f'{name}{{installation="{idle}",kind="write"}} 0.0',
    }


async def test_metrics_tell_how_webhooks_fare(app: Gateway) -> None:
    idle, behind = await listening(app.store, events=(EventType.BRAKE_CLOSED,)), await listening(app.store)
    gone = await listening(app.store, disabled=Disabled.GONE)
    await app.store.events.append([Event(type=EventType.PUSH_FAILED, at=app.clock.now(), app="acme-chat")])
    now = app.clock.now()
    await told(app.store, behind, message(behind, 7, MessageState.WAITING), health=EndpointHealth(failing_since=now))
    app.clock.advance(5)

    lines = set((await app.call("GET", "/metrics")).text.splitlines())

    assert {line for line in lines if line.startswith("wakeline_webhook")} == {
        f'wakeline_webhook_lag_seconds{{endpoint="{idle.public_id}"}} 0.0',
        f'wakeline_webhook_lag_seconds{{endpoint="{behind.public_id}"}} 5.0',
        f'wakeline_webhook_lag_seconds{{endpoint="{gone.public_id}"}} 0.0',
        f'wakeline_webhook_waiting{{endpoint="{idle.public_id}"}} 0.0',
        f'wakeline_webhook_waiting{{endpoint="{behind.public_id}"}} 1.0',
        f'wakeline_webhook_waiting{{endpoint="{gone.public_id}"}} 0.0',
        'wakeline_webhook_endpoints{state="ok"} 1.0',
        'wakeline_webhook_endpoints{state="failing"} 1.0',
        'wakeline_webhook_endpoints{state="disabled"} 0.0',
        'wakeline_webhook_endpoints{state="gone"} 1.0',
    }


async def test_webhooks_after_the_hundredth_share_their_series(app: Gateway) -> None:
    every = [await listening(app.store) for _ in range(ENDPOINTS + 2)]
    for of in every:
        await told(app.store, of, message(of, 1, MessageState.WAITING))

    lines = (await app.call("GET", "/metrics")).text.splitlines()

    waiting = [line for line in lines if line.startswith("wakeline_webhook_waiting{")]
    assert len(waiting) == ENDPOINTS + 1
    assert 'wakeline_webhook_waiting{endpoint="other"} 2.0' in waiting
    assert not [line for line in lines if every[-1].public_id in line]


async def test_what_waits_for_a_paused_app_is_counted_too(app: Gateway) -> None:
    await app.call("PATCH", "/v1/apps/acme-chat", json={"paused": True})
    text = (await app.call("GET", "/metrics")).text
    [route] = (await app.call("GET", "/v1/health")).json()["routes"]

    assert 'wakeline_routes_held{reason="operator"} 1.0' in text
    assert 'wakeline_deliveries_held{reason="operator"} 1.0' in text
    assert (route["hold"]["code"], route["waiting"]) == (902, 1)


async def test_a_route_says_how_its_connections_are_and_when_it_goes_on(app: Gateway) -> None:
    [route] = (await app.call("GET", "/v1/routes")).json()["routes"]

    assert (route["resting_until"], route["next_probe"]) == (None, None)
    assert (route["connections"], route["last_failure"], route["last_goaway"]) == (0, "", "")
