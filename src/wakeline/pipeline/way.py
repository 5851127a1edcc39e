"""A route at run time: what serves it, what may take its place, and what holds it back."""

from __future__ import annotations

import functools

import msgspec

from wakeline.model.credential import Credential
from wakeline.model.outcome import Outcome
from wakeline.model.route import Hold, HoldReason, ProviderKind, Route
from wakeline.pipeline import coverage
from wakeline.pipeline.accepted import LastAccepted
from wakeline.pipeline.brake import Brake
from wakeline.pipeline.breaker import Breaker
from wakeline.pipeline.lanes import Turns
from wakeline.pipeline.quota import Rests
from wakeline.pipeline.ramp import Ramp
from wakeline.pipeline.trial import Trial
from wakeline.ports import Sender
from wakeline.wire.outcomes import ours, refusal_of_hold


class Candidate:
    """What would serve a route after a change that is on trial: the route as its provider would see it, and the credential."""

    def __init__(self, trial: Trial, route: Route, credential: Credential) -> None:
        self.trial = trial
        self.route = route
        self.credential = credential
        self.sender: Sender | None = None


class Way:
    """A route at run time. Waits end on the monotonic clock (seconds), for the wall clock may be set."""

    def __init__(self, route: Route, ramp: Ramp | None = None) -> None:
        self.route = route
        self.hold = route.hold
        self.credential: Credential | None = None
        self.sender: Sender | None = None
        self.candidate: Candidate | None = None
        self.detour: Candidate | None = None
        """What serves in the place of the route since a change: what was queued before it goes there too."""
        self.breaker = Breaker()
        self.brake = Brake()
        self.turns = Turns()
        self.rests = Rests()
        self.ramp = ramp
        self.paused_until = 0.0
        self.accepted = LastAccepted()
        self.next_hop = 0.0
        self.throttled = 0
        self.check_at: float | None = None
        self.last: Outcome | None = None

    @property
    def shown(self) -> Route:
        """Return the route as its provider sees it."""
        return self.detour.route if self.detour is not None else facing(self.route)

    @property
    def braked(self) -> bool:
        """Tell whether too many tokens of this route looked dead."""
        return self.hold is not None and self.hold.reason is HoldReason.BRAKE


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
    outcome = ours(refusal_of_hold(hold))
    return msgspec.structs.replace(outcome, code=hold.code, cause=hold.cause, fix=hold.fix or outcome.fix)


def identity(credential: Credential | None) -> tuple[int, int] | None:
    """Return what tells a credential from another, and from itself before a replacement."""
    return (credential.id, credential.revision) if credential is not None else None
