"""The peers that `peers/install.sh` could bring, each driven by a small program of ours in its own language.

All take the same arguments, push the same body to the same paths, keep as many unanswered, sign with the same key, and
verify the server's certificate.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import msgspec

from bench import payload
from bench.machine import Cost, cost
from bench.server import Server
from wakeline.cli.demo import material

INSTALL = Path(__file__).parent / "peers" / "install.sh"
GORUSH = "gorush"
_WHY_NO_GORUSH = """no figure, because the Go module proxy answers 403 to the module (2026-11-22), so that no driver for it could
be tried; its push client, sideshow/apns2, stands in the tables: gorush cannot cost less than that"""


class Kind(msgspec.Struct, frozen=True):
    """A peer by its name in `install.sh`.

    `share`: the part of a round's requests that it gets, so that a slow one takes no minutes. `to_start`: the requests of
    the run that is taken off as its start.
    """

    folder: str
    name: str
    share: float
    to_start: int


KINDS = (
    Kind("apns2", "sideshow/apns2", share=0.2, to_start=1000),
    Kind("pushy", "pushy", share=0.2, to_start=1000),
    Kind("node-apn", "@parse/node-apn", share=0.05, to_start=500),
    Kind("aioapns", "aioapns", share=0.01, to_start=200),
)


class Peer(msgspec.Struct, frozen=True):
    """An installed peer."""

    kind: Kind
    program: Path
    version: str

    def send(self, server: Server, directory: Path, core: int, requests: int, rate: float = 0.0) -> Cost:
        """Send `requests` on `core`; with a `rate` the output has the microseconds that each took, one a line."""
        key, body = directory / "peer.p8", directory / "peer.json"
        if not key.exists():
            key.write_bytes(material.auth_key())
        body.write_bytes(payload.BODY)
        arguments = [server.port, server.ca_file, key, body, requests, payload.IN_FLIGHT, rate]
        return cost([str(self.program), *map(str, arguments)], core)


class Found(msgspec.Struct, frozen=True):
    """What is installed, and what is not and why."""

    peers: list[Peer]
    absent: dict[str, str]

    def versions(self) -> dict[str, str]:
        """The version of each, by name."""
        return {peer.kind.name: peer.version for peer in self.peers}

    def named(self, folder: str) -> list[Peer]:
        """The peer of that name in `install.sh`, or nothing."""
        return [peer for peer in self.peers if peer.kind.folder == folder]


def install() -> None:
    """Bring what is missing. What cannot be had fails nothing."""
    subprocess.run([str(INSTALL)], check=True)


def cache() -> Path:
    """Where `install.sh` puts them."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("WAKELINE_BENCH_CACHE") or f"{home}/wakeline-bench")


def look(directory: Path) -> Found:
    """What `install.sh` left in `directory`."""
    peers: list[Peer] = []
    absent = {GORUSH: " ".join(_WHY_NO_GORUSH.split())}
    for kind in KINDS:
        place = directory / kind.folder
        if (place / "installed").exists():
            version = (place / "version").read_text(encoding="utf-8").strip().removeprefix(f"{kind.name} ")
            peers.append(Peer(kind=kind, program=place / "run", version=version))
        else:
            told = place / "absent"
            absent[kind.name] = told.read_text(encoding="utf-8").strip() if told.exists() else "not installed"
    return Found(peers, absent)
