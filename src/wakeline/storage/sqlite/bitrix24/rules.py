"""Rules: kept in memory whole, written through."""

from __future__ import annotations

import msgspec

from wakeline.model.bitrix24.rule import Rule
from wakeline.storage.connected import no_installation, no_rule, rule_exists
from wakeline.storage.sqlite.bitrix24.installations import SqliteInstallations
from wakeline.storage.sqlite.bitrix24.spans import is_row_id
from wakeline.storage.sqlite.reader import Reader
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.writer import Writer

_SQL = load("bitrix24_installations")
_rule = msgspec.json.Decoder(Rule)


class SqliteRules:
    """Rules by id."""

    def __init__(self, writer: Writer, reader: Reader, installations: SqliteInstallations) -> None:
        self._writer = writer
        self._reader = reader
        self._installations = installations
        self._rules: dict[int, Rule] = {}

    async def load(self) -> None:
        """Read all rules."""
        for number, facts in self._reader.all(_SQL["rules"]):
            self._rules[number] = msgspec.structs.replace(_rule.decode(facts), id=number)

    async def create(self, rule: Rule) -> Rule:
        """Keep one; its id is given by the store. Raises Conflict (the name exists), NotFound (no such installation)."""
        return await self._writer.write(lambda tx: self._create(tx, rule))

    def _create(self, tx: Transaction, rule: Rule) -> Rule:
        self._check(tx, rule, 0)
        number = tx.execute(_SQL["insert_rule"], _columns(rule)).lastrowid or 0
        kept = msgspec.structs.replace(rule, id=number)
        tx.on_commit(lambda: self._rules.__setitem__(number, kept))
        return kept

    async def change(self, rule: Rule) -> None:
        """Put this in place of the one with its id. Raises NotFound, and Conflict for another's name."""
        await self._writer.write(lambda tx: self._change(tx, rule))

    def _change(self, tx: Transaction, rule: Rule) -> None:
        if not is_row_id(rule.id) or tx.one(_SQL["rule"], (rule.id,)) is None:
            raise no_rule(rule.id)
        self._check(tx, rule, rule.id)
        tx.execute(_SQL["update_rule"], (*_columns(rule), rule.id))
        tx.on_commit(lambda: self._rules.__setitem__(rule.id, rule))

    def _check(self, tx: Transaction, rule: Rule, own: int) -> None:
        if rule.installation and self._installations.by_id(rule.installation) is None:
            raise no_installation(rule.installation)
        if tx.one(_SQL["rule_taken"], (rule.name, own)) is not None:
            raise rule_exists(rule.name)

    async def delete(self, number: int) -> None:
        """Forget it. Raises NotFound."""
        await self._writer.write(lambda tx: self._delete(tx, number))

    def _delete(self, tx: Transaction, number: int) -> None:
        if not is_row_id(number) or not tx.execute(_SQL["delete_rule"], (number,)).rowcount:
            raise no_rule(number)
        tx.on_commit(lambda: self._drop(number))

    def by_id(self, number: int) -> Rule | None:
        """Return one."""
        return self._rules.get(number)

    def all(self) -> list[Rule]:
        """Return all, oldest first."""
        return list(self._rules.values())

    async def forget_installation(self, installation: int) -> None:
        """Forget the rules of one installation."""
        await self._writer.write(lambda tx: tx.execute(_SQL["delete_rules"], (installation,)))
        for rule in self.all():
            if rule.installation == installation:
                self._drop(rule.id)

    def _drop(self, number: int) -> None:
        self._rules.pop(number, None)


def _columns(rule: Rule) -> tuple[int, str, bytes]:
    return rule.installation, rule.name, msgspec.json.encode(rule)
