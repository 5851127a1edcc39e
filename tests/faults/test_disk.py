"""A full disk and a store that is locked from outside: said early with 503, nothing accepted is lost, and it recovers."""

from __future__ import annotations

import contextlib
import os
import resource
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from processes import Gateway, Simulator, until
from traffic import SEND, Make, notification, register, settled

pytestmark = pytest.mark.faults

MIB = 1024 * 1024
STORE = f"[storage]\nballast = {2 * MIB}\nlow_disk = {3 * MIB}\n"


@contextlib.contextmanager
def small_disk(directory: Path, size: int) -> Iterator[Path]:
    """Mount a file system of that size, where we may."""
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a small file system cannot be mounted here; the limit on file sizes is tested instead")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)


def refused(http: httpx2.Client) -> httpx2.Response | None:
    """Return the answer to one more notification if it is a refusal."""
    answer = http.post(SEND, json=notification(0, 5))
    return answer if answer.status_code == 503 else None


def accepted(http: httpx2.Client) -> str | None:
    """Return the id of one more notification if it is taken."""
    answer = http.post(SEND, json=notification(0, 5))
    return str(answer.json()["id"]) if answer.status_code == 202 else None


def test_a_full_disk_is_said_early_and_everything_accepted_is_settled(
    tmp_path: Path, fake: Simulator, make: Make
) -> None:
    with small_disk(tmp_path / "disk", 24 * MIB) as disk:
        gateway = make(fake, STORE, disk)
        with gateway.client() as http:
            register(http, 5)
            before = [http.post(SEND, json=notification(number, 5)).json()["id"] for number in range(20)]
            filler = disk / "filler"
            room = os.statvfs(disk)
            with filler.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - MIB)
            answer = until(lambda: refused(http), "no more is taken")
            # A commit may fail in the second before the disk is looked at again.
            assert answer.json()["code"] in {"overloaded", "store_unavailable"}
            assert int(answer.headers["retry-after"]) >= 1
            until(lambda: http.get("/readyz").status_code == 503, "it is not ready")
            found = settled(http, before, time.monotonic() + 30)
            assert {one["deliveries"][0]["state"] for one in found.values()} == {"accepted"}
            filler.unlink()
            again = until(lambda: accepted(http), "it takes again")
            until(lambda: http.get("/readyz").status_code == 200 or None, "it is ready again")
            settled(http, [again], time.monotonic() + 30)
        assert gateway.stop() == 0


def test_a_write_that_fails_is_503_and_the_gateway_recovers(fake: Simulator, make: Make) -> None:
    gateway = make(fake)
    with gateway.client() as http:
        register(http, 5)
        before = [http.post(SEND, json=notification(number, 5)).json()["id"] for number in range(10)]
        settled(http, before, time.monotonic() + 30)
        limit_files(gateway, 4096)  # every further write to a file of ours fails with EFBIG
        answer = until(lambda: refused(http), "no more is taken")
        assert answer.json()["code"] in {"store_unavailable", "overloaded"}
        limit_files(gateway, resource.RLIM_INFINITY)
        again = until(lambda: accepted(http), "it takes again")
        found = settled(http, [*before, again], time.monotonic() + 30)
        assert {one["deliveries"][0]["state"] for one in found.values()} == {"accepted"}
    assert gateway.stop() == 0


def limit_files(gateway: Gateway, size: int) -> None:
    """Limit the size of files that the process may write; only the soft limit, so that it can be lifted again."""
    assert gateway.process is not None
    _, hard = resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (size, hard))


def test_a_database_that_another_process_locks_is_503_and_the_gateway_recovers(fake: Simulator, make: Make) -> None:
    gateway = make(fake)
    with gateway.client() as http:
        register(http, 5)
        first = [http.post(SEND, json=notification(0, 5)).json()["id"]]
        settled(http, first, time.monotonic() + 30)
        stranger = sqlite3.connect(gateway.data / "wakeline.db", isolation_level=None)
        stranger.execute("BEGIN IMMEDIATE")
        try:
            answer = http.post(SEND, json=notification(1, 5))
            assert answer.status_code == 503
            assert answer.json()["code"] == "store_unavailable"
        finally:
            stranger.execute("ROLLBACK")
            stranger.close()
        again = until(lambda: accepted(http), "it takes again")
        settled(http, [again], time.monotonic() + 30)
    assert gateway.stop() == 0
