"""A wrong setting heals itself, over the wire: the old credential serves until the new one has shown that it works."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from acme import BUNDLE, Stack
from contract import Caller, Phone, counted, own_app
from processes import gateway, pointing_at, simulator, until
from wakeline.cli.demo import material

OLD = {"key_id": material.KEY_ID, "team_id": material.TEAM_ID}
NEW = {"key_id": "NEWKEY1234", "team_id": "OTHERTEAM1"}
PUSHES = 60


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return a stack whose push services may stop trusting it."""
    directory = tmp_path_factory.mktemp("canary")
    with (
        simulator(directory / "fake") as fake,
        gateway(directory / "gateway", pointing_at(fake)) as running,
        running.client() as http,
    ):
        yield Stack(gateway=running, simulator=fake, http=http)


@pytest.fixture
def caller(apart: Stack) -> Caller:
    """Return the backend of an app whose key works, and is the only one that Apple knows."""
    trust(apart, OLD)
    found = own_app(apart)
    assert counted(found.settled(found.send(found.phone()))) == {"accepted": 1}
    return found


def trust(stack: Stack, *keys: dict[str, Any]) -> None:
    body = {"apns_keys": list(keys)}
    httpx2.post(f"{stack.simulator.control}/trust", json=body, trust_env=False, timeout=60).raise_for_status()


def replace(caller: Caller, **form: str) -> dict[str, Any]:
    fields = NEW | {"topics": BUNDLE, "replace": "true"} | form
    answer = caller.http.post(f"{caller.path}/credentials", files={"file": ("k", material.auth_key())}, data=fields)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def apns_key(caller: Caller) -> dict[str, Any]:
    credentials = caller.http.get(f"{caller.path}/credentials").json()["credentials"]
    (found,) = (one for one in credentials if one["kind"] == "apns_key")
    return dict(found)


def phones(caller: Caller) -> list[Phone]:
    return [caller.phone() for _ in range(PUSHES)]


def test_a_key_that_apple_refuses_on_upload_is_taken_back_before_it_sends(caller: Caller) -> None:
    said = replace(caller)

    assert said["check"]["ok"] is False
    assert said["check"]["outcome"]["reason"] == "InvalidProviderToken"
    until(lambda: apns_key(caller)["key_id"] == material.KEY_ID, "the key is back")
    assert NEW["key_id"] in apns_key(caller)["state_note"]
    assert counted(caller.settled(caller.send(*phones(caller)))) == {"accepted": PUSHES}


def test_a_key_for_another_topic_is_found_out_by_its_first_pushes(apart: Stack, caller: Caller) -> None:
    trust(apart, OLD, NEW | {"topics": ["com.example.other"]})
    known = phones(caller)
    said = replace(caller, check="false")
    assert (said["check"], said["canary"]) == (None, True)

    sent = [caller.send(phone) for phone in known]

    assert all(counted(caller.settled(one)) == {"accepted": 1} for one in sent)
    until(lambda: apns_key(caller)["key_id"] == material.KEY_ID, "the key is back")
    assert {caller.device(phone)["state"] for phone in known} == {"active"}
    note = apns_key(caller)["state_note"]
    assert NEW["key_id"] in note
    assert "went through as before" in note
    assert caller.explain(sent[0])["verdict"]


def test_a_good_key_takes_over_after_its_canary(apart: Stack, caller: Caller) -> None:
    trust(apart, OLD, NEW)
    assert replace(caller)["check"]["ok"] is True

    sent = [caller.send(phone) for phone in phones(caller)]

    assert all(counted(caller.settled(one)) == {"accepted": 1} for one in sent)
    until(lambda: not apns_key(caller)["canary"], "the trial is over")
    assert (apns_key(caller)["key_id"], apns_key(caller)["state"]) == (NEW["key_id"], "working")


def test_an_operator_may_insist(apart: Stack, caller: Caller) -> None:
    trust(apart, OLD, NEW)
    replace(caller, canary="false")
    until(lambda: not apns_key(caller)["canary"], "no trial is left")
    assert apns_key(caller)["key_id"] == NEW["key_id"]
    assert counted(caller.settled(caller.send(caller.phone()))) == {"accepted": 1}
