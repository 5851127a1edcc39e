"""`wakeline serve`: run the gateway in the foreground; a supervisor (systemd, Docker) does the rest."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import structlog

from wakeline.cli.context import Ctx
from wakeline.observe.names import LogEvent


def serve(*, context: Ctx) -> int:
    """Run the gateway until a signal ends it; returns the exit code."""
    from wakeline.service import lifecycle  # noqa: PLC0415 - the whole gateway; `serve --help` does not need it

    def ready(address: str) -> None:
        context.printer.remark(f"Wakeline serves on {address}")

    factory = _loop_factory(wanted=context.load().settings.server.uvloop)
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(lifecycle.serve(context.load, os.environ, ready))


def _loop_factory(*, wanted: bool) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if not wanted:
        return None
    try:
        import uvloop  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        structlog.get_logger().warning(LogEvent.UVLOOP_ABSENT.value, fix="pip install 'wakeline[uvloop]'")
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
