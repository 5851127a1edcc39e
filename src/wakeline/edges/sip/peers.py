"""PBXs and proxies that are believed without a password, told by the address that they send from.

Rule: an address proves a peer as far as the network does. Over UDP a sender may write any address, so peers belong on networks
where nobody else can (RFC 3261 section 26.1 asks for TLS elsewhere); that is the operator's to judge, who names them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Peers:
    """The addresses and networks of `[sip] peers`."""

    def __init__(self, named: Iterable[str]) -> None:
        """Believe these. Raises ValueError for what is neither an address nor a network."""
        self._networks = tuple(map(network, named))
        self.covers = lru_cache(maxsize=4096)(self._covers)
        """Tell whether an address is a peer's."""

    def _covers(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None) or address
        return any(mapped in each for each in self._networks if each.version == mapped.version)


def network(named: str) -> Network:
    """Read an address or a network. Raises ValueError."""
    return ipaddress.ip_network(named, strict=False)
