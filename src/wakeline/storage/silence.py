"""What both stores take from the ledger to find silence: which deliveries were sent and confirmed, and a sample of broadcasts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from wakeline.model.delivery import BULK_ENTRY, STATES_BY_NUMBER, DeliveryState, unpack, unpack_all
from wakeline.model.device import DeviceFacts

SAMPLE = 4
"""Chunks that are looked at of a broadcast: some thousand phones tell as much as a million."""

MOST = 1_000
"""Deliveries of a page, but for what one notification has more; reading them takes some milliseconds."""

HEARD = {DeliveryState.ACCEPTED: False, DeliveryState.ACKNOWLEDGED: True, DeliveryState.OPENED: True}
"""Whether the device confirmed a delivery in this state; other states say nothing."""


class Phone(NamedTuple):
    """The device behind a target: row id, kind of the target, what the device says of itself."""

    device: int
    kind: str
    facts: DeviceFacts


class Answered(NamedTuple):
    """A delivery that was accepted."""

    notification: int
    target: int
    heard: bool


def sample(chunks: Sequence[int]) -> list[int]:
    """Return some of the chunks of a broadcast, evenly spread."""
    return [chunks[place * len(chunks) // SAMPLE] for place in range(SAMPLE)] if len(chunks) > SAMPLE else [*chunks]


def within(weights: Iterable[int]) -> int:
    """Return how many notifications, of which so many were accepted, are a page."""
    number = total = 0
    for weight in weights:
        total += weight
        if number and total > MOST:
            break
        number += 1
    return number


def entries(notification: int, recipients: bytes, results: bytes) -> Iterator[Answered]:
    """Yield what was accepted of a chunk; an entry without a try is of a push that was confirmed before it was sent."""
    for recipient, (number, tries, _, _) in zip(unpack_all(recipients), BULK_ENTRY.iter_unpack(results), strict=True):
        heard = HEARD.get(STATES_BY_NUMBER[number])
        if tries and heard is not None:
            yield Answered(notification, unpack(recipient)[0], heard)
