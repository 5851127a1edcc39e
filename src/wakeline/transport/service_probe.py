"""Whether push services answer, for the doctor: one connection each, made as those that carry pushes are.

Theory: APNs speaks HTTP/2 and nothing else, so it is dialled as its pool does it, proxy and all. The others are asked for `/`
without a word of ours; whatever they answer, they answered, and their `Date` (RFC 9110 section 6.6.1) says how our clock is.
Apple takes many short connections for an attack, so whoever answered counts as reachable for a minute.
"""

from __future__ import annotations

import asyncio
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from wakeline.config import Providers
from wakeline.model.route import ProviderKind
from wakeline.ports import Clock
from wakeline.ports.probe import Answered
from wakeline.transport.guard import Guard, Resolve, read_url
from wakeline.transport.http import GuardedClient
from wakeline.transport.http2_connect import Origin, dial
from wakeline.transport.http2_link import Link
from wakeline.transport.tls import shared_context
from wakeline.wire.http2 import Answered as StreamAnswered
from wakeline.wire.http2 import Connection

_GOODBYE_SECONDS = 0.5
_FRESH = 60.0
_SECONDS = 4.0
"""Longest time for a service: a check of the doctor has to end soon."""


class PushServiceProbe:
    """Implements `ports.probe.ServiceProbe` for these settings."""

    def __init__(self, settings: Providers, resolve: Resolve, clock: Clock) -> None:
        """Nothing is connected yet."""
        self._settings = settings
        self._resolve = resolve
        self._clock = clock
        self._known: dict[tuple[ProviderKind, str], tuple[float, Answered]] = {}

    async def service(self, provider: ProviderKind, url: str) -> Answered:
        """See `ports.probe.ServiceProbe`; an answer is taken to be good for a minute."""
        at, known = self._known.get((provider, url), (0.0, None))
        if known is not None and self._clock.monotonic() - at < _FRESH:
            return known
        answer = await self._asked(provider, url)
        now = self._clock.monotonic()
        self._known = {place: one for place, one in self._known.items() if now - one[0] < _FRESH}
        self._known[provider, url] = now, answer
        return answer

    async def _asked(self, provider: ProviderKind, url: str) -> Answered:
        match provider:
            case ProviderKind.APNS:
                return await self._dial(url)
            case ProviderKind.FCM:
                fcm = self._settings.fcm
                hosts = frozenset({*fcm.token_hosts, urlsplit(fcm.base_url).hostname or ""})
                guard = Guard(resolve=self._resolve, configured=hosts, allow_http=True)
                return await self._ask(url, guard, fcm.ca_file, fcm.proxy)
            case ProviderKind.WEBPUSH:
                web = self._settings.webpush
                guard = Guard(resolve=self._resolve, allow_private=web.allow_private, allow_http=web.allow_http)
                return await self._ask(url, guard, web.ca_file, web.proxy)
            case ProviderKind.HTTP:
                http = self._settings.http
                guard = Guard(resolve=self._resolve, allow_private=http.allow_private, allow_http=http.allow_http)
                return await self._ask(url, guard, http.ca_file, http.proxy)

    async def _dial(self, url: str) -> Answered:
        """Make an HTTP/2 connection and end it as soon as the server has said hello."""
        place, apns = read_url(url)[0], self._settings.apns
        context = shared_context(ca_file=apns.ca_file)
        link = Link(_Nobody(), Connection(now=self._clock.monotonic()), self._clock.monotonic)
        origin = Origin(host=place.host, port=place.port, ssl_context=context, proxy=apns.proxy)
        await dial(origin, link, _SECONDS)
        link.close()
        _, waiting = await asyncio.wait([link.gone], timeout=_GOODBYE_SECONDS)
        if waiting:
            link.abort()
        return Answered(place=f"{place.host}:{place.port}", proxy=_host_of(apns.proxy))

    async def _ask(self, url: str, guard: Guard, ca_file: str, proxy: str) -> Answered:
        place = read_url(url)[0]
        async with GuardedClient(guard, ca_file=ca_file, proxy=proxy) as client:
            answer = await client.get(f"{place}/", {}, timeout=_SECONDS)
        ahead = _ahead(answer.headers.get("date", ""), self._clock.now())
        return Answered(place=f"{place.host}:{place.port}", proxy=_host_of(proxy), ahead=ahead)


class _Nobody:
    """Owns a link that carries no request."""

    def link_received(self, link: Link, told: list[StreamAnswered]) -> None:
        """Nobody waits for an answer."""

    def link_writable(self, link: Link) -> None:
        """Nothing waits for room."""

    def link_lost(self, link: Link, error: Exception | None) -> None:
        """It was said hello, or the dialling says why not."""


def _host_of(proxy: str) -> str:
    """Return host and port of a proxy's URL, without what logs in there."""
    return urlsplit(proxy).netloc.rpartition("@")[2]


def _ahead(date: str, now: int) -> int | None:
    """Return by how much `now` (Unix ms) is ahead of a date, which has whole seconds; None: it is none."""
    try:
        said = round(1000 * parsedate_to_datetime(date).timestamp())
    except ValueError:
        return None
    return now - said
