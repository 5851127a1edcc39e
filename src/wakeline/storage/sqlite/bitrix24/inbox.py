"""Events of connected portals, as rows.

Lists are read state by state and put together: each is then one walk along an index, however much the inbox holds and however
rare what is asked for. One snapshot covers them, or an event that is settled meanwhile would be in two of them, or in none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from wakeline.model.bitrix24.inbox import EventState, Origin, ReceivedEvent, Settled
from wakeline.storage.sqlite.bitrix24.forgetting import delete_in_batches
from wakeline.storage.sqlite.bitrix24.installations import SqliteInstallations
from wakeline.storage.sqlite.bitrix24.spans import LARGEST, is_row_id
from wakeline.storage.sqlite.reader import Reader
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.writer import Writer

_SQL = load("bitrix24_inbox")
_names = msgspec.json.Decoder(tuple[str, ...])


class SqliteEventInbox:
    """Events by id; a deleted installation has none."""

    def __init__(self, writer: Writer, reader: Reader, installations: SqliteInstallations) -> None:
        self._writer = writer
        self._reader = reader
        self._installations = installations

    async def put(self, events: Sequence[ReceivedEvent]) -> list[bool]:
        """Keep events; False for one whose installation and identity are there already, or whose installation is not."""
        return await self._writer.write(lambda tx: [self._put(tx, event) for event in events])

    def _put(self, tx: Transaction, event: ReceivedEvent) -> bool:
        if self._installations.by_id(event.installation) is None:
            return False
        return tx.execute(_SQL["insert_event"], _row(event)).rowcount > 0

    async def waiting(self, installation: int, *, now: int, limit: int) -> list[ReceivedEvent]:
        """Return waiting events that are due, oldest first."""
        if self._installations.by_id(installation) is None:
            return []
        return [_event(row) for row in self._reader.all(_SQL["waiting_events"], (installation, now, limit))]

    async def next_due(self) -> dict[int, int]:
        """Return when the first waiting event of each installation that has any is due."""
        found = ((each.id, self._reader.one(_SQL["first_due"], (each.id,))) for each in self._installations.all())
        return {number: row[0] for number, row in found if row is not None}

    async def hasten(self, installation: int, *, now: int) -> None:
        """Have all waiting events of an installation due by `now`."""
        await self._writer.write(lambda tx: tx.execute(_SQL["hasten_events"], (now, installation, now)))

    async def settle(self, settled: Sequence[Settled]) -> None:
        """Write what became of waiting events; on a full disk too, if room can be made: their pushes are on their way."""
        rows = [
            (each.state.value, each.due, each.cause, msgspec.json.encode(each.notifications).decode(), each.id)
            for each in settled
        ]
        await self._writer.write(lambda tx: tx.many(_SQL["settle_event"], rows), essential=True)

    async def latest(self, installation: int, subjects: Collection[bytes]) -> Mapping[bytes, int]:
        """Return when the portal raised the last event we know of with each of these subjects (`at`)."""
        if self._installations.by_id(installation) is None:
            return {}
        found = ((each, self._reader.one(_SQL["latest_event"], (installation, each))[0]) for each in set(subjects))
        return {subject: at for subject, at in found if at is not None}

    async def by_id(self, number: int) -> ReceivedEvent | None:
        """Return one, if it is still recorded."""
        row = self._reader.one(_SQL["event"], (number,)) if is_row_id(number) else None
        return None if row is None or self._installations.by_id(row[1]) is None else _event(row)

    async def by_identity(self, installation: int, identity: bytes) -> ReceivedEvent | None:
        """Return the one of an installation with this identity, if it is still recorded."""
        if self._installations.by_id(installation) is None:
            return None
        row = self._reader.one(_SQL["event_of_identity"], (installation, identity))
        return None if row is None else _event(row)

    async def recorded(
        self,
        *,
        installation: int | None = None,
        event: str | None = None,
        state: EventState | None = None,
        before: int | None = None,
        limit: int,
    ) -> list[ReceivedEvent]:
        """Return recorded events, newest first; `before`: with a smaller id."""
        statement = _SQL["events_in_state" if event is None else "named_events_in_state"]
        place = LARGEST if before is None else min(before, LARGEST)
        named: tuple[str, ...] = () if event is None else (event,)
        states: Iterable[EventState] = EventState if state is None else (state,)
        with self._reader.snapshot():
            rows = [
                row
                for each in self._installations.chosen(installation)
                for one in states
                for row in self._reader.all(statement, (each.id, *named, one.value, place, limit))
            ]
        return [_event(row) for row in sorted(rows, key=lambda row: row[0], reverse=True)[:limit]]

    async def prune(self, before: int) -> int:
        """Forget events received before that which wait for nothing, in batches; returns how many."""
        return await delete_in_batches(self._writer, _SQL["prune_events"], before)

    async def forget_installation(self, installation: int) -> None:
        """Forget an installation's events."""
        await delete_in_batches(self._writer, _SQL["delete_events"], installation)


def _row(event: ReceivedEvent) -> tuple[Any, ...]:
    return (
        event.installation,
        event.event,
        event.data,
        event.at,
        event.received,
        event.identity,
        event.subject,
        event.record,
        event.user,
        event.origin.value,
        event.state.value,
        event.attempts,
        event.due,
        event.cause,
        msgspec.json.encode(event.notifications).decode(),
    )


def _event(row: Any) -> ReceivedEvent:
    *facts, notifications = row
    number, installation, event, data, at, received, identity, subject, record, user, origin, state, *fate = facts
    attempts, due, cause = fate
    return ReceivedEvent(
        id=number,
        installation=installation,
        event=event,
        data=data,
        at=at,
        received=received,
        identity=identity,
        subject=subject,
        record=record,
        user=user,
        origin=Origin(origin),
        state=EventState(state),
        attempts=attempts,
        due=due,
        cause=cause,
        notifications=_names.decode(notifications),
    )
