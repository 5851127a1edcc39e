"""The master key of a real gateway: changed while it sends, given by the environment, and wrong."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import httpx2

from acme import APP, furnish
from processes import Gateway, Simulator, environment, gateway, pointing_at, wakeline


def _deliver(running: Gateway, user: str) -> None:
    shown = running.json("send", "--app", APP, "--user", user, "--title", "hello", "--wait", "10")
    assert "accepted" in running.json("explain", shown["id"])["verdict"]


def test_a_running_gateway_changes_its_key_and_goes_on(tmp_path: Path, fake: Simulator) -> None:
    with gateway(tmp_path, pointing_at(fake)) as running, running.client() as http:
        furnish(running, fake)
        running.json("device", "put", "d1", "--app", APP, "--user", "ann", "--target", f"apns={'3c' * 32}")
        answer = http.post(f"/v1/apps/{APP}/device-tokens", json={"device": "d1", "user": "ann"}).raise_for_status()
        phone = {"authorization": f"Bearer {answer.json()['token']}"}
        presence = f"{running.address}/v1/apps/{APP}/devices/d1/presence"
        before = (running.data / "master.key").read_text().split()[0]

        done = running.json("db", "rotate-key")

        assert done["resealed"] == 2
        assert len(done["former"]) == 1
        assert (running.data / "master.key").read_text().split()[0] != before
        assert before in (running.data / "master.key").read_text()
        _deliver(running, "ann")
        body = {"connected_until": None}
        assert httpx2.put(presence, headers=phone, json=body, trust_env=False).status_code == 200

        assert running.json("db", "rotate-key", "--revoke-old")["former"] == []
        assert before not in (running.data / "master.key").read_text()
        assert httpx2.put(presence, headers=phone, json=body, trust_env=False).status_code == 401
        assert running.stop() == 0
        running.start()
        _deliver(running, "ann")
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
    assert "NEW,OLD" in run(old, "db", "rotate-key", code=4)
    assert "sealed with the master key" in run(other, "app", "list", code=2)
    run(f"{new},{old}", "app", "list")
    run(new, "app", "list")
    run(old, "app", "list", code=2)
    assert "base64" in run("nonsense!", "app", "list", code=2)


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

    second = Gateway(tmp_path / "second")
    refused = second.cli("restore", str(copy))
    assert refused.returncode == 2
    assert "no master key" in refused.stderr


def test_a_new_key_may_come_from_a_file(tmp_path: Path) -> None:
    offline = Gateway(tmp_path)
    offline.json("app", "create", "acme")
    new = base64.b64encode(b"n" * 32).decode()
    (tmp_path / "new.key").write_text(f"{new}\n")
    offline.json("db", "rotate-key", "--new-key-file", str(tmp_path / "new.key"))
    assert (offline.data / "master.key").read_text().startswith(new)
    (tmp_path / "new.key").write_text("c2hvcnQ=")
    assert offline.cli("db", "rotate-key", "--new-key-file", str(tmp_path / "new.key")).returncode == 4
    assert offline.cli("db", "rotate-key", "--new-key-file", str(tmp_path / "absent")).returncode == 3
