"""Judged by JsSIP: phones that are web pages register, call each other, hang up and write, over WebSocket with TLS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from interop.clients import run_node
from processes import Gateway, gateway

pytestmark = pytest.mark.interop

PASSWORD = "a-secret-of-tests"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Issue a certificate; returns the directory of it and of the authority's own."""
    directory = tmp_path_factory.mktemp("authority")
    issuer = trustme.CA()
    issuer.cert_pem.write_to_path(str(directory / "ca.pem"))
    issuer.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(directory / "server.pem"))
    return directory


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory, authority: Path) -> Iterator[Gateway]:
    settings = '[sip]\nlisten = ["wss:127.0.0.1:0"]\ndomains = ["example.org"]\n'
    settings += f'tls_certificate = "{authority}/server.pem"\ntls_key = "{authority}/server.pem"\n'
    with gateway(tmp_path_factory.mktemp("edge"), settings) as running:
        with running.client() as operator:
            for user in ("bob", "alice"):
                operator.put(f"/v1/sip/users/{user}@example.org", json={"password": PASSWORD}).raise_for_status()
        yield running


def place(running: Gateway) -> str:
    """Return where it listens for web pages."""
    lines = [json.loads(line) for line in running.log.read_text().splitlines() if line.startswith("{")]
    (at,) = next(line["at"] for line in lines if line["event"] == "sip.listening")
    return f"wss://localhost:{at.rpartition(':')[2]}"


@pytest.mark.parametrize("ends", ["alice", "bob"])
def test_two_web_pages_call_and_write(edge: Gateway, authority: Path, node_modules: Path, ends: str) -> None:
    asked: dict[str, object] = {"url": place(edge), "domain": "example.org", "password": PASSWORD, "ends": ends}
    seen = run_node("web_phones.js", node_modules, asked, authority / "ca.pem")

    def of(who: str) -> list[tuple[str, object]]:
        return [(one["event"], one["detail"]) for one in seen if one["who"] == who]

    other = "local" if ends == "bob" else "remote"
    mine = "local" if ends == "alice" else "remote"
    assert of("alice") == [
        ("registered", 200),
        ("progress", 180),
        ("confirmed", None),
        ("ended", mine),
        ("written", 200),
    ]
    assert of("bob") == [("registered", 200), ("confirmed", None), ("ended", other), ("read", "Grüße")]
