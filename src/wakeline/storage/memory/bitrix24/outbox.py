"""Writes on connected portals, in a dictionary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from wakeline.model.bitrix24.outbox import PortalWrite, WriteState
from wakeline.storage.connected import OPEN, OVER, no_installation, replaced
from wakeline.storage.memory.bitrix24.installations import MemoryInstallations


class MemoryOutbox:
    """Writes by id, and their ids by key."""

    def __init__(self, installations: MemoryInstallations) -> None:
        self._installations = installations
        self._writes: dict[int, PortalWrite] = {}
        self._keys: dict[tuple[int, str], int] = {}
        self._last = 0

    async def put(self, writes: Sequence[PortalWrite]) -> list[PortalWrite]:
        """Keep writes; one whose key is known is the write that is there. Raises NotFound (no such installation)."""
        for write in writes:
            self._check(write)
        return [self._same(write) or self._keep(write) for write in writes]

    async def replace(self, write: PortalWrite) -> PortalWrite:
        """Put this in place of the waiting write with its key, or keep it as a new one; one that was sent stays, and is given."""
        self._check(write)
        present = self._same(write)
        kept = replaced(present, write)
        if kept is None:
            return present or self._keep(write)
        self._writes[kept.id] = kept
        return kept

    def _check(self, write: PortalWrite) -> None:
        if self._installations.by_id(write.installation) is None:
            raise no_installation(write.installation)

    def _same(self, write: PortalWrite) -> PortalWrite | None:
        number = self._keys.get((write.installation, write.key)) if write.key else None
        return None if number is None else self._writes[number]

    def _keep(self, write: PortalWrite) -> PortalWrite:
        self._last += 1
        kept = self._writes[self._last] = msgspec.structs.replace(write, id=self._last)
        if kept.key:
            self._keys[kept.installation, kept.key] = kept.id
        return kept

    async def waiting(self, installation: int, *, now: int, limit: int) -> list[PortalWrite]:
        """Return waiting and sent writes that are due, in their order."""
        due = (each for each in self._open() if each.installation == installation and each.due <= now)
        return [each for each, _ in zip(due, range(limit), strict=False)]

    async def next_due(self) -> dict[int, int]:
        """Return when the first waiting or sent write of each installation that has any is due."""
        found: dict[int, int] = {}
        for each in self._open():
            found[each.installation] = min(found.get(each.installation, each.due), each.due)
        return found

    def _open(self) -> Iterable[PortalWrite]:
        return (each for each in self._writes.values() if each.state in OPEN)

    async def settle(self, write: PortalWrite, *, instead_of: WriteState | None = None) -> bool:
        """Write its state, attempts, due time, result and cause; False: it is not in that state, or forgotten, and stays so."""
        present = self._writes.get(write.id)
        if present is None or instead_of not in (None, present.state):
            return False
        self._writes[write.id] = msgspec.structs.replace(
            present,
            state=write.state,
            attempts=write.attempts,
            due=write.due,
            result=write.result,
            cause=write.cause,
        )
        return True

    async def by_key(self, installation: int, key: str) -> PortalWrite | None:
        """Return the write with this key."""
        number = self._keys.get((installation, key))
        return None if number is None else self._writes[number]

    async def by_id(self, number: int) -> PortalWrite | None:
        """Return one, if it is still recorded."""
        return self._writes.get(number)

    async def recorded(
        self,
        *,
        installation: int | None = None,
        state: WriteState | None = None,
        before: int | None = None,
        limit: int,
    ) -> list[PortalWrite]:
        """Return recorded writes, newest first; `before`: with a smaller id."""
        wanted = (
            each
            for each in reversed(self._writes.values())
            if (before is None or each.id < before)
            and installation in (None, each.installation)
            and state in (None, each.state)
        )
        return [each for each, _ in zip(wanted, range(limit), strict=False)]

    async def prune(self, before: int) -> int:
        """Forget writes put before that which wait for nothing and nobody, and whose result nothing waits for."""
        needed = {(each.installation, each.after) for each in self._writes.values() if each.state not in OVER}
        return self._drop(
            each.id
            for each in self._writes.values()
            if each.at < before and each.state in OVER and (each.installation, each.key or None) not in needed
        )

    def forget_installation(self, installation: int) -> None:
        """Forget an installation's writes."""
        self._drop(each.id for each in self._writes.values() if each.installation == installation)

    def _drop(self, numbers: Iterable[int]) -> int:
        gone = [self._writes.pop(number) for number in list(numbers)]
        for each in gone:
            self._keys.pop((each.installation, each.key), None)
        return len(gone)
