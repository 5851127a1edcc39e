"""Writes on connected portals, as rows; lists are read state by state, as in `inbox`.

What is put is urgent: a call is noted here before it rings.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

import msgspec

from wakeline.model.bitrix24.outbox import PortalWrite, WriteState
from wakeline.storage.connected import OPEN, no_installation, replaced
from wakeline.storage.sqlite.bitrix24.forgetting import delete_in_batches
from wakeline.storage.sqlite.bitrix24.installations import SqliteInstallations
from wakeline.storage.sqlite.bitrix24.spans import LARGEST, is_row_id
from wakeline.storage.sqlite.reader import Reader
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.writer import Writer

_SQL = load("bitrix24_outbox")
_number = itemgetter(0)


class SqliteOutbox:
    """Writes by id and key; a deleted installation has none."""

    def __init__(self, writer: Writer, reader: Reader, installations: SqliteInstallations) -> None:
        self._writer = writer
        self._reader = reader
        self._installations = installations

    async def put(self, writes: Sequence[PortalWrite]) -> list[PortalWrite]:
        """Keep writes; one whose key is known is the write that is there. Raises NotFound (no such installation)."""
        return await self._writer.write(lambda tx: [self._put(tx, write) for write in writes], urgent=True)

    def _put(self, tx: Transaction, write: PortalWrite) -> PortalWrite:
        return self._same(tx, write) or _keep(tx, write)

    async def replace(self, write: PortalWrite) -> PortalWrite:
        """Put this in place of the waiting write with its key, or keep it as a new one; one that was sent stays, and is given."""
        return await self._writer.write(lambda tx: self._replace(tx, write), urgent=True)

    def _replace(self, tx: Transaction, write: PortalWrite) -> PortalWrite:
        present = self._same(tx, write)
        kept = replaced(present, write)
        if kept is None:
            return present or _keep(tx, write)
        tx.execute(_SQL["replace_write"], (*_row(kept), kept.id))
        return kept

    def _same(self, tx: Transaction, write: PortalWrite) -> PortalWrite | None:
        if self._installations.by_id(write.installation) is None:
            raise no_installation(write.installation)
        return _write_of(tx.one(_SQL["write_of_key"], (write.installation, write.key)))

    async def waiting(self, installation: int, *, now: int, limit: int) -> list[PortalWrite]:
        """Return waiting and sent writes that are due, in their order."""
        with self._reader.snapshot():
            rows = [
                row
                for each in self._installations.chosen(installation)
                for state in OPEN
                for row in self._reader.all(_SQL["due_writes"], (each.id, state.value, now, limit))
            ]
        return [_write(row) for row in sorted(rows, key=_number)[:limit]]

    async def next_due(self) -> dict[int, int]:
        """Return when the first waiting or sent write of each installation that has any is due."""
        found = ((each.id, self._reader.one(_SQL["first_due"], (each.id,))) for each in self._installations.all())
        return {number: row[0] for number, row in found if row is not None}

    async def settle(self, write: PortalWrite, *, instead_of: WriteState | None = None) -> bool:
        """Write its state, attempts, due time, result and cause; False: it is not in that state, or forgotten, and stays so.

        On a full disk too, if room can be made: what was sent must not be sent twice.
        """
        former = None if instead_of is None else instead_of.value
        row = (write.state.value, write.attempts, write.due, write.result, write.cause, write.id, former)
        return await self._writer.write(lambda tx: tx.execute(_SQL["settle_write"], row).rowcount > 0, essential=True)

    async def by_key(self, installation: int, key: str) -> PortalWrite | None:
        """Return the write with this key."""
        if self._installations.by_id(installation) is None:
            return None
        return _write_of(self._reader.one(_SQL["write_of_key"], (installation, key)))

    async def by_id(self, number: int) -> PortalWrite | None:
        """Return one, if it is still recorded."""
        found = _write_of(self._reader.one(_SQL["write"], (number,))) if is_row_id(number) else None
        return None if found is None or self._installations.by_id(found.installation) is None else found

    async def recorded(
        self,
        *,
        installation: int | None = None,
        state: WriteState | None = None,
        before: int | None = None,
        limit: int,
    ) -> list[PortalWrite]:
        """Return recorded writes, newest first; `before`: with a smaller id."""
        place = LARGEST if before is None else min(before, LARGEST)
        states: Iterable[WriteState] = WriteState if state is None else (state,)
        with self._reader.snapshot():
            rows = [
                row
                for each in self._installations.chosen(installation)
                for one in states
                for row in self._reader.all(_SQL["writes_in_state"], (each.id, one.value, place, limit))
            ]
        return [_write(row) for row in sorted(rows, key=_number, reverse=True)[:limit]]

    async def prune(self, before: int) -> int:
        """Forget writes put before that which wait for nothing and nobody, and whose result nothing waits for, in batches."""
        return await delete_in_batches(self._writer, _SQL["prune_writes"], before)

    async def forget_installation(self, installation: int) -> None:
        """Forget an installation's writes."""
        await delete_in_batches(self._writer, _SQL["delete_writes"], installation)


def _keep(tx: Transaction, write: PortalWrite) -> PortalWrite:
    return msgspec.structs.replace(write, id=tx.execute(_SQL["insert_write"], _row(write)).lastrowid or 0)


def _row(write: PortalWrite) -> tuple[Any, ...]:
    return (
        write.installation,
        write.method,
        write.params,
        write.key,
        write.after,
        write.repeatable,
        write.at,
        write.due,
        write.attempts,
        write.state.value,
        write.result,
        write.cause,
    )


def _write_of(row: Any) -> PortalWrite | None:
    return None if row is None else _write(row)


def _write(row: Any) -> PortalWrite:
    number, installation, method, params, key, after, repeatable, at, due, attempts, state, result, cause = row
    return PortalWrite(
        id=number,
        installation=installation,
        method=method,
        params=params,
        key=key,
        after=after,
        repeatable=bool(repeatable),
        at=at,
        due=due,
        attempts=attempts,
        state=WriteState(state),
        result=result,
        cause=cause,
    )
