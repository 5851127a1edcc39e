"""Which IP addresses are no place for an outbound request, and why: a table after the IANA registries.

Sources: IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and later), IPv6 global unicast 2000::/3.
`ipaddress.is_global` is not used: its answer differs between Python releases and names no cause. An IPv6 address that
carries an IPv4 one inside (mapped, NAT64, 6to4) is judged by what it carries.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address

_LOOPBACK = "loopback address"
_PRIVATE = "private address"
_SHARED = "shared address of a carrier (RFC 6598)"
_LIFTABLE = frozenset({_LOOPBACK, _PRIVATE, _SHARED})
_LINK_LOCAL = "link-local address, where clouds keep their metadata"
_DOCUMENTATION = "address for documentation"

_REFUSED_V4 = {
    "0.0.0.0/8": "unspecified address",
    "10.0.0.0/8": _PRIVATE,
    "100.64.0.0/10": _SHARED,
    "127.0.0.0/8": _LOOPBACK,
    "169.254.0.0/16": _LINK_LOCAL,
    "172.16.0.0/12": _PRIVATE,
    "192.0.0.0/24": "address reserved for protocols",
    "192.0.2.0/24": _DOCUMENTATION,
    "192.88.99.0/24": "retired 6to4 relay address",
    "192.168.0.0/16": _PRIVATE,
    "198.18.0.0/15": "address for benchmarks",
    "198.51.100.0/24": _DOCUMENTATION,
    "203.0.113.0/24": _DOCUMENTATION,
    "224.0.0.0/4": "multicast address",
    "240.0.0.0/4": "reserved address",
}
# The first network that holds the address decides; what no line names and 2000::/3 does not hold is reserved.
_REFUSED_V6 = {
    "::/128": "unspecified address",
    "::1/128": _LOOPBACK,
    "64:ff9b:1::/48": "NAT64 address of a local network",  # RFC 8215: the place of the IPv4 part is not known
    "100::/64": "address that discards",
    "2001::/23": "address reserved for protocols",
    "2001:db8::/32": _DOCUMENTATION,
    "3fff::/20": _DOCUMENTATION,
    "fc00::/7": _PRIVATE,
    "fe80::/10": _LINK_LOCAL,
    "fec0::/10": _PRIVATE,
    "ff00::/8": "multicast address",
}
_TABLE_V4 = tuple((IPv4Network(network), cause) for network, cause in _REFUSED_V4.items())
_TABLE_V6 = tuple((IPv6Network(network), cause) for network, cause in _REFUSED_V6.items())
_GLOBAL_V6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052 section 2.1
_COMPATIBLE = IPv6Network("::/96")  # RFC 4291 section 2.5.5.1, deprecated


def refusal(address: Address, *, allow_private: bool = False) -> str:
    """Why `address` is refused, or an empty string; `allow_private` lifts private, loopback and shared."""
    inner = _embedded(address) if isinstance(address, IPv6Address) else None
    if inner is not None:
        cause = refusal(inner, allow_private=allow_private)
        return f"{cause} inside an IPv6 one" if cause else ""
    cause = _cause(address)
    return "" if allow_private and cause in _LIFTABLE else cause


def _cause(address: Address) -> str:
    if isinstance(address, IPv4Address):
        return next((cause for network, cause in _TABLE_V4 if address in network), "")
    cause = next((cause for network, cause in _TABLE_V6 if address in network), "")
    return cause or ("" if address in _GLOBAL_V6 else "reserved address")


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that packets to this IPv6 address end at, if it carries one."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None
