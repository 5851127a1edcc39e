"""One stack for tests that only read or add: a gateway, stand-ins, an app with credentials, and clients for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from acme import Stack, furnish
from processes import Simulator, gateway, pointing_at, simulator


@pytest.fixture(scope="session")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with simulator(tmp_path_factory.mktemp("simulator")) as running:
        yield running


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, fake: Simulator) -> Iterator[Stack]:
    with gateway(tmp_path_factory.mktemp("gateway"), pointing_at(fake)) as running, running.client() as http:
        furnish(running, fake)
        yield Stack(gateway=running, simulator=fake, http=http)
