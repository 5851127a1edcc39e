"""Bitrix24 portals that we are connected to: whether the hosts answer that we ask.

What is odd about what is kept of them is for the audit to say (`edges.bitrix24.audit_connected`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from wakeline.doctor.checking import DoctorPorts, failed, fine, skipped
from wakeline.doctor.reaching import Reached, reach
from wakeline.model.bitrix24.installation import Installation, InstallationState
from wakeline.model.errors import AddressRefused, TransportError
from wakeline.observe.health import Check

_NAME = "connected portal"


async def look(ports: DoctorPorts) -> Sequence[Check]:
    """Return a line about each host of each portal that is asked at all."""
    known = ports.installations.all()
    if not known:
        return [skipped(_NAME, "No Bitrix24 portal is connected.")]
    asked = {one.id: list(_hosts(one)) for one in known if one.state is InstallationState.ACTIVE}
    answers = await reach(ports.probe, {host for hosts in asked.values() for host in hosts})
    return [_line(f"{_NAME} {number}", host, answers) for number, hosts in asked.items() for host in hosts]


def _hosts(one: Installation) -> Iterator[str]:
    """Yield where its methods and its tokens are asked for; what speaks plain http has no certificate to look at."""
    places = [urlsplit(url) for url in (one.client_endpoint, one.server_endpoint)]
    yield from dict.fromkeys(place.netloc for place in places if place.scheme == "https" and place.netloc)


def _line(name: str, host: str, answers: Mapping[str, Reached]) -> Check:
    match answers.get(host):
        case None:
            return skipped(name, f"There was no time left to ask whether {host} answers.")
        case AddressRefused(detail=detail):
            fix = "If that is meant, name the host in [bitrix24] connected_hosts."
            return failed(name, f"Nothing is asked there: {detail}.", fix)
        case TransportError(detail=detail):
            fix = "Events, calls and writes wait for it here. Look at the network and at the portal."
            return failed(name, f"It does not answer over https: {detail}.", fix)
        case str(address):
            return fine(name, f"{host} answers at {address}.")
