"""What the gateway stands on: the disk, the write-ahead log, the clock, and the address under which others know it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from wakeline.doctor.checking import MINUTE, DoctorPorts, failed, fine, many, skipped, span, warning
from wakeline.model.errors import AddressRefused, TransportError
from wakeline.model.route import HoldReason
from wakeline.observe.health import Check

MIB = 1024 * 1024
ROOM = 4
"""Below so many times [storage] low_disk a disk is worth a line."""
LONG_LOG = 256 * MIB
"""A write-ahead log that is folded now and then stays far below this."""
AHEAD = 5 * MINUTE
"""How far in the future something kept may lie before it says that a clock was wrong."""

_NOT_ON_DISK = "The store is on no disk of this machine."


async def disk(ports: DoctorPorts) -> Sequence[Check]:
    """Say whether the disk of the store has room."""
    health, low = ports.keeper.health(), ports.settings.storage.low_disk
    if not health.disk_free and not health.low_disk:
        return [skipped("disk", _NOT_ON_DISK)]
    free = f"{health.disk_free // MIB} MiB are free where the store lives"
    fix = "Free space on that disk, enlarge it, or keep less: [retention]."
    if health.low_disk:
        return [failed("disk", f"{free}, and below {low // MIB} MiB nothing is accepted or sent.", fix)]
    if health.disk_free < ROOM * low:
        return [warning("disk", f"{free}; at {low // MIB} MiB the gateway stops to accept and to send.", fix)]
    return [fine("disk", f"{free}.")]


async def write_ahead(ports: DoctorPorts) -> Sequence[Check]:
    """Say whether the write-ahead logs of the store are folded."""
    name, health = "write-ahead log", ports.keeper.health()
    if not health.disk_free and not health.low_disk:
        return [skipped(name, _NOT_ON_DISK)]
    size = f"The write-ahead logs of the store have {health.wal_bytes // MIB} MiB"
    if health.wal_bytes < LONG_LOG:
        return [fine(name, f"{size}.")]
    fix = "End programs that read the database files for long (a shell, a copy that hangs); then restart the gateway."
    return [warning(name, f"{size}: something keeps them from being folded into it, and they go on growing.", fix)]


async def clock(ports: DoctorPorts) -> Sequence[Check]:
    """Say whether the clock seems wrong: by what push services said of it, or because what is kept lies in the future."""
    name, fix = "clock", "Set the clock of this machine and keep it set (NTP); signatures and expiry depend on it."
    if any("clock" in hold or "older than an hour" in hold for hold in _refusals(ports)):
        cause = "A push service refuses what we sign: a wrong clock would explain it, as a bad credential does."
        first = "Compare the clock of this machine (`date -u`); if it is right, it is the credential, whose line says more. Else: "
        return [warning(name, cause, first + fix)]
    ahead = max(_moments(ports), default=0) - ports.clock.now()
    if ahead > AHEAD:
        cause = (
            f"The store holds what was written {span(ahead)} in the future: the clock was ahead then, or is behind now."
        )
        return [warning(name, cause, fix)]
    cause = "No push service has complained of it, and what is kept lies in the past."
    return [skipped(name, cause)]


def _refusals(ports: DoctorPorts) -> Iterator[str]:
    """Yield why routes are held for their credential."""
    for route in ports.routes.all():
        if route.hold is not None and route.hold.reason is HoldReason.CREDENTIAL:
            yield f"{route.hold.cause} {route.hold.fix}"


def _moments(ports: DoctorPorts) -> Iterator[int]:
    """Yield moments that were written by our own clock."""
    yield from (app.created for app in ports.apps.all())
    yield from (credential.created for credential in ports.credentials.all())
    yield from (route.hold.since for route in ports.routes.all() if route.hold is not None)
    yield from (source.seen for key in ports.portal_keys.all() for source in key.sources)


async def public_url(ports: DoctorPorts) -> Sequence[Check]:
    """Say whether those outside who must find us know where, and whether somebody answers there."""
    name, url = "public_url", ports.settings.server.public_url
    who = len(ports.portal_keys.all()) + len(ports.installations.all())
    if not who and not url:
        return [skipped(name, "It is not set, and no portal has to find this gateway.")]
    if not url:
        cause = f"[server] public_url is not set, and {many(who, 'portal')} must find us: links are without a host."
        return [
            warning(name, cause, "Set [server] public_url to the https address under which portals reach this gateway.")
        ]
    if _is_here(urlsplit(url).hostname or ""):
        cause = f"[server] public_url is {url}, which only this machine reaches."
        return [warning(name, cause, "Set it to the https address under which portals reach this gateway.")]
    place = urlsplit(url)
    if place.scheme != "https":
        return [fine(name, f"Portals are told {url}; whether it answers is asked of https addresses only.")]
    try:
        address = await ports.probe.https(place.netloc)
    except AddressRefused as error:
        fix = "If portals are in the same network, nothing is wrong; else name an address that the world reaches."
        return [warning(name, f"Portals outside do not reach {url}: {error.detail}.", fix)]
    except TransportError as error:
        fix = (
            "Look at DNS, port forwarding and the certificate. Where a machine cannot reach itself by its outside address, look "
            "from outside: `curl -I` of that address."
        )
        return [warning(name, f"{url} does not answer to us: {error.detail}.", fix)]
    return [fine(name, f"Portals are told {url}, which answers at {address} with a good certificate.")]


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
