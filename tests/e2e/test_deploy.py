"""The files under deploy/ say what the program does."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from wakeline.config.keys import keys
from wakeline.config.tree import Server

NOTIFY_RELOAD = 253
"""The release of systemd that knows Type=notify-reload."""
DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze judges the unit")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "wakeline.service"
    text = (DEPLOY / "wakeline.service").read_text()
    text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE)
    version = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True, timeout=60, check=True)
    if int(version.stdout.split()[1]) < NOTIFY_RELOAD:
        text = text.replace("Type=notify-reload", "Type=notify")
    unit.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    assert str(unit) not in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr


def test_the_unit_lets_the_drain_finish() -> None:
    text = (DEPLOY / "wakeline.service").read_text()
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)", text, flags=re.MULTILINE)
    assert float(seconds) > Server().drain_timeout
    assert "Type=notify-reload" in text


@pytest.mark.parametrize("name", ["wakeline.service", "Dockerfile"])
def test_variables_in_deploy_files_are_settings(name: str) -> None:
    variables = set(re.findall(r"WAKELINE_\w+", (DEPLOY / name).read_text()))
    assert variables
    assert variables <= {key.variable for key in keys().values()}


def test_the_image_runs_as_somebody_without_rights_and_keeps_data_in_one_volume() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    last = text[text.rindex("\nFROM ") :]
    assert re.search(r"^USER (?!root)\w+", last, flags=re.MULTILINE)
    (volume,) = re.findall(r"^VOLUME (\S+)", last, flags=re.MULTILINE)
    assert f"WAKELINE_SERVER__DATA_DIR={volume}" in last
