"""Connected portals: kept in memory whole, written through; what opens their doors is sealed on disk (`doors`).

One that is being forgotten is marked first, so that a crash only delays it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from wakeline.model.bitrix24.installation import ApplicationAccess, Installation, Tokens
from wakeline.model.errors import NotFound
from wakeline.ports import Secrets
from wakeline.storage.connected import (
    changed,
    longest_prefix,
    mirror_exists,
    name_exists,
    no_installation,
    tokens_of,
    with_tokens,
)
from wakeline.storage.sqlite.apps import SqliteApps
from wakeline.storage.sqlite.bitrix24.doors import Doors, takes_tokens
from wakeline.storage.sqlite.bitrix24.spans import is_row_id
from wakeline.storage.sqlite.reader import Reader
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.writer import Writer

_SQL = load("bitrix24_installations")


class SqliteInstallations:
    """Installations by id and name."""

    def __init__(self, writer: Writer, reader: Reader, secrets: Secrets, apps: SqliteApps) -> None:
        self._writer = writer
        self._reader = reader
        self._doors = Doors(secrets)
        self._apps = apps
        self._kept: dict[int, Installation] = {}
        self._by_name: dict[str, int] = {}
        self._forget: list[Callable[[int], Awaitable[None]]] = []

    def on_delete(self, forget: Callable[[int], Awaitable[None]]) -> None:
        """Have what belongs to an installation forgotten before its row is."""
        self._forget.append(forget)

    async def load(self) -> None:
        """Read all installations."""
        for number, facts, sealed, tokens, reached in self._reader.all(_SQL["installations"]):
            opened = self._doors.opened(number, facts, sealed, tokens)
            self._remember(msgspec.structs.replace(opened, reached=reached))

    async def resume(self) -> None:
        """Go on forgetting the installations that a crash or a stop left marked."""
        for (number,) in self._reader.all(_SQL["marked_installations"]):
            await self._purge(number)

    async def create(self, installation: Installation) -> Installation:
        """Keep one; its id is given by the store. Raises Conflict (name, or a second mirror), NotFound (a deleted app)."""
        return await self._writer.write(lambda tx: self._create(tx, installation))

    def _create(self, tx: Transaction, installation: Installation) -> Installation:
        self._check(tx, installation, 0)
        row = (installation.name, installation.app, installation.mirror)
        number = tx.execute(_SQL["insert_installation"], row).lastrowid or 0
        kept = msgspec.structs.replace(installation, id=number)
        pair = self._doors.sealed_pair(number, tokens_of(kept))
        tx.execute(_SQL["furnish_installation"], (*self._doors.sealed(kept), pair, kept.reached, number))
        tx.on_commit(lambda: self._remember(kept))
        return kept

    async def change(self, installation: Installation, *, of: Installation | None = None) -> None:
        """Put this in place of the one with its id, but for tokens and `reached`. Raises NotFound, and Conflict as above.

        `of`: what the caller made this of. Then only what differs from that is changed.
        """
        await self._writer.write(lambda tx: self._change(tx, installation, of))

    def _change(self, tx: Transaction, wanted: Installation, of: Installation | None) -> None:
        number = wanted.id
        installation = changed(self._doors.opened(number, *_present(tx, number)), wanted, of)
        self._check(tx, installation, number)
        has_tokens = isinstance(installation.access, ApplicationAccess)
        row = (
            installation.name,
            installation.app,
            installation.mirror,
            *self._doors.sealed(installation),
            has_tokens,
            number,
        )
        tx.execute(_SQL["update_installation"], row)
        tx.on_commit(lambda: self._remember(changed(self._kept[number], installation)))

    def _check(self, tx: Transaction, installation: Installation, own: int) -> None:
        if self._apps.is_gone(installation.app):
            raise NotFound("The app was deleted")
        if tx.one(_SQL["name_taken"], (installation.name, own)) is not None:
            raise name_exists(installation.name)
        mirror = tx.one(_SQL["mirror_taken"], (own,)) if installation.mirror else None
        if mirror is not None:
            raise mirror_exists(mirror[0])

    async def keep_tokens(self, number: int, tokens: Tokens | None, *, instead_of: str) -> bool:
        """Put a new pair in place if the refresh token in force is still `instead_of` (empty: none is). Raises NotFound.

        It is written on a full disk too, if room can be made: the old pair is good for nothing any more.
        """
        return await self._writer.write(lambda tx: self._keep_tokens(tx, number, tokens, instead_of), essential=True)

    def _keep_tokens(self, tx: Transaction, number: int, tokens: Tokens | None, instead_of: str) -> bool:
        facts, _, sealed = _present(tx, number)
        present = self._doors.pair(number, sealed)
        if ("" if present is None else present.refresh) != instead_of:
            return False
        if not takes_tokens(facts):
            return tokens is None
        tx.execute(_SQL["set_tokens"], (self._doors.sealed_pair(number, tokens), number))
        tx.on_commit(lambda: self._remember(with_tokens(self._kept[number], tokens)))
        return True

    async def reach(self, number: int, moment: int) -> None:
        """Write that everything before `moment` is known here; an earlier one than is written changes nothing."""
        await self._writer.write(lambda tx: self._reach(tx, number, moment))

    def _reach(self, tx: Transaction, number: int, moment: int) -> None:
        if number in self._kept and tx.execute(_SQL["reach"], (moment, number, moment)).rowcount:
            tx.on_commit(lambda: self._reached(number, moment))

    def _reached(self, number: int, moment: int) -> None:
        if number in self._kept:  # it may have been hidden in the same commit
            self._remember(msgspec.structs.replace(self._kept[number], reached=moment))

    async def delete(self, number: int) -> None:
        """Forget it, with its rules, events and writes. Raises NotFound."""
        await self._writer.write(lambda tx: self._mark(tx, number))
        await self._purge(number)

    def _mark(self, tx: Transaction, number: int) -> None:
        _present(tx, number)
        tx.execute(_SQL["mark_installation"], (number,))
        tx.on_commit(lambda: self._hide(number))

    def _hide(self, number: int) -> None:
        self._by_name.pop(self._kept.pop(number).name, None)

    async def _purge(self, number: int) -> None:
        for forget in self._forget:
            await forget(number)
        await self._writer.write(lambda tx: tx.execute(_SQL["delete_installation"], (number,)))

    async def forget_app(self, app: int) -> None:
        """Forget an app's installations."""
        for installation in [each for each in self._kept.values() if each.app == app]:
            await self.delete(installation.id)

    def by_id(self, number: int) -> Installation | None:
        """Return one."""
        return self._kept.get(number)

    def by_name(self, name: str) -> Installation | None:
        """Return the one whose address this is."""
        number = self._by_name.get(name)
        return None if number is None else self._kept[number]

    def by_prefix(self, user: str) -> Installation | None:
        """Return the one of whose portal this user of our registry is: the longest prefix that fits, never the empty one."""
        return longest_prefix(user, self._kept.values())

    def all(self) -> list[Installation]:
        """Return all, oldest first."""
        return list(self._kept.values())

    def chosen(self, number: int | None) -> list[Installation]:
        """Return the one with this id, if there is one; None: all."""
        return self.all() if number is None else [each for each in (self._kept.get(number),) if each is not None]

    def _remember(self, installation: Installation) -> None:
        former = self._kept.get(installation.id)
        if former is not None and former.name != installation.name:
            self._by_name.pop(former.name, None)
        self._kept[installation.id] = installation
        self._by_name[installation.name] = installation.id


def _present(tx: Transaction, number: int) -> tuple[bytes, bytes, bytes]:
    """Return facts of one, sealed access and sealed tokens. Raises NotFound."""
    row = tx.one(_SQL["installation"], (number,)) if is_row_id(number) else None
    if row is None:
        raise no_installation(number)
    facts, sealed, tokens = row
    return facts, sealed, tokens
