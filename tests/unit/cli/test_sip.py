"""`wakeline sip` on a store that no gateway serves: what it prints, what it changes, how it ends."""

from __future__ import annotations

import io
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
        """Run `wakeline sip ...`: exit code, stdout, stderr."""
        self._capsys.readouterr()
        code = invoke("sip", *arguments)
        said = self._capsys.readouterr()
        return code, said.out, said.err

    def json(self, *arguments: str) -> Any:
        """Run it with --json and return its document."""
        code, out, err = self.run(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wakeline.toml").write_text('[storage]\nballast = 0\nlow_disk = 0\n[sip]\ndomains = ["example.org"]\n')
    return Shell(capsys)


def test_a_user_is_made_listed_and_removed(shell: Shell) -> None:
    made = shell.json("user", "add", "bob")
    assert made["address"] == "sip:bob@example.org"
    assert len(made["password"]) >= 20

    assert shell.json("user", "add", "ann@example.org", "--password", "correct horse")["password"] is None
    assert [each["address"] for each in shell.json("user", "list")["users"]] == [
        "sip:ann@example.org",
        "sip:bob@example.org",
    ]
    assert shell.json("user", "remove", "bob") == {"removed": "bob"}
    assert [each["user"] for each in shell.json("user", "list")["users"]] == ["ann"]


def test_a_password_is_shown_once_and_only_if_it_was_made_here(shell: Shell) -> None:
    _, made, _ = shell.run("user", "add", "bob")
    _, given, _ = shell.run("user", "add", "bob", "--password", "correct horse")
    _, listed, _ = shell.run("user", "list")

    assert "not shown again" in made
    assert "password" not in given
    assert "correct horse" not in given + listed


def test_a_password_is_read_from_standard_input(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("a b c d e \n"))
    assert shell.json("user", "add", "bob", "--password", "-")["password"] is None

    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    assert shell.run("user", "add", "bob", "--password", "-")[0] == 4


def test_failures_end_with_their_code(shell: Shell) -> None:
    assert shell.run("user", "remove", "nobody")[0] == 3
    assert shell.run("user", "add", "bob@example.com")[0] == 4
    assert shell.run("bindings", "sip:b b@h")[0] == 4


def test_nobody_is_registered_at_first(shell: Shell) -> None:
    assert shell.json("bindings") == {"bindings": []}
    assert shell.json("bindings", "sip:bob@example.org") == {"bindings": []}
