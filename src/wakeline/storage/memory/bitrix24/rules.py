"""Rules, in a dictionary."""

from __future__ import annotations

import msgspec

from wakeline.model.bitrix24.rule import Rule
from wakeline.storage.connected import no_installation, no_rule, rule_exists
from wakeline.storage.memory.bitrix24.installations import MemoryInstallations


class MemoryRules:
    """Rules by id."""

    def __init__(self, installations: MemoryInstallations) -> None:
        self._installations = installations
        self._rules: dict[int, Rule] = {}
        self._last = 0

    async def create(self, rule: Rule) -> Rule:
        """Keep one; its id is given by the store. Raises Conflict (the name exists), NotFound (no such installation)."""
        self._check(rule, 0)
        self._last += 1
        kept = self._rules[self._last] = msgspec.structs.replace(rule, id=self._last)
        return kept

    async def change(self, rule: Rule) -> None:
        """Put this in place of the one with its id. Raises NotFound, and Conflict for another's name."""
        if rule.id not in self._rules:
            raise no_rule(rule.id)
        self._check(rule, rule.id)
        self._rules[rule.id] = rule

    def _check(self, rule: Rule, own: int) -> None:
        if rule.installation and self._installations.by_id(rule.installation) is None:
            raise no_installation(rule.installation)
        if any(other.name == rule.name and other.id != own for other in self._rules.values()):
            raise rule_exists(rule.name)

    async def delete(self, number: int) -> None:
        """Forget it. Raises NotFound."""
        if self._rules.pop(number, None) is None:
            raise no_rule(number)

    def by_id(self, number: int) -> Rule | None:
        """Return one."""
        return self._rules.get(number)

    def all(self) -> list[Rule]:
        """Return all, oldest first."""
        return list(self._rules.values())

    def forget_installation(self, installation: int) -> None:
        """Forget the rules of one installation."""
        self._rules = {number: rule for number, rule in self._rules.items() if rule.installation != installation}
