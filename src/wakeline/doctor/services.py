"""Push services: whether they answer from this machine (DNS, proxy, TLS), and what they say the time is.

Rule: only those that the apps use are asked: where an app has a credential, and at the origins of its browsers' subscriptions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from wakeline.doctor.checking import DoctorPorts, failed, fine, skipped, warning
from wakeline.model.app import App
from wakeline.model.credential import Credential
from wakeline.model.errors import SecretError, TransportError
from wakeline.model.route import Environment, ProviderKind
from wakeline.observe.health import Check
from wakeline.ports.probe import Answered
from wakeline.wire.flexisip.external import template_of

MOST = 20
"""Services that are asked; an app's browsers may be at more."""
PATIENCE = 4.5
"""Seconds in which all of them are asked: less than a check may take, so that what answered is told."""

OFF, FAR_OFF = 30_000, 300_000
"""Milliseconds by which a clock is off, and so far that signatures are refused: Apple takes an hour, Google five minutes."""

Place = tuple[ProviderKind, str]
"""A push service and the URL of an origin of it."""

_CLOCK = "clock against push services"
_SETTINGS = {
    ProviderKind.APNS: ("[providers.apns]", "TCP 443 (or 2197, if `production` and `sandbox` name it)"),
    ProviderKind.FCM: ("[providers.fcm]", "TCP 443"),
    ProviderKind.WEBPUSH: ("[providers.webpush]", "TCP 443"),
    ProviderKind.HTTP: ("[providers.http]", "the port of the external push URI"),
}


async def look(ports: DoctorPorts) -> Sequence[Check]:
    """Return a line about each push service that the apps use, and one about our clock."""
    places = list(dict.fromkeys([place for app in ports.asked() for place in await _places(ports, app)]))
    if not places:
        return [skipped("push services", "No app has a credential, so no push service is asked for anything.")]
    answers = await _ask(ports, places[:MOST])
    lines = [_line(place, answers.get(place)) for place in places[:MOST]]
    return [*lines, _clock([answer for answer in answers.values() if isinstance(answer, Answered)])]


async def _places(ports: DoctorPorts, app: App) -> list[Place]:
    """Return what an app's pushes go to."""
    found = [place for one in ports.credentials.of_app(app.id) for place in await _of(ports, app, one)]
    found += [
        (ProviderKind.WEBPUSH, route.topic)
        for route in ports.routes.all()
        if route.app == app.id and route.provider is ProviderKind.WEBPUSH
    ]
    return found


async def _of(ports: DoctorPorts, app: App, one: Credential) -> list[Place]:
    providers = ports.settings.providers
    match one.provider:
        case ProviderKind.APNS:
            used = {
                route.environment
                for route in ports.routes.all()
                if (route.app, route.provider) == (app.id, one.provider)
            }
            url = {Environment.PRODUCTION: providers.apns.production, Environment.SANDBOX: providers.apns.sandbox}
            # A key serves both; the sandbox is asked where something was sent there, or nothing else can be.
            return [(one.provider, url[each]) for each in one.environments if each in used] or [
                (one.provider, url[each]) for each in one.environments[:1]
            ]
        case ProviderKind.FCM:
            tokens = await _secret_url(ports, one)
            return [(one.provider, url) for url in (providers.fcm.base_url, tokens) if url]
        case ProviderKind.HTTP:
            return [(one.provider, url) for url in [await _secret_url(ports, one)] if url]
        case ProviderKind.WEBPUSH:
            return []


async def _secret_url(ports: DoctorPorts, one: Credential) -> str:
    """Return the origin of a URL that is kept with a credential's secret; what else stands in it is nobody's to see."""
    try:
        secret = await ports.credentials.secret(one.id)
    except SecretError:
        return ""
    url = secret.token_uri if one.provider is ProviderKind.FCM else template_of(secret.private_key).uri
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else ""


async def _ask(ports: DoctorPorts, places: Sequence[Place]) -> dict[Place, Answered | TransportError]:
    """Return what came of asking; those for which there was no time are not in it."""
    answers: dict[Place, Answered | TransportError] = {}

    async def ask(place: Place) -> None:
        try:
            answers[place] = await ports.services.service(*place)
        except TransportError as error:
            answers[place] = error

    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as asking:
            for place in places:
                asking.create_task(ask(place))
    return answers


def _line(place: Place, answer: Answered | TransportError | None) -> Check:
    provider, url = place
    name = f"{provider.value} at {urlsplit(url).netloc.rpartition('@')[2]}"
    section, port = _SETTINGS[provider]
    fix = (
        f"Look at DNS, firewall and proxy of this machine: it takes {port} outwards. `proxy` and `ca_file` of {section} name a "
        "proxy and the authority of one that looks into TLS."
    )
    match answer:
        case None:
            return failed(name, f"No answer within {PATIENCE:g} s: what is sent there waits.", fix)
        case TransportError(detail=detail):
            return failed(name, f"It cannot be reached, and what is sent there waits: {detail}.", answer.fix or fix)
        case Answered(place=where, proxy=proxy):
            return fine(
                name, f"{where} answers{f' through the proxy {proxy}' if proxy else ''}; its certificate is good."
            )


def _clock(answers: Sequence[Answered]) -> Check:
    told = [answer for answer in answers if answer.ahead is not None]
    if not told:
        return skipped(_CLOCK, "None of them said what time it is (Apple never does).")
    # Where several differ, a cache may stand between; the nearest is the best witness.
    best = min(told, key=lambda answer: abs(answer.ahead or 0))
    ahead = best.ahead or 0
    seconds = abs(ahead) // 1000
    if abs(ahead) <= OFF:
        return fine(_CLOCK, f"Ours and that of {best.place} agree (within {max(seconds, 1)} s).")
    cause = f"Ours is {seconds} s {'ahead of' if ahead > 0 else 'behind'} that of {best.place}."
    fix = "Set the clock of this machine and keep it set (NTP); signatures and expiry depend on it."
    if abs(ahead) > FAR_OFF:
        return failed(_CLOCK, f"{cause} Signatures made with it are refused (904).", fix)
    return warning(_CLOCK, cause, fix)
