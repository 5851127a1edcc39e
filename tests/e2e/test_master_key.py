"""The master key of a real gateway: changed while it sends, given by the environment, and wrong."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import httpx2

from acme import APP, BUNDLE
from apn_directory import identity
from processes import Gateway, Simulator, environment, gateway, pointing_at, until, wakeline


def _deliver(http: httpx2.Client) -> None:
    answer = http.post(f"/v1/apps/{APP}/notifications", json={"to": {"users": ["ann"]}, "alert": {"title": "hello"}})
    place = f"/v1/apps/{APP}/notifications/{answer.raise_for_status().json()['id']}"
    until(lambda: http.get(place).json()["counts"]["accepted"] == 1 or None, "it is accepted")


def test_a_running_gateway_changes_its_key_and_goes_on(tmp_path: Path, fake: Simulator) -> None:
    with gateway(tmp_path, pointing_at(fake)) as running, running.client() as http:
        http.post("/v1/apps", json={"id": APP}).raise_for_status()
        file = {"file": ("client.pem", identity(BUNDLE))}
        http.post(f"/v1/apps/{APP}/credentials", files=file, data={"check": "false"}).raise_for_status()
        targets = [{"kind": "apns", "value": "3c" * 32}]
        http.put(f"/v1/apps/{APP}/devices/d1", json={"user": "ann", "targets": targets}).raise_for_status()
        answer = http.post(f"/v1/apps/{APP}/device-tokens", json={"device": "d1", "user": "ann"}).raise_for_status()
        phone = {"authorization": f"Bearer {answer.json()['token']}"}
        presence = f"{running.address}/v1/apps/{APP}/devices/d1/presence"
        before = (running.data / "master.key").read_text().split()[0]

        done = running.json("db", "rotate-key")

        assert done["resealed"] == 1
        assert len(done["former"]) == 1
        assert (running.data / "master.key").read_text().split()[0] != before
        assert before in (running.data / "master.key").read_text()
        _deliver(http)
        body = {"connected_until": None}
        assert httpx2.put(presence, headers=phone, json=body, trust_env=False, timeout=60).status_code == 200

        chosen = base64.b64encode(b"n" * 32).decode()
        (tmp_path / "new.key").write_text(f"{chosen}\n")
        command = ("db", "rotate-key", "--revoke-old", "--new-key-file", str(tmp_path / "new.key"))
        assert running.json(*command)["former"] == []
        assert (running.data / "master.key").read_text() == f"{chosen}\n"
        assert httpx2.put(presence, headers=phone, json=body, trust_env=False, timeout=60).status_code == 401
        assert running.stop() == 0
        running.start()
        http.base_url = running.address
        _deliver(http)
    keys = [base64.b64decode(line.split()[0]) for line in (running.data / "master.key").read_text().splitlines()]
    text = running.log.read_text()
    assert before not in text
    assert not any(base64.b64encode(key).decode() in text or key.hex() in text for key in keys)


def test_a_key_from_the_environment_is_never_shown_and_moves_by_new_comma_old(tmp_path: Path) -> None:
    old, new, other = (base64.b64encode(letter * 32).decode() for letter in (b"o", b"n", b"x"))
    offline = Gateway(tmp_path)

    def run(key: str, *command: str, code: int = 0) -> str:
        done = wakeline(
            *command,
            "--config",
            str(offline.config),
            cwd=tmp_path,
            variables=environment({"WAKELINE_SECRETS__MASTER_KEY": key}),
        )
        assert done.returncode == code, done.stderr
        shown = done.stdout + done.stderr
        assert not any(one in shown for one in (old, new, other))
        return shown

    run(old, "app", "create", "acme")
    assert not (offline.data / "master.key").exists()
    assert "***" in run(old, "config", "show")
    assert "sealed with the master key" in run(other, "app", "list", code=2)
    run(f"{new},{old}", "app", "list")
    run(old, "app", "list", code=2)


def test_a_backup_says_which_master_key_it_needs(tmp_path: Path) -> None:
    first = Gateway(tmp_path)
    first.json("app", "create", "acme")
    copy = tmp_path / "copy.tar"
    first.json("backup", str(copy))
    old_key = (first.data / "master.key").read_bytes()
    done = first.json("db", "rotate-key", "--revoke-old")

    refused = first.cli("restore", str(copy), "--force", "--json")

    assert refused.returncode == 2
    needed = json.loads(refused.stdout)["error"]
    assert done["key"] in needed["cause"]
    kept = (first.data / "master.key").read_bytes()
    (first.data / "master.key").write_bytes(kept + old_key)
    first.json("restore", str(copy), "--force")
    assert [app["id"] for app in first.json("app", "list")["apps"]] == ["acme"]
