"""Signals as events of the loop: the first SIGTERM or SIGINT drains, the second stops at once, SIGHUP reloads."""

from __future__ import annotations

import asyncio
import signal

_STOP = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """What the operator has asked for so far."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.at_once = asyncio.Event()
        self.reload = asyncio.Event()

    def install(self) -> None:
        """Take the signals of this process."""
        loop = asyncio.get_running_loop()
        for number in _STOP:
            loop.add_signal_handler(number, self._stopped)
        loop.add_signal_handler(signal.SIGHUP, self.reload.set)

    def remove(self) -> None:
        """Give the signals back."""
        loop = asyncio.get_running_loop()
        for number in (*_STOP, signal.SIGHUP):
            loop.remove_signal_handler(number)

    def _stopped(self) -> None:
        if self.stop.is_set():
            self.at_once.set()
        self.stop.set()
