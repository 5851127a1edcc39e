"""Events of connected portals, in a dictionary."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from wakeline.model.bitrix24.inbox import EventState, ReceivedEvent, Settled
from wakeline.storage.memory.bitrix24.installations import MemoryInstallations


class MemoryEventInbox:
    """Events by id, and their ids by identity."""

    def __init__(self, installations: MemoryInstallations) -> None:
        self._installations = installations
        self._events: dict[int, ReceivedEvent] = {}
        self._known: dict[tuple[int, bytes], int] = {}
        self._last = 0

    async def put(self, events: Sequence[ReceivedEvent]) -> list[bool]:
        """Keep events; False for one whose installation and identity are there already, or whose installation is not."""
        return [self._put(event) for event in events]

    def _put(self, event: ReceivedEvent) -> bool:
        key = event.installation, event.identity
        if key in self._known or self._installations.by_id(event.installation) is None:
            return False
        self._last += 1
        self._events[self._last] = msgspec.structs.replace(event, id=self._last)
        self._known[key] = self._last
        return True

    async def waiting(self, installation: int, *, now: int, limit: int) -> list[ReceivedEvent]:
        """Return waiting events that are due, oldest first."""
        due = (each for each in self._waiting() if each.installation == installation and each.due <= now)
        return [each for each, _ in zip(due, range(limit), strict=False)]

    async def next_due(self) -> dict[int, int]:
        """Return when the first waiting event of each installation that has any is due."""
        found: dict[int, int] = {}
        for each in self._waiting():
            found[each.installation] = min(found.get(each.installation, each.due), each.due)
        return found

    async def hasten(self, installation: int, *, now: int) -> None:
        """Have all waiting events of an installation due by `now`."""
        for each in [one for one in self._waiting() if one.installation == installation and one.due > now]:
            self._events[each.id] = msgspec.structs.replace(each, due=now)

    def _waiting(self) -> Iterable[ReceivedEvent]:
        return (each for each in self._events.values() if each.state is EventState.WAITING)

    async def settle(self, settled: Sequence[Settled]) -> None:
        """Write what became of waiting events; one that goes on waiting counts one attempt more."""
        for each in settled:
            present = self._events.get(each.id)
            if present is not None and present.state is EventState.WAITING:
                self._events[each.id] = _settled(present, each)

    async def latest(self, installation: int, subjects: Collection[bytes]) -> Mapping[bytes, int]:
        """Return when the portal raised the last event we know of with each of these subjects (`at`)."""
        found: dict[bytes, int] = {}
        for each in self._events.values():
            if each.installation == installation and each.subject in subjects:
                found[each.subject] = max(found.get(each.subject, each.at), each.at)
        return found

    async def by_id(self, number: int) -> ReceivedEvent | None:
        """Return one, if it is still recorded."""
        return self._events.get(number)

    async def by_identity(self, installation: int, identity: bytes) -> ReceivedEvent | None:
        """Return the one of an installation with this identity, if it is still recorded."""
        number = self._known.get((installation, identity))
        return None if number is None else self._events[number]

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
        wanted = (
            each
            for each in reversed(self._events.values())
            if (before is None or each.id < before)
            and installation in (None, each.installation)
            and event in (None, each.event)
            and state in (None, each.state)
        )
        return [each for each, _ in zip(wanted, range(limit), strict=False)]

    async def prune(self, before: int) -> int:
        """Forget events received before that which wait for nothing; returns how many."""
        return self._drop(
            each.id for each in self._events.values() if each.received < before and each.state is not EventState.WAITING
        )

    def forget_installation(self, installation: int) -> None:
        """Forget an installation's events."""
        self._drop(each.id for each in self._events.values() if each.installation == installation)

    def _drop(self, numbers: Iterable[int]) -> int:
        gone = [self._events.pop(number) for number in list(numbers)]
        for each in gone:
            del self._known[each.installation, each.identity]
        return len(gone)


def _settled(event: ReceivedEvent, settled: Settled) -> ReceivedEvent:
    return msgspec.structs.replace(
        event,
        state=settled.state,
        attempts=event.attempts + 1,
        due=settled.due,
        cause=settled.cause,
        notifications=settled.notifications,
    )
