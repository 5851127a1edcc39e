"""Trying a rule on an event: with what the portal says of the record now, and without sending anything."""

from __future__ import annotations

from wakeline.connectors.bitrix24 import folding
from wakeline.connectors.bitrix24.fetching import Fetching, Found
from wakeline.connectors.bitrix24.folding import Plan
from wakeline.connectors.bitrix24.judging import call_id, facts
from wakeline.connectors.bitrix24.mirroring import Mirror
from wakeline.connectors.bitrix24.rules import CompiledRule, compiled, variables
from wakeline.model.bitrix24.inbox import ReceivedEvent
from wakeline.model.bitrix24.installation import Installation
from wakeline.model.bitrix24.rule import Rule, RuleTrial
from wakeline.model.errors import InvalidRequest, NotFound, PortalError
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
        return await self._tried(ready, installation, folding.plan(event, [ready], (), mirrored=True))

    async def _tried(self, ready: CompiledRule, installation: Installation, one: Plan) -> RuleTrial:
        before = await self._mirror.known([one]) if installation.mirror else {}
        found = await self._found(ready, installation, one)
        if folding.looks_at_record(one, ready) and not one.is_call:
            missed = "the record is gone" if found.gone else found.refused
            missed = missed or (found.unnamed if "responsible" in ready.uses else "")
            if missed:
                return RuleTrial(applies=False, cause=missed)
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

    async def _found(self, ready: CompiledRule, installation: Installation, one: Plan) -> Found:
        """Return what the portal says of the record, which is shown even to who writes a rule that does not look at it."""
        if one.wish is None:
            return Found()
        is_needed = folding.looks_at_record(one, ready) and not one.is_call
        try:
            findings = await self._fetching.fetch(installation.id, [one.wish])
        except PortalError:
            if is_needed:
                raise
            return Found()
        found = findings.get((one.wish.record, one.wish.number), Found())
        if found.trouble is not None and is_needed:
            raise found.trouble
        return found


def check(rule: Rule) -> None:
    """Judge a rule's templates and expressions. Raises InvalidRequest that names the field, the cause and the place."""
    compiled(rule)
