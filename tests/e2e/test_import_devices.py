"""`wakeline import devices`: through a running gateway and on its store alone, killed in the middle and gone on with."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from processes import Gateway, end, environment, started, until

ROWS = 20_000
APP = "acme-chat"


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Gateway:
    """Return a gateway that is not started: the commands work on its store."""
    gateway = Gateway(tmp_path_factory.mktemp("import"))
    gateway.json("app", "create", APP)
    return gateway


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, httpx2.Client]]:
    with started(Gateway(tmp_path_factory.mktemp("running"))) as gateway, gateway.client() as http:
        http.post("/v1/apps", json={"id": APP}).raise_for_status()
        yield gateway, http


def rejected(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.with_name(f"{file.name}.rejected").read_text().splitlines()]


def registered(http: httpx2.Client) -> dict[str, list[str]]:
    """Return the tokens of every device."""
    found: dict[str, list[str]] = {}
    cursor = ""
    while True:
        page = http.get(f"/v1/apps/{APP}/devices", params={"limit": 500, "cursor": cursor}).raise_for_status().json()
        for device in page["devices"]:
            assert device["device_id"] not in found
            found[device["device_id"]] = [target["value"] for target in device["targets"]]
        cursor = page["next_cursor"] or ""
        if not cursor:
            return found


def test_a_list_killed_twice_is_in_whole_and_once(running: tuple[Gateway, httpx2.Client], tmp_path: Path) -> None:
    gateway, http = running
    file = tmp_path / "phones.csv"
    rows = [f"phone-{number},user-{number // 3},fcm,token-{number:07}" for number in range(ROWS)]
    rows[ROWS // 4] = "phone-bad,user,fcm,two words"
    rows[-1] = "short"
    file.write_text("\n".join(["device,user,kind,token", *rows]))
    place = file.with_name("phones.csv.progress")
    before = -1
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-m", "wakeline", "import", "devices", str(file), "--config", str(gateway.config)],
            cwd=tmp_path,
            env=environment(),
        )
        was = before
        before = until(lambda was=was: _further(place, was), "it came further")  # type: ignore[misc]  # bound by default
        process.kill()
        end(process, number=None)

    done = gateway.json("import", "devices", str(file), "--app", APP, code=4)

    assert done["resumed_at"] > 2
    assert (done["rows"], done["devices"], done["rejected"]) == (ROWS - 2, ROWS - 2, 2)
    assert [(one["line"], one["row"]) for one in rejected(file)] == [
        (ROWS // 4 + 2, "phone-bad,user,fcm,two words"),
        (ROWS + 1, "short"),
    ]
    assert not place.exists()
    expected = {
        f"phone-{number}": [f"token-{number:07}"] for number in range(ROWS) if number not in {ROWS // 4, ROWS - 1}
    }
    assert registered(http) == expected


def _further(place: Path, than: int) -> int | None:
    try:
        offset: int = json.loads(place.read_bytes())["offset"]
    except FileNotFoundError:
        return None
    return offset if offset > than else None


def test_a_gateway_killed_under_an_import_has_kept_what_it_answered_for(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path / "killed")
    gateway.json("app", "create", APP)
    file = tmp_path / "browsers.ndjson"
    rows = [{"id": f"b{number}", "platform": "android", "token": f"token-{number}"} for number in range(ROWS)]
    file.write_text("\n".join(map(json.dumps, rows)))
    command = ("import", "devices", str(file), "--map", "device=id")
    with started(gateway):
        process = subprocess.Popen(
            [sys.executable, "-m", "wakeline", *command, "--config", str(gateway.config)],
            cwd=tmp_path,
            env=environment(),
            stderr=subprocess.PIPE,
        )
        until(lambda: _further(file.with_name("browsers.ndjson.progress"), 0), "some of it is in")
        gateway.kill()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 5, said

    with started(gateway), gateway.client() as http:
        done = gateway.json(*command)

        assert done["resumed_at"] > 1
        assert (done["devices"], done["rejected"]) == (ROWS, 0)
        assert registered(http) == {f"b{number}": [f"token-{number}"] for number in range(ROWS)}


def test_offline_rows_of_one_device_make_one(idle: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "calls.csv"
    file.write_text(
        "Device_ID;Registration_ID;Type;user;Last_Seen\n"
        "d1;aa;apns;alice;2024-01-01T00:00:00Z\n"
        "d1;bb;voip;alice;2024-01-01T00:00:00Z\n"
        "d2;cc;apns;bob;\n"
    )

    done = idle.json("import", "devices", str(file), "--map", "kind=Type")

    assert (done["rows"], done["devices"], done["rejected"], done["rejected_file"]) == (3, 2, 0, "")
    first = idle.json("device", "show", "d1")
    assert [(one["kind"], one["value"]) for one in first["targets"]] == [("apns", "aa"), ("apns-voip", "bb")]
    assert first["targets"][0]["confirmed"] == "2024-01-01T00:00:00Z"
    assert idle.json("device", "show", "d2")["targets"][0]["confirmed"] is None
    assert idle.json("import", "devices", str(file), "--map", "kind=Type") == done


def test_lists_come_from_standard_input_too(idle: Gateway) -> None:
    rows = [{"device": "j1", "kind": "fcm", "token": "t1"}, {"device": "j2", "kind": "fcm"}, {"device": "j3", "x": 1}]

    done = idle.cli("import", "devices", "-", "--json", stdin="\n".join(map(json.dumps, rows)))

    assert done.returncode == 4, done.stderr
    assert json.loads(done.stdout)["devices"] == 1
    aside = [json.loads(line) for line in (idle.directory / "stdin.rejected").read_text().splitlines()]
    assert [(one["line"], one["cause"][:12]) for one in aside] == [(2, "there is no "), (3, "'x' means no")]


def test_what_does_not_fit_is_said_before_anything_is_sent(idle: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "odd.csv"
    file.write_text("device,token,kind,colour\nd9,aa,apns,red\n")

    refused = idle.json("import", "devices", str(file), code=2)

    assert "colour" in refused["error"]["cause"]
    assert "--ignore-unknown" in refused["error"]["fix"]
    idle.json("device", "show", "d9", code=3)
    assert idle.json("import", "devices", str(tmp_path / "none.csv"), code=3)["error"]["code"]
