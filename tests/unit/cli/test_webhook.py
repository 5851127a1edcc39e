"""`wakeline webhook` on a store that no gateway serves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from unit.cli.test_root import invoke

URL = "https://hooks.example/in"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def printed(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    capsys.readouterr()
    assert invoke("webhook", *arguments, "--json") == code
    return json.loads(capsys.readouterr().out)


def test_a_webhook_is_made_changed_and_forgotten(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke("app", "create", "acme") == 0
    made = printed(capsys, "create", URL, "--event", "push.failed", "target.retired", "--app", "acme", "--name", "crm")
    narrowed = printed(capsys, "update", made["id"], "--event", "push.failed", "--shape", "mesibo")
    widened = printed(capsys, "update", made["id"], "--all-events", "--all-apps", "--url", "https://other.example/")
    shown = printed(capsys, "show", made["id"])
    deleted = printed(capsys, "delete", made["id"])

    assert made["secret"].startswith("whsec_")
    assert (made["events"], made["apps"], made["name"]) == (["push.failed", "target.retired"], ["acme"], "crm")
    assert (narrowed["events"], narrowed["apps"], narrowed["shape"]) == (["push.failed"], ["acme"], "mesibo")
    assert (widened["events"], widened["apps"], widened["url"]) == ([], [], "https://other.example/")
    assert shown == widened | {"waiting": 0, "behind": 0, "oldest": None}
    assert deleted == {"deleted": made["id"]}
    assert printed(capsys, "list") == {"webhooks": []}


def test_a_rotation_shows_the_new_secret(capsys: pytest.CaptureFixture[str]) -> None:
    made = printed(capsys, "create", URL)
    rotated = printed(capsys, "rotate", made["id"], "--overlap", "60")

    assert rotated["secret"] != made["secret"]
    assert rotated["former_until"]
    assert printed(capsys, "deliveries", made["id"]) == {"deliveries": [], "next_cursor": None}


def test_people_read_what_is_not_empty(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke("webhook", "create", URL, "--name", "crm") == 0
    made = capsys.readouterr().out
    assert invoke("webhook", "list") == 0
    listed = capsys.readouterr().out

    (webhook,) = [one["id"] for one in printed(capsys, "list")["webhooks"]]
    assert invoke("webhook", "update", webhook, "--disabled") == 0
    disabled = capsys.readouterr().out

    assert invoke("webhook", "update", webhook, "--resume") == 4
    assert invoke("webhook", "update", webhook, "--enabled", "--resume") == 0
    assert "disabled (operator)" in disabled
    assert "whsec_" in made
    assert "not shown again" in made
    for word in ("crm", URL, "all", "working"):
        assert word in listed
    assert "whsec_" not in listed


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["create", "http://hooks.example/"], 4),
        (["create", URL, "--event", "push.eaten"], 2),
        (["create", URL, "--secret", "whsec_c2hvcnQ="], 4),
        (["show", "nothing"], 3),
        (["rotate", "nothing"], 3),
        (["test", "nothing"], 3),
        (["replay", "nothing", "--since", "2026-11-20T08:00"], 3),
        (["show"], 2),
    ],
)
def test_what_is_wrong_is_said_by_the_exit_code(
    arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke("webhook", *arguments) == code
    assert capsys.readouterr().err
