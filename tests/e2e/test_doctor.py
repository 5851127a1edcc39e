"""The doctor and `explain` on a running gateway: real connections to push services, and keys that see one app."""

from __future__ import annotations

import time
import uuid
from typing import Any

import httpx2

from acme import APP, Stack
from contract import new_token
from processes import until


def examined(http: httpx2.Client, **query: str) -> dict[str, dict[str, Any]]:
    """Return the doctor's lines by name."""
    checks = http.get("/v1/doctor", params=query).raise_for_status().json()["checks"]
    return {one["name"]: one for one in checks}


def test_push_services_are_reached_as_pushes_reach_them(stack: Stack) -> None:
    began = time.monotonic()
    lines = examined(stack.http, app=APP)
    took = time.monotonic() - began

    reached = {name: one for name, one in lines.items() if name.startswith(("apns at ", "fcm at "))}
    assert {name.split(" ")[0] for name in reached} == {"apns", "fcm"}
    assert {one["status"] for one in reached.values()} == {"ok"}, reached
    assert lines["clock against push services"]["status"] == "ok"
    assert lines["public_url"]["status"] in {"ok", "skipped", "warning"}
    assert took < 20  # each of them has a few seconds, and they are asked side by side


def test_a_key_of_an_app_is_told_of_that_app(stack: Stack) -> None:
    slug = f"other-{uuid.uuid4().hex[:8]}"
    stack.http.post("/v1/apps", json={"id": slug, "name": "Other"}).raise_for_status()
    key = stack.http.post("/v1/keys", json={"scopes": ["read"], "apps": [slug]}).raise_for_status().json()["key"]
    with httpx2.Client(
        base_url=stack.http.base_url, headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=60
    ) as bound:
        lines = examined(bound)
        refused = bound.get("/v1/doctor", params={"app": APP})

    assert f"app {slug}" in lines
    assert not [name for name in lines if APP in name or name == "disk"]
    assert refused.status_code == 404


def test_an_accepted_push_names_what_its_phone_may_do_with_it(stack: Stack) -> None:
    user, device = f"user-{uuid.uuid4().hex[:8]}", uuid.uuid4().hex
    facts = {"platform": "ios", "notifications_enabled": True, "low_power": True}
    body = {"user": user, "targets": [{"kind": "apns", "value": new_token()}], **facts}
    stack.http.put(f"/v1/apps/{APP}/devices/{device}", json=body).raise_for_status()
    push = {"to": {"users": [user]}, "alert": {"title": "hello"}}
    sent = stack.http.post(f"/v1/apps/{APP}/notifications", json=push).raise_for_status().json()["id"]
    path = f"/v1/apps/{APP}/notifications/{sent}"
    until(lambda: stack.http.get(path).json()["counts"]["accepted"] == 1, "the push was accepted")

    said = stack.http.get(f"{path}/explain").raise_for_status().json()

    reasons = [step["detail"] for step in said["steps"] if step["what"] == "on the device, perhaps"]
    assert said["fix"].startswith("The device said that it is in Low Power Mode")
    assert any("Focus" in reason for reason in reasons)
    assert not [reason for reason in reasons if "Are notifications of the app allowed" in reason or "Android" in reason]
