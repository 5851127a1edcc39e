"""What the doctor asks of the network, no more than whether somebody answers. It sends nothing of ours."""

from __future__ import annotations

from typing import Protocol


class Probe(Protocol):
    """Looks at places outside, behind the outbound guard."""

    async def https(self, host: str) -> str:
        """Connect to a host (`name`, or `name:port`; else port 443) and verify its certificate; returns the address that answered.

        Raises AddressRefused (a place we do not go to), ConnectFailed (no such name, no connection, a bad certificate).
        """
