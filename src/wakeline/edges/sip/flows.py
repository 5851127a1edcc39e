"""Where messages come from and go to: addresses, next hops, flows.

A flow is how one peer is reached in both directions (RFC 5626): a connection, or the pair of one of our datagram sockets and an
address. It has a name that outlives the object, `udp:192.0.2.7:5060`, `tls:[2001:db8::7]:49152#12`: the number tells connections
apart, and a connection that was lost is never found by its name again. A hop is what a URI names; it becomes a flow when it is
reached. Requests to a registered phone go to its flow, those to a peer or a Route to a hop.
"""

from __future__ import annotations

import ipaddress
from enum import StrEnum
from functools import lru_cache
from typing import Protocol

import msgspec

from wakeline.model.errors import TransportError
from wakeline.wire.sip.broken import Broken
from wakeline.wire.sip.uri import SipUri


class Transport(StrEnum):
    """What SIP is spoken over."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"
    WS = "ws"
    WSS = "wss"

    @property
    def reliable(self) -> bool:
        """Return whether what is sent arrives or the connection ends."""
        return self is not Transport.UDP

    @property
    def default_port(self) -> int:
        """Return the port that is meant where none is written (RFC 3261 section 19.1.2, RFC 7118 section 5.4)."""
        return _PORTS.get(self, 5060)

    @property
    def secure(self) -> bool:
        """Return whether it is encrypted."""
        return self in (Transport.TLS, Transport.WSS)

    @property
    def web(self) -> bool:
        """Return whether messages are wrapped as WebSocket messages (RFC 7118)."""
        return self in (Transport.WS, Transport.WSS)


_PORTS = {Transport.TLS: 5061, Transport.WS: 80, Transport.WSS: 443}


class Address(msgspec.Struct, frozen=True):
    """A host (a name, or an IP address without brackets) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return it as URIs and Via write it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Hop(msgspec.Struct, frozen=True):
    """Where a request goes next."""

    transport: Transport
    address: Address

    @classmethod
    def of(cls, uri: SipUri) -> Hop:
        """Return where a request with this URI on top of its route goes (RFC 3263 section 4; SRV and NAPTR are not asked).

        Raises Broken for a transport that is not served.
        """
        transport = _transport(uri)
        host = (uri.params.get("maddr") or uri.host).removeprefix("[").removesuffix("]")
        return cls(transport, Address(host, uri.port or transport.default_port))


def _transport(uri: SipUri) -> Transport:
    if uri.secure:
        return Transport.WSS if uri.transport == "ws" else Transport.TLS
    if not uri.transport:
        return Transport.UDP
    try:
        return Transport(uri.transport)
    except ValueError:
        raise Broken("The transport of the URI is not served", 400) from None


class FlowGone(TransportError):
    """The connection is closed, or nothing can be sent to this address. It stays inside the edge."""


class Flow(Protocol):
    """One peer, reachable. `local` is how the peer reaches us: what Via and Record-Route say."""

    @property
    def name(self) -> str:
        """Return the name by which `Endpoint.flow` finds it again."""

    @property
    def transport(self) -> Transport:
        """Return what it runs over."""

    @property
    def remote(self) -> Address:
        """Return the peer's address, as its packets bear it."""

    @property
    def local(self) -> Address:
        """Return our address on this flow."""

    @property
    def open(self) -> bool:
        """Return whether something can be sent. A datagram flow is always open; whether anybody hears is another matter."""

    def send(self, data: bytes) -> None:
        """Send one message. Raises FlowGone."""


@lru_cache(maxsize=1024)
def numeric(host: str) -> bool:
    """Return whether a host is an IP address, so that nobody need be asked for one."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
