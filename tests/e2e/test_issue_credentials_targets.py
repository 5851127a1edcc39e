"""Raw targets go by the topic that their sender names, also when it named another one before."""

from __future__ import annotations

import secrets

import pytest

from acme import BUNDLE, Stack
from contract import Caller, own_app
from wakeline.cli.demo import material

OTHER = "com.example.other"


@pytest.fixture
def caller(stack: Stack) -> Caller:
    """Return the backend of an app with a key for each of two bundle ids."""
    found = own_app(stack)
    form = {"key_id": material.KEY_ID, "team_id": material.TEAM_ID, "topics": OTHER, "add": "true"}
    answer = found.http.post(f"{found.path}/credentials", files={"file": material.auth_key()}, data=form)
    answer.raise_for_status()
    return found


def sent_to(caller: Caller, token: str, topic: str) -> str:
    target = {"kind": "apns", "value": token} | ({"topic": topic} if topic else {})
    answer = caller.post(to={"targets": [target]}, alert={"body": "x"}).raise_for_status()
    assert caller.delivery(answer.json()["id"])["state"] == "accepted"
    return str(caller.simulator.requests(token)[-1]["headers"]["apns-topic"])


def test_a_raw_token_goes_by_the_topic_that_was_named_last(caller: Caller) -> None:
    token = secrets.token_hex(32)

    assert [sent_to(caller, token, topic) for topic in (OTHER, BUNDLE, "", OTHER)] == [OTHER, BUNDLE, BUNDLE, OTHER]


def test_a_registered_token_goes_by_its_registration(caller: Caller) -> None:
    phone = caller.phone(target={"topic": BUNDLE})

    assert sent_to(caller, phone.token, OTHER) == BUNDLE
