"""Routes at run time: which credential serves each, its sender, and whether anything may go out.

Rule 1: a route is looked up by what a push needs; its credential is looked up anew whenever the app's credentials change.
Rule 2: a sender is opened at the first need and swapped without losing what is in flight: the old one drains.
Rule 3: a hold counts at once in memory and is written through right after, so that no turn of the loop slips between.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable

import msgspec
import structlog

from wakeline.model.app import ApnsEnvironment, App
from wakeline.model.credential import Credential, CredentialState
from wakeline.model.errors import WakelineError
from wakeline.model.notification import PushType
from wakeline.model.outcome import Outcome
from wakeline.model.route import Environment, Hold, HoldReason, ProviderKind, Route
from wakeline.pipeline import coverage, origins
from wakeline.pipeline.brake import Brake
from wakeline.pipeline.breaker import Breaker
from wakeline.pipeline.lanes import Turns
from wakeline.pipeline.parts import Parts
from wakeline.pipeline.resolve import Address
from wakeline.ports import Sender
from wakeline.wire.outcomes import Refusal, ours

_log = structlog.get_logger()

CHECK_EVERY = 600.0
"""Seconds after which a credential that failed is checked again: it may have been repaired on the provider's side."""

_DRAIN = 20.0
_REMEMBERED = 10_000


