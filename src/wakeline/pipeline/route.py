"""Routes at run time: which credential serves each, its sender, and whether anything may go out.

Rule 1: a route is looked up by what a push needs; its credential is looked up anew whenever the app's credentials change.
Rule 2: a sender is opened at the first need and swapped without losing what is in flight: the old one drains.
Rule 3: a hold counts at once in memory and is written through right after, so that no turn of the loop slips between.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Iterable

import msgspec
import structlog

from wakeline.model.app import ApnsEnvironment, App
from wakeline.model.credential import Credential, CredentialSecret, CredentialState
from wakeline.model.device import Address
from wakeline.model.errors import WakelineError
from wakeline.model.notification import PushType
from wakeline.model.outcome import Outcome
from wakeline.model.route import Environment, Hold, HoldReason, ProviderKind, Route
from wakeline.pipeline import coverage, origins
from wakeline.pipeline.parts import Parts
from wakeline.pipeline.ramp import Ramp
from wakeline.pipeline.standing import Standing
from wakeline.pipeline.way import Candidate, Way, facing, hold_of, identity
from wakeline.ports import Sender
from wakeline.wire.outcomes import Refusal, ours

_log = structlog.get_logger()

CHECK_EVERY = 600.0
"""Seconds after which a credential that failed is checked again: it may have been repaired on the provider's side."""

_DRAIN = 20.0
_REMEMBERED = 10_000


