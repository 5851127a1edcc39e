"""Connected portals, in a dictionary."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from wakeline.model.bitrix24.installation import Installation, Tokens
from wakeline.model.errors import NotFound
from wakeline.storage.connected import (
    changed,
    check_installation,
    longest_prefix,
    no_installation,
    refresh_of,
    tokens_of,
    with_tokens,
)
from wakeline.storage.memory.registers import MemoryApps


class MemoryInstallations:
    """Installations by id."""

    def __init__(self, apps: MemoryApps) -> None:
        self._apps = apps
        self._kept: dict[int, Installation] = {}
        self._last = 0
        self._forget: list[Callable[[int], None]] = []

    def on_delete(self, forget: Callable[[int], None]) -> None:
        """Have what belongs to an installation forgotten with it."""
        self._forget.append(forget)

    async def create(self, installation: Installation) -> Installation:
        """Keep one; its id is given by the store. Raises Conflict (name, or a second mirror), NotFound (a deleted app)."""
        self._check(msgspec.structs.replace(installation, id=0))
        self._last += 1
        kept = self._kept[self._last] = msgspec.structs.replace(installation, id=self._last)
        return kept

    async def change(self, installation: Installation, *, of: Installation | None = None) -> None:
        """Put this in place of the one with its id, but for tokens and `reached`. Raises NotFound, and Conflict as above.

        `of`: what the caller made this of. Then only what differs from that is changed.
        """
        wanted = changed(self._present(installation.id), installation, of)
        self._check(wanted)
        self._kept[wanted.id] = wanted

    def _check(self, installation: Installation) -> None:
        if self._apps.is_gone(installation.app):
            raise NotFound("The app was deleted")
        check_installation(installation, self._kept.values())

    async def keep_tokens(self, number: int, tokens: Tokens | None, *, instead_of: str) -> bool:
        """Put a new pair in place if the refresh token in force is still `instead_of` (empty: none is). Raises NotFound."""
        present = self._present(number)
        if refresh_of(present) != instead_of:
            return False
        self._kept[number] = with_tokens(present, tokens)
        return tokens_of(self._kept[number]) == tokens

    async def reach(self, number: int, moment: int) -> None:
        """Write that everything before `moment` is known here; an earlier one than is written changes nothing."""
        present = self._kept.get(number)
        if present is not None and present.reached < moment:
            self._kept[number] = msgspec.structs.replace(present, reached=moment)

    async def delete(self, number: int) -> None:
        """Forget it, with its rules, events and writes. Raises NotFound."""
        del self._kept[self._present(number).id]
        for forget in self._forget:
            forget(number)

    def forget_app(self, app: int) -> None:
        """Forget an app's installations."""
        for installation in [each for each in self._kept.values() if each.app == app]:
            del self._kept[installation.id]
            for forget in self._forget:
                forget(installation.id)

    def by_id(self, number: int) -> Installation | None:
        """Return one."""
        return self._kept.get(number)

    def by_name(self, name: str) -> Installation | None:
        """Return the one whose address this is."""
        return next((each for each in self._kept.values() if each.name == name), None)

    def by_prefix(self, user: str) -> Installation | None:
        """Return the one of whose portal this user of our registry is: the longest prefix that fits, never the empty one."""
        return longest_prefix(user, self._kept.values())

    def all(self) -> list[Installation]:
        """Return all, oldest first."""
        return list(self._kept.values())

    def _present(self, number: int) -> Installation:
        found = self._kept.get(number)
        if found is None:
            raise no_installation(number)
        return found
