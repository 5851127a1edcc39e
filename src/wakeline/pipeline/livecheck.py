"""Live checks: asking a push service about a credential, reaching nobody, and what follows from its answer.

A key may be good for one APNs environment only, and nothing in its file says so: what is refused in one environment is asked
in the other before the credential counts as broken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import msgspec

from wakeline.model.credential import Credential, CredentialState
from wakeline.model.outcome import Outcome, OutcomeClass
from wakeline.model.route import Environment, HoldReason, ProviderKind, Route
from wakeline.pipeline.canary import STOPS, Canary
from wakeline.pipeline.parts import Parts
from wakeline.pipeline.route import RouteTable
from wakeline.pipeline.watch import Watch, note_of
from wakeline.pipeline.way import Way, identity
from wakeline.wire.outcomes import Loss, lost

_SOUND = (OutcomeClass.ACCEPTED, OutcomeClass.TOKEN_DEAD, OutcomeClass.TOKEN_DOUBTFUL)
"""What a check may learn from a provider that took the credential."""

ANSWERED_WITHIN = 8.0
"""Seconds that a push service has for its answer: whoever uploads a credential waits for it."""

OTHER_ENVIRONMENT = 905
"""The code of an answer that says: not in this environment."""


class LiveCheck:
    """Checks credentials."""

    def __init__(self, parts: Parts, table: RouteTable, watch: Watch, canary: Canary) -> None:
        self._parts = parts
        self._table = table
        self._watch = watch
        self._canary = canary

    async def check(self, credential: Credential) -> Outcome:
        """Ask the provider about a credential and act on the answer. Raises SecretError."""
        route = self._route(credential)
        outcome = await self._ask(credential, route)
        if not self._stored(credential):
            # It was replaced or taken back meanwhile, or its successor is on trial: the answer is about nothing stored.
            return outcome
        if outcome.action in STOPS and self._canary.refuted(credential, outcome):
            return outcome
        if credential.provider in (ProviderKind.WEBPUSH, ProviderKind.HTTP):
            await self._release(self._held(credential))
        elif outcome.outcome_class in _SOUND:
            await self._sound(credential, route.environment, "")
        elif outcome.action in STOPS:
            await self._refused(credential, route, outcome)
        return outcome

    async def _refused(self, credential: Credential, route: Route, outcome: Outcome) -> None:
        """Hold what the credential serves, in the environment alone that refuses it."""
        others = [one for one in credential.environments if one is not route.environment]
        if outcome.code == OTHER_ENVIRONMENT and others:
            elsewhere = await self._ask(credential, msgspec.structs.replace(route, environment=others[0]))
            if not self._stored(credential):
                return
            if elsewhere.outcome_class in _SOUND:
                await self._sound(credential, others[0], f"Not in {route.environment.value}: {outcome.cause}")
                self._fail(credential, outcome, route.environment)
                return
        if not self._fail(credential, outcome, None if outcome.code != OTHER_ENVIRONMENT else route.environment):
            await self._parts.credentials.set_state(credential.id, CredentialState.FAILED, note_of(outcome))

    def _stored(self, credential: Credential) -> bool:
        """Tell whether this is still the content that is stored under its id."""
        known = self._parts.credentials.get(credential.id)
        return known is not None and known.revision == credential.revision

    def _fail(self, credential: Credential, outcome: Outcome, environment: Environment | None) -> bool:
        """Hold the credential's routes, or those of one environment; tell whether there are any."""
        ways = [way for way in self._ways(credential) if environment in (None, way.route.environment)]
        for way in ways:
            self._watch.credential_failed(way, outcome)
        return bool(ways)

    async def _sound(self, credential: Credential, environment: Environment, note: str) -> None:
        """Release what the credential's failure held; what another environment refused stays held."""
        await self._parts.credentials.set_state(credential.id, CredentialState.WORKING, note)
        held = [
            way
            for way in self._held(credential)
            if way.route.environment is environment or (way.hold is not None and way.hold.code != OTHER_ENVIRONMENT)
        ]
        await self._release(held)
        if held:
            await self._watch.tell_recovered(credential)

    async def _release(self, ways: Iterable[Way]) -> None:
        for way in ways:
            await self._table.put_hold(way, None)

    def _held(self, credential: Credential) -> list[Way]:
        ways = self._ways(credential)
        return [way for way in ways if way.hold is not None and way.hold.reason is HoldReason.CREDENTIAL]

    def _ways(self, credential: Credential) -> list[Way]:
        return [way for way in self._table.ways() if identity(way.credential) == identity(credential)]

    async def _ask(self, credential: Credential, route: Route) -> Outcome:
        secret = await self._table.secret(credential)
        sender = self._parts.providers[credential.provider].open(route, credential, secret, _nothing)
        try:
            async with asyncio.timeout(ANSWERED_WITHIN):
                outcome = await sender.check()
        except TimeoutError:
            outcome = lost(Loss.TIMEOUT)
        finally:
            await sender.close(drain=0.0)
        return _unanswered(outcome) if outcome.outcome_class is OutcomeClass.UNKNOWN else outcome

    def _route(self, credential: Credential) -> Route:
        """Return a held route of the credential if there is one, else what it covers."""
        ways = [way for way in self._table.ways() if way.credential is not None and way.credential.id == credential.id]
        if ways:
            return min(ways, key=lambda way: way.hold is None).shown
        environment = credential.environments[0] if credential.environments else Environment.PRODUCTION
        return Route(id=0, app=credential.app, provider=credential.provider, environment=environment)


def _unanswered(outcome: Outcome) -> Outcome:
    """Say what silence means for a check: nothing was shown to anybody."""
    return msgspec.structs.replace(
        outcome,
        cause="The push service did not answer the check, so nothing is known about the credential.",
        fix="Check the way to it (DNS, firewall, proxy), then run `wakeline credential check` again.",
    )


def _nothing() -> None:
    """Wake nobody."""
