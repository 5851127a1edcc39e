"""Whether a host answers over TLS, for the doctor: one connection that is closed as soon as its certificate was verified.

The host may be a stranger's word (a portal names itself), so the guard resolves, judges and pins its addresses as for any URL.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress

from wakeline.model.errors import ConnectFailed
from wakeline.transport.guard import Destination, Guard
from wakeline.transport.tls import ALPN_HTTP1, classify, shared_context

_SECONDS = 4.0
"""Longest time for all addresses of a host: a check of the doctor has to end soon."""


class TlsProbe:
    """Implements `ports.probe.Probe`; `ca_file` adds to the system's store."""

    def __init__(self, guard: Guard, *, ca_file: str = "") -> None:
        """Nothing is connected yet."""
        self._guard = guard
        self._ca_file = ca_file

    async def https(self, host: str) -> str:
        """Connect, verify, close; returns the address that answered. Raises AddressRefused, ConnectFailed."""
        found = await self._guard.check(f"https://{host}/")
        context = shared_context(alpn=ALPN_HTTP1, ca_file=self._ca_file)
        failure = ConnectFailed(f"{found.origin}: no address")
        for address in found.addresses:
            try:
                async with asyncio.timeout(_SECONDS / len(found.addresses)):
                    await _shake_hands(found, address, context)
            except (OSError, TimeoutError) as error:
                failure = ConnectFailed(f"{found.origin}: {_cause(error)}")
            else:
                return address
        raise failure


async def _shake_hands(found: Destination, address: str, context: ssl.SSLContext) -> None:
    _, writer = await asyncio.open_connection(
        address, found.origin.port, ssl=context, server_hostname=found.origin.host
    )
    writer.close()
    with suppress(OSError):  # how the other end takes leave is nothing to the doctor
        await writer.wait_closed()


def _cause(error: OSError) -> str:
    if failure := classify(error):
        return failure.detail
    return "no answer" if isinstance(error, TimeoutError) else error.strerror or "no connection"
