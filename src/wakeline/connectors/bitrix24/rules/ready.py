"""The rules for an event, each made ready once: a burst of events is not a burst of compiling."""

from __future__ import annotations

from wakeline.connectors.bitrix24.rules.engine import CompiledRule, compiled
from wakeline.model.bitrix24.rule import Rule
from wakeline.model.errors import InvalidRequest
from wakeline.ports.bitrix24_connector import Rules


class ReadyRules:
    """Rules as the store has them now."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._ready: dict[int, tuple[Rule, CompiledRule | InvalidRequest]] = {}

    def of(self, installation: int, event: str) -> tuple[list[CompiledRule], list[str]]:
        """Return the rules for an event of an installation, and why others cannot be applied (an older release took them)."""
        ready: list[CompiledRule] = []
        broken: list[str] = []
        for rule in self._rules.all():
            if not rule.enabled or rule.installation not in {0, installation} or rule.event not in {"*", event}:
                continue
            one = self._made(rule)
            if isinstance(one, CompiledRule):
                ready.append(one)
            else:
                broken.append(f"{rule.name}: {one.detail}")
        return ready, broken

    def _made(self, rule: Rule) -> CompiledRule | InvalidRequest:
        known = self._ready.get(rule.id)
        if known is not None and known[0] == rule:
            return known[1]
        try:
            made: CompiledRule | InvalidRequest = compiled(rule)
        except InvalidRequest as error:
            made = error
        self._ready[rule.id] = rule, made
        return made
