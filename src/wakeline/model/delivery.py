"""Deliveries, attempts and jobs: one notification on its way to its targets."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple, Self

import msgspec

from wakeline.model.route import Lane


class DeliveryState(StrEnum):
    """Where a delivery is; the table of its ways is `model.states.DELIVERY`."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    SENDING = "sending"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    ACKNOWLEDGED = "acknowledged"
    OPENED = "opened"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    SKIPPED = "skipped"
    HELD = "held"


STATE_NUMBERS: dict[DeliveryState, int] = {state: number for number, state in enumerate(DeliveryState)}
"""The one byte by which bulk results and tables know a state; the order of the enum must never change."""

STATES_BY_NUMBER: tuple[DeliveryState, ...] = tuple(DeliveryState)


class Attempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request of a delivery to a provider. `at` in Unix ms, `duration` in ms, `reason` and `status` as received."""

    number: int
    at: int
    duration: int = 0
    status: int = 0
    reason: str = ""
    outcome_class: str = ""
    code: int = 0
    retry_at: int | None = None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One notification to one target, as the ledger shows it. Times in Unix ms."""

    notification: int
    target: int
    device: int
    device_id: str
    kind: str
    state: DeliveryState
    code: int = 0
    reason: str = ""
    status: int = 0
    outcome_class: str = ""
    provider_id: str = ""
    attempts: tuple[Attempt, ...] = ()
    tries: int = 0
    at: int = 0
    due: int = 0


class DeliveryRow(NamedTuple):
    """A delivery as settle writes it: an upsert by (notification, target); attempts are appended."""

    notification: int
    target: int
    state: DeliveryState
    code: int
    status: int
    reason: str
    outcome_class: str
    provider_id: str
    tries: int
    at: int
    attempt: Attempt | None = None


_PAIR = struct.Struct("<Q")
_GENERATIONS = (1 << 16) - 1


def pack(target: int, generation: int = 0) -> int:
    """Return a recipient in 8 bytes: 48 bits of target row id, 16 bits of binding generation (0: any user's push may go)."""
    return target << 16 | ((generation - 1) % _GENERATIONS + 1 if generation else 0)


def unpack(recipient: int) -> tuple[int, int]:
    """Return (target row id, generation mark) of a packed recipient."""
    return recipient >> 16, recipient & _GENERATIONS


def generation_matches(mark: int, generation: int) -> bool:
    """Tell whether a push made for generation `mark` may go to a device that is now at `generation`."""
    return mark == 0 or mark == (generation - 1) % _GENERATIONS + 1


def pack_all(recipients: Sequence[int]) -> bytes:
    """Return packed recipients, or the keys of notifications, as stored: 8 bytes each, little-endian."""
    return struct.pack(f"<{len(recipients)}Q", *recipients)


def pack_targets(targets: Sequence[int]) -> bytes:
    """Return targets as packed recipients for whoever holds the phone: a row id moved up by the 16 bits of an empty mark."""
    return b"\0\0" + struct.pack(f"<{len(targets)}Q", *targets)[:-2] if targets else b""


def unpack_all(data: bytes) -> list[int]:
    """Return the packed recipients, or the keys, of a stored row."""
    return list(struct.unpack(f"<{len(data) // _PAIR.size}Q", data))


class JobKind(StrEnum):
    """What a job does."""

    SEND = "send"
    FANOUT = "fanout"


class NewJob(msgspec.Struct, frozen=True, kw_only=True):
    """Work to be put into the queue: one notification, at most 500 recipients, one route, one lane.

    Or a parcel: many notifications to one recipient each, which were accepted together and are due together. `members` are
    the keys of its notifications, packed, one for each of `recipients`, and `notification` is 0.
    `recipients` are packed; `chunk` is the bulk ledger chunk they belong to (0: each has a row of its own);
    `attempt` is the number of the attempt this job will make, from 1; `due` and `expires` in Unix ms.
    `cursor` belongs to fan-out: the device row id up to which jobs have been made.
    `code` says why it waits (914: a per-user limit); `collapse_key` lets a newer waiting push supersede an older one.
    """

    notification: int
    app: int
    route: int
    lane: Lane
    due: int
    expires: int
    kind: JobKind = JobKind.SEND
    recipients: bytes = b""
    chunk: int = 0
    attempt: int = 1
    cursor: int = 0
    code: int = 0
    collapse_key: str = ""
    members: bytes = b""

    def alone(self, notification: int) -> Self | None:
        """Return the part of a parcel that belongs to a notification as a job of that one; None if it holds none of it."""
        keys = unpack_all(self.members)
        if notification not in keys:
            return None
        start = 8 * keys.index(notification)
        recipient = self.recipients[start : start + 8]
        return msgspec.structs.replace(self, notification=notification, recipients=recipient, members=b"")

    def without(self, notification: int) -> Self:
        """Return a parcel without what belongs to a notification."""
        start = 8 * unpack_all(self.members).index(notification)
        recipients, members = (part[:start] + part[start + 8 :] for part in (self.recipients, self.members))
        return msgspec.structs.replace(self, recipients=recipients, members=members)


class Job(NewJob, frozen=True, kw_only=True):
    """A claimed job: leased to us until it is settled or released."""

    id: int


BULK_ENTRY = struct.Struct("<BBHI")
"""8 bytes a recipient in bulk: state, attempts, code, seconds since the notification was accepted.

`code` is 901-914, or the provider's HTTP status where none of ours applies; 0 is ok.
"""
