"""Credentials: judged in words when they come, swapped without a restart, and held, never burnt, when they are rejected."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from acme import BUNDLE, Stack
from contract import Caller, counted, own_app, problem
from processes import gateway, pointing_at, simulator, until
from wakeline.cli.demo import material

APPLE = {"key_id": material.KEY_ID, "team_id": material.TEAM_ID, "topics": BUNDLE}


def upload(caller: Caller, file: bytes, name: str = "file", **form: str) -> httpx2.Response:
    return caller.http.post(f"{caller.path}/credentials", files={"file": (name, file)}, data=form)


def empty_app(stack: Stack, name: str) -> Caller:
    stack.http.post("/v1/apps", json={"id": name}).raise_for_status()
    return Caller(stack, name)


def test_a_key_says_what_it_is_good_for(stack: Stack) -> None:
    caller = empty_app(stack, "judged-key")
    answer = upload(caller, material.auth_key(), **APPLE)
    assert answer.status_code == 201
    found = answer.json()
    assert (found["kind"], found["topics"], found["not_after"]) == ("apns_key", [BUNDLE], None)
    assert found["verdict"]["grade"] == "ok"
    (listed,) = caller.http.get(f"{caller.path}/credentials").json()["credentials"]
    assert listed["id"] == found["id"]
    checked = caller.http.post(f"{caller.path}/credentials/{found['id']}/check").json()
    assert checked["ok"] is True
    assert "PRIVATE" not in caller.http.get(f"{caller.path}/credentials").text
    assert caller.http.delete(f"{caller.path}/credentials/{found['id']}").status_code == 204
    assert caller.http.get(f"{caller.path}/credentials").json()["credentials"] == []


def test_a_certificate_says_when_it_ends_and_recommends_a_key(stack: Stack) -> None:
    caller = empty_app(stack, "judged-certificate")
    found = upload(caller, material.certificate(BUNDLE), password=material.PASSWORD).json()
    assert (found["environment"], found["topics"]) == ("production", [BUNDLE, f"{BUNDLE}.voip"])
    assert found["not_after"]
    assert ".p8" in str(found["verdict"])


@pytest.mark.parametrize(
    ("file", "form"),
    [
        (b"no credential at all", {}),
        (b"", {}),
        (material.certificate(BUNDLE), {"password": "wrong"}),
        (material.auth_key(), {"key_id": "SHORT", "team_id": material.TEAM_ID}),
        (b"AAAAxyz:APA91bFo-legacy-server-key", {}),
    ],
    ids=["text", "nothing", "wrong-password", "wrong-key-id", "legacy-server-key"],
)
def test_a_file_that_cannot_work_is_refused_with_its_reason(stack: Stack, file: bytes, form: dict[str, str]) -> None:
    answer = upload(Caller(stack), file, **form)
    assert answer.status_code == 422
    assert answer.json()["code"] in {"credential_refused", "invalid"}
    assert answer.json()["detail"]


def test_a_credential_for_another_bundle_needs_to_be_asked_for(stack: Stack) -> None:
    caller = own_app(stack)
    other = APPLE | {"topics": "com.example.other"}
    problem(upload(caller, material.auth_key(), **other), 409, "conflict")
    assert upload(caller, material.auth_key(), **other, replace="true").status_code in {200, 201}
    topics = [one["topics"] for one in caller.http.get(f"{caller.path}/credentials").json()["credentials"]]
    assert ["com.example.other"] in topics
    assert [BUNDLE] not in topics


def test_a_key_and_a_certificate_serve_two_apps_side_by_side(stack: Stack) -> None:
    with_key, with_certificate = own_app(stack), empty_app(stack, "by-certificate")
    upload(with_certificate, material.certificate("com.example.side"), password=material.PASSWORD).raise_for_status()
    for caller in (with_key, with_certificate):
        phone = caller.phone()
        assert counted(caller.settled(caller.send(phone))) == {"accepted": 1}
        (request,) = caller.received(phone)
        assert ("authorization" in request["headers"]) is (caller is with_key)


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return a stack whose push services may stop trusting it."""
    directory = tmp_path_factory.mktemp("apart")
    with (
        simulator(directory / "fake") as fake,
        gateway(directory / "gateway", pointing_at(fake)) as running,
        running.client() as http,
    ):
        yield Stack(gateway=running, simulator=fake, http=http)


def trust(stack: Stack, *keys: dict[str, Any]) -> None:
    body = {"apns_keys": list(keys)}
    httpx2.post(f"{stack.simulator.control}/trust", json=body, trust_env=False, timeout=60).raise_for_status()


def test_a_rejected_credential_burns_nothing_and_flows_again_when_repaired(apart: Stack) -> None:
    caller = own_app(apart)
    phone, voip = caller.phone(), caller.phone("apns-voip")
    trust(apart, {"key_id": "ANOTHERKEY", "team_id": material.TEAM_ID})
    waits = caller.send(phone)
    held = caller.in_state(waits, "held")
    assert counted(held) == {"held": 1}
    assert held["deliveries"][0]["outcome"]["code"] == 904

    def cut_off() -> dict[str, Any] | None:
        (found,) = (one for one in apart.http.get("/v1/routes").json()["routes"] if one["app"] == caller.app)
        return found if found["hold"] and found["connections"] == 0 else None

    route = until(cut_off, "the route is held, and the connections of a rejected key are closed")
    assert (route["hold"]["reason"], route["hold"]["code"]) == ("credential", 904)
    call = caller.delivery(caller.send(voip, type="call", call={"id": "c"}))
    assert (call["state"], call["outcome"]["code"]) == ("failed", 904)
    assert apart.http.get("/v1/health").json()["status"] != "ok"
    assert caller.device(phone)["state"] == "active"
    problem_of = caller.explain(waits)
    assert "904" in problem_of["verdict"]
    assert problem_of["fix"]
    trust(apart, {"key_id": material.KEY_ID, "team_id": material.TEAM_ID})
    upload(caller, material.auth_key(), **APPLE).raise_for_status()
    assert counted(caller.settled(waits)) == {"accepted": 1}


def test_a_check_that_passes_releases_what_waited(apart: Stack) -> None:
    caller = own_app(apart)
    phone = caller.phone()
    trust(apart, {"key_id": "ANOTHERKEY", "team_id": material.TEAM_ID})
    waits = caller.send(phone)
    caller.in_state(waits, "held")

    def failed() -> dict[str, Any] | None:
        known = caller.http.get(f"{caller.path}/credentials").json()["credentials"]
        (found,) = (one for one in known if one["kind"] == "apns_key")
        return found if found["state"] == "failed" else None

    credential = until(failed, "the credential is known to fail")
    path = f"{caller.path}/credentials/{credential['id']}/check"
    assert caller.http.post(path).json()["ok"] is False
    trust(apart, {"key_id": material.KEY_ID, "team_id": material.TEAM_ID})
    until(lambda: caller.http.post(path).json()["ok"], "the check passes")
    assert counted(caller.settled(waits)) == {"accepted": 1}
