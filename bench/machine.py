"""The machine: which cores are used, what it is, and what a child process cost, seen from outside."""

from __future__ import annotations

import os
import platform
import selectors
import ssl
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import msgspec

_KIB = 1024
_CHUNK = 1 << 16
_LOOK_EVERY = 0.05


class Machine(msgspec.Struct, frozen=True):
    """What a reader needs to judge the figures."""

    processor: str
    cores: int
    usable: list[int]
    client_core: int
    server_core: int
    system: str
    load_before: float
    versions: dict[str, str]

    @property
    def shared_core(self) -> bool:
        """Whether client and server had to share one core, which makes rates (not CPU seconds) meaningless."""
        return self.client_core == self.server_core


class Cost(msgspec.Struct, frozen=True):
    """One finished process: user + system seconds (wait4), elapsed seconds, most bytes resident, output."""

    cpu_seconds: float
    wall_seconds: float
    peak: int
    output: str


def look(peers: dict[str, str] | None = None) -> Machine:
    """This machine; the first core it may use is the client's, the last one the server's. `peers`: their versions."""
    cores = sorted(os.sched_getaffinity(0))
    return Machine(
        processor=_processor(),
        cores=len(cores),
        usable=cores,
        client_core=cores[0],
        server_core=cores[-1],
        system=f"{platform.system()} {platform.release()}",
        load_before=round(os.getloadavg()[0], 2),
        versions={
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            "openssl (python)": ssl.OPENSSL_VERSION,
            "h2load": _first_line(["h2load", "--version"]),
            "libnghttp2": _first_line(["pkg-config", "--modversion", "libnghttp2"]),
            "openssl (server)": _first_line(["pkg-config", "--modversion", "openssl"]),
            "wakeline": version("wakeline"),
            **(peers or {}),
        },
    )


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Children started inside run on `core` only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cost(command: Sequence[str], core: int) -> Cost:
    """Run `command` on `core` to its end. Raises RuntimeError with its output when it fails."""
    with pinned(core):
        started = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output, peak = _watched(process)
    _, status, use = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}:\n{output[-2000:]}")
    return Cost(
        cpu_seconds=use.ru_utime + use.ru_stime,
        wall_seconds=time.monotonic() - started,
        peak=peak,
        output=output,
    )


def resident(pid: int, name: str) -> int:
    """Bytes of a process: `VmRSS` now, `VmHWM` at most. 0 once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * _KIB for line in lines if line.startswith(f"{name}:")), 0)


def _watched(process: subprocess.Popen[bytes]) -> tuple[str, int]:
    """The output of a process until it closes it, and the most bytes that were resident.

    ru_maxrss would begin with what its parent had resident at the fork; the high-water mark of its own memory does not.
    """
    assert process.stdout is not None
    chunks: list[bytes] = []
    peak, selector = 0, selectors.DefaultSelector()
    with process.stdout as output, selector:
        selector.register(output, selectors.EVENT_READ)
        while True:
            ready = selector.select(_LOOK_EVERY)
            peak = max(peak, resident(process.pid, "VmHWM"))
            if ready:
                chunk = os.read(output.fileno(), _CHUNK)
                if not chunk:
                    return b"".join(chunks).decode(errors="replace"), peak
                chunks.append(chunk)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _first_line(command: Sequence[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().partition("\n")[0]
