"""Builds `server.c` with the system's compiler, runs it on its core with a certificate made for this run, reads its counts."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import trustme

from bench.machine import pinned

_SOURCE = Path(__file__).with_name("server.c")
_FLAGS = ["-O2", "-Wall", "-Wextra", "-std=gnu11"]


class Counts(msgspec.Struct, frozen=True):
    """What the server saw since it started."""

    requests: int
    body_bytes: int
    connections: int
    without_id: int
    later: int
    """Requests with an apns-priority below 10."""
    cpu_seconds: float
    calls: list[tuple[str, float]] = []
    """Requests of push type voip since the last report: head of the device token, time.monotonic() when it was read."""


class _Ready(msgspec.Struct, frozen=True):
    port: int


class Server(msgspec.Struct, frozen=True):
    """A running server; `ca_file` holds the authority of its certificate (names: localhost, 127.0.0.1)."""

    process: subprocess.Popen[bytes]
    port: int
    ca_file: str

    def counts(self) -> Counts:
        """The counts at this moment."""
        self.process.send_signal(signal.SIGUSR1)
        return msgspec.json.decode(_line(self.process), type=Counts)


def build(directory: Path) -> Path:
    """The compiled server. Raises subprocess.CalledProcessError if compiler or libraries are missing."""
    libraries = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "libnghttp2", "openssl"], capture_output=True, text=True, check=True
    ).stdout.split()
    program = directory / "server"
    subprocess.run(["cc", *_FLAGS, "-o", str(program), str(_SOURCE), *libraries], check=True)
    return program


@contextmanager
def serving(directory: Path, core: int, *, max_streams: int = 1000, delay_ms: int = 0) -> Iterator[Server]:
    """A server on `core` until the context ends; its files live in `directory`.

    `delay_ms` is the round trip that it simulates.
    """
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost", "127.0.0.1")
    ca_file, chain, key = directory / "ca.pem", directory / "chain.pem", directory / "key.pem"
    authority.cert_pem.write_to_path(ca_file)
    chain.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(key)
    program = build(directory)
    arguments = [str(chain), str(key), str(max_streams), str(delay_ms)]
    with pinned(core):
        process = subprocess.Popen([str(program), *arguments], stdout=subprocess.PIPE)
    try:
        port = msgspec.json.decode(_line(process), type=_Ready).port
        yield Server(process=process, port=port, ca_file=str(ca_file))
    finally:
        process.terminate()
        process.communicate()


def _line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    line: bytes = process.stdout.readline()
    if not line:
        raise RuntimeError("the bench server ended")
    return line
