"""`wakeline bitrix24` on a store that no gateway serves: what it prints, what it changes, how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from unit.cli.test_root import invoke


class Shell:
    """A directory with a store, and the command line in it."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run `wakeline bitrix24 ...`: exit code, stdout, stderr."""
        self._capsys.readouterr()
        code = invoke("bitrix24", *arguments)
        said = self._capsys.readouterr()
        return code, said.out, said.err

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Run it with --json and return its document."""
        ended, out, err = self.run(*arguments, "--json")
        assert ended == code, err
        return json.loads(out)

    def application(self, *more: str) -> str:
        """Make an application and return its client id."""
        made = self.json("application", "create", "--name", "Sales", "--app", "acme", *more)
        assert set(made) == {"client_id", "client_secret"}
        return str(made["client_id"])


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wakeline.toml").write_text("[storage]\nballast = 0\nlow_disk = 0\n[bitrix24]\nrequire_https = false\n")
    assert invoke("app", "create", "acme") == 0
    return Shell(capsys)


def test_what_is_made_is_printed_once_and_listed_without_its_secret(shell: Shell) -> None:
    client_id = shell.application("--redirect-uri", "myapp://back")
    webhook = shell.json("webhook", "create", "--user", "1", "--scope", "crm,pull", "--name", "backend")
    token = shell.json("token", "create", "--application", client_id, "--user", "2", "--admin")
    (listed,) = shell.json("application", "list")["applications"]
    (hook,) = shell.json("webhook", "list")["webhooks"]
    users = shell.json("user", "list")["users"]

    assert set(webhook) == {"url"}
    assert set(token) == {"access_token", "refresh_token"}
    assert (listed["client_id"], listed["redirect_uri"], listed["app"]) == (client_id, "myapp://back", "acme")
    assert (hook["user"], hook["scopes"], hook["name"]) == (1, ["crm", "pull"], "backend")
    assert [(one["id"], one["admin"]) for one in users] == [(1, False), (2, True)]
    assert shell.json("webhook", "delete", str(hook["id"])) == {"deleted": hook["id"]}
    assert shell.json("webhook", "list")["webhooks"] == []


def test_an_application_is_changed_where_told_and_forgotten(shell: Shell) -> None:
    client_id = shell.application("--scope", "crm", "--scope", "pull,user", "--users", "1,7")
    (before,) = shell.json("application", "list")["applications"]
    narrowed = shell.json("application", "set", client_id, "--scope", "crm", "--name", "", "--no-manifest")
    opened = shell.json("application", "set", client_id, "--everyone", "--manifest")

    assert (before["scopes"], before["users"]) == (["crm", "pull", "user"], [1, 7])
    assert (narrowed["scopes"], narrowed["name"], narrowed["manifest"]) == (["crm"], "", False)
    assert narrowed["users"] == [1, 7]
    assert (opened["users"], opened["manifest"], opened["scopes"]) == ([], True, ["crm"])
    assert shell.json("application", "delete", client_id) == {"deleted": client_id}
    assert shell.run("application", "delete", client_id)[0] == 3


def test_a_user_is_made_and_changed_and_its_password_may_come_from_the_environment(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = shell.json("user", "create", "--id", "1", "--admin")
    named = shell.json("user", "set", "1", "--no-admin", "--login", "anna", "--inner-phone", "11")
    monkeypatch.setenv("WAKELINE_BITRIX24_PASSWORD", "long enough")
    able = shell.json("user", "set", "1")

    assert (made["admin"], made["signs_in"]) == (True, False)
    assert (named["admin"], named["login"], named["inner_phone"]) == (False, "anna", "11")
    assert able["signs_in"] is True
    monkeypatch.setenv("WAKELINE_BITRIX24_PASSWORD", "")
    assert shell.json("user", "set", "1", "--no-active")["active"] is False


def test_the_portal_is_shown_and_its_switches_are_set(shell: Shell) -> None:
    before = shell.json("portal", "show")
    shut = shell.json(
        *("portal", "set", "--closed", "--blocked", "--plan", "free"),
        *("--domain", "crm.test", "--license", "ru_basic", "--language", "de"),
    )
    back = shell.json("portal", "set", "--open", "--unblocked", "--plan", "commercial")

    assert (before["closed"], before["blocked"], before["plan"]) == (False, False, "commercial")
    assert (shut["closed"], shut["blocked"], shut["plan"]) == (True, True, "free")
    assert (shut["address"], shut["license"], shut["language"]) == ("http://crm.test", "ru_basic", "de")
    assert (back["closed"], back["blocked"], back["plan"]) == (False, False, "commercial")
    assert back["domain"] == "crm.test"


def test_the_audit_speaks_in_sentences_and_fails_while_something_cannot_work(shell: Shell) -> None:
    missing = shell.json("audit", code=1)["checks"]
    code, out, _ = shell.run("audit")
    shell.run("user", "create", "--id", "1", "--admin")

    assert "users" in [check["name"] for check in missing if check["status"] == "failed"]
    assert code == 1
    assert "The portal has no user" in out
    assert shell.run("audit")[0] == 0


def test_people_are_told_to_keep_what_is_shown_once(shell: Shell) -> None:
    _, made, _ = shell.run("application", "create", "--name", "Sales")
    client_id = shell.json("application", "list")["applications"][0]["client_id"]
    for shown in (
        made,
        shell.run("webhook", "create", "--user", "1", "--scope", "crm")[1],
        shell.run("token", "create", "--application", client_id, "--user", "1")[1],
    ):
        assert "not shown again" in shown


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["application", "create", "--name", "N", "--app", "absent"], 4),
        (["application", "create", "--name", "N", "--redirect-uri", "javascript:1"], 4),
        (["application", "set", "local.absent", "--name", "x"], 3),
        (["application", "set", "x", "--users", "1", "--everyone"], 2),
        (["application", "set", "x", "--users", "one"], 2),
        (["webhook", "create", "--user", "1"], 2),
        (["webhook", "create", "--user", "0", "--scope", "crm"], 4),
        (["webhook", "create", "--user", "1", "--scope", ","], 4),
        (["webhook", "delete", "99"], 3),
        (["token", "create", "--application", "local.absent", "--user", "1"], 3),
        (["user", "set", "99", "--admin"], 3),
        (["user", "create", "--id", "1", "--password", "short"], 4),
        (["portal", "set", "--plan", "gold"], 2),
        (["portal", "set", "--domain", "https://crm.test/"], 4),
    ],
)
def test_exit_codes_say_what_went_wrong(shell: Shell, arguments: list[str], code: int) -> None:
    ended, out, err = shell.run(*arguments)

    assert ended == code, err
    assert out == ""
    assert err
