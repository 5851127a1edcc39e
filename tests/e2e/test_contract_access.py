"""Who may do what: keys with scopes, apps and an end; phones with device tokens; nobody without either."""

from __future__ import annotations

from collections.abc import Callable

import httpx2
import pytest

from acme import APP, Stack
from contract import Caller, in_future, new_token, problem

SEND = f"/v1/apps/{APP}/notifications"


def key_of(stack: Stack, *scopes: str) -> httpx2.Client:
    """Return a client with a new key."""
    made = stack.http.post("/v1/keys", json={"scopes": scopes}).raise_for_status().json()["key"]
    headers = {"authorization": f"Bearer {made}"}
    return httpx2.Client(base_url=stack.gateway.address, headers=headers, trust_env=False, timeout=60)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/docs", "/openapi.json", "/docs/problems/invalid"])
def test_probes_and_documents_answer_without_a_key(stack: Stack, path: str) -> None:
    assert httpx2.get(f"{stack.gateway.address}{path}", trust_env=False, timeout=60).status_code == 200


@pytest.mark.parametrize("path", ["/metrics", "/v1/health", "/v1/apps", "/v1/keys", "/v1/events", "/v1/nothing", "/"])
def test_everything_else_is_401_without_a_key(stack: Stack, path: str) -> None:
    answer = httpx2.get(f"{stack.gateway.address}{path}", trust_env=False, timeout=60)
    problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_scope_opens_its_own_doors_and_no_others(stack: Stack) -> None:
    phone = Caller(stack).phone()
    body = {"to": {"users": [phone.user]}, "alert": {"body": "x"}}
    doors: dict[str, Callable[[httpx2.Client], httpx2.Response]] = {
        "send": lambda key: key.post(SEND, json=body),
        "devices": lambda key: key.put(
            f"/v1/apps/{APP}/devices/{phone.device}/presence", json={"connected_until": None}
        ),
        "credentials": lambda key: key.post(f"/v1/apps/{APP}/credentials", files={"file": b""}),
        "read": lambda key: key.get("/v1/health"),
        "admin": lambda key: key.patch(f"/v1/apps/{APP}", json={}),
    }
    opened: set[tuple[str, str]] = set()
    for scope in doors:
        with key_of(stack, scope) as key:
            opened |= {(scope, door) for door, knock in doors.items() if knock(key).status_code != 403}
    assert opened == {(scope, scope) for scope in doors} | {("admin", door) for door in doors}


def test_a_key_bound_to_apps_sees_those_alone(stack: Stack) -> None:
    stack.http.post("/v1/apps", json={"id": "bound-one"}).raise_for_status()
    stack.http.post("/v1/apps", json={"id": "bound-two"}).raise_for_status()
    made = stack.http.post("/v1/keys", json={"scopes": ["read", "send"], "apps": ["bound-one"]})
    assert made.status_code == 201
    headers = {"authorization": f"Bearer {made.json()['key']}"}
    assert [app["id"] for app in stack.http.get("/v1/apps", headers=headers).json()["apps"]] == ["bound-one"]
    problem(stack.http.get("/v1/apps/bound-two", headers=headers), 404, "not_found")
    problem(stack.http.get("/v1/keys", headers=headers), 403, "not_allowed")


def test_a_key_of_an_unknown_app_or_scope_is_not_made(stack: Stack) -> None:
    problem(stack.http.post("/v1/keys", json={"scopes": ["send"], "apps": ["absent"]}), 422, "invalid", "/apps/0")
    problem(stack.http.post("/v1/keys", json={"scopes": ["everything"]}), 422, "invalid", "/scopes/0")
    problem(stack.http.post("/v1/keys", json={"scopes": []}), 422, "invalid", "/scopes")
    problem(stack.http.post("/v1/keys", json={"scopes": ["read"], "expires": "soon"}), 422, "invalid", "/expires")
    problem(
        stack.http.post("/v1/keys", json={"scopes": ["read"], "expires": in_future(-9)}), 422, "invalid", "/expires"
    )


def test_a_listed_key_shows_how_it_begins_and_never_its_text(stack: Stack) -> None:
    made = stack.http.post("/v1/keys", json={"scopes": ["read"], "name": "reader"}).raise_for_status().json()
    listing = stack.http.get("/v1/keys")
    assert made["key"].startswith(made["prefix"])
    assert made["key"] not in listing.text
    (shown,) = (key for key in listing.json()["keys"] if key["id"] == made["id"])
    assert (shown["name"], shown["scopes"], shown["revoked"]) == ("reader", ["read"], None)


@pytest.fixture
def phones_own(stack: Stack) -> tuple[httpx2.Client, str]:
    """Return a client with the device token of a device, and the device's path."""
    device = f"own-{new_token()}"
    path = f"/v1/apps/{APP}/device-tokens"
    made = stack.http.post(path, json={"user": "olga", "device": device})
    assert made.status_code == 201
    headers = {"authorization": f"Bearer {made.json()['token']}"}
    return httpx2.Client(
        base_url=stack.gateway.address, headers=headers, trust_env=False, timeout=60
    ), f"/v1/apps/{APP}/devices/{device}"


def test_a_phone_registers_itself_and_says_when_it_is_connected(phones_own: tuple[httpx2.Client, str]) -> None:
    phone, path = phones_own
    targets = [{"kind": "apns", "value": new_token()}]
    with phone:
        assert phone.put(path, json={"user": "olga", "targets": targets}).status_code == 201
        assert phone.put(path, json={"targets": targets}).json()["user"] == "olga"
        assert phone.put(f"{path}/targets/apns-voip", json={"value": new_token()}).status_code == 200
        assert phone.put(f"{path}/presence", json={"connected_until": in_future(60)}).status_code == 200


def test_a_phone_does_nothing_else(phones_own: tuple[httpx2.Client, str]) -> None:
    phone, path = phones_own
    body = {"user": "olga", "targets": []}
    with phone:
        problem(phone.put(path, json=body | {"user": "mallory"}), 403, "not_allowed")
        problem(phone.put(f"{path}-of-another", json=body), 403, "not_allowed")
        problem(phone.get(path), 403, "not_allowed")
        problem(phone.delete(path), 403, "not_allowed")
        problem(phone.post(SEND, json={"to": {"users": ["olga"]}}), 403, "not_allowed")
        problem(phone.put(path.replace(APP, "bound-one"), json=body), 404, "not_found")


def test_a_forged_device_token_is_401(phones_own: tuple[httpx2.Client, str]) -> None:
    phone, path = phones_own
    token = phone.headers["authorization"]
    other = "A" if token[-5] != "A" else "B"
    with phone:
        forged = {"authorization": token[:-5] + other + token[-4:]}
        problem(phone.put(path, json={"user": "olga", "targets": []}, headers=forged), 401, "unauthenticated")