class Way:
    """A route at run time. Waits end on the monotonic clock (seconds), for the wall clock may be set; `accepted_at` is Unix ms."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self.hold = route.hold
        self.credential: Credential | None = None
        self.sender: Sender | None = None
        self.breaker = Breaker()
        self.brake = Brake()
        self.turns = Turns()
        self.paused_until = 0.0
        self.accepted_at: int | None = None
        self.next_hop = 0.0
        self.throttled = 0
        self.check_at: float | None = None
        self.last: Outcome | None = None

    @property
    def braked(self) -> bool:
        """Tell whether too many tokens of this route looked dead."""
        return self.hold is not None and self.hold.reason is HoldReason.BRAKE


class RouteTable:
    """All routes. `wake` is called when a sender has room again or something was released."""

    def __init__(self, parts: Parts, wake: Callable[[], None]) -> None:
        self._parts = parts
        self._wake = wake
        self._ways: dict[int, Way] = {}
        self._places: dict[tuple[int, ApnsEnvironment, PushType, Address], int | Outcome] = {}
        self._changed: set[int] = set()
        self._closing: set[asyncio.Task[None]] = set()
        parts.credentials.listen(self.changed)
        parts.apps.listen(self.changed)

    def load(self) -> None:
        """Take over the routes that the store knows, with their holds."""
        for route in self._parts.routes.all():
            self._adopt(route)

    def ways(self) -> list[Way]:
        """Return all routes by id."""
        return [way for route in sorted(self._ways) if (way := self.way(route)) is not None]

    def way(self, route: int) -> Way | None:
        """Return a route, or None if it is not known (its app was deleted)."""
        stored = self._parts.routes.get(route)
        if stored is None:
            gone = self._ways.pop(route, None)
            if gone is not None:
                self._retire_sender(gone)
            return None
        return self._ways.get(route) or self._adopt(stored)

    def placed(self, app: App, push_type: PushType, address: Address) -> int | Outcome | None:
        """Return where an address goes, if that is known already."""
        return self._places.get((app.id, app.settings.apns_environment, push_type, address))

    async def place(self, app: App, push_type: PushType, addresses: Iterable[Address]) -> dict[Address, int | Outcome]:
        """Return for each address its route's id, or why it cannot be served."""
        found: dict[Address, int | Outcome] = {}
        for address in addresses:
            key = app.id, app.settings.apns_environment, push_type, address
            place = self._places.get(key)
            if place is None:
                if len(self._places) >= _REMEMBERED:  # callers name topics as they like
                    self._places.clear()
                place = self._places[key] = await self._place(app, push_type, address)
            found[address] = place
        return found

    async def _place(self, app: App, push_type: PushType, address: Address) -> int | Outcome:
        kind, registered_environment, registered_topic = address
        override = app.settings.apns_environment
        registered = override is ApnsEnvironment.AS_REGISTERED
        environment = Environment(registered_environment if registered else override.value)
        need = coverage.need_of(kind, environment, registered_topic, push_type)
        credentials, now = self._parts.credentials.of_app(app.id), self._parts.clock.now()
        choice = coverage.choose(credentials, need, now)
        if choice is None:
            return ours(Refusal.NO_CREDENTIAL, detail=coverage.missing(credentials, need))
        topic = coverage.route_topic(credentials, need, choice, now)
        if need.provider is ProviderKind.WEBPUSH:
            most = self._parts.settings.providers.webpush.max_origins
            if not origins.admits(self._parts.routes.all(), app.id, topic, most):
                return ours(Refusal.TOO_MANY_ORIGINS)
        route = await self._parts.routes.ensure(app.id, need.provider, need.environment, topic)
        await self._begin(self._adopt(route))
        return route.id

    async def elsewhere(self, way: Way) -> Way | None:
        """Return the route to the other APNs environment, if a credential covers it and the app lets its devices choose."""
        app = self._parts.apps.by_id(way.route.app)
        if way.route.provider is not ProviderKind.APNS or app is None:
            return None
        there = msgspec.structs.replace(way.route, environment=_other(way.route.environment))
        if app.settings.apns_environment is not ApnsEnvironment.AS_REGISTERED or self._choice(there) is None:
            return None
        route = await self._parts.routes.ensure(app.id, ProviderKind.APNS, there.environment, way.route.topic)
        return self._adopt(route)

    def counterpart(self, way: Way) -> Way | None:
        """Return the route of the same app and topic in the other environment, if it was ever used."""
        wanted = way.route.app, way.route.provider, _other(way.route.environment), way.route.topic
        return next((other for other in self._ways.values() if _place_of(other.route) == wanted), None)

    def barrier(self, way: Way) -> Hold | None:
        """Return why nothing may go out on a route, or None: its own hold, a paused app, a certificate past its end."""
        if way.hold is not None:
            return way.hold
        app, now = self._parts.apps.by_id(way.route.app), self._parts.clock.now()
        if app is not None and app.paused:
            return hold_of(HoldReason.OPERATOR, ours(Refusal.PAUSED), now)
        if way.credential is not None and coverage.expired(way.credential, now):
            return hold_of(HoldReason.CREDENTIAL, ours(Refusal.CERTIFICATE_EXPIRED), now)
        return None

    async def sender(self, way: Way) -> Sender | None:
        """Return the sender of a route, opening it at the first need; None: no credential, or one that cannot be used."""
        if way.sender is not None or way.credential is None:
            return way.sender
        credential = way.credential
        try:
            secret = await self._parts.credentials.secret(credential.id)
            if way.credential is credential and way.sender is None:
                provider = self._parts.providers[way.route.provider]
                way.sender = provider.open(facing(way.route), credential, secret, self._wake)
        except WakelineError as error:
            outcome = ours(Refusal.CREDENTIAL_ERROR, detail=error.detail)
            _log.error("route.cannot_open", route=way.route.id, credential=credential.id, detail=error.detail)
            way.check_at = self._parts.clock.monotonic()
            await self.put_hold(way, hold_of(HoldReason.CREDENTIAL, outcome, self._parts.clock.now()))
            return None
        return way.sender

    async def put_hold(self, way: Way, hold: Hold | None) -> None:
        """Hold a route or release it; survives restarts. One that is held for its credential is checked from time to time.

        A hold counts before it is written, a release once it is.
        """
        before = way.hold
        if hold is not None:
            self._stop(way, hold)
        way.route = await self._parts.routes.hold(way.route.id, hold)
        if hold is None:
            if way.hold is before:
                way.hold = way.check_at = None
            self._wake()

    def _stop(self, way: Way, hold: Hold) -> None:
        way.hold = hold
        if hold.reason is not HoldReason.CREDENTIAL:
            way.check_at = None
        elif way.check_at is None:
            way.check_at = self._parts.clock.monotonic() + CHECK_EVERY

    async def _begin(self, way: Way) -> None:
        """Hold a route from its beginning if its only credential is known not to work."""
        credential, now = way.credential, self._parts.clock.now()
        if credential is None or way.hold is not None:
            return
        if coverage.expired(credential, now):
            await self.put_hold(way, hold_of(HoldReason.CREDENTIAL, ours(Refusal.CERTIFICATE_EXPIRED), now))
        elif credential.state is CredentialState.FAILED:
            outcome = ours(Refusal.CREDENTIAL_ERROR, detail=credential.state_note)
            await self.put_hold(way, hold_of(HoldReason.CREDENTIAL, outcome, now))

    def _adopt(self, route: Route) -> Way:
        way = self._ways.get(route.id)
        if way is None:
            way = self._ways[route.id] = Way(route)
            choice = self._choice(route)
            way.credential = choice.credential if choice is not None else None
            # What held it when the process ended may have passed meanwhile.
            if route.hold is not None and route.hold.reason is HoldReason.BREAKER:
                way.breaker.trip(self._parts.clock.monotonic())
            elif route.hold is not None and route.hold.reason is HoldReason.CREDENTIAL:
                way.check_at = self._parts.clock.monotonic()
        return way

    def _choice(self, route: Route) -> coverage.Choice | None:
        need = coverage.need_of_route(route.provider, route.environment, route.topic)
        return coverage.choose(self._parts.credentials.of_app(route.app), need, self._parts.clock.now())

    def changed(self, app: int) -> None:
        """Have the routes of an app look anew for their credentials, and for what its pause held back."""
        self._changed.add(app)
        self._places = {key: place for key, place in self._places.items() if key[0] != app}
        self._wake()

    def refresh(self) -> list[tuple[Way, Credential | None]]:
        """Give every route of changed apps its credential anew; returns those that changed, with what they had before."""
        if not self._changed:
            return []
        changed = []
        apps, self._changed = self._changed, set()
        for way in [way for way in self.ways() if way.route.app in apps]:
            before, choice = way.credential, self._choice(way.route)
            way.credential = choice.credential if choice is not None else None
            if identity(before) != identity(way.credential):
                self._retire_sender(way)
            if before != way.credential:
                changed.append((way, before))
        return changed

    def reopen(self) -> None:
        """Have every sender opened anew at its next need; the present ones finish what is in flight."""
        self._places.clear()  # the settings of the providers decide about them too
        for way in self.ways():
            self._retire_sender(way)

    def _retire_sender(self, way: Way) -> None:
        """Let the sender finish what is in flight, apart from the route."""
        if way.sender is not None:
            task = asyncio.get_running_loop().create_task(way.sender.close(drain=_DRAIN))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
            way.sender = None

    async def close(self, *, drain: float) -> None:
        """Close every sender; what is in flight gets `drain` seconds."""
        senders = [way.sender for way in self.ways() if way.sender is not None]
        for way in self.ways():
            way.sender = None
        await asyncio.gather(*(sender.close(drain=drain) for sender in senders), *self._closing)


