"""Whether a host answers over TLS, for the doctor: one connection that is closed as soon as its certificate was seen.

The host may be a stranger's word (a portal names itself), so the guard resolves, judges and pins its addresses as for any URL.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress

from cryptography import x509

from wakeline.model.errors import ConnectFailed
from wakeline.transport.guard import Guard
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
                    await _shake_hands(address, found.origin.port, context, found.origin.host)
            except (OSError, TimeoutError) as error:
                failure = ConnectFailed(f"{found.origin}: {_cause(error)}")
            else:
                return address
        raise failure

    async def shown_until(self, host: str, port: int) -> int:
        """Connect, look, close; whether others would trust the certificate is not judged here. Raises ConnectFailed."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # we look at our own listener, and send it nothing
        try:
            async with asyncio.timeout(_SECONDS):
                shown = await _shake_hands(host, port, context)
        except (OSError, TimeoutError) as error:
            raise ConnectFailed(f"{host}:{port}: {_cause(error)}") from None
        return int(x509.load_der_x509_certificate(shown).not_valid_after_utc.timestamp() * 1000)


async def _shake_hands(address: str, port: int, context: ssl.SSLContext, name: str | None = None) -> bytes:
    """Connect and close; returns the certificate that was shown (DER)."""
    _, writer = await asyncio.open_connection(address, port, ssl=context, server_hostname=name or address)
    shown: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    with suppress(OSError):  # how the other end takes leave is nothing to the doctor
        await writer.wait_closed()
    return shown


def _cause(error: OSError) -> str:
    if failure := classify(error):
        return failure.detail
    return "no answer" if isinstance(error, TimeoutError) else error.strerror or "no connection"
