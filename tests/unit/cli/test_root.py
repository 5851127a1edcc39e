"""The frame of the command line: flags, exit codes, JSON, help."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from wakeline import __version__
from wakeline.cli.root import NOUNS, root


def invoke(*arguments: str) -> int:
    """Run the command line in this process; its exit code."""
    try:
        result = root.meta(list(arguments), result_action="return_value")
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else 1
    return result if isinstance(result, int) else 0


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def document(text: str) -> object:
    """Parse the one document on the one line that --json promises."""
    lines = text.splitlines()
    assert len(lines) == 1
    return json.loads(lines[0])


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["config", "show", "--nonsense"], ["explain"], ["key", "create", "--scope", "king"]]
)
def test_wrong_usage_is_exit_code_2_and_said_on_stderr(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err


def test_a_wrong_setting_is_exit_code_2_with_cause_and_fix(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "wakeline.toml").write_text("[server]\nlisten = 3\n")
    assert invoke("config", "check") == 2
    captured = capsys.readouterr()
    assert "server.listen" in captured.err
    assert "To fix it:" in captured.err


def test_a_failure_is_one_json_document_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke("config", "check", "--config", "absent.toml", "--json") == 2
    found = document(capsys.readouterr().out)
    assert isinstance(found, dict)
    assert found["error"]["code"] == "config_invalid"
    assert "absent.toml" in found["error"]["cause"]


@pytest.mark.parametrize(
    "arguments", [["--json", "config", "show"], ["config", "--json", "show"], ["config", "show", "--json"]]
)
def test_global_flags_may_stand_anywhere(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(*arguments) == 0
    shown = document(capsys.readouterr().out)
    assert isinstance(shown, dict)
    assert shown["server.listen"] == {"value": "127.0.0.1:8750", "origin": "default"}


def test_a_file_in_the_working_directory_is_read_and_a_named_one_wins(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "wakeline.toml").write_text("[limits]\nalert_burst = 1\n")
    (tmp_path / "other.toml").write_text("[limits]\nalert_burst = 2\n")
    for arguments, value in ((["config", "show"], "1"), (["config", "show", "--config", "other.toml"], "2")):
        assert invoke(*arguments) == 0
        (line,) = [line for line in capsys.readouterr().out.splitlines() if "alert_burst" in line]
        assert f" {value} " in line


def test_the_example_is_toml(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke("config", "example") == 0
    assert "server" in tomllib.loads(capsys.readouterr().out)


def test_nothing_is_cut_in_a_pipe(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAKELINE_SERVER__PUBLIC_URL", "https://push.example.com/" + "x" * 150)
    assert invoke("config", "show") == 0
    assert "x" * 150 in capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_for_our_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke("completion", shell) == 0
    assert "wakeline" in capsys.readouterr().out


@pytest.mark.parametrize("name", [name for name, _, _ in NOUNS])
def test_every_noun_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(name, "--help") == 0
    assert f"wakeline {name}" in capsys.readouterr().out


def test_help_in_the_list_is_the_help_of_the_command() -> None:
    for name, _, words in NOUNS:
        assert words.strip().endswith(".")
        assert root[name].name[0] == name


def test_the_version_is_printed() -> None:
    done = subprocess.run([sys.executable, "-m", "wakeline", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == __version__


def test_help_loads_neither_the_gateway_nor_its_libraries() -> None:
    script = (
        "import sys; sys.argv = ['wakeline', '--help']\n"
        "from wakeline.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'httpx2', 'uvicorn', 'starlette', 'sqlite3', 'cryptography', 'prometheus_client', 'wakeline.service.wiring'}\n"
        "sys.stderr.write(','.join(sorted(heavy & set(sys.modules))))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == ""
