"""The anchor: nghttp2's load generator in C, with our payload. It repeats one set of header values."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from bench import payload
from bench.machine import Cost, cost
from bench.server import Server

_DONE = re.compile(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout")


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """How it sends. `paths`: a file of URLs to walk through instead of the one path; `rate`: requests a second, 0: all."""

    paths: Path | None = None
    body: bytes = payload.BODY
    connections: int = 1
    in_flight: int = payload.IN_FLIGHT
    rate: float = 0.0


def run(server: Server, directory: Path, core: int, requests: int, load: Load) -> Cost:
    """Send `requests`. With a rate the output is the microseconds that each took, one a line.

    Raises RuntimeError unless every request was answered 2xx.
    """
    body, log = directory / "body.json", directory / "h2load.log"
    body.write_bytes(load.body)
    headers = {**payload.HEADERS, "authorization": payload.AUTHORIZATION, "apns-id": payload.APNS_ID}
    target = ["-i", str(load.paths)] if load.paths else [f"https://127.0.0.1:{server.port}{payload.PATH}"]
    command = ["h2load", "-n", str(requests), "-t", "1", "-d", str(body)]
    command += ["-c", str(load.connections), "-m", str(load.in_flight)]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    if load.rate:
        log.unlink(missing_ok=True)
        command += ["--rps", f"{load.rate:g}", "--log-file", str(log)]
    measured = cost([*command, *target], core)
    done = _DONE.search(measured.output)
    if done is None or [int(count) for count in done.groups()] != [requests, 0, 0, 0]:
        raise RuntimeError(f"h2load did not finish:\n{measured.output[-2000:]}")
    if load.rate:
        took = [line.split("\t")[2] for line in log.read_text(encoding="ascii").splitlines()]
        return msgspec.structs.replace(measured, output="\n".join(took))
    return measured


def write_paths(server: Server, directory: Path, count: int) -> Path:
    """A file of `count` URLs with a device token each, so that h2load too has a new path for every request."""
    file = directory / "urls"
    base = f"https://127.0.0.1:{server.port}/3/device/"
    file.write_text("".join(f"{base}{number:064x}\n" for number in range(count)), encoding="ascii")
    return file
