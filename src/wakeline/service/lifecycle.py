"""A gateway's life: open the store, serve, drain, close. One process, one loop.

Stop (SIGTERM): `/readyz` says 503, nothing more is taken or claimed, what is in flight gets its answers (at most
drain_timeout), leases go back, exit 0. A second signal ends at once with exit 1; that is as safe as `kill -9`, which loses
nothing accepted.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from wakeline.config import Loaded, Settings
from wakeline.observe import logs
from wakeline.observe.health import Phase
from wakeline.observe.names import LogEvent
from wakeline.service import admin_socket, collector, listeners, wiring
from wakeline.service.collector import Collector
from wakeline.service.listeners import Listener
from wakeline.service.reload import Reloader
from wakeline.service.signals import Signals
from wakeline.service.supervisor import Supervisor
from wakeline.service.wiring import Gateway

_log = structlog.get_logger()

_SWITCH_INTERVAL = 0.0005
"""Seconds after which the loop lets a thread that has committed take the word: at Python's 5 ms, calls waited for that."""

DRAINED = 0
CUT_SHORT = 1


async def serve(read: Callable[[], Loaded], environment: Mapping[str, str], announce: Callable[[str], None]) -> int:
    """Run a gateway until a signal ends it, and return the exit code.

    `announce` is told the address once it serves. Raises StoreBusy, ConnectFailed, ConfigError and what else keeps it from
    starting.
    """
    settings = read().settings
    logs.configure(settings.logs)
    _log.info(LogEvent.STARTING.value, data_dir=settings.server.data_dir)
    async with wiring.opened(settings) as gateway:
        code = await _Process(gateway, read, Supervisor(environment)).run(announce)
    _log.info(LogEvent.STOPPED.value)
    return code


class _Process:
    """One run between open and close."""

    def __init__(self, gateway: Gateway, read: Callable[[], Loaded], supervisor: Supervisor) -> None:
        self._gateway = gateway
        self._signals = Signals()
        self._supervisor = supervisor
        self._reloader = Reloader(gateway.settings, read, self._apply)
        self._directory = Path(gateway.settings.server.data_dir)
        self._doors: list[Listener] = []

    async def run(self, announce: Callable[[str], None]) -> int:
        """Serve, then drain."""
        doors = self._doors = self._bind()
        self._gateway.bound(doors[0].port)
        self._signals.install()
        chores: list[asyncio.Task[None]] = []
        try:
            await self._gateway.start()
            serving = [door.start() for door in doors]
            address = listeners.address_of(self._gateway.settings, doors[0].port)
            self._ready(address)
            announce(address)
            chores = [
                asyncio.create_task(chore)
                for chore in (
                    self._reload(),
                    self._give_signs(),
                    self._gateway.watch(),
                    Collector(self._gateway.is_idle).run(),
                )
            ]
            served = await self._until_stop(serving)
            return max(served, await self._drain())
        finally:
            self._signals.remove()
            for task in chores:
                task.cancel()
            await asyncio.gather(*chores, return_exceptions=True)
            for door in doors:
                await door.stop(at_once=self._signals.at_once.is_set())
            admin_socket.remove(self._directory)

    def _bind(self) -> list[Listener]:
        """Take the address first: an address in use must be told before anything is sent."""
        app, settings = self._gateway.app, self._gateway.settings
        return [
            listeners.public(app, settings, self._gateway.hot),
            listeners.admin(app, settings, admin_socket.listen(self._directory)),
        ]

    async def _until_stop(self, serving: list[asyncio.Task[None]]) -> int:
        """Wait for a signal. A door that closes by itself ends the process too: its supervisor starts a whole one."""
        told = asyncio.create_task(self._signals.stop.wait())
        ended, _ = await asyncio.wait({told, *serving}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if told in ended:
            return DRAINED
        _log.error(LogEvent.DOOR_FAILED.value, causes=[repr(task.exception()) for task in serving if task.done()])
        return CUT_SHORT

    def _ready(self, address: str) -> None:
        self._gateway.health.phase = Phase.READY
        collector.settle()
        sys.setswitchinterval(_SWITCH_INTERVAL)
        self._supervisor.ready(f"Serving on {address}")
        _log.info(LogEvent.READY.value, address=address)

    def _apply(self, settings: Settings) -> None:
        for door in self._doors:
            door.apply(settings)
        self._gateway.apply(settings)
        logs.configure(settings.logs)

    async def _reload(self) -> None:
        while True:
            await self._signals.reload.wait()
            self._signals.reload.clear()
            self._supervisor.reloading()
            self._reloader.reload()
            self._supervisor.ready("Serving")

    async def _give_signs(self) -> None:
        """Tell the watchdog from the real loop: a loop that hangs gives no sign and is restarted."""
        interval = self._supervisor.watchdog_interval
        while interval is not None:
            self._supervisor.alive()
            await asyncio.sleep(interval)

    async def _drain(self) -> int:
        """Finish what is in flight, unless a second signal comes."""
        self._gateway.health.phase = Phase.DRAINING
        self._supervisor.stopping()
        timeout = self._gateway.settings.server.drain_timeout
        _log.info(LogEvent.DRAINING.value, timeout=timeout)
        drained = asyncio.create_task(self._gateway.drain(timeout))
        cut = asyncio.create_task(self._signals.at_once.wait())
        await asyncio.wait({drained, cut}, return_when=asyncio.FIRST_COMPLETED)
        cut.cancel()
        if drained.done():
            drained.result()
            _log.info(LogEvent.DRAINED.value)
            return DRAINED
        drained.cancel()
        await asyncio.gather(drained, return_exceptions=True)
        _log.warning(LogEvent.STOPPED_AT_ONCE.value)
        return CUT_SHORT
