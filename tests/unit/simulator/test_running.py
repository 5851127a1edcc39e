from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from wakeline.simulator import Simulator

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_program_prints_one_line_when_ready_and_ends_on_a_signal(tmp_path: Path, stop: signal.Signals) -> None:
    command = [sys.executable, "-m", "wakeline.simulator", "--state-dir", str(tmp_path), "--apns-sandbox-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        with urllib.request.urlopen(f"{ready['control']}/counts", timeout=20) as reply:  # noqa: S310 - our own port
            assert json.load(reply)["total"] == 0
        process.send_signal(stop)
        rest = process.stdout.read()
    assert (rest, process.returncode) == ("", 0)
    assert ready["ca_file"] == str(tmp_path / "ca.pem")
    assert len({ready[name] for name in ("apns_port", "apns_sandbox_port", "fcm_port", "control_port")}) == 4


async def test_the_authority_outlives_a_restart(tmp_path: Path) -> None:
    async with Simulator(state_dir=tmp_path) as first:
        before = first.ca_file.read_bytes()
    async with Simulator(state_dir=tmp_path) as second:
        assert second.ca_file.read_bytes() == before
    assert os.stat(tmp_path / "ca-key.pem").st_mode & 0o777 == 0o600  # noqa: PTH116 - the mode is the point
    assert ssl.create_default_context(cafile=str(tmp_path / "ca.pem")).cert_store_stats()["x509_ca"] == 1


async def test_a_taken_port_is_an_error_and_leaves_nothing_open(tmp_path: Path) -> None:
    async with Simulator(state_dir=tmp_path) as first:
        second = Simulator(state_dir=tmp_path, control_port=first.ports.control)
        with pytest.raises(OSError, match="in use"):
            await second.__aenter__()
        assert second.disconnect(None, "Shutdown", abort=True) == 0


async def test_without_a_directory_nothing_is_left_behind() -> None:
    async with Simulator() as running:
        directory = running.state_dir
        assert (directory / "ca.pem").exists()
    assert not directory.exists()
