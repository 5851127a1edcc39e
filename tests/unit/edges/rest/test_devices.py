from __future__ import annotations

from typing import Any

import pytest

from unit.edges.rest.gateway import START, TOKEN, Gateway
from wakeline.model.device import Evidence, TargetState
from wakeline.model.event import EventType
from wakeline.model.key import Scope
from wakeline.ports import TargetVerdict

pytestmark = pytest.mark.anyio

DEVICE = "/v1/apps/acme-chat/devices/ios-1"


def apns(value: str = TOKEN, **more: str) -> dict[str, str]:
    return {"kind": "apns", "value": value, **more}


async def test_a_device_is_registered_shown_and_forgotten(gateway: Gateway) -> None:
    await gateway.call("POST", "/v1/apps", json={"id": "acme-chat"})
    body = {
        "user": "sip:alice@example.com",
        "targets": [apns(environment="sandbox"), {"kind": "fcm", "value": "fcm-token:APA91b", "project": "acme"}],
        "tags": ["beta"],
        "platform": "ios",
        "locale": "de",
        "notifications_enabled": False,
    }

    first = await gateway.call("PUT", DEVICE, json=body)
    again = await gateway.call("PUT", DEVICE, json=body)
    shown = await gateway.call("GET", DEVICE)
    gone = await gateway.call("DELETE", DEVICE)
    after = await gateway.call("GET", DEVICE)

    assert (first.status_code, again.status_code) == (201, 200)
    device = shown.json()
    assert device["user"] == "sip:alice@example.com"
    assert (device["state"], device["tags"], device["notifications_enabled"]) == ("active", ["beta"], False)
    ios, android = device["targets"]
    assert (ios["value"], ios["environment"], ios["state"], ios["evidence"]) == (TOKEN, "sandbox", "active", None)
    assert (android["project"], android["topic"]) == ("acme", "")
    assert (gone.status_code, after.status_code) == (204, 404)


async def test_a_put_is_the_whole_truth(gateway: Gateway) -> None:
    await gateway.with_app()

    answer = await gateway.call("PUT", DEVICE, json={"user": ["alice", "bob", "alice"]})

    assert answer.json()["user"] == ["alice", "bob"]
    assert answer.json()["targets"] == []


async def test_an_id_may_hold_a_slash_and_any_script(gateway: Gateway) -> None:
    await gateway.with_app()
    path = "/v1/apps/acme-chat/devices/urn%3Auuid%3A1%2F2%20%C3%A9"

    put = await gateway.call("PUT", path, json={"user": "a/b"})
    user = await gateway.call("GET", "/v1/apps/acme-chat/users/a%2Fb")

    assert put.json()["device_id"] == "urn:uuid:1/2 é"
    assert user.json()["devices"][0]["device_id"] == "urn:uuid:1/2 é"


@pytest.mark.parametrize("character", ["\0", "\n", "\x1b", "\x7f"])
async def test_names_have_no_control_characters(gateway: Gateway, character: str) -> None:
    await gateway.with_app()
    quoted = f"/v1/apps/acme-chat/devices/a%{ord(character):02x}b"

    device = await gateway.call("PUT", quoted, json={"user": "alice"})
    user = await gateway.call("PUT", DEVICE, json={"user": f"a{character}"})
    tag = await gateway.call("PUT", DEVICE, json={"tags": [f"{character}a"]})

    assert [answer.status_code for answer in (device, user, tag)] == [422, 422, 422]
    assert tag.json()["errors"][0]["pointer"] == "/tags/0"


async def test_a_time_beyond_the_year_9999_is_its_end_wherever_it_is_shown(gateway: Gateway) -> None:
    await gateway.with_app()
    until = {"connected_until": "9999-12-31T23:59:59-12:00"}

    said = await gateway.call("PUT", f"{DEVICE}/presence", json=until)
    explained = await gateway.call("GET", "/v1/explain?q=device:ios-1")

    assert said.json()["connected_until"] == "9999-12-31T23:59:59.999000Z"
    assert explained.status_code == 200


