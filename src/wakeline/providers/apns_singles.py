"""APNs: pushes to one device each, gathered for one turn of the loop and handed over together.

A batch of requests costs the connection about 30 microseconds besides what each request costs: nothing for a broadcast,
most of the work for a single push. So single pushes of one turn that share their indexed headers become one batch, with
what belongs to one notification (expiration, collapse id) among the fields of its own request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

import structlog

from wakeline.ports import Shipment
from wakeline.wire import apns
from wakeline.wire.http2 import Answer, Fields, RequestBatch

log = structlog.get_logger()

SHORTEST = 5.0
"""Seconds that a push must have left to be gathered: those that go together share the earliest of their deadlines."""


class Single(NamedTuple):
    """One push to one device, written out: what cannot be written fails where it is handed over, and fails alone."""

    shipment: Shipment
    prepared: apns.Prepared
    path: bytes
    fields: Fields
    body: bytes

    @classmethod
    def of(cls, shipment: Shipment, prepared: apns.Prepared) -> Single:
        """Write the push of a shipment with one recipient."""
        recipient = shipment.recipients[0]
        badge = shipment.badges.get(recipient.device) if prepared.counts_badges else None
        return cls(
            shipment,
            prepared,
            prepared.path(recipient.value.lower().encode()),
            (*prepared.literal, (b"apns-id", prepared.id_of(recipient.target))),
            prepared.body(recipient.locale, badge),
        )


class Gathered:
    """Singles on their way in one batch; `authorization` is what they went out with."""

    __slots__ = ("_told", "authorization", "singles")

    def __init__(
        self, singles: list[Single], authorization: bytes, told: Callable[[Gathered, int, Answer], None]
    ) -> None:
        self.singles = singles
        self.authorization = authorization
        self._told = told

    def answered(self, _: RequestBatch, accepted: Sequence[int], others: list[tuple[int, Answer]]) -> None:
        """Tell each shipment what became of its only recipient."""
        for index, answer in others:
            try:
                self._told(self, index, answer)
            except Exception:  # a defect that concerns one push must not leave the others unanswered
                log.exception("single_answer_failed")
        for index in accepted:
            shipment = self.singles[index].shipment
            try:
                shipment.on_results(shipment, [0], [])
            except Exception:
                log.exception("single_answer_failed")


class Singles:
    """What was handed over in this turn; `hand_over(singles)` is called for each group at the end of it."""

    def __init__(self, hand_over: Callable[[list[Single]], None]) -> None:
        self._hand_over = hand_over
        self._groups: dict[Fields, list[Single]] = {}
        self.size = 0

    def add(self, single: Single) -> None:
        """Gather a push."""
        if not self.size:
            asyncio.get_running_loop().call_soon(self.flush)
        self.size += 1
        self._groups.setdefault(single.prepared.stable, []).append(single)

    def flush(self) -> None:
        """Hand over everything now."""
        groups, self._groups, self.size = self._groups, {}, 0
        for singles in groups.values():
            self._hand_over(singles)
