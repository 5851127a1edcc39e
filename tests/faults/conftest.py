"""A gateway that can be killed and started again, stand-ins that live through it, and one device for each of many users."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from acme import furnish
from ports import free_port
from processes import Gateway, Simulator, end, pointing_at, simulator
from traffic import Make


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Simulator]:
    with simulator(tmp_path / "simulator") as running:
        yield running


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Make gateways that are furnished with an app, and end them with the test."""
    made: list[Gateway] = []

    def new(fake: Simulator, settings: str = "", directory: Path | None = None) -> Gateway:
        gateway = Gateway(directory or tmp_path / "gateway", pointing_at(fake, settings))
        gateway.config.write_text(gateway.config.read_text().replace("127.0.0.1:0", f"127.0.0.1:{free_port()}"))
        made.append(gateway)
        gateway.start()
        furnish(gateway, fake)
        return gateway

    yield new
    for gateway in made:
        if gateway.process is not None:
            end(gateway.process)
