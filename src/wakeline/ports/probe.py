"""What the doctor asks of the network, no more than whether somebody answers. It sends nothing of ours."""

from __future__ import annotations

from typing import Protocol

import msgspec

from wakeline.model.route import ProviderKind


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """A push service that answers: at which host and port, through which proxy ("": directly).

    `ahead`: by how many milliseconds our clock is before that of the service (negative: behind); None: it did not say its time.
    """

    place: str
    proxy: str = ""
    ahead: int | None = None


class Probe(Protocol):
    """Looks at places outside, behind the outbound guard, and at our own listeners."""

    async def https(self, host: str) -> str:
        """Connect to a host (`name`, or `name:port`; else port 443) and verify its certificate; returns the address that answered.

        Raises AddressRefused (a place we do not go to), ConnectFailed (no such name, no connection, a bad certificate).
        """

    async def shown_until(self, host: str, port: int) -> int:
        """Return when the certificate ends (Unix ms) that a listener of ours shows there. Raises ConnectFailed."""


class ServiceProbe(Protocol):
    """Looks at push services, the way that pushes take: through the proxy and with the authorities of its settings."""

    async def service(self, provider: ProviderKind, url: str) -> Answered:
        """Connect to where a URL points and verify the certificate; nothing of the URL but its origin is asked for.

        Raises TransportError: AddressRefused (a place we do not go to), ConnectFailed (no such name, no connection, no proxy,
        a bad certificate, another protocol), TimedOut.
        """