async def test_an_apns_token_is_kept_in_lower_case(gateway: Gateway) -> None:
    await gateway.with_app()

    answer = await gateway.call("PUT", DEVICE, json={"targets": [apns("ABCDEF01")]})

    assert answer.json()["targets"][0]["value"] == "abcdef01"


@pytest.mark.parametrize(
    ("target", "pointer"),
    [
        (apns("abc"), "/targets/0/value"),
        (apns("xyz0"), "/targets/0/value"),
        (apns(""), "/targets/0/value"),
        (apns(project="acme"), "/targets/0/project"),
        (apns(environment="test"), "/targets/0/environment"),
        (apns(topic="com.acme.chat\r\nx: y"), "/targets/0/topic"),
        (apns(topic="com.acme.chat\n"), "/targets/0/topic"),
        (apns(topic="com.acme/.voip"), "/targets/0/topic"),
        ({"kind": "fcm", "value": "t", "project": "acme/../other"}, "/targets/0/project"),
        ({"kind": "sms", "value": "1"}, "/targets/0/kind"),
        ({"kind": "fcm", "value": "two words"}, "/targets/0/value"),
        ({"kind": "fcm", "value": "t", "environment": "sandbox"}, "/targets/0/environment"),
        ({"kind": "fcm", "value": "t", "topic": "a", "project": "b"}, "/targets/0/project"),
    ],
)
async def test_a_wrong_target_is_refused_with_its_pointer(
    gateway: Gateway, target: dict[str, str], pointer: str
) -> None:
    await gateway.with_app()

    answer = await gateway.call("PUT", DEVICE, json={"targets": [target]})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_a_token_that_turns_up_elsewhere_moves(gateway: Gateway) -> None:
    await gateway.with_app()

    answer = await gateway.call("PUT", "/v1/apps/acme-chat/devices/new", json={"user": "alice", "targets": [apns()]})
    old = await gateway.call("GET", DEVICE)

    assert answer.json()["moved"] == [{"kind": "apns", "from_device": "ios-1"}]
    assert old.json()["targets"] == []


async def test_a_move_of_a_token_is_an_event(gateway: Gateway) -> None:
    await gateway.with_app()
    for device in ("new", "new", "newest"):
        body = {"user": "bob", "targets": [apns()]}
        answer = await gateway.call("PUT", f"/v1/apps/acme-chat/devices/{device}", json=body)
        assert answer.is_success
    told = await gateway.store.events.read(after=0, types=frozenset({EventType.TARGET_MOVED}))

    assert [(one.app, one.data.device, one.data.note) for one in told] == [
        ("acme-chat", "new", "It belonged to the device ios-1."),
        ("acme-chat", "newest", "It belonged to the device new."),
    ]
    assert {(one.data.users, one.data.kind) for one in told} == {(("bob",), "apns")}


async def test_one_target_is_registered_alone(gateway: Gateway) -> None:
    await gateway.with_app()

    voip = await gateway.call("PUT", f"{DEVICE}/targets/apns-voip", json={"value": "CDEF"})
    unknown = await gateway.call("PUT", f"{DEVICE}/targets/sms", json={"value": "1"})
    absent = await gateway.call("PUT", "/v1/apps/acme-chat/devices/none/targets/apns", json={"value": "cdef"})

    assert {target["kind"]: target["value"] for target in voip.json()["targets"]} == {
        "apns": TOKEN,
        "apns-voip": "cdef",
    }
    assert unknown.status_code == 422
    assert "apns-voip" in unknown.json()["fix"]
    assert absent.status_code == 404


async def test_tokens_are_masked_for_keys_that_only_read(gateway: Gateway) -> None:
    await gateway.with_app()
    reader, manager = await gateway.key(Scope.READ), await gateway.key(Scope.DEVICES)

    masked = await gateway.call("GET", DEVICE, key=reader)
    whole = await gateway.call("GET", DEVICE, key=manager)

    assert masked.json()["targets"][0]["value"] == f"...{TOKEN[-6:]}"
    assert whole.json()["targets"][0]["value"] == TOKEN


