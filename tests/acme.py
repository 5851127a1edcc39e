"""An app with credentials on a running gateway, as most tests of whole processes need it."""

from __future__ import annotations

import httpx2
import msgspec

from processes import Gateway, Simulator
from wakeline.cli.demo import material

APP = "acme-chat"
BUNDLE = "com.example.acme"


class Stack(msgspec.Struct, frozen=True, kw_only=True):
    """What runs, and an HTTP client with the scope admin."""

    gateway: Gateway
    simulator: Simulator
    http: httpx2.Client


def furnish(running: Gateway, fake: Simulator) -> None:
    """Make an app with an APNs key and a service account, as an operator would."""
    running.json("app", "create", APP)
    key = running.directory / f"AuthKey_{material.KEY_ID}.p8"
    key.write_bytes(material.auth_key())
    running.json("credential", "add", str(key), "--team-id", material.TEAM_ID, "--topics", BUNDLE)
    account = running.directory / "account.json"
    account.write_bytes(material.service_account(fake.token_uri))
    running.json("credential", "add", str(account))
