"""Webhook endpoints over REST: who may make and see them, what is refused at which field, and that secrets are shown once."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from unit.edges.rest.gateway import START, Gateway
from wakeline.config import Webhooks
from wakeline.edges.rest.moments import moment
from wakeline.model.event import Event, EventData, EventType
from wakeline.model.key import Scope
from wakeline.model.webhook import Endpoint, EndpointHealth, Message, MessageState
from wakeline.ports.webhooks import Progress
from webhook_listener import DOWN

pytestmark = pytest.mark.anyio

ALL = "/v1/webhooks"
URL = "https://hooks.example/in"


async def made(gateway: Gateway, *, key: str | None = None, **more: Any) -> dict[str, Any]:
    """Make an endpoint."""
    answer = await gateway.call("POST", ALL, key=key, json={"url": URL, **more})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def kept(gateway: Gateway, shown: dict[str, Any]) -> Endpoint:
    """Return an endpoint as it is kept."""
    (found,) = [one for one in gateway.store.endpoints.all() if one.public_id == shown["id"]]
    return found


def event(number: int, app: str = "acme-chat", kind: EventType = EventType.PUSH_FAILED) -> Event:
    return Event(type=kind, at=START + number, app=app, data=EventData(device=f"phone-{number}"))


async def test_a_secret_is_shown_once_and_signs_what_is_sent(gateway: Gateway) -> None:
    shown = await made(gateway, name="billing")
    listed, one = await gateway.call("GET", ALL), await gateway.call("GET", f"{ALL}/{shown['id']}")
    (secret,) = await gateway.store.endpoints.secrets(kept(gateway, shown).id)

    assert shown["secret"] == "whsec_" + base64.b64encode(secret.value).decode()
    assert len(secret.value) == 32
    for answer in (listed, one):
        assert shown["secret"] not in answer.text
        assert "whsec" not in answer.text
    assert listed.json()["webhooks"] == [{name: shown[name] for name in shown if name != "secret"}]
    assert (shown["name"], shown["events"], shown["apps"], shown["shape"]) == ("billing", [], [], "standard")
    assert shown["health"]["standing"] == "working"


async def test_a_secret_of_ones_own_is_taken(gateway: Gateway) -> None:
    own = "whsec_" + base64.b64encode(b"x" * 24).decode()
    shown = await made(gateway, secret=own)
    (secret,) = await gateway.store.endpoints.secrets(kept(gateway, shown).id)

    assert shown["secret"] == own
    assert secret.value == b"x" * 24


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"url": "http://hooks.example/in"}, "/url"),
        ({"url": "https://10.0.0.7/in"}, "/url"),
        ({"url": "https://hooks.example/in", "events": ["push.eaten"]}, "/events/0"),
        ({"url": "https://hooks.example/in", "events": ["push.failed", "webhook.test"]}, "/events/1"),
        ({"url": "https://hooks.example/in", "apps": ["nobody"]}, "/apps/0"),
        ({"url": "https://hooks.example/in", "secret": "whsec_c2hvcnQ="}, "/secret"),
        ({"url": "https://hooks.example/in", "secret": "whsec_?"}, "/secret"),
        ({"url": "https://hooks.example/in", "shape": "round"}, "/shape"),
        ({"url": "https://hooks.example/in", "colour": "red"}, "/colour"),
        ({}, "/url"),
    ],
)
async def test_a_wrong_endpoint_is_refused_at_its_field(gateway: Gateway, wrong: Any, pointer: str) -> None:
    answer = await gateway.call("POST", ALL, json=wrong)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert (wrong.get("secret") or "whsec_") not in answer.text.replace("`whsec_`", "")
    assert gateway.store.endpoints.all() == []


async def test_a_refused_url_names_the_setting_and_the_setting_permits_it(gateway: Gateway) -> None:
    refused = (await gateway.call("POST", ALL, json={"url": "https://10.0.0.7/in"})).json()
    settings = Webhooks(allow_private=True)
    gateway.ports.settings = msgspec.structs.replace(gateway.settings, webhooks=settings)

    assert refused["code"] == "address_refused"
    assert "allow_private" in refused["fix"]
    assert (await gateway.call("POST", ALL, json={"url": "https://10.0.0.7/in"})).status_code == 201


async def test_an_endpoint_is_told_of_what_happens_from_now_on(gateway: Gateway) -> None:
    await gateway.store.events.append([event(1), event(2)])
    shown = await made(gateway)

    assert gateway.store.endpoints.health(kept(gateway, shown).id).cursor == 2


async def test_a_repeated_request_makes_no_second_one_and_shows_no_secret(gateway: Gateway) -> None:
    headers = {"idempotency-key": "once"}
    first = await gateway.call("POST", ALL, json={"url": URL}, headers=headers)
    again = await gateway.call("POST", ALL, json={"url": URL}, headers=headers)

    assert (first.status_code, again.status_code) == (201, 409)
    assert again.json()["id"] == first.json()["id"]
    assert len(gateway.store.endpoints.all()) == 1


async def test_a_change_leaves_the_rest_as_it_is(gateway: Gateway) -> None:
    await gateway.with_app()
    shown = await made(gateway, events=["push.failed"])
    path = f"{ALL}/{shown['id']}"
    changed = await gateway.call("PATCH", path, json={"url": "https://other.example/", "apps": ["acme-chat"]})
    everything = await gateway.call("PATCH", path, json={"events": [], "shape": "mesibo", "name": "moved"})

    assert (changed.json()["url"], changed.json()["events"]) == ("https://other.example/", ["push.failed"])
    assert (everything.json()["events"], everything.json()["apps"]) == ([], ["acme-chat"])
    assert (everything.json()["shape"], everything.json()["name"]) == ("mesibo", "moved")
    for wrong in ({"url": "https://127.0.0.1/"}, {"apps": ["nobody"]}, {"secret": "x"}):
        assert (await gateway.call("PATCH", path, json=wrong)).status_code == 422


async def test_a_rotated_secret_signs_beside_the_new_one_for_a_while(gateway: Gateway) -> None:
    shown = await made(gateway)
    path, number = f"{ALL}/{shown['id']}/rotate", kept(gateway, shown).id
    rotated = (await gateway.call("POST", path, json={"overlap": 3600})).json()
    new, former = await gateway.store.endpoints.secrets(number)

    assert rotated["secret"] == "whsec_" + base64.b64encode(new.value).decode() != shown["secret"]
    assert (new.until, former.until) == (None, START + 3_600_000)
    assert rotated["former_until"].startswith("20")
    by_default = (await gateway.call("POST", path)).json()
    assert by_default["secret"] != rotated["secret"]
    assert (await gateway.store.endpoints.secrets(number))[1].until == START + 86_400_000
    for wrong in ({"overlap": -1}, {"secret": "whsec_c2hvcnQ="}):
        assert (await gateway.call("POST", path, json=wrong)).status_code == 422


async def test_a_deleted_endpoint_is_gone(gateway: Gateway) -> None:
    path = f"{ALL}/{(await made(gateway))['id']}"

    assert (await gateway.call("DELETE", path)).status_code == 204
    for method, more in (("GET", ""), ("DELETE", ""), ("PATCH", ""), ("POST", "/rotate"), ("GET", "/deliveries")):
        assert (await gateway.call(method, path + more)).status_code == 404


async def test_a_key_that_reads_events_changes_nothing(gateway: Gateway) -> None:
    path = f"{ALL}/{(await made(gateway))['id']}"
    reader, sender = await gateway.key(Scope.EVENTS), await gateway.key(Scope.SEND)

    for method, where in (("POST", ALL), ("PATCH", path), ("DELETE", path), ("POST", f"{path}/rotate")):
        assert (await gateway.call(method, where, key=reader, json={"url": URL})).status_code == 403
    for where in (ALL, path, f"{path}/deliveries"):
        assert (await gateway.call("GET", where, key=reader)).status_code == 200
        assert (await gateway.call("GET", where, key=sender)).status_code == 403


async def test_a_key_bound_to_apps_sees_and_makes_endpoints_of_its_apps_alone(gateway: Gateway) -> None:
    for slug in ("acme-chat", "other"):
        await gateway.store.apps.create(slug, slug, START)
    key = await gateway.key(Scope.ADMIN, apps=("acme-chat",))
    everything, both = await made(gateway), await made(gateway, apps=["acme-chat", "other"])
    own, by_default = await made(gateway, apps=["acme-chat"]), await made(gateway, key=key)
    foreign = await gateway.call("POST", ALL, key=key, json={"url": URL, "apps": ["other"]})
    listed = (await gateway.call("GET", ALL, key=key)).json()["webhooks"]
    widened = await gateway.call("PATCH", f"{ALL}/{own['id']}", key=key, json={"apps": []})

    assert by_default["apps"] == widened.json()["apps"] == ["acme-chat"]
    assert [one["id"] for one in listed] == [own["id"], by_default["id"]]
    assert (foreign.status_code, foreign.json()["errors"][0]["pointer"]) == (422, "/apps/0")
    for hidden in (everything, both):
        for method in ("GET", "DELETE"):
            assert (await gateway.call(method, f"{ALL}/{hidden['id']}", key=key)).status_code == 404


async def test_a_backlog_is_counted_from_what_was_told(gateway: Gateway) -> None:
    shown = await made(gateway, events=["push.failed"])
    await gateway.store.events.append([event(1), event(2)])
    path = f"{ALL}/{shown['id']}"
    late = (await gateway.call("GET", path)).json()
    number = kept(gateway, shown).id
    failing = EndpointHealth(
        cursor=1, failures=3, failing_since=START, retry_at=START + 9_000, status=503, detail="503 Service Unavailable"
    )
    aside = Message(endpoint=number, seq=1, type=EventType.PUSH_FAILED, state=MessageState.WAITING)
    await gateway.store.endpoints.record([Progress(endpoint=number, health=failing, messages=(aside,))])
    worse = (await gateway.call("GET", path)).json()
    await gateway.store.endpoints.record([Progress(endpoint=number, health=EndpointHealth(cursor=2))])
    caught_up = (await gateway.call("GET", path)).json()

    assert (late["behind"], worse["behind"], caught_up["behind"]) == (2, 1, 0)
    assert (late["waiting"], worse["waiting"]) == (0, 1)
    assert late["oldest"] < worse["oldest"]
    assert caught_up["oldest"] is None
    assert worse["health"] == {
        "standing": "failing",
        "failures": 3,
        "failing_since": "2026-11-18T11:06:40Z",
        "next_try": "2026-11-18T11:06:49Z",
        "status": 503,
        "detail": "503 Service Unavailable",
        "taken": None,
    }


async def test_what_is_not_for_an_endpoint_is_no_backlog_of_it(gateway: Gateway) -> None:
    shown = await made(gateway, events=["credential.failed"])
    await gateway.store.events.append([event(1)])

    assert (await gateway.call("GET", f"{ALL}/{shown['id']}")).json()["behind"] == 0


async def test_deliveries_are_listed_by_state_and_page_by_page(gateway: Gateway) -> None:
    shown, other = await made(gateway), await made(gateway)
    number = kept(gateway, shown).id
    states = (MessageState.TAKEN, MessageState.WAITING, MessageState.GIVEN_UP)
    log = tuple(
        Message(
            endpoint=number,
            seq=seq,
            type=EventType.WEBHOOK_TEST if seq < 1 else EventType.PUSH_FAILED,
            state=states[seq % 3],
            app="acme",
            lane=f"acme/phone/{seq}",
            tries=2,
            status=503,
            detail="503 Service Unavailable",
            duration=12,
            at=START,
            first=START,
            due=START + 5_000,
        )
        for seq in range(-1, 5)
    )
    await gateway.store.endpoints.record([Progress(endpoint=number, health=EndpointHealth(), messages=log)])
    path = f"{ALL}/{shown['id']}/deliveries"
    listed, cursor = [], ""
    while cursor is not None:
        page = (await gateway.call("GET", path, params={"limit": 2, "cursor": cursor})).json()
        listed += page["deliveries"]
        cursor = page["next_cursor"]
    waiting = (await gateway.call("GET", path, params={"state": "waiting"})).json()["deliveries"]
    first = (await gateway.call("GET", path, params={"limit": 2})).json()["next_cursor"]

    assert [one["event"] for one in listed] == [4, 3, 2, 1, 0, -1]
    assert [one["event"] for one in waiting] == [4, 1]
    assert waiting[0] == {
        "id": f"msg_{shown['id'].replace('-', '')}_4",
        "event": 4,
        "type": "push.failed",
        "app": "acme",
        "device": "phone/4",
        "state": "waiting",
        "tries": 2,
        "status": 503,
        "detail": "503 Service Unavailable",
        "duration": 12,
        "first_try": "2026-11-18T11:06:40Z",
        "changed": "2026-11-18T11:06:40Z",
        "next_try": "2026-11-18T11:06:45Z",
    }
    assert listed[1]["next_try"] is None
    assert (await gateway.call("GET", f"{ALL}/{other['id']}/deliveries", params={"cursor": first})).status_code == 422
    assert (await gateway.call("GET", path, params={"state": "lost"})).status_code == 422


async def test_a_test_says_what_came_back_and_is_logged(gateway: Gateway) -> None:
    shown = await made(gateway, events=["push.failed"])
    path = f"{ALL}/{shown['id']}"
    taken = (await gateway.call("POST", f"{path}/test")).json()
    gateway.listener.answer = lambda _endpoint, _event: DOWN
    silent = (await gateway.call("POST", f"{path}/test")).json()
    log = (await gateway.call("GET", f"{path}/deliveries")).json()["deliveries"]

    assert taken == {"taken": True, "status": 204, "detail": "", "duration": 3}
    assert silent == {"taken": False, "status": 0, "detail": "no connection", "duration": 0}
    assert [one.type for _, one in gateway.listener.asked] == [EventType.WEBHOOK_TEST] * 2
    assert [(one["type"], one["state"]) for one in log] == [("webhook.test", "given_up"), ("webhook.test", "taken")]
    assert all(one["event"] < 0 for one in log)


async def test_a_disabled_endpoint_says_so_and_is_not_told_again(gateway: Gateway) -> None:
    shown = await made(gateway)
    await gateway.store.events.append([event(1)])
    path = f"{ALL}/{shown['id']}"
    off = (await gateway.call("PATCH", path, json={"disabled": True, "name": "off"})).json()
    shown = (await gateway.call("GET", path)).json()
    replayed = await gateway.call("POST", f"{path}/replay", json={"since": "2020-01-01T00:00:00Z"})
    on = (await gateway.call("PATCH", path, json={"disabled": False})).json()

    assert (off["disabled"], off["name"], off["health"]["standing"]) == ("operator", "off", "disabled")
    assert (shown["behind"], shown["oldest"]) == (0, None)
    assert replayed.status_code == 409
    assert (on["disabled"], on["name"], on["health"]["standing"]) == (None, "off", "working")


async def test_one_that_is_enabled_may_go_on_from_where_it_stopped(gateway: Gateway) -> None:
    shown = await made(gateway)
    path = f"{ALL}/{shown['id']}"
    await gateway.call("PATCH", path, json={"disabled": True})
    await gateway.store.events.append([event(1)])
    alone = await gateway.call("PATCH", path, json={"resume": True})
    (kept,) = gateway.store.endpoints.all()
    stopped = gateway.store.endpoints.health(kept.id).cursor
    on = await gateway.call("PATCH", path, json={"disabled": False, "resume": True})

    assert (alone.status_code, alone.json()["errors"][0]["pointer"]) == (422, "/resume")
    assert (on.status_code, on.json()["disabled"]) == (200, None)
    assert gateway.store.endpoints.health(kept.id).cursor == stopped < await gateway.store.events.last()


async def test_messages_are_told_again_by_id_by_number_or_by_time(gateway: Gateway) -> None:
    await gateway.store.events.append([event(number) for number in range(1, 5)])
    shown = await made(gateway)
    head = f"msg_{shown['id'].replace('-', '')}_"
    path = f"{ALL}/{shown['id']}/replay"
    since, until = moment(START + 2).isoformat(), moment(START + 3).isoformat()
    counts = [
        (await gateway.call("POST", path, json=body)).json()["messages"]
        for body in (
            {"ids": [f"{head}1", "2", f"{head}2"]},
            {"since": since, "until": until},
            {"since": since},
            {"ids": [f"{head}99"]},
        )
    ]
    waiting = await gateway.store.endpoints.waiting(kept(gateway, shown).id, limit=10)

    assert counts == [2, 2, 3, 0]
    assert sorted(one.seq for one in waiting) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({}, "/ids"),
        ({"ids": ["1"], "since": "2026-01-01T00:00:00Z"}, "/ids"),
        ({"until": "2026-01-01T00:00:00Z"}, "/since"),
        ({"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "/until"),
        ({"since": "yesterday"}, "/since"),
        ({"ids": ["0"]}, "/ids/0"),
        ({"ids": ["1", "-1"]}, "/ids/1"),
        ({"ids": ["msg_0_1"]}, "/ids/0"),
        ({"ids": ["1"] * 10_001}, "/ids"),
    ],
)
async def test_a_wrong_replay_is_refused_at_its_field(gateway: Gateway, wrong: Any, pointer: str) -> None:
    answer = await gateway.call("POST", f"{ALL}/{(await made(gateway))['id']}/replay", json=wrong)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
