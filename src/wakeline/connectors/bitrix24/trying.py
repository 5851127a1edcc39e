"""Trying a rule on an event: with what the portal says of the record now, and without sending anything."""

from __future__ import annotations

from wakeline.connectors.bitrix24 import folding
from wakeline.connectors.bitrix24.drain import call_id, facts
from wakeline.connectors.bitrix24.fetching import Fetching, Found
from wakeline.connectors.bitrix24.folding import Plan
from wakeline.connectors.bitrix24.mirroring import Mirror
from wakeline.connectors.bitrix24.rules import CompiledRule, compiled, variables
from wakeline.model.bitrix24.inbox import ReceivedEvent
from wakeline.model.bitrix24.installation import Installation
from wakeline.model.bitrix24.rule import Rule, RuleTrial
from wakeline.model.errors import InvalidRequest, NotFound
from wakeline.ports.bitrix24_connector import Installations


class Trying:
    """Tries rules."""

    def __init__(self, installations: Installations, fetching: Fetching, mirror: Mirror) -> None:
        self._installations = installations
        self._fetching = fetching
        self._mirror = mirror

    async def attempt(self, rule: Rule, event: ReceivedEvent) -> RuleTrial:
        """Return what a rule makes of an event. Raises InvalidRequest (a wrong rule), NotFound, PortalError."""
        ready = compiled(rule)
        installation = self._installations.by_id(event.installation)
        if installation is None:
            raise NotFound("There is no such installation", pointer="/installation")
        if rule.event not in {"*", event.event}:
            return RuleTrial(applies=False, cause=f"the rule is for {rule.event}")
        if rule.installation not in {0, event.installation}:
            return RuleTrial(applies=False, cause="the rule is for another installation")
        return await self._tried(ready, installation, folding.plan(event, [ready], (), mirrored=False))

    async def _tried(self, ready: CompiledRule, installation: Installation, one: Plan) -> RuleTrial:
        before = await self._mirror.known([one]) if installation.mirror else {}
        found = Found()
        if one.wish is not None:
            findings = await self._fetching.fetch(installation.id, [one.wish])
            found = findings.get((one.wish.record, one.wish.number), found)
        if found.trouble is not None:
            raise found.trouble
        if found.gone and not one.is_call:
            return RuleTrial(applies=False, cause="the record is gone")
        if found.refused:
            return RuleTrial(applies=False, cause=found.refused)
        known = facts(installation, one, found, before)
        try:
            outcome = ready.apply(variables(known), installation, call_id(one.event, one.data))
        except InvalidRequest as error:
            return RuleTrial(applies=True, cause=error.detail, record=known.record)
        return RuleTrial(
            applies=outcome.applies,
            cause=outcome.cause,
            users=outcome.users,
            request=outcome.request,
            record=known.record,
        )


def check(rule: Rule) -> None:
    """Judge a rule's templates and expressions. Raises InvalidRequest that names the field, the cause and the place."""
    compiled(rule)
