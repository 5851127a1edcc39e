"""The anchor: nghttp2's load generator in C, with our payload. It repeats one set of header values."""

from __future__ import annotations

import re
from pathlib import Path

from bench import payload
from bench.machine import Cost, cost
from bench.server import Server

_DONE = re.compile(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout")


def run(server: Server, directory: Path, core: int, requests: int, *, paths: Path | None = None) -> Cost:
    """Send `requests`; `paths` is a file of URLs to walk through instead of the one path.

    Raises RuntimeError unless every request was answered 2xx.
    """
    body = directory / "body.json"
    body.write_bytes(payload.BODY)
    headers = {**payload.HEADERS, "authorization": payload.AUTHORIZATION, "apns-id": payload.APNS_ID}
    target = ["-i", str(paths)] if paths else [f"https://127.0.0.1:{server.port}{payload.PATH}"]
    command = ["h2load", "-n", str(requests), "-c", "1", "-t", "1", "-m", str(payload.IN_FLIGHT), "-d", str(body)]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    measured = cost([*command, *target], core)
    done = _DONE.search(measured.output)
    if done is None or [int(count) for count in done.groups()] != [requests, 0, 0, 0]:
        raise RuntimeError(f"h2load did not finish:\n{measured.output[-2000:]}")
    return measured


def write_paths(server: Server, directory: Path, count: int) -> Path:
    """A file of `count` URLs with a device token each, so that h2load too has a new path for every request."""
    file = directory / "urls"
    base = f"https://127.0.0.1:{server.port}/3/device/"
    file.write_text("".join(f"{base}{number:064x}\n" for number in range(count)), encoding="ascii")
    return file
