"""Ports that have to be named before anybody listens there: for programs that cannot choose one, and for restarts."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

_HANDED_OUT = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 10_000
_chosen: set[int] = set()


def free_port() -> int:
    """Return a port that is free on loopback, for TCP and for UDP.

    It is none of those that the kernel hands out to whoever asks for any port: one of these may be somebody else's by the
    time it is listened at, since a second worker, and every connection that is made, takes some.
    """
    while True:
        # Not by `random`, which every worker begins alike.
        port = secrets.choice(_never_handed_out())
        if port not in _chosen and _is_free(port):
            _chosen.add(port)
            return port


def _never_handed_out() -> range:
    lowest, _ = map(int, _HANDED_OUT.read_text().split())
    return range(_LOWEST, max(lowest, _LOWEST + 2000))


def _is_free(port: int) -> bool:
    try:
        with (
            socket.create_server(("127.0.0.1", port)),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        ):
            datagrams.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True
