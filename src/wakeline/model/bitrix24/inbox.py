"""Events that came from connected portals: kept before they are answered, and for a while when they are done. Times in Unix ms."""

from __future__ import annotations

import hashlib
from enum import StrEnum

import msgspec


class Origin(StrEnum):
    """How we came to know of an event."""

    POSTED = "posted"
    """The portal posted it."""
    OFFLINE = "offline"
    """It lay in the portal's queue of offline events."""
    LISTED = "listed"
    """Nobody told us: a list by date showed that a record is new or has changed."""
    RESENT = "resent"
    """An operator wants a recorded event once more."""


class EventState(StrEnum):
    """What became of an event."""

    WAITING = "waiting"
    DONE = "done"
    """Rules were applied; `notifications` are what they sent, `cause` why nothing was, if nothing was."""
    FAILED = "failed"
    """It was given up, for the reason in `cause`."""


class ReceivedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event. `event` in upper case; `data` is its block `data` as JSON; `at` is when the portal raised it (whole seconds).

    `identity` makes two deliveries of one event the same; `subject` is what it is about: the event's name and data.
    `record` is the number of the record, 0: none. `due` is when it is to be tried (again).
    """

    id: int
    installation: int
    event: str
    data: bytes
    at: int
    received: int
    identity: bytes
    subject: bytes
    record: int = 0
    user: int = 0
    origin: Origin = Origin.POSTED
    state: EventState = EventState.WAITING
    attempts: int = 0
    due: int = 0
    cause: str = ""
    notifications: tuple[str, ...] = ()


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a waiting event: its state, or WAITING with the time at which it is due again."""

    id: int
    state: EventState
    due: int = 0
    cause: str = ""
    notifications: tuple[str, ...] = ()


def subject_of(event: str, data: bytes) -> bytes:
    """Return what tells what an event is about."""
    return hashlib.sha256(event.encode() + b"\0" + data).digest()[:16]


def identity_of(subject: bytes, at: int) -> bytes:
    """Return what two deliveries of one event have in common: what it is about, and the second in which it was raised."""
    return hashlib.sha256(subject + (at // 1000).to_bytes(8)).digest()[:16]


def identity_of_next(identity: bytes) -> bytes:
    """Return the identity of what happened once more to the same in the same second."""
    return hashlib.sha256(identity + b"next").digest()[:16]
