"""What serves an app: its credentials and its APNs environment as they stand, which during a trial is as before the change.

A change is worth a trial only where something worked before: then there is something to lose and something to go back to.

    replaced credential    its former content stands, and is kept by the store
    another credential     stands aside, and is kept as a fact `credentials_aside/<app>`
    `apns_environment`     the former value stands, and is kept as a fact `apns_environment_before/<app>`
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from wakeline.model.app import ApnsEnvironment, App
from wakeline.model.credential import Credential, CredentialState
from wakeline.model.route import Environment, ProviderKind, Route
from wakeline.pipeline import coverage
from wakeline.pipeline.parts import Parts

_FIXED = (ApnsEnvironment.PRODUCTION, ApnsEnvironment.SANDBOX)


class Before(NamedTuple):
    """The APNs environment that an app had before a change: it has to outlive the process."""

    app: int
    environment: ApnsEnvironment


class Standing:
    """What stands, by app."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._known: dict[int, set[int]] = {}
        self._aside: set[int] = set()
        self._environments: dict[int, ApnsEnvironment] = {}
        self._set_aside: list[Before] = []
        self._kept_aside: dict[int, str] = {}
        for app in parts.apps.all():
            self.adopt(app)

    def adopt(self, app: App) -> None:
        """Take an app as it is."""
        self._known[app.id] = self._usable(app.id)
        self._environments[app.id] = app.settings.apns_environment

    async def recall(self) -> None:
        """Bring back what stood when the process ended during a trial."""
        for app in self._parts.apps.all():
            before = await self._parts.facts.get(fact_of(app.id))
            if before is not None:
                self._environments[app.id] = ApnsEnvironment(before)
            kept = await self._parts.facts.get(aside_fact_of(app.id))
            if kept is not None:
                self._kept_aside[app.id] = kept
                self._aside |= {int(one) for one in kept.split()} & self._usable(app.id)

    def serving(self, app: int, need: coverage.Need) -> list[Credential]:
        """Return the credentials from which a need is met: those that stand, or if none of these covers it, all.

        Where nothing served before there is nothing to lose, and so nothing to try.
        """
        standing = self.credentials(app)
        if coverage.choose(standing, need, self._parts.clock.now()) is not None:
            return standing
        return self._parts.credentials.of_app(app)

    def credentials(self, app: int) -> list[Credential]:
        """Return the credentials that serve an app now."""
        return [
            self._former(credential) or credential
            for credential in self._parts.credentials.of_app(app)
            if credential.id not in self._aside
        ]

    def environment(self, app: App) -> ApnsEnvironment:
        """Return the APNs environment that is in force for an app."""
        return self._environments.get(app.id, app.settings.apns_environment)

    def is_former(self, credential: Credential) -> bool:
        """Tell whether this is what a credential was before it was replaced."""
        former = self._parts.credentials.former(credential.id)
        return former is not None and former.revision == credential.revision

    def changes(self, app: int) -> list[Credential]:
        """Return the credentials that are on trial, as they would serve."""
        return [
            credential
            for credential in self._parts.credentials.of_app(app)
            if credential.id in self._aside or self._former(credential) is not None
        ]

    def environment_before(self, app: App) -> ApnsEnvironment | None:
        """Return the APNs environment before the change that is on trial, or None."""
        before = self._environments.get(app.id)
        return before if before is not app.settings.apns_environment else None

    def is_aside(self, credential: int) -> bool:
        """Tell whether a credential stands aside: it is on trial, and was not there before."""
        return credential in self._aside

    def aside_to_keep(self, app: int) -> str | None:
        """Return which credentials of an app stand aside, if that changed since this was last asked; empty: none."""
        ids = sorted(self._aside & {credential.id for credential in self._parts.credentials.of_app(app)})
        now = " ".join(map(str, ids))
        if now == self._kept_aside.get(app, ""):
            return None
        self._kept_aside[app] = now
        return now

    def set_aside(self) -> list[Before]:
        """Return the environments that were set aside since this was last asked."""
        found, self._set_aside = self._set_aside, []
        return found

    def observe(self, app: int, served: Iterable[tuple[Route, Credential | None]]) -> None:
        """Take note of a change at once, before anything is placed by it; `served`: the app's routes with what serves them."""
        known = self._parts.apps.by_id(app)
        if known is None:
            return
        proven = [(route, one) for route, one in served if one is not None and one.state is CredentialState.WORKING]
        usable = self._usable(app)
        fresh = usable - self._known.get(app, set())
        self._known[app] = usable
        self._aside = {one for one in self._aside if self._parts.credentials.get(one) is not None}
        self._aside |= {one for one in fresh if self._displaces(one, app, proven)}
        self._observe_environment(known, proven)

    def _usable(self, app: int) -> set[int]:
        """Return the credentials that may serve: one that failed, and is thought good later, comes anew."""
        everyone = self._parts.credentials.of_app(app)
        return {credential.id for credential in everyone if credential.state is not CredentialState.FAILED}

    def _displaces(self, newcomer: int, app: int, proven: list[tuple[Route, Credential]]) -> bool:
        """Tell whether a new credential would take over a route that another serves well."""
        now, everyone = self._parts.clock.now(), self._parts.credentials.of_app(app)
        for route in [route for route, serves in proven if serves.id != newcomer]:
            choice = coverage.choose(
                everyone, coverage.need_of_route(route.provider, route.environment, route.topic), now
            )
            if choice is not None and choice.credential.id == newcomer:
                return True
        return False

    def _observe_environment(self, app: App, proven: list[tuple[Route, Credential]]) -> None:
        wanted, stands = (
            app.settings.apns_environment,
            self._environments.setdefault(app.id, app.settings.apns_environment),
        )
        if wanted is stands:
            return
        moved = [
            route
            for route, _ in proven
            if route.provider is ProviderKind.APNS and wanted.value != route.environment.value
        ]
        # Who lets devices choose again has nothing to try: a wrong environment is found out device by device.
        if wanted not in _FIXED or not moved:
            self._environments[app.id] = wanted
        else:
            self._set_aside.append(Before(app.id, stands))

    def candidate(self, app: App, shown: Route, route: Route, serves: Credential) -> tuple[Route, Credential] | None:
        """Return what would serve in the place of these if the changes are right; None: the same.

        `shown` is the route as its provider sees it.
        """
        choice = self._after(app, route, serves)
        if choice is None:
            return None
        there, credential = choice
        same = (credential.id, credential.revision) == (serves.id, serves.revision)
        return None if same and there.environment is shown.environment else choice

    def _after(self, app: App, route: Route, serves: Credential) -> tuple[Route, Credential] | None:
        """Look for what would serve a route: first as it is, then for any topic, then for what its successor is good for."""
        wanted, now = app.settings.apns_environment, self._parts.clock.now()
        fixed = route.provider is ProviderKind.APNS and wanted in _FIXED
        environment = Environment(wanted.value) if fixed else route.environment
        everyone = self._parts.credentials.of_app(app.id)
        successor = self._parts.credentials.get(serves.id)
        need = coverage.need_of_route(route.provider, environment, route.topic)
        needs = [need, need._replace(topic="")]
        if successor is not None and successor.environments:
            needs += [other._replace(environment=successor.environments[0]) for other in needs]
        if successor is not None and successor.topics:
            needs.append(needs[-1]._replace(topic=successor.topics[0].removesuffix(need.rule.suffix)))
        for one in needs:
            choice = coverage.choose(everyone, one, now)
            if choice is not None:
                return _facing(route, one.environment, choice.topic), choice.credential
        return None

    def trust(self, app: App) -> list[int]:
        """Let all changes of an app stand; returns the credentials whose former content may be forgotten."""
        self._environments[app.id] = app.settings.apns_environment
        self._aside -= {credential.id for credential in self._parts.credentials.of_app(app.id)}
        return [one.id for one in self._parts.credentials.of_app(app.id) if self._parts.credentials.former(one.id)]

    def settle(self, changes: Iterable[Credential]) -> None:
        """Note that these changes were taken back."""
        self._aside -= {credential.id for credential in changes}

    def _former(self, credential: Credential) -> Credential | None:
        former = self._parts.credentials.former(credential.id)
        expired = former is not None and coverage.expired(former, self._parts.clock.now())
        return None if expired else former


def _facing(route: Route, environment: Environment, topic: str) -> Route:
    return Route(id=route.id, app=route.app, provider=route.provider, environment=environment, topic=topic)


def aside_fact_of(app: int) -> str:
    """Return the name under which is kept which credentials of an app stand aside."""
    return f"credentials_aside/{app}"


def fact_of(app: int) -> str:
    """Return the name under which the environment before a change is kept."""
    return f"apns_environment_before/{app}"
