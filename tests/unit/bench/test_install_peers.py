"""`bench/peers/install.sh`: what cannot be had is named with its reason and fails nothing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from bench import installed_peers

_TOOLS = ["bash", "cat", "cut", "dirname", "echo", "id", "mkdir", "printf", "rm", "sed", "sha256sum", "tail"]


def install(tmp_path: Path, *peers: str) -> subprocess.CompletedProcess[str]:
    """On a machine that has a shell and no language at all."""
    tools = tmp_path / "bin"
    tools.mkdir(exist_ok=True)
    for tool in _TOOLS:
        found = shutil.which(tool)
        if found is None:
            pytest.skip(f"no {tool} on this machine")
        if not (tools / tool).exists():
            (tools / tool).symlink_to(found)
    environment = {"PATH": str(tools), "NO_APT": "1", "WAKELINE_BENCH_CACHE": str(tmp_path / "cache")}
    command = ["bash", str(installed_peers.INSTALL), *peers]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_without_any_toolchain_every_peer_is_absent_with_its_reason(tmp_path: Path) -> None:
    done = install(tmp_path)

    assert done.returncode == 0, done.stderr
    found = installed_peers.look(tmp_path / "cache")
    assert found.peers == []
    assert {kind.name for kind in installed_peers.KINDS} < found.absent.keys()
    assert found.absent["sideshow/apns2"].startswith("no go on this machine")
    assert found.absent["pushy"].startswith("no javac on this machine")


def test_an_unknown_peer_is_refused_by_name(tmp_path: Path) -> None:
    done = install(tmp_path, "nobody")

    assert (done.returncode, done.stderr) == (2, "no such peer: nobody\n")
