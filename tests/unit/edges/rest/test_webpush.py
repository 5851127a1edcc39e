"""Web Push at the API: registering, naming and explaining subscriptions, and the key they are made with."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from subscribers import Subscriber, subscriber
from unit.edges.rest.gateway import Gateway
from wakeline.config import Providers, Settings, WebPush
from wakeline.model.device import TargetKind
from wakeline.model.key import Scope

pytestmark = pytest.mark.anyio

DEVICE = "/v1/apps/acme-chat/devices/browser-1"
VAPID = "/v1/apps/acme-chat/credentials/vapid"
CONTACT = {"subject": "mailto:push@example.com"}


def spelled(browser: Subscriber) -> list[dict[str, Any]]:
    """The ways in which an app may hand a subscription on."""
    return [
        {"value": browser.endpoint, "keys": browser.keys},
        {"value": browser.json},
        {"value": json.dumps(browser.json)},
        {"value": {"endpoint": browser.endpoint}, "keys": browser.keys},
    ]


@pytest.mark.parametrize("form", range(4))
async def test_a_subscription_is_registered_as_the_browser_says_it(gateway: Gateway, form: int) -> None:
    await gateway.with_app()
    browser = subscriber("https://push.example.com:8443/wp/0123456789abcdef")
    target = {"kind": "webpush", **spelled(browser)[form]}

    put = await gateway.call("PUT", DEVICE, json={"user": "alice", "targets": [target]})
    shown = (await gateway.call("GET", DEVICE)).json()["targets"][0]

    assert put.status_code == 201
    assert (shown["kind"], shown["value"], shown["keys"]) == ("webpush", browser.endpoint, {"p256dh": browser.p256dh})
    assert (shown["topic"], shown["project"], shown["environment"]) == (
        "https://push.example.com:8443",
        "",
        "production",
    )
    assert browser.auth not in json.dumps(shown)


async def test_every_spelling_is_the_same_target(gateway: Gateway) -> None:
    await gateway.with_app()
    browser = subscriber()
    targets = [{"kind": "webpush", **spelling} for spelling in spelled(browser)]
    answer = await gateway.call("PUT", DEVICE, json={"user": "alice", "targets": targets})
    assert len(answer.json()["targets"]) == 1


async def test_a_phone_may_register_its_own_subscription(gateway: Gateway) -> None:
    await gateway.with_app()
    made = await gateway.call("POST", "/v1/apps/acme-chat/device-tokens", json={"user": "alice", "device": "browser-1"})
    token = made.json()["token"]
    path = f"{DEVICE}/targets/webpush"
    await gateway.call("PUT", DEVICE, key=token, json={"user": "alice"})
    put = await gateway.call("PUT", path, key=token, json={"value": subscriber().json})
    assert put.status_code == 200
    assert [target["kind"] for target in put.json()["targets"]] == ["webpush"]


async def test_those_who_may_not_manage_devices_see_endpoints_masked(gateway: Gateway) -> None:
    await gateway.with_app()
    browser = subscriber()
    await gateway.call("PUT", DEVICE, json={"user": "alice", "targets": [{"kind": "webpush", "value": browser.json}]})
    reader = await gateway.key(Scope.READ)
    shown = (await gateway.call("GET", DEVICE, key=reader)).text
    assert json.loads(shown)["targets"][0]["value"] == f"...{browser.endpoint[-6:]}"
    assert not any(secret in shown for secret in (browser.endpoint, browser.p256dh, browser.auth))


@pytest.mark.parametrize(
    ("change", "pointer", "words"),
    [
        ({"value": "https://ntfy.example.com/upABC", "keys": None}, "/targets/0/keys", "UnifiedPush"),
        (
            {"value": {"endpoint": "https://ntfy.example.com/upABC"}, "keys": None},
            "/targets/0/value/keys",
            "UnifiedPush",
        ),
        ({"value": '{"endpoint": 7}', "keys": None}, "/targets/0/value", "JSON.stringify"),
        ({"value": "http://push.example.com/wp/1"}, "/targets/0/value", "https"),
        ({"value": "push.example.com"}, "/targets/0/value", "subscription.toJSON"),
        ({"keys": {"p256dh": "AAAA", "auth": "AAAA"}}, "/targets/0/keys/p256dh", "subscription.toJSON"),
        ({"topic": "com.acme"}, "/targets/0/topic", "Leave it out"),
        ({"environment": "sandbox"}, "/targets/0/environment", "Leave it out"),
    ],
)
async def test_what_is_no_subscription_is_refused_with_the_field_and_what_to_do(
    gateway: Gateway, change: dict[str, Any], pointer: str, words: str
) -> None:
    await gateway.with_app()
    browser = subscriber()
    target = {"kind": "webpush", "value": browser.endpoint, "keys": browser.keys} | change
    body = {"targets": [{name: value for name, value in target.items() if value is not None}]}

    answer = await gateway.call("PUT", DEVICE, json=body)

    assert answer.status_code == 422
    problem = answer.json()
    assert problem["errors"][0]["pointer"] == pointer
    assert words in problem["detail"] + problem["fix"]


@pytest.mark.parametrize(
    "target",
    [
        {"kind": "fcm", "value": {"endpoint": "https://a.example/1"}},
        {"kind": "apns", "value": "ab", "keys": {"p256dh": "a", "auth": "b"}},
    ],
)
async def test_only_webpush_has_keys(gateway: Gateway, target: dict[str, Any]) -> None:
    await gateway.with_app()
    assert (await gateway.call("PUT", DEVICE, json={"targets": [target]})).status_code == 422
    sent = {"to": {"targets": [target]}, "alert": {"title": "Hi"}}
    assert (await gateway.call("POST", "/v1/apps/acme-chat/notifications", json=sent)).status_code == 422


async def test_endpoints_without_tls_are_taken_where_the_settings_allow_them() -> None:
    gateway = Gateway(Settings(providers=Providers(webpush=WebPush(allow_http=True))))
    gateway.admin = await gateway.key(Scope.ADMIN)
    await gateway.with_app()
    target = {"kind": "webpush", "value": subscriber("http://192.168.1.7:8080/UP?token=1").json}
    put = await gateway.call("PUT", DEVICE, json={"user": "bob", "targets": [target]})
    assert put.json()["targets"][0]["topic"] == "http://192.168.1.7:8080"


async def test_a_raw_subscription_is_a_target_in_every_spelling_and_kept_once(gateway: Gateway) -> None:
    await gateway.with_app()
    await gateway.call("POST", VAPID, json=CONTACT)
    browser = subscriber()
    targets = [{"kind": "webpush", **spelling} for spelling in spelled(browser)]
    sent = await gateway.call(
        "POST", "/v1/apps/acme-chat/notifications", json={"to": {"targets": targets}, "alert": {"title": "Hi"}}
    )
    assert (sent.status_code, sent.json()["recipients"]) == (202, 1)
    app = gateway.store.apps.get("acme-chat")
    assert app is not None
    device = await gateway.store.devices.by_target(app.id, TargetKind.WEBPUSH, browser.value)
    assert device is not None
    assert device.device_id.startswith("raw-")
    assert browser.endpoint not in device.device_id


async def test_explain_finds_a_subscription_by_its_endpoint_and_shows_neither_it_nor_its_keys(gateway: Gateway) -> None:
    await gateway.with_app()
    browser = subscriber()
    await gateway.call("PUT", DEVICE, json={"user": "alice", "targets": [{"kind": "webpush", "value": browser.json}]})
    answer = await gateway.call("GET", "/v1/explain", params={"q": browser.endpoint})
    assert answer.status_code == 200
    assert "browser-1" in answer.json()["about"]
    assert "wakeline credential vapid" in answer.text
    assert not any(secret in answer.text for secret in (browser.endpoint, browser.p256dh, browser.auth))


async def test_without_a_vapid_key_it_is_said_how_to_make_one(gateway: Gateway) -> None:
    await gateway.with_app()
    await gateway.call(
        "PUT", DEVICE, json={"user": "bob", "targets": [{"kind": "webpush", "value": subscriber().json}]}
    )
    sent = await gateway.call(
        "POST", "/v1/apps/acme-chat/notifications", json={"to": {"users": ["bob"]}, "alert": {"title": "Hi"}}
    )
    assert sent.status_code == 422
    assert "wakeline credential vapid" in sent.json()["detail"]


async def test_a_vapid_key_is_made_and_its_public_half_shown(gateway: Gateway) -> None:
    await gateway.with_app()
    made = await gateway.call("POST", VAPID, json=CONTACT)
    listed = (await gateway.call("GET", "/v1/apps/acme-chat/credentials")).json()["credentials"]
    assert made.status_code == 201
    key = made.json()
    assert (key["kind"], key["subject"]) == ("vapid_key", "mailto:push@example.com")
    assert len(key["public_key"]) == 87
    assert [one["public_key"] for one in listed if one["kind"] == "vapid_key"] == [key["public_key"]]
    assert "PRIVATE" not in made.text


async def test_another_vapid_key_takes_the_place_of_the_first_only_if_that_is_meant(gateway: Gateway) -> None:
    await gateway.with_app()
    first = (await gateway.call("POST", VAPID, json=CONTACT)).json()
    refused = await gateway.call("POST", VAPID, json=CONTACT)
    second = (await gateway.call("POST", VAPID, json=CONTACT | {"replace": True})).json()
    assert refused.status_code == 409
    assert "subscribe anew" in refused.json()["detail"]
    assert "replace=true" in refused.json()["fix"]
    assert second["id"] == first["id"]
    assert second["public_key"] != first["public_key"]
    assert second["canary"] is False


async def test_without_a_contact_a_key_is_made_only_if_the_settings_name_one(gateway: Gateway) -> None:
    await gateway.with_app()
    refused = await gateway.call("POST", VAPID, json={})
    wrong = await gateway.call("POST", VAPID, json={"subject": "push@example.com"})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/subject")
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/subject")
    providers = Providers(webpush=WebPush(contact="https://example.com/push"))
    gateway.ports.settings = msgspec.structs.replace(gateway.ports.settings, providers=providers)
    assert (await gateway.call("POST", VAPID, json={})).json()["subject"] == "https://example.com/push"


async def test_a_vapid_key_in_pem_is_uploaded_by_the_callers_word(gateway: Gateway) -> None:
    await gateway.with_app()
    made = await gateway.call("POST", VAPID, json=CONTACT)
    app = gateway.store.apps.get("acme-chat")
    assert app is not None
    secret = await gateway.store.credentials.secret(gateway.store.credentials.of_app(app.id)[-1].id)
    path = "/v1/apps/acme-chat/credentials"
    form = {"kind": "vapid_key", "subject": "mailto:it@example.com", "check": "false"}
    same = await gateway.call("POST", path, files={"file": ("vapid.pem", secret.private_key)}, data=form)
    again = await gateway.call("POST", path, files={"file": ("vapid.pem", secret.private_key)}, data=form)
    beside = await gateway.call("POST", VAPID, json=CONTACT)
    assert (same.status_code, again.status_code, beside.status_code) == (201, 200, 409)
    assert (same.json()["public_key"], same.json()["subject"]) == (made.json()["public_key"], "mailto:it@example.com")
