"""Flexisip's `transports`: `sip:*:5060 sips:sip.example.org;maddr=192.0.2.1`, places to listen and what phones are told of them.

A host is what phones are told, and listened on as well unless `maddr` says where. Where it is a name, Flexisip looks it up; a
settings file of ours names addresses alone, so every address of the machine takes its place.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_PLACE = re.compile(r"(sips?):(?:\[([0-9A-Fa-f:]+)\]|([^:;\s]+))(?::([0-9]+))?((?:;[^\s;]+)*)")
_NUMBERS = re.compile(r"[0-9.]+")
_ANY = "0.0.0.0"  # noqa: S104 - as the file says: every address


class Place(NamedTuple):
    """Where to listen, what phones are told if it is something else, the certificate that is shown there, and its key's file."""

    listen: tuple[str, ...]
    told: str
    certificate: str
    key: str


def places(value: str) -> list[Place]:
    """Read the setting; what is no URI of SIP is left out."""
    return [_place(match) for word in value.split() if (match := _PLACE.fullmatch(word))]


def _place(match: re.Match[str]) -> Place:
    scheme, v6, host, port, written = match.groups()
    params = {name.lower(): value for name, _, value in (each.partition("=") for each in written.split(";"))}
    address, told = _heard(f"[{v6}]" if v6 else host, params.get("maddr", ""))
    listen = _listening(scheme, address, port, params.get("transport", "").lower())
    return Place(listen, told, params.get("tls-certificates-file", ""), params.get("tls-certificates-private-key", ""))


def _heard(host: str, maddr: str) -> tuple[str, str]:
    """Return where it is listened, and what phones are told besides."""
    if host in ("*", "localhost"):
        return maddr or (_ANY if host == "*" else "127.0.0.1"), ""
    if host.startswith("[") or _NUMBERS.fullmatch(host):
        return maddr or host, host if maddr and maddr != host else ""
    return maddr or _ANY, host


def _listening(scheme: str, address: str, port: str | None, transport: str) -> tuple[str, ...]:
    """Return it as `[sip] listen` has it: where no transport is named, sip is UDP and TCP."""
    if scheme == "sips" or transport == "tls":
        return (f"tls:{address}:{port or 5061}",)
    kinds = [transport] if transport in ("udp", "tcp") else ["udp", "tcp"]
    return tuple(f"{kind}:{address}:{port or 5060}" for kind in kinds)