async def test_a_quarantined_target_shows_its_evidence_and_is_restored(gateway: Gateway) -> None:
    await gateway.with_app()
    evidence = Evidence(status=400, reason="BadDeviceToken", at=START)
    verdict = TargetVerdict(
        target=1, state=TargetState.QUARANTINED, reason="BadDeviceToken", at=START, evidence=evidence
    )
    await gateway.store.devices.judge([verdict])

    doubted = (await gateway.call("GET", DEVICE)).json()
    restored = await gateway.call("POST", f"{DEVICE}/restore")
    after = (await gateway.call("GET", DEVICE)).json()

    assert doubted["state"] == "quarantined"
    assert doubted["targets"][0]["since"].endswith("Z")
    assert doubted["targets"][0]["evidence"]["reason"] == "BadDeviceToken"
    assert restored.json() == {"restored": 1}
    assert after["state"] == "active"


async def test_a_range_of_time_is_restored_on_every_device(gateway: Gateway) -> None:
    await gateway.with_app()
    verdict = TargetVerdict(target=1, state=TargetState.RETIRED, reason="Unregistered", at=START)
    await gateway.store.devices.judge([verdict])

    before = await gateway.call("POST", "/v1/apps/acme-chat/restore", json={"until": "2020-01-01T00:00:00Z"})
    after = await gateway.call("POST", "/v1/apps/acme-chat/restore", json={"since": "2020-01-01T00:00:00+02:00"})

    assert (before.json(), after.json()) == ({"restored": 0}, {"restored": 1})


async def test_devices_are_listed_by_pages_of_one_list(gateway: Gateway) -> None:
    await gateway.with_app()
    for number in range(4):
        await gateway.call("PUT", f"/v1/apps/acme-chat/devices/d{number}", json={"user": "bob"})
    path = "/v1/apps/acme-chat/devices"

    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        params = {"user": "bob", "limit": "3", **({"cursor": cursor} if cursor else {})}
        page = (await gateway.call("GET", path, params=params)).json()
        found += [device["device_id"] for device in page["devices"]]
        cursor = page["next_cursor"]
    first = (await gateway.call("GET", path, params={"user": "bob", "limit": "3"})).json()
    elsewhere = await gateway.call("GET", path, params={"user": "alice", "cursor": first["next_cursor"]})
    made_up = await gateway.call("GET", path, params={"cursor": "AAAA"})

    assert found == ["d0", "d1", "d2", "d3"]
    assert elsewhere.status_code == made_up.status_code == 422
    assert made_up.json()["errors"][0]["pointer"] == "/query/cursor"


@pytest.mark.parametrize(
    "params", [{"limit": "0"}, {"limit": "many"}, {"state": "broken"}, {"state": "null"}, {"page": "2"}]
)
async def test_a_wrong_query_is_422(gateway: Gateway, params: dict[str, str]) -> None:
    await gateway.with_app()

    answer = await gateway.call("GET", "/v1/apps/acme-chat/devices", params=params)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == f"/query/{next(iter(params))}"


async def test_a_user_is_shown_and_erased(gateway: Gateway) -> None:
    await gateway.with_app()

    shown = await gateway.call("GET", "/v1/apps/acme-chat/users/alice")
    erased = await gateway.call("DELETE", "/v1/apps/acme-chat/users/alice")
    after = await gateway.call("GET", "/v1/apps/acme-chat/users/alice")

    assert [device["device_id"] for device in shown.json()["devices"]] == ["ios-1"]
    assert erased.json() == {"user": "alice", "devices": 1}
    assert after.status_code == 404


async def test_presence_is_set_and_taken_back(gateway: Gateway) -> None:
    await gateway.with_app()

    until = await gateway.call("PUT", f"{DEVICE}/presence", json={"connected_until": "2030-01-01T00:00:00Z"})
    shown = await gateway.call("GET", DEVICE)
    naive = await gateway.call("PUT", f"{DEVICE}/presence", json={"connected_until": "2030-01-01T00:00:00"})
    nothing = await gateway.call("PUT", f"{DEVICE}/presence", json={"connected_until": None})

    assert until.json()["connected_until"] == shown.json()["connected_until"] == "2030-01-01T00:00:00Z"
    assert naive.json()["errors"][0]["pointer"] == "/connected_until"
    assert nothing.json()["connected_until"] is None


