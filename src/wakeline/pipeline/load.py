"""A claimed job in memory: which of its recipients may go, which have gone, which are settled.

Nothing is allocated for a delivery but what the provider needs anyway.
An index counts a job's recipients as claimed. `ready` are those that may be sent, in order; shipments take slices of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from wakeline.model.delivery import Job, generation_matches, pack_all, unpack_all
from wakeline.model.device import Recipient, TargetState
from wakeline.model.notification import Notification
from wakeline.model.outcome import Outcome
from wakeline.wire.outcomes import Refusal, ours

GONE = Recipient(0, "", 0, TargetState.RETIRED.value, "", 0)
"""Stands for a target whose row is gone."""

HOP = 905
"""The code of a job that tries the other APNs environment once."""


class Refused(NamedTuple):
    """A recipient that is not sent to; `number` is its index in the load."""

    number: int
    outcome: Outcome


class Load:
    """One leased job."""

    __slots__ = ("_open", "badges", "job", "next", "notification", "packed", "places", "ready", "recipients", "settled")

    def __init__(self, job: Job, notification: Notification, packed: list[int], places: Sequence[int]) -> None:
        self.job = job
        self.notification = notification
        self.packed = packed
        self.places = places
        self.recipients: list[Recipient] = []
        self.badges: dict[int, int] = {}
        self.ready: Sequence[int] = ()
        self.next = 0
        self.settled = bytearray(len(packed))
        self._open = len(packed)

    @property
    def unsent(self) -> int:
        """Count those that may go and have not gone."""
        return len(self.ready) - self.next

    @property
    def finished(self) -> bool:
        """Tell whether every recipient is settled."""
        return not self._open

    @property
    def touched(self) -> bool:
        """Tell whether anything of it was sent or settled."""
        return self.next > 0 or self._open < len(self.packed)

    def take(self, limit: int) -> Sequence[int]:
        """Return the next indexes to send, at most `limit`; they count as sent."""
        part = self.ready[self.next : self.next + limit]
        self.next += len(part)
        return part

    def drop(self) -> Sequence[int]:
        """Return all indexes not sent yet; they will not be sent by this load."""
        part = self.ready[self.next :]
        self.next = len(self.ready)
        return part

    def settle(self, indexes: Iterable[int]) -> list[int]:
        """Mark recipients as settled and return those that were not before: an answer counts once."""
        fresh = [index for index in indexes if not self.settled[index]]
        for index in fresh:
            self.settled[index] = 1
        self._open -= len(fresh)
        return fresh

    def remaining(self) -> bytes:
        """Return the packed recipients that are not settled."""
        return pack_all([packed for packed, settled in zip(self.packed, self.settled, strict=True) if not settled])


def load_of(job: Job, notification: Notification, chunk: bytes | None) -> Load:
    """Return a load; `chunk` holds the recipients of the bulk chunk that the job belongs to, whose positions it needs."""
    packed = unpack_all(job.recipients)
    if chunk is None or chunk == job.recipients:
        return Load(job, notification, packed, range(len(packed)))
    positions = {recipient: position for position, recipient in enumerate(unpack_all(chunk))}
    return Load(job, notification, packed, [positions[recipient] for recipient in packed])


def check(load: Load, found: dict[int, Recipient]) -> list[Refused]:
    """Fill in recipients as they are now, and return those that must not get it any more.

    The device may have changed its user since, and the token may have died: what was true at acceptance is not enough.
    """
    refused: list[Refused] = []
    ready: list[int] = []
    active = TargetState.ACTIVE.value
    hop = load.job.code == HOP
    for index, packed in enumerate(load.packed):
        recipient = found.get(packed >> 16, GONE)
        load.recipients.append(recipient)
        mark = packed & 0xFFFF
        if mark and not generation_matches(mark, recipient.generation) and recipient is not GONE:
            refused.append(Refused(index, ours(Refusal.USER_CHANGED)))
        elif recipient.state == active or (hop and recipient is not GONE):
            ready.append(index)
        else:
            refused.append(Refused(index, _dead(recipient)))
    # A range slices without copying, and that is the usual case.
    load.ready = range(len(ready)) if len(ready) == len(load.packed) else ready
    return refused


def _dead(recipient: Recipient) -> Outcome:
    if recipient is GONE:
        return ours(Refusal.NO_TARGET)
    quarantined = recipient.state == TargetState.QUARANTINED
    return ours(Refusal.TOKEN_QUARANTINED if quarantined else Refusal.TOKEN_RETIRED)
