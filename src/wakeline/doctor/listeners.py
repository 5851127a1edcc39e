"""Certificates of our own listeners: asked of the listeners themselves, since a renewed file that was not reloaded helps nobody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wakeline.config import Settings
from wakeline.config.rules import listen_address, sip_address
from wakeline.doctor.checking import DAY, DoctorPorts, failed, fine, skipped, span, warning
from wakeline.model.errors import ConnectFailed
from wakeline.observe.health import Check

SOON = 14 * DAY
"""Whoever renews by itself does so a month before the end; half of that is late."""

_FIX = (
    "Renew the file that {key} names, and reload (`systemctl reload wakeline`, SIGHUP): it is shown without a restart."
)
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - it is what a listener may be told, and where it is reached


async def certificates(ports: DoctorPorts) -> Sequence[Check]:
    """Say how long each listener that speaks TLS may go on to show its certificate."""
    found = [await _line(ports, key, host, port) for key, host, port in _speaking_tls(ports.settings)]
    return found or [skipped("certificates", "No listener has one: TLS ends in front of this gateway, or nowhere.")]


def _speaking_tls(settings: Settings) -> Iterator[tuple[str, str, int]]:
    """Yield the setting that names a certificate, with host and port of a listener that shows it."""
    if settings.server.tls_certificate:
        yield "server.tls_certificate", *listen_address(settings.server.listen)
    if settings.sip.tls_certificate:
        secure = [each[1:] for each in map(sip_address, settings.sip.listen) if each[0] in {"tls", "wss"}]
        if secure:
            yield "sip.tls_certificate", *secure[0]


async def _line(ports: DoctorPorts, key: str, host: str, port: int) -> Check:
    name = f"certificate of {key.partition('.')[0]}"
    if not port:
        return skipped(name, "It listens on a port that is chosen at each start.")
    try:
        end = await ports.probe.shown_until(_ANY.get(host, host), port)
    except ConnectFailed as error:
        return warning(
            name, f"The listener does not show it: {error.detail}.", "Look at the log, and restart the gateway."
        )
    left = end - ports.clock.now()
    fix = _FIX.format(key=key)
    if left <= 0:
        return failed(name, f"It ended {span(-left)} ago: whoever verifies it hangs up.", fix)
    if left < SOON:
        return warning(name, f"It ends in {span(left)}; from then on whoever verifies it hangs up.", fix)
    return fine(name, f"It has {span(left)} left.")
