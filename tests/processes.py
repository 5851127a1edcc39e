"""Real processes for tests: the installed gateway and the stand-ins of the push services, each in a directory of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import msgspec

PATIENCE = 30.0
"""Seconds to wait for what has to happen: they bound a failure, and what is well takes a hundredth of them."""
START_SECONDS = 60.0
STOP_SECONDS = 60.0
"""Seconds for a program to start and to end: on a busy machine the first one compiles every module meanwhile."""
READY = "Wakeline serves on "

_NOT_OURS = ("WAKELINE_", "NOTIFY_SOCKET", "PYTHONDONTWRITEBYTECODE")
_COMPILED = f"{tempfile.gettempdir()}/wakeline-tests-{os.geteuid()}"


T = TypeVar("T")


def until(ask: Callable[[], T | None], what: str, seconds: float = PATIENCE) -> T:
    """Ask until there is an answer that is neither None, False nor an empty list; fails with `what` after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer is not None and answer is not False and answer != []:
            return answer
        if time.monotonic() >= end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without settings of the machine, with `more`.

    Compiled modules are kept apart from the sources: commands start in half the time, and the tree stays clean.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_OURS)}
    return {**kept, "PYTHONPYCACHEPREFIX": _COMPILED, **(more or {})}


def wakeline(
    *arguments: str,
    cwd: Path,
    stdin: str | None = None,
    seconds: float = STOP_SECONDS,
    variables: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the command line in `cwd` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "wakeline", *arguments],
        cwd=cwd,
        env=environment(variables),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def document(done: subprocess.CompletedProcess[str]) -> Any:
    """Return the one JSON document on the one line of stdout that --json promises."""
    lines = done.stdout.splitlines()
    assert len(lines) == 1, (done.stdout, done.stderr)
    return json.loads(lines[0])


def whole_lines(said: bytes) -> list[str]:
    """Return the lines that a process has written to their end: its file may be read in the middle of one."""
    return [line.decode() for line in said.split(b"\n")[:-1]]


class Simulator(msgspec.Struct, frozen=True, kw_only=True):
    """Running stand-ins."""

    apns: str
    fcm: str
    control: str
    token_uri: str
    ca_file: str
    portal_webhook: str = ""
    """An incoming webhook of the Bitrix24 portal, if there is one."""

    def script(self, target: str, *answers: Mapping[str, Any], provider: str = "") -> None:
        """Have a target answered so."""
        body = {"target": target, "answers": answers} | ({"provider": provider} if provider else {})
        httpx2.post(f"{self.control}/script", json=body, timeout=60, trust_env=False).raise_for_status()

    def subscribe(self, public_key: str) -> dict[str, Any]:
        """Have a browser subscribe with a VAPID key; `target` is its name here, the rest what its web app is given."""
        body = {"vapid_public_key": public_key}
        answer = httpx2.post(f"{self.control}/subscriptions", json=body, timeout=60, trust_env=False)
        made: dict[str, Any] = answer.raise_for_status().json()
        return made

    def behave(self, provider: str, **how: Any) -> None:
        """Change how a push service behaves."""
        body = {"provider": provider, **how}
        httpx2.post(f"{self.control}/behave", json=body, timeout=60, trust_env=False).raise_for_status()

    def disconnect(self, provider: str, *, abort: bool = False) -> None:
        """Say GOAWAY on every connection of a push service, or cut them."""
        body = {"provider": provider, "abort": abort}
        httpx2.post(f"{self.control}/disconnect", json=body, timeout=60, trust_env=False).raise_for_status()

    def requests(self, target: str | None = None, limit: int = 1_000_000) -> list[dict[str, Any]]:
        """Return what was received, oldest first."""
        query: dict[str, Any] = {"limit": limit} | ({"target": target} if target else {})
        answer = httpx2.get(f"{self.control}/requests", params=query, timeout=60, trust_env=False)
        found: list[dict[str, Any]] = answer.raise_for_status().json()
        return found


