"""The simulator in its own process, as clients of any language meet it."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


class Services:
    """The running simulator, by its control API."""

    def __init__(self, ready: dict[str, Any]) -> None:
        self.ready = ready
        self.ca_file = Path(ready["ca_file"])

    def post(self, path: str, **body: object) -> Any:
        request = urllib.request.Request(self.ready["control"] + path, json.dumps(body).encode())  # noqa: S310 - ours
        with urllib.request.urlopen(request, timeout=5) as reply:  # noqa: S310 - our own loopback port
            return json.load(reply)

    def script(self, target: str, *answers: dict[str, object]) -> None:
        self.post("/script", target=target, answers=answers)

    def requests(self, target: str) -> list[dict[str, Any]]:
        """What `target` was sent, as received."""
        url = f"{self.ready['control']}/requests?target={target}"
        with urllib.request.urlopen(url, timeout=5) as reply:  # noqa: S310 - our own loopback port
            found: list[dict[str, Any]] = json.load(reply)
        return found


@pytest.fixture(scope="session")
def simulator_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    state = tmp_path_factory.mktemp("simulator")
    command = [sys.executable, "-m", "wakeline.simulator", "--state-dir", str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.terminate()


@pytest.fixture
def services(simulator_process: dict[str, Any]) -> Services:
    """The simulator as if just started."""
    running = Services(simulator_process)
    running.post("/reset")
    return running
