"""Browsers, from making the key to what they decrypt: a real gateway, and a push service that plays the browser too."""

from __future__ import annotations

import json
from typing import Any

from acme import Stack
from contract import Caller
from processes import until

CONTACT = "mailto:push@example.com"


def app_with_key(stack: Stack, name: str) -> tuple[Caller, str]:
    """Make an app with a VAPID key; returns its caller and the public half."""
    stack.http.post("/v1/apps", json={"id": name}).raise_for_status()
    made = stack.http.post(f"/v1/apps/{name}/credentials/vapid", json={"subject": CONTACT})
    assert made.status_code == 201, made.text
    return Caller(stack, name), made.json()["public_key"]


def subscription(stack: Stack, public_key: str) -> tuple[str, dict[str, Any]]:
    """Return a browser's name at the push service, and what its web app is given."""
    made = stack.simulator.subscribe(public_key)
    return made["target"], {"endpoint": made["endpoint"], "expirationTime": None, "keys": made["keys"]}


def sent(caller: Caller, **body: Any) -> dict[str, Any]:
    """Send and return the notification once it is done."""
    taken = caller.post(**body)
    assert taken.status_code == 202, taken.text
    path = f"{caller.path}/notifications/{taken.json()['id']}"

    def done() -> dict[str, Any] | None:
        shown: dict[str, Any] = caller.http.get(path).json()
        return shown if shown["state"] == "done" else None

    return until(done, "the notification is done")


def test_what_a_browser_would_get_is_shown_without_its_secrets(stack: Stack) -> None:
    caller, key = app_with_key(stack, "web-preview")
    name, told = subscription(stack, key)
    body = {"to": {"targets": [{"kind": "webpush", "value": told}]}, "alert": {"title": "Hi"}}
    answer = caller.http.post(f"{caller.path}/notifications?validate_only=true", json=body)
    assert answer.status_code == 200, answer.text
    assert "vapid t=[redacted]" in answer.text
    assert not any(secret in answer.text for secret in (told["endpoint"], name, *told["keys"].values()))
    assert stack.simulator.requests(name) == []


def test_a_subscription_that_has_ended_is_retired_and_one_of_another_key_is_not(stack: Stack) -> None:
    caller, key = app_with_key(stack, "web-ended")
    _, other = app_with_key(stack, "web-other")
    ended, first = subscription(stack, key)
    _, second = subscription(stack, other)
    for device, told in (("ended", first), ("foreign", second)):
        body = {"user": "ann", "targets": [{"kind": "webpush", "value": told}]}
        assert caller.http.put(f"{caller.path}/devices/{device}", json=body).status_code == 201
    stack.simulator.script(ended, {"status": 410})
    shown = sent(caller, to={"users": ["ann"]}, alert={"title": "Hi"})
    assert shown["counts"]["failed"] == 2
    assert {one["outcome"]["code"] for one in shown["deliveries"]} == {911, 912}

    def retired() -> bool:
        return bool(caller.http.get(f"{caller.path}/devices/ended").json()["state"] == "retired")

    until(retired, "the verdict is written")
    assert caller.http.get(f"{caller.path}/devices/foreign").json()["state"] == "active"


def test_a_browser_registered_on_the_command_line_reads_what_was_sent(stack: Stack) -> None:
    stack.http.post("/v1/apps", json={"id": "web-alert"}).raise_for_status()
    key = stack.gateway.json("credential", "vapid", "--app", "web-alert", "--subject", CONTACT)["public_key"]
    name, told = subscription(stack, key)
    target = f"webpush={json.dumps(told)}"
    stack.gateway.json("device", "put", "laptop", "--app", "web-alert", "--user", "ann", "--target", target)
    caller = Caller(stack, "web-alert")
    alert = {"title": "Grüße", "body": "\U0001f35c"}
    shown = sent(caller, to={"users": ["ann"]}, alert=alert, data={"room": 42})
    assert shown["counts"]["accepted"] == 1
    (request,) = stack.simulator.requests(name)
    read = request["body"]
    assert (read["title"], read["body"], read["data"]) == ("Grüße", "\U0001f35c", {"room": 42})
    explained = caller.http.get("/v1/explain", params={"q": told["endpoint"]})
    assert "laptop" in explained.json()["about"]
    assert told["endpoint"] not in explained.text

    def proven() -> bool:
        (credential,) = caller.http.get(f"{caller.path}/credentials").json()["credentials"]
        return (credential["kind"], credential["state"]) == ("vapid_key", "working")

    until(proven, "the key is known to work")
    (route,) = [one for one in caller.http.get("/v1/health").json()["routes"] if one["app"] == "web-alert"]
    assert (route["provider"], route["topic"], route["hold"]) == ("webpush", told["endpoint"].split("/wp/")[0], None)
    assert 'provider="webpush"' in caller.http.get("/metrics").text
