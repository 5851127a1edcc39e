"""Credentials that take another's place before an app has sent anything, and files that come again with other words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from acme import BUNDLE, Stack
from contract import Caller, counted
from processes import gateway, pointing_at, simulator, until
from wakeline.cli.demo import material

GOOD = {"key_id": "GOODKEY123", "team_id": "TEAM123456"}
WRONG = {"key_id": "NEWKEY1234", "team_id": "OTHERTEAM1"}
FORM = {"topics": BUNDLE}


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return a stack whose APNs knows one key alone."""
    directory = tmp_path_factory.mktemp("replacing")
    with (
        simulator(directory / "fake") as fake,
        gateway(directory / "gateway", pointing_at(fake)) as running,
        running.client() as http,
    ):
        trusted = {"apns_keys": [GOOD]}
        httpx2.post(f"{fake.control}/trust", json=trusted, trust_env=False, timeout=60).raise_for_status()
        yield Stack(gateway=running, simulator=fake, http=http)


@pytest.fixture
def caller(apart: Stack, request: pytest.FixtureRequest) -> Caller:
    """Return the backend of an app that has nothing yet."""
    slug = request.node.name.replace("_", "-")[-60:].strip("-")
    apart.http.post("/v1/apps", json={"id": slug}).raise_for_status()
    return Caller(apart, slug)


def upload(caller: Caller, file: bytes, **form: str) -> httpx2.Response:
    return caller.http.post(f"{caller.path}/credentials", files={"file": ("k.p8", file)}, data=FORM | form)


def stored(caller: Caller) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = caller.http.get(f"{caller.path}/credentials").json()["credentials"]
    return found


def test_a_working_key_that_never_sent_survives_a_replacement_that_apple_refuses(caller: Caller) -> None:
    assert upload(caller, material.auth_key(), **GOOD).json()["check"]["ok"] is True

    said = upload(caller, material.auth_key(), **WRONG, replace="true").json()

    assert said["check"]["ok"] is False
    [kept] = until(lambda: [one for one in stored(caller) if one["key_id"] == GOOD["key_id"]], "the good key is back")
    assert kept["state"] == "working"
    assert "was taken back" in kept["state_note"]
    assert counted(caller.settled(caller.send(caller.phone()))) == {"accepted": 1}


def test_an_unchecked_replacement_before_the_first_push_is_tried_by_it(caller: Caller) -> None:
    upload(caller, material.auth_key(), **GOOD)
    said = upload(caller, material.auth_key(), **WRONG, replace="true", check="false").json()
    assert said["canary"] is True

    assert counted(caller.settled(caller.send(caller.phone()))) == {"accepted": 1}

    assert until(lambda: [one for one in stored(caller) if one["key_id"] == GOOD["key_id"]], "the good key is back")


def test_the_same_file_with_another_team_is_another_credential(caller: Caller) -> None:
    file = material.auth_key()
    upload(caller, file, **GOOD | {"team_id": "OTHERTEAM1"})

    refused = upload(caller, file, **GOOD)
    assert refused.status_code == 409
    assert "team" in refused.json()["detail"]

    corrected = upload(caller, file, **GOOD, replace="true")
    assert (corrected.status_code, corrected.json()["team_id"]) == (201, GOOD["team_id"])
    assert corrected.json()["check"]["ok"] is True
    assert upload(caller, file, **GOOD).status_code == 200


def test_the_same_file_with_another_key_id_is_a_renewal(caller: Caller) -> None:
    file = material.auth_key()
    upload(caller, file, **GOOD | {"key_id": "TYPINGERR1"})

    corrected = upload(caller, file, **GOOD)

    assert (corrected.status_code, corrected.json()["key_id"]) == (201, GOOD["key_id"])
    assert counted(caller.settled(caller.send(caller.phone()))) == {"accepted": 1}


def test_an_imported_key_gets_its_team_corrected_by_importing_again(
    apart: Stack, caller: Caller, tmp_path: Path
) -> None:
    (tmp_path / f"AuthKey_{GOOD['key_id']}.p8").write_bytes(material.auth_key())
    directory = str(tmp_path)
    add = ("import", "credentials", directory, "--app", caller.app, "--team-id")
    apart.gateway.cli(*add, "OTHERTEAM1")
    assert [one["team_id"] for one in stored(caller)] == ["OTHERTEAM1"]

    done = apart.gateway.cli(*add, GOOD["team_id"], "--replace")

    assert done.returncode == 0, done.stderr
    assert [one["team_id"] for one in stored(caller)] == [GOOD["team_id"]]


def test_the_command_line_says_that_what_it_added_was_taken_back(apart: Stack, caller: Caller, tmp_path: Path) -> None:
    upload(caller, material.auth_key(), **GOOD)
    file = tmp_path / "wrong.p8"
    file.write_bytes(material.auth_key())
    words = ("--key-id", WRONG["key_id"], "--team-id", WRONG["team_id"], "--topics", BUNDLE, "--replace")

    done = apart.gateway.cli("credential", "add", "--app", caller.app, str(file), *words)

    assert f"{WRONG['key_id']} of team {WRONG['team_id']} was taken back" in " ".join(done.stderr.split())


def test_an_operator_may_insist_from_the_command_line(apart: Stack, caller: Caller, tmp_path: Path) -> None:
    upload(caller, material.auth_key(), **GOOD)
    file = tmp_path / "AuthKey_NEWKEY1234.p8"
    file.write_bytes(material.auth_key())
    cli = apart.gateway.json

    added = ("add", str(file), "--team-id", GOOD["team_id"], "--topics", BUNDLE, "--no-canary", "--no-check")
    shown = cli("credential", *added, "--app", caller.app)
    changed = cli("app", "set", caller.app, "--apns-environment", "sandbox", "--no-canary")

    assert (shown["key_id"], shown["check"]) == (WRONG["key_id"], None)
    assert changed["settings"]["apns_environment"] == "sandbox"
    until(lambda: not stored(caller)[0]["canary"], "no trial is left")
    assert stored(caller)[0]["key_id"] == WRONG["key_id"]
