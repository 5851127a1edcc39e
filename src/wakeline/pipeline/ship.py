"""Handing a slice of a load to a sender, and taking its answers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import structlog

from wakeline.model.ids import uuid_of
from wakeline.model.outcome import Outcome
from wakeline.model.route import Lane
from wakeline.pipeline.answers import Answers
from wakeline.pipeline.flight import Flight
from wakeline.pipeline.load import LIMITED, Load
from wakeline.pipeline.parts import Parts
from wakeline.pipeline.quota import DeviceQuota
from wakeline.pipeline.shelf import Shelf
from wakeline.pipeline.trial import PATIENCE
from wakeline.pipeline.way import Candidate, Way, identity
from wakeline.ports import Sender, Shipment
from wakeline.wire.outcomes import Refusal, ours

_log = structlog.get_logger()

_PAID = 5_000
"""Milliseconds for which a slot in a device's quota is good; what was held longer takes another."""


class Shipping:
    """Makes shipments."""

    def __init__(self, parts: Parts, answers: Answers, shelf: Shelf) -> None:
        self._parts = parts
        self._answers = answers
        self._shelf = shelf
        self._quota = DeviceQuota()

    def ship(self, way: Way, sender: Sender, load: Load, limit: int, candidate: Candidate | None = None) -> int:
        """Hand over a slice of a load, as canaries of a candidate if there is one; returns how many deliveries it was."""
        indexes = load.take(limit)
        if way.ramp is not None or way.rests:
            indexes = self._allowed(way, load, indexes)
        if not indexes:
            return 0
        if isinstance(indexes, range):
            recipients = load.recipients[indexes.start : indexes.stop]
        else:
            recipients = [load.recipients[index] for index in indexes]
        monotonic = self._parts.clock.monotonic()
        flight = Flight(way, load, indexes, identity(way.credential))
        patience = self._patience(way, load)
        if candidate is not None:
            flight = Flight(way, load, indexes, identity(candidate.credential), candidate.trial)
            patience = min(patience, PATIENCE)
            self._answers.sent(flight)
        shipment = Shipment(
            route=way.shown if candidate is None else candidate.route,
            lane=load.job.lane,
            notification=load.notification,
            recipients=recipients,
            deadline=monotonic + patience,
            on_results=partial(self._results, flight),
            badges=load.badges,
            attempt=load.job.attempt,
            started=monotonic,
        )
        try:
            sender.send(shipment)
        except Exception:  # noqa: BLE001 - what cannot be written fails, or it would stop the loop again and again
            _log.exception(
                "shipment.cannot_be_written", route=way.route.id, notification=uuid_of(load.notification.key)
            )
            refused = ours(Refusal.PAYLOAD)
            self._results(flight, shipment, [], [(position, refused) for position in range(len(indexes))])
        return len(indexes)

    def _allowed(self, way: Way, load: Load, indexes: Sequence[int]) -> Sequence[int]:
        """Put off what its device may not get yet; calls are counted and go, for the provider may know better."""
        job, now = load.job, self._parts.clock.now()
        if job.code == LIMITED and now - job.due < _PAID:
            return indexes  # it comes back for the slot that it was given
        monotonic = round(1000 * self._parts.clock.monotonic())
        latest = monotonic + job.expires - now
        packed = load.packed if indexes == range(len(load.packed)) else [load.packed[index] for index in indexes]
        waits = self._quota.charge(packed, monotonic, latest) if way.ramp is not None else {}
        waits |= way.rests.book(packed, monotonic, latest)
        if not waits or job.lane is Lane.CALL:
            return indexes
        for place, at in waits.items():
            # Whole seconds, so that those of one second stay one job.
            self._shelf.limit(load, indexes[place], -(-(now + at - monotonic) // 1000) * 1000)
        return [index for place, index in enumerate(indexes) if place not in waits]

    def _patience(self, way: Way, load: Load) -> float:
        """Return how many seconds an answer may take: the provider's time limit, inside the ttl."""
        limit = self._parts.settings.providers.of(way.route.provider).request_timeout
        return min(limit, (load.job.expires - self._parts.clock.now()) / 1000)

    def _results(
        self, flight: Flight, shipment: Shipment, accepted: list[int], others: list[tuple[int, Outcome]]
    ) -> None:
        self._answers.on_results(flight, shipment, accepted, others)
        self._shelf.ended(flight.load)
