"""The demonstration's processes: the stand-ins and the gateway, each as a user would start it, in a directory of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from wakeline.model.errors import TimedOut, WakelineError

_START = 60.0
_STOP = 15.0
_POLL = 0.05
_READY = "Wakeline serves on "


class Stack(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything answers. `control` scripts the stand-ins; `key` is an API key with the scope admin.

    `portal` is a Bitrix24 portal, as host and port, that knows an application of ours by `client_id` and `client_secret`.
    """

    gateway: str
    control: str
    token_uri: str
    portal: str
    client_id: str
    client_secret: str
    key: str
    directory: str


class _Ready(msgspec.Struct):
    """What we read of the stand-ins' ready line."""

    apns: str
    fcm: str
    control: str
    token_uri: str
    ca_file: str
    portal: str
    portal_client_id: str
    portal_client_secret: str


class _Key(msgspec.Struct):
    """What `wakeline key create --json` prints."""

    key: str


@contextlib.asynccontextmanager
async def running(directory: Path) -> AsyncIterator[Stack]:
    """Start stand-ins and gateway in `directory`; both are stopped at the end. Raises WakelineError if one does not start."""
    async with _process(
        "simulate", "--state-dir", str(directory / "simulator"), "--portal-port", "0", log=directory / "simulator.log"
    ) as fake:
        ready = await _ready_line(fake, directory / "simulator.log")
        config = directory / "wakeline.toml"
        log = directory / "gateway.log"
        with _reserved() as port:
            config.write_text(_settings(directory, ready, port))
            async with _process("serve", "--config", str(config), log=log) as gateway:
                address = await _address(gateway, log)
                key = await _key(config)
                yield Stack(
                    gateway=address,
                    control=ready.control,
                    token_uri=ready.token_uri,
                    portal=urlsplit(ready.portal).netloc,
                    client_id=ready.portal_client_id,
                    client_secret=ready.portal_client_secret,
                    key=key,
                    directory=str(directory),
                )


def _settings(directory: Path, ready: _Ready, port: int) -> str:
    quote = msgspec.json.encode
    own = f"127.0.0.1:{port}"
    return (
        f'[server]\nlisten = "{own}"\npublic_url = "http://{own}"\n'
        f"data_dir = {quote(str(directory / 'data')).decode()}\n"
        f"[providers.apns]\nproduction = {quote(ready.apns).decode()}\nsandbox = {quote(ready.apns).decode()}\n"
        f"ca_file = {quote(ready.ca_file).decode()}\n"
        f"[providers.fcm]\nbase_url = {quote(ready.fcm).decode()}\nca_file = {quote(ready.ca_file).decode()}\n"
        'token_hosts = ["localhost", "127.0.0.1"]\n'
        f"[providers.webpush]\nca_file = {quote(ready.ca_file).decode()}\nallow_private = true\n"
        '[bitrix24]\nconnected_hosts = ["localhost", "127.0.0.1"]\n'
        f"connected_ca_file = {quote(ready.ca_file).decode()}\n"
        "[webhooks]\nallow_private = true\nallow_http = true\n"
        '[logs]\nformat = "json"\npush = true\n[storage]\nlow_disk = 0\n'
    )


@contextlib.contextmanager
def _reserved() -> Iterator[int]:
    """Find a port before the gateway has it: the portal is told the gateway's address, which stands in the settings.

    Linux lets a second socket that reuses addresses have a port at which nobody listens, if it asks for this one: there the
    port is kept, so that nobody who asks for any is given it while the gateway starts.
    """
    with socket.socket() as keeper:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind(("127.0.0.1", 0))
        port: int = keeper.getsockname()[1]
        if sys.platform != "linux":
            keeper.close()
        yield port


@contextlib.asynccontextmanager
async def _process(*arguments: str, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "wakeline", *arguments,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=errors, env=_environment(),
        )  # fmt: skip
        try:
            yield process
        finally:
            await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.communicate(), _STOP)
    except TimeoutError:
        process.kill()
        await process.communicate()


def _environment() -> dict[str, str]:
    """Leave out settings of another gateway on this machine."""
    return {name: value for name, value in os.environ.items() if not name.startswith("WAKELINE_")}


async def _ready_line(process: asyncio.subprocess.Process, log: Path) -> _Ready:
    if process.stdout is None:
        raise _did_not_start("simulate", log)
    try:
        line = await asyncio.wait_for(process.stdout.readline(), _START)
        return msgspec.json.decode(line, type=_Ready)
    except (TimeoutError, msgspec.MsgspecError):
        raise _did_not_start("simulate", log) from None


async def _address(process: asyncio.subprocess.Process, log: Path) -> str:
    """Wait for the line with which `serve` says where it answers."""
    loop = asyncio.get_running_loop()
    end = loop.time() + _START
    while loop.time() < end and process.returncode is None:
        for line in _lines(log):
            if line.startswith(_READY):
                return line.removeprefix(_READY)
        await asyncio.sleep(_POLL)
    raise _did_not_start("serve", log)


def _lines(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines()


def _did_not_start(command: str, log: Path) -> WakelineError:
    last = "\n".join(_lines(log)[-5:])
    return TimedOut(f"`wakeline {command}` did not start: {last or 'it said nothing'}")


async def _key(config: Path) -> str:
    """Make a key as an operator would: through the running gateway's own socket."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "wakeline", "key", "create", "--scope", "admin", "--name", "demo", "--json",
        "--config", str(config), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=_environment(),
    )  # fmt: skip
    out, err = await process.communicate()
    if process.returncode != 0:
        raise WakelineError(f"`wakeline key create` failed: {err.decode(errors='replace').strip()}")
    return msgspec.json.decode(out, type=_Key).key