@contextlib.contextmanager
def simulator(directory: Path, **ports: int) -> Iterator[Simulator]:
    """Run the stand-ins; their state is kept in `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    flags = [part for name, port in ports.items() for part in (f"--{name.replace('_', '-')}", str(port))]
    command = [sys.executable, "-m", "wakeline", "simulate", "--state-dir", str(directory), *flags]
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, (directory / "log").read_text()
            ready = json.loads(line)
            yield Simulator(**{name: ready[name] for name in Simulator.__struct_fields__ if name in ready})
        finally:
            end(process)


class Gateway:
    """A gateway in `directory`, to be started, killed and started again on the same data."""

    def __init__(self, directory: Path, settings: str = "", command: list[str] | None = None) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.config = directory / "wakeline.toml"
        self.log = directory / "gateway.log"
        self.address = ""
        self.process: subprocess.Popen[bytes] | None = None
        self._command = command or [sys.executable, "-m", "wakeline"]
        directory.mkdir(parents=True, exist_ok=True)
        self.config.write_text(
            f'[server]\nlisten = "127.0.0.1:0"\ndata_dir = "{self.data}"\n[logs]\nformat = "json"\n{settings}\n'
        )

    def start(self, more: Mapping[str, str] | None = None) -> None:
        """Start it and wait until it serves."""
        offset = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._command, "serve", "--config", str(self.config)],
                cwd=self.directory,
                env=environment(more),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )

        def address() -> str | None:
            assert self.process is not None
            said = self.log.read_bytes()[offset:]
            assert self.process.poll() is None, said.decode(errors="replace")
            found = [line.removeprefix(READY) for line in whole_lines(said) if line.startswith(READY)]
            return found[0] if found else None

        self.address = until(address, "the gateway serves", START_SECONDS)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return end(self.process, number=None)

    def kill(self) -> None:
        """End it as a power failure would."""
        self.stop(signal.SIGKILL)

    def cli(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command with this gateway's settings."""
        return wakeline(*arguments, "--config", str(self.config), cwd=self.directory, stdin=stdin)

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Run a command with --json, check its exit code and return its document."""
        done = self.cli(*arguments, "--json")
        assert done.returncode == code, (done.stdout, done.stderr)
        return document(done)

    def client(self, *scopes: str) -> httpx2.Client:
        """Return an HTTP client with a new key of these scopes."""
        key = self.json("key", "create", "--scope", *(scopes or ("admin",)))["key"]
        return httpx2.Client(
            base_url=self.address, headers={"authorization": f"Bearer {key}"}, timeout=60, trust_env=False
        )

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the log lines of this event."""
        lines = [line for line in whole_lines(self.log.read_bytes()) if line.startswith("{")]
        return [found for line in lines if (found := json.loads(line))["event"] == name]


def end(process: subprocess.Popen[Any], number: int | None = signal.SIGTERM) -> int:
    """Stop a process of ours and return its exit code."""
    if number is not None and process.poll() is None:
        process.send_signal(number)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_SECONDS)
    if process.stdout is not None:
        process.stdout.close()
    return process.returncode


@contextlib.contextmanager
def gateway(directory: Path, settings: str = "") -> Iterator[Gateway]:
    """Run a new gateway until the context ends."""
    with started(Gateway(directory, settings)) as running:
        yield running


@contextlib.contextmanager
def started(running: Gateway, more: Mapping[str, str] | None = None) -> Iterator[Gateway]:
    """Start a gateway, with `more` variables; whatever becomes of the test, it is ended with the context."""
    try:
        running.start(more)
        yield running
    finally:
        if running.process is not None:
            end(running.process)


def pointing_at(fake: Simulator, more: str = "") -> str:
    """Return settings that send everything to the stand-ins."""
    return (
        f'[providers.apns]\nproduction = "{fake.apns}"\nsandbox = "{fake.apns}"\nca_file = "{fake.ca_file}"\n'
        f'[providers.fcm]\nbase_url = "{fake.fcm}"\nca_file = "{fake.ca_file}"\n'
        f'token_hosts = ["localhost", "127.0.0.1"]\n'
        f'[providers.webpush]\nca_file = "{fake.ca_file}"\nallow_private = true\n'
        f"[limits]\nper_user = false\n{more}\n"
    )
