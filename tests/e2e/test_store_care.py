"""A backup of a running store and its way back; a lost master key; what waits in a restored store waits for the operator."""

from __future__ import annotations

from pathlib import Path

import pytest

from acme import APP, Stack, furnish
from processes import Gateway, Simulator, gateway, pointing_at, until


def test_a_backup_of_a_running_gateway_is_restored_and_starts_held(
    tmp_path: Path, fake: Simulator, stack: Stack
) -> None:
    copy = tmp_path / "copy.tar"
    with gateway(tmp_path / "first", pointing_at(fake)) as first:
        furnish(first, fake)
        first.json("device", "put", "d1", "--app", APP, "--user", "ann", "--target", f"apns={'1a' * 32}")
        first.json("send", "--app", APP, "--user", "ann", "--title", "before", "--wait", "30")
        assert set(first.json("backup", str(copy))["parts"]) == {"main", "devices"}
        assert copy.stat().st_mode & 0o777 == 0o600
        assert _backup(first) == "The newest backup is less than a minute old."
        key = (first.data / "master.key").read_bytes()
        refused = first.cli("restore", str(copy))
        assert refused.returncode == 5
        assert "owns" in refused.stderr

    second = Gateway(tmp_path / "second", pointing_at(fake))
    second.data.mkdir(mode=0o700)
    (second.data / "master.key").write_bytes(key)
    assert second.json("restore", str(copy))["parts"]["devices"]["counts"]["device"] == 1
    with gateway(tmp_path / "second", pointing_at(fake)) as restored:
        taken = restored.json("send", "--app", APP, "--user", "ann", "--title", "after")
        until(lambda: restored.json("queue", "show")["pending"] == 1, "it waits")
        assert restored.json("queue", "release")["released"]
        explained = until(lambda: _accepted(restored, taken["id"]), "it goes out")
        assert explained


def _backup(running: Gateway) -> str:
    """Return what the doctor says of backups."""
    with running.client() as http:
        checks = http.get("/v1/doctor").raise_for_status().json()["checks"]
    return str(next(one["cause"] for one in checks if one["name"] == "backup"))


def _accepted(running: Gateway, notification: str) -> bool:
    return "accepted" in running.json("explain", notification)["verdict"]


def test_a_restore_into_a_store_that_is_there_needs_force(tmp_path: Path) -> None:
    offline = Gateway(tmp_path)
    offline.json("app", "create", "kept")
    offline.json("backup", str(tmp_path / "copy.tar"))
    offline.json("app", "create", "later")
    assert offline.cli("restore", str(tmp_path / "copy.tar")).returncode == 4
    offline.json("restore", str(tmp_path / "copy.tar"), "--force")
    assert [app["id"] for app in offline.json("app", "list")["apps"]] == ["kept"]


def test_a_file_that_is_no_backup_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"\xff\xd8\xff")
    done = Gateway(tmp_path).cli("restore", str(tmp_path / "holiday.jpg"))
    assert done.returncode == 4
    assert "no backup" in done.stderr


def test_a_backup_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    done = Gateway(tmp_path).cli("backup", str(tmp_path / "absent" / "copy.tar"))
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [["serve"], ["app", "list"]])
def test_a_lost_master_key_is_not_replaced_by_a_new_one(tmp_path: Path, command: list[str]) -> None:
    offline = Gateway(tmp_path)
    offline.json("app", "create", "acme")
    (offline.data / "master.key").unlink()
    done = offline.cli(*command)
    assert done.returncode == 2
    assert "master key" in done.stderr
    assert not (offline.data / "master.key").exists()


def test_the_schema_is_shown_and_brought_up_to_date(tmp_path: Path) -> None:
    offline = Gateway(tmp_path)
    for command in ("status", "migrate"):
        databases = offline.json("db", command)["databases"]
        assert {one["kind"] for one in databases} == {"main", "devices"}
        assert all(one["version"] == one["latest"] and not one["pending"] for one in databases)
