"""One stack for tests that only read or add: a gateway, stand-ins, an app with credentials, and clients for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import msgspec
import pytest

from processes import Gateway, Simulator, gateway, pointing_at, simulator
from wakeline.cli.demo import material

APP = "acme-chat"
BUNDLE = "com.example.acme"


class Stack(msgspec.Struct, frozen=True, kw_only=True):
    """What runs, and an HTTP client with the scope admin."""

    gateway: Gateway
    simulator: Simulator
    http: httpx2.Client


@pytest.fixture(scope="session")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with simulator(tmp_path_factory.mktemp("simulator")) as running:
        yield running


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, fake: Simulator) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("gateway")
    with gateway(directory, pointing_at(fake)) as running, running.client() as http:
        furnish(running, fake, directory)
        yield Stack(gateway=running, simulator=fake, http=http)


def furnish(running: Gateway, fake: Simulator, directory: Path) -> None:
    """Make an app with an APNs key and a service account, as an operator would."""
    running.json("app", "create", APP)
    key = directory / f"AuthKey_{material.KEY_ID}.p8"
    key.write_bytes(material.auth_key())
    running.json("credential", "add", str(key), "--team-id", material.TEAM_ID, "--topics", BUNDLE)
    account = directory / "account.json"
    account.write_bytes(material.service_account(fake.token_uri))
    running.json("credential", "add", str(account))
