"""Messages that wait for phones, in a dictionary."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice

import msgspec

from wakeline.model.sip.waiting import WaitingMessage
from wakeline.storage.sip import refuse_broken_text, to_each_once


class MemorySipMessages:
    """Messages by id, and their ids by AoR and key."""

    def __init__(self) -> None:
        self._messages: dict[int, WaitingMessage] = {}
        self._known: dict[tuple[str, str], int] = {}
        self._last = 0

    async def put(self, message: WaitingMessage) -> WaitingMessage:
        """Keep a message; its id is given by the store; one with its AoR and key is the one that is there."""
        refuse_broken_text(message)
        present = self._known.get((message.aor, message.key))
        if present is not None:
            return self._messages[present]
        self._last += 1
        kept = self._messages[self._last] = msgspec.structs.replace(to_each_once(message), id=self._last)
        self._known[message.aor, message.key] = kept.id
        return kept

    def any_for(self, aor: str, uid: str, *, now: int) -> bool:
        """Tell whether a phone has not taken something."""
        return any(self._for(aor, uid, now))

    async def waiting(self, aor: str, uid: str, *, now: int, limit: int) -> list[WaitingMessage]:
        """Return what a phone has not taken, in order; what has expired is left out."""
        return list(islice(self._for(aor, uid, now), limit))

    def _for(self, aor: str, uid: str, now: int) -> Iterator[WaitingMessage]:
        return (each for each in self._messages.values() if each.aor == aor and uid in each.uids and each.expires > now)

    async def taken(self, uid: str, messages: Collection[int]) -> None:
        """Write that a phone took messages; one that all have taken is forgotten."""
        for number in messages:
            present = self._messages.get(number)
            if present is not None and uid in present.uids:
                self._leave(present, tuple(each for each in present.uids if each != uid))

    def _leave(self, message: WaitingMessage, uids: tuple[str, ...]) -> None:
        if uids:
            self._messages[message.id] = msgspec.structs.replace(message, uids=uids)
        else:
            self._forget(message)

    def move(self, aor: str, old: str, new: str) -> None:
        """Have what waits for one phone of an address wait for another."""
        for number, message in self._messages.items():
            if message.aor == aor and old in message.uids:
                uids = tuple(new if uid == old else uid for uid in message.uids)
                self._messages[number] = to_each_once(msgspec.structs.replace(message, uids=uids))

    async def count(self, aor: str) -> int:
        """Count what waits for an AoR."""
        return sum(each.aor == aor for each in self._messages.values())

    async def prune(self, now: int) -> int:
        """Forget messages that have expired; returns how many."""
        gone = [each for each in self._messages.values() if each.expires <= now]
        for message in gone:
            self._forget(message)
        return len(gone)

    def _forget(self, message: WaitingMessage) -> None:
        del self._messages[message.id], self._known[message.aor, message.key]