class TestDeviceTokens:
    """A phone registers itself, and nothing else."""

    async def token(self, gateway: Gateway, **more: Any) -> str:
        body = {"user": "alice", "device": "ios-1", **more}
        answer = await gateway.call("POST", "/v1/apps/acme-chat/device-tokens", json=body)
        text: str = answer.json()["token"]
        return text

    async def test_it_registers_its_device_for_its_user(self, gateway: Gateway) -> None:
        await gateway.with_app()
        token = await self.token(gateway)

        put = await gateway.call("PUT", DEVICE, key=token, json={"targets": [apns("aa")]})
        target = await gateway.call("PUT", f"{DEVICE}/targets/apns", key=token, json={"value": "bb"})
        presence = await gateway.call("PUT", f"{DEVICE}/presence", key=token, json={"connected_until": None})

        assert (put.status_code, target.status_code, presence.status_code) == (200, 200, 200)
        assert put.json()["user"] == "alice"

    async def test_it_does_nothing_else(self, gateway: Gateway) -> None:
        await gateway.with_app()
        await gateway.call("POST", "/v1/apps", json={"id": "other"})
        token = await self.token(gateway)

        answers = [
            await gateway.call("PUT", "/v1/apps/acme-chat/devices/ios-2", key=token, json={}),
            await gateway.call("PUT", "/v1/apps/other/devices/ios-1", key=token, json={}),
            await gateway.call("PUT", DEVICE, key=token, json={"user": "bob"}),
            await gateway.call("GET", DEVICE, key=token),
            await gateway.call("DELETE", DEVICE, key=token),
            await gateway.call("POST", "/v1/apps/acme-chat/notifications", key=token, json={"to": {"everyone": True}}),
        ]

        assert [answer.status_code for answer in answers] == [403, 404, 403, 403, 403, 403]

    async def test_it_ends_and_cannot_be_changed(self, gateway: Gateway) -> None:
        await gateway.with_app()
        token = await self.token(gateway, ttl=60)
        head, _, mark = token.partition(".")

        changed = await gateway.call("PUT", DEVICE, key=f"{head[:-2]}AA.{mark}", json={})
        gateway.clock.advance(60)
        late = await gateway.call("PUT", DEVICE, key=token, json={})

        assert changed.status_code == late.status_code == 401
        assert "expired" in late.json()["detail"]


async def test_history_tells_each_step_with_its_evidence(gateway: Gateway) -> None:
    await gateway.with_app()
    device = await gateway.store.devices.get(1, "ios-1")
    assert device is not None
    at = gateway.clock.now()
    evidence = Evidence(status=410, reason="Unregistered", at=at, since=at - 1000, delivery="d-1", route=4)
    verdict = TargetVerdict(
        target=device.targets[0].id, state=TargetState.RETIRED, reason="Unregistered", at=at, evidence=evidence
    )
    await gateway.store.devices.judge([verdict])
    await gateway.call("POST", "/v1/apps/acme-chat/devices/ios-1/restore", json={})

    steps = (await gateway.call("GET", "/v1/apps/acme-chat/devices/ios-1/history")).json()["history"]
    last = (await gateway.call("GET", "/v1/apps/acme-chat/devices/ios-1/history?limit=1")).json()["history"]

    assert [(step["state"], step["reason"]) for step in steps] == [("active", "restored"), ("retired", "Unregistered")]
    assert steps[1]["evidence"]["status"] == 410
    assert (steps[1]["evidence"]["delivery"], steps[1]["evidence"]["route"]) == ("d-1", 4)
    assert last == steps[:1]
    assert (await gateway.call("GET", "/v1/apps/acme-chat/devices/nobody/history")).status_code == 404
