"""What systemd is told (sd_notify(3)): one datagram a message to the socket named in NOTIFY_SOCKET, nothing if there is none.

`Type=notify-reload` waits for RELOADING=1 with MONOTONIC_USEC and then for READY=1; without the time it waits for ever.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping

_MICROSECONDS = 1_000_000


class Supervisor:
    """Speaks to the service manager that started us, if one did."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        interval = environment.get("WATCHDOG_USEC", "")
        self.watchdog_interval = int(interval) / _MICROSECONDS / 2 if interval.isdecimal() else None
        """Seconds between two signs of life (half of what is allowed); None: nobody asks for them."""

    def ready(self, status: str) -> None:
        """Say that we serve; `status` is what `systemctl status` shows."""
        self._tell(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        """Say that settings are being read again; `ready` ends it."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """Say that we finish what is in flight."""
        self._tell("STOPPING=1")

    def alive(self) -> None:
        """Give a sign of life."""
        self._tell("WATCHDOG=1")

    def _tell(self, message: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            try:
                channel.connect(self._address)
                channel.sendall(message.encode())
            except OSError:  # a manager that went away is no reason to stop serving
                return
