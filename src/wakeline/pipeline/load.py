"""A claimed job in memory: which of its recipients may go, which have gone, which are settled.

A job is one notification to its recipients, or a parcel of many with one recipient each; `key` and `notification_of` tell
which is meant without asking which it is. Nothing is allocated for a delivery but what the provider needs anyway.
An index counts a job's recipients as claimed. `ready` are those that may be sent, in order; shipments take slices of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import compress
from typing import NamedTuple

from wakeline.model.delivery import Job, generation_matches, pack_all, unpack_all
from wakeline.model.device import Recipient, TargetState
from wakeline.model.notification import Notification
from wakeline.model.outcome import Outcome
from wakeline.ports import JobProgress
from wakeline.wire.outcomes import Refusal, ours

GONE = Recipient(0, "", 0, TargetState.RETIRED.value, "", 0)
"""Stands for a target whose row is gone."""

MARKS = 0xFFFF
"""The bits of a packed recipient that hold the generation mark."""

_MARK = MARKS.__and__
_OPEN = b"\1" + bytes(255)
"""Turns marks of what is settled into marks of what is not."""
_STATE = Recipient._fields.index("state")
_GENERATION = Recipient._fields.index("generation")

LIMITED = 914
"""The code of a job that waits for a limit."""

HOP = 905
"""The code of a job that tries the other APNs environment once."""


class Refused(NamedTuple):
    """A recipient that is not sent to; `number` is its index in the load."""

    number: int
    outcome: Outcome


class Load:
    """One leased job."""

    __slots__ = (
        "badges",
        "checked",
        "claimed",
        "job",
        "keys",
        "members",
        "next",
        "notification",
        "open",
        "packed",
        "places",
        "ready",
        "recipients",
        "settled",
    )

    def __init__(
        self,
        job: Job,
        notification: Notification,
        packed: list[int],
        places: Sequence[int],
        members: Sequence[Notification] = (),
    ) -> None:
        self.job = job
        self.notification = notification
        """The notification; of a parcel, the first: for what all of it have in common."""
        self.members = members
        """The notification of each recipient of a parcel; empty otherwise."""
        self.keys = [member.key for member in members]
        self.packed = packed
        self.places = places
        self.recipients: Sequence[Recipient] = []
        self.badges: dict[int, int] = {}
        self.checked = float("-inf")
        """When its recipients were last looked at, on the monotonic clock."""
        self.claimed = self.checked
        """When they were looked at for the first time, right after it was claimed."""
        self.ready: Sequence[int] = ()
        self.next = 0
        self.settled = bytearray(len(packed))
        self.open = len(packed)
        """How many recipients are not settled."""

    def key(self, index: int) -> int:
        """Return the key of the notification that a recipient gets."""
        return self.keys[index] if self.keys else self.notification.key

    def notification_of(self, index: int) -> Notification:
        """Return the notification that a recipient gets."""
        return self.members[index] if self.members else self.notification

    def of(self, notification: int) -> list[int]:
        """Return the indexes of the recipients that get a notification."""
        if self.keys:
            return [index for index, key in enumerate(self.keys) if key == notification]
        return list(range(len(self.packed))) if self.notification.key == notification else []

    @property
    def unsent(self) -> int:
        """Count those that may go and have not gone."""
        return len(self.ready) - self.next

    @property
    def finished(self) -> bool:
        """Tell whether every recipient is settled."""
        return not self.open

    @property
    def touched(self) -> bool:
        """Tell whether anything of it was sent or settled."""
        return self.next > 0 or self.open < len(self.packed)

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

    def drop_of(self, notification: int) -> Sequence[int]:
        """Do as `drop` with what of a notification was not sent yet."""
        mine = set(self.of(notification))
        if len(mine) == len(self.packed):
            return self.drop()
        part = [index for index in self.ready[self.next :] if index in mine]
        if part:
            self.ready = [*self.ready[: self.next], *(index for index in self.ready[self.next :] if index not in mine)]
        return part

    def settle(self, indexes: Sequence[int]) -> Sequence[int]:
        """Mark recipients as settled and return those that were not before: an answer counts once."""
        fresh = indexes
        if isinstance(indexes, range) and not any(self.settled[indexes.start : indexes.stop]):
            self.settled[indexes.start : indexes.stop] = b"\1" * len(indexes)
        else:
            fresh = [index for index in indexes if not self.settled[index]]
            for index in fresh:
                self.settled[index] = 1
        self.open -= len(fresh)
        return fresh

    def runs(self, indexes: Sequence[int]) -> list[tuple[int, int]]:
        """Return where recipients stand in their bulk chunk: a first position and how many from there on."""
        if isinstance(indexes, range) and isinstance(self.places, range):
            return [(self.places[indexes.start], len(indexes))]
        return [(self.places[index], 1) for index in indexes]

    def unsettled(self) -> list[int]:
        """Return the indexes of recipients that are not settled."""
        return [index for index, settled in enumerate(self.settled) if not settled]

    def remaining(self) -> JobProgress:
        """Return what of the job is not settled."""
        left = self.settled.translate(_OPEN)
        members = pack_all(list(compress(self.keys, left)))
        return JobProgress(job=self.job.id, remaining=pack_all(list(compress(self.packed, left))), members=members)


def load_of(job: Job, known: Mapping[int, Notification], chunk: bytes | None) -> Load | None:
    """Return a load, or None if nothing of the job is known any more.

    `known` are notifications by key; `chunk` holds the recipients of the bulk chunk that the job belongs to, whose positions
    it needs.
    """
    packed = unpack_all(job.recipients)
    if job.members:
        pairs = [(known[key], one) for key, one in zip(unpack_all(job.members), packed, strict=True) if key in known]
        members, packed = [member for member, _ in pairs], [one for _, one in pairs]
        return Load(job, members[0], packed, range(len(packed)), members) if members else None
    notification = known.get(job.notification)
    if notification is None:
        return None
    if chunk is None or chunk == job.recipients:
        return Load(job, notification, packed, range(len(packed)))
    positions = {recipient: position for position, recipient in enumerate(unpack_all(chunk))}
    return Load(job, notification, packed, [positions[recipient] for recipient in packed])


def check(load: Load, found: dict[int, Recipient]) -> list[Refused]:
    """Fill in recipients as they are now, and return those that must not get it any more.

    The device may have changed its user since, and the token may have died: what was true at acceptance is not enough.
    """
    active = TargetState.ACTIVE.value
    load.recipients = [found.get(packed >> 16, GONE) for packed in load.packed]
    untouched = len(load.packed) == load.open
    if (
        untouched
        and {recipient[_STATE] for recipient in load.recipients} == {active}
        and not any(map(_MARK, load.packed))
    ):
        # The usual case of a broadcast; a range slices without copying.
        load.ready = range(len(load.packed))
        return []
    refused: list[Refused] = []
    ready: list[int] = []
    hop = load.job.code == HOP
    for index, (packed, recipient, settled) in enumerate(zip(load.packed, load.recipients, load.settled, strict=True)):
        mark = packed & MARKS
        if recipient[_STATE] == active and (not mark or recipient[_GENERATION] == mark):
            outcome = None  # what `_refusal` says of nearly all
        else:
            outcome = _refusal(mark, recipient, hop=hop)
        if outcome is not None:
            refused.append(Refused(index, outcome))
        elif not settled:
            ready.append(index)
    load.ready = range(len(ready)) if len(ready) == len(load.packed) else ready
    return refused


def check_again(load: Load, found: dict[int, Recipient]) -> list[Refused]:
    """Do as `check` for those that have waited for room, and forget those that must not get it any more."""
    refused: list[Refused] = []
    ready: list[int] = []
    load.recipients = recipients = list(load.recipients)
    for index in load.ready[load.next :]:
        packed = load.packed[index]
        recipient = recipients[index] = found.get(packed >> 16, GONE)
        outcome = _refusal(packed & MARKS, recipient, hop=load.job.code == HOP)
        if outcome is None:
            ready.append(index)
        else:
            refused.append(Refused(index, outcome))
    if refused:
        load.ready = [*load.ready[: load.next], *ready]
    return refused


def _refusal(mark: int, recipient: Recipient, *, hop: bool) -> Outcome | None:
    """Return why a recipient must not get it; the other environment may be tried for a target in doubt."""
    if recipient is GONE:
        return ours(Refusal.NO_TARGET)
    if mark and not generation_matches(mark, recipient.generation):
        return ours(Refusal.USER_CHANGED)
    if recipient.state == TargetState.ACTIVE or hop:
        return None
    quarantined = recipient.state == TargetState.QUARANTINED
    return ours(Refusal.TOKEN_QUARANTINED if quarantined else Refusal.TOKEN_RETIRED)