@functools.lru_cache(maxsize=1024)  # asked for with every shipment
def facing(route: Route) -> Route:
    """Return a route as its provider sees it: without the suffix, which the provider adds by itself."""
    if route.provider is not ProviderKind.APNS:
        return route
    return msgspec.structs.replace(route, topic=coverage.bundle_of_route(route.topic))


def hold_of(reason: HoldReason, outcome: Outcome, now: int) -> Hold:
    """Return a hold for what an outcome says."""
    return Hold(reason=reason, code=outcome.code, since=now, cause=outcome.cause, fix=outcome.fix)


def refusal_of(hold: Hold) -> Outcome:
    """Return the outcome of a delivery that a hold stops for good."""
    match hold.reason:
        case HoldReason.BREAKER:
            outcome = ours(Refusal.BREAKER)
        case HoldReason.BRAKE:
            outcome = ours(Refusal.BRAKE)
        case HoldReason.OPERATOR:
            outcome = ours(Refusal.ROUTE_HELD)
        case HoldReason.CREDENTIAL:
            by_code = {903: Refusal.CERTIFICATE_EXPIRED, 905: Refusal.WRONG_ENVIRONMENT}
            outcome = ours(by_code.get(hold.code, Refusal.CREDENTIAL_ERROR))
    return msgspec.structs.replace(outcome, code=hold.code, cause=hold.cause, fix=hold.fix or outcome.fix)


def identity(credential: Credential | None) -> tuple[int, int] | None:
    """Return what tells a credential from another, and from itself before a replacement."""
    return (credential.id, credential.revision) if credential is not None else None


def _other(environment: Environment) -> Environment:
    return Environment.SANDBOX if environment is Environment.PRODUCTION else Environment.PRODUCTION


def _place_of(route: Route) -> tuple[int, ProviderKind, Environment, str]:
    return route.app, route.provider, route.environment, route.topic