class RouteTable:
    """All routes. `wake` is called when a sender has room again or something was released."""

    def __init__(self, parts: Parts, wake: Callable[[], None]) -> None:
        self._parts = parts
        self._wake = wake
        self._ways: dict[int, Way] = {}
        self._places: dict[tuple[int, ApnsEnvironment, PushType, Address], int | Outcome] = {}
        self._ramps: weakref.WeakValueDictionary[str, Ramp] = weakref.WeakValueDictionary()
        self._changed: set[int] = set()
        self._later: set[int] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self.standing = Standing(parts)
        parts.credentials.listen(self.changed)
        parts.apps.listen(self.changed)

    def load(self) -> None:
        """Take over the routes that the store knows, with their holds."""
        for route in self._parts.routes.all():
            self._adopt(route)
            self._changed.add(route.app)  # a trial may have been under way

    def ways(self) -> list[Way]:
        """Return all routes by id."""
        return [way for route in sorted(self._ways) if (way := self.way(route)) is not None]

    def way(self, route: int) -> Way | None:
        """Return a route, or None if it is not known (its app was deleted)."""
        stored = self._parts.routes.get(route)
        if stored is None:
            gone = self._ways.pop(route, None)
            if gone is not None:
                self.retire_sender(gone)
                self.drop_candidate(gone)
            return None
        return self._ways.get(route) or self._adopt(stored)

    def placed(self, app: App, push_type: PushType, address: Address) -> int | Outcome | None:
        """Return where an address goes, if that is known already."""
        return self._places.get((app.id, self.standing.environment(app), push_type, address))

    async def place(self, app: App, push_type: PushType, addresses: Iterable[Address]) -> dict[Address, int | Outcome]:
        """Return for each address its route's id, or why it cannot be served."""
        found: dict[Address, int | Outcome] = {}
        for address in addresses:
            key = app.id, self.standing.environment(app), push_type, address
            place = self._places.get(key)
            if place is None:
                if len(self._places) >= _REMEMBERED:  # callers name topics as they like
                    self._places.clear()
                place = self._places[key] = await self._place(app, push_type, address)
            found[address] = place
        return found

    async def _place(self, app: App, push_type: PushType, address: Address) -> int | Outcome:
        kind, registered_environment, registered_topic = address
        override = self.standing.environment(app)
        registered = override is ApnsEnvironment.AS_REGISTERED
        environment = Environment(registered_environment if registered else override.value)
        need = coverage.need_of(kind, environment, registered_topic, push_type)
        credentials, now = self.standing.serving(app.id, need), self._parts.clock.now()
        choice = coverage.choose(credentials, need, now) or coverage.stranded(credentials, need, now)
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
        there = msgspec.structs.replace(way.route, environment=coverage.other_of(way.route.environment))
        if self.standing.environment(app) is not ApnsEnvironment.AS_REGISTERED or self._choice(there) is None:
            return None
        route = await self._parts.routes.ensure(app.id, ProviderKind.APNS, there.environment, way.route.topic)
        return self._adopt(route)

    def counterpart(self, way: Way) -> Way | None:
        """Return the route of the same app and topic in the other environment, if it was ever used."""
        wanted = way.route.app, way.route.provider, coverage.other_of(way.route.environment), way.route.topic
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
        return _wrong_environment(way, now) if self.stranded(way) is not None else None

    def stranded(self, way: Way) -> Credential | None:
        """Return the credential of a route that has none but one for the other APNs environment."""
        if way.credential is not None:
            return None
        need = coverage.need_of_route(way.route.provider, way.route.environment, way.route.topic)
        choice = coverage.stranded(self.standing.serving(way.route.app, need), need, self._parts.clock.now())
        return choice.credential if choice is not None else None

    async def sender(self, way: Way) -> Sender | None:
        """Return the sender of a route, opening it at the first need; None: no credential, or one that cannot be used."""
        if way.sender is not None or way.credential is None:
            return way.sender
        credential = way.credential
        try:
            secret = await self.secret(credential)
            if way.credential is credential and way.sender is None:
                way.sender = self._parts.providers[way.route.provider].open(way.shown, credential, secret, self._wake)
        except WakelineError as error:
            outcome = ours(Refusal.CREDENTIAL_ERROR, detail=error.detail)
            _log.error("route.cannot_open", route=way.route.id, credential=credential.id, detail=error.detail)
            way.check_at = self._parts.clock.monotonic()
            await self.put_hold(way, hold_of(HoldReason.CREDENTIAL, outcome, self._parts.clock.now()))
            return None
        return way.sender

    async def secret(self, credential: Credential) -> CredentialSecret:
        """Open the secret of a credential as it stands. Raises NotFound, SecretError."""
        former = self.standing.is_former(credential)
        return await self._parts.credentials.secret(credential.id, former=former)

    async def sender_of(self, candidate: Candidate) -> Sender:
        """Return the sender of a candidate, opening it at the first need. Raises WakelineError."""
        if candidate.sender is None:
            secret = await self.secret(candidate.credential)
            provider = self._parts.providers[candidate.route.provider]
            candidate.sender = provider.open(candidate.route, candidate.credential, secret, self._wake)
        return candidate.sender

    def drop_candidate(self, way: Way) -> None:
        """Forget what would have served a route; its canaries finish."""
        if way.candidate is not None and way.candidate.sender is not None:
            self._close(way.candidate.sender)
        way.candidate = None

    def settle_candidate(self, way: Way) -> None:
        """Let the candidate serve: in the place of the route, if it is for another environment or topic."""
        candidate = way.candidate
        self.drop_candidate(way)
        if candidate is None:
            return
        candidate.sender = None
        way.detour = candidate if candidate.route != facing(way.route) else None
        way.credential = candidate.credential
        self.retire_sender(way)

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
        """Hold a route from its beginning if its only credential is known not to work, or is for the other environment."""
        credential, now = way.credential, self._parts.clock.now()
        if way.hold is not None:
            return
        if credential is None:
            if self.stranded(way) is not None:
                await self.put_hold(way, _wrong_environment(way, now))
        elif coverage.expired(credential, now):
            await self.put_hold(way, hold_of(HoldReason.CREDENTIAL, ours(Refusal.CERTIFICATE_EXPIRED), now))
        elif credential.state is CredentialState.FAILED:
            outcome = ours(Refusal.CREDENTIAL_ERROR, detail=credential.state_note)
            await self.put_hold(way, hold_of(HoldReason.CREDENTIAL, outcome, now))

    def _adopt(self, route: Route) -> Way:
        way = self._ways.get(route.id)
        if way is None:
            way = self._ways[route.id] = Way(route, self._ramp_of(route))
            way.credential = self._serving(way)
            if self.standing.changes(route.app):
                self._changed.add(route.app)  # what was replaced before the first push is tried by it
            # What held it when the process ended may have passed meanwhile.
            if route.hold is not None and route.hold.reason is HoldReason.BREAKER:
                way.breaker.trip(self._parts.clock.monotonic())
            elif route.hold is not None and route.hold.reason is HoldReason.CREDENTIAL:
                way.check_at = self._parts.clock.monotonic()
        return way

    def _ramp_of(self, route: Route) -> Ramp | None:
        """Return the ramp of a route to FCM: the quota of broadcasts is a project's, whichever app sends to it."""
        if route.provider is not ProviderKind.FCM:
            return None
        ramp = self._ramps.get(route.topic) if route.topic else None
        if ramp is None:
            ramp = Ramp()
        if route.topic:
            self._ramps[route.topic] = ramp
        return ramp

    def _choice(self, route: Route) -> coverage.Choice | None:
        need = coverage.need_of_route(route.provider, route.environment, route.topic)
        return coverage.choose(self.standing.serving(route.app, need), need, self._parts.clock.now())

    def _serving(self, way: Way) -> Credential | None:
        if way.detour is not None:
            present = self._parts.credentials.get(way.detour.credential.id)
            if identity(present) == identity(way.detour.credential):
                return present
            way.detour = None
        choice = self._choice(way.route)
        return choice.credential if choice is not None else None

    def changed(self, app: int) -> None:
        """Have the routes of an app look anew for their credentials, and for what its pause held back."""
        self._changed.add(app)
        self.standing.observe(app, [(way.route, way.credential) for way in self._ways.values() if way.route.app == app])
        self._places = {key: place for key, place in self._places.items() if key[0] != app}
        self._wake()

    def changed_later(self, app: int) -> None:
        """Have the routes of an app look anew, but not at once: something could not be written."""
        self._later.add(app)

    def look_again(self) -> None:
        """Have the routes look anew that were to do so later."""
        apps, self._later = self._later, set()
        for app in apps:
            self.changed(app)

    def take_changed(self) -> set[int]:
        """Return the apps that changed since this was last asked."""
        apps, self._changed = self._changed, set()
        return apps

    def refresh(self, apps: set[int]) -> list[tuple[Way, Credential | None]]:
        """Give every route of these apps its credential anew; returns those that changed, with what they had before."""
        changed = []
        for way in [way for way in self.ways() if way.route.app in apps]:
            before, way.credential = way.credential, self._serving(way)
            if identity(before) != identity(way.credential):
                self.retire_sender(way)
            if before != way.credential:
                changed.append((way, before))
        return changed

    def reopen(self) -> None:
        """Have every sender opened anew at its next need; the present ones finish what is in flight."""
        self._places.clear()  # the settings of the providers decide about them too
        for way in self.ways():
            self.retire_sender(way)
            if way.candidate is not None and way.candidate.sender is not None:
                self._close(way.candidate.sender)
                way.candidate.sender = None

    def retire_sender(self, way: Way) -> None:
        """Let the sender finish what is in flight, apart from the route."""
        if way.sender is not None:
            self._close(way.sender)
            way.sender = None

    def _close(self, sender: Sender) -> None:
        task = asyncio.get_running_loop().create_task(sender.close(drain=_DRAIN))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self, *, drain: float) -> None:
        """Close every sender; what is in flight gets `drain` seconds."""
        ways = self.ways()
        holders: list[Way | Candidate] = [*ways, *(way.candidate for way in ways if way.candidate is not None)]
        senders = [holder.sender for holder in holders if holder.sender is not None]
        for holder in holders:
            holder.sender = None
        closings = (*(sender.close(drain=drain) for sender in senders), *self._closing)
        for result in await asyncio.gather(*closings, return_exceptions=True):
            if isinstance(result, Exception):  # the others' last answers are still to be written
                _log.error("sender.cannot_close", detail=str(result))


def _wrong_environment(way: Way, now: int) -> Hold:
    outcome = ours(Refusal.WRONG_ENVIRONMENT, detail=f"The token is of {way.route.environment.value}.")
    return hold_of(HoldReason.CREDENTIAL, outcome, now)


def _place_of(route: Route) -> tuple[int, ProviderKind, Environment, str]:
    return route.app, route.provider, route.environment, route.topic
