"""Handing a slice of a load to a sender, and taking its answers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import structlog

from wakeline.model.ids import uuid_of
from wakeline.model.outcome import Outcome
from wakeline.model.route import Lane, Route
from wakeline.pipeline.answers import Answers
from wakeline.pipeline.flight import Flight
from wakeline.pipeline.load import LIMITED, Load
from wakeline.pipeline.meter import Stage
from wakeline.pipeline.parts import Parts
from wakeline.pipeline.quota import DeviceQuota
from wakeline.pipeline.shelf import Shelf
from wakeline.pipeline.trial import PATIENCE
from wakeline.pipeline.way import Candidate, Way
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
        credential, trial = way.credential, None
        if candidate is not None:
            credential, trial = candidate.credential, candidate.trial
        flight = Flight(way, load, indexes, credential, trial)
        if trial is not None:
            self._answers.sent(flight)
        self._hand(flight, sender, way.shown if candidate is None else candidate.route)
        return len(indexes)

    def _hand(self, flight: Flight, sender: Sender, route: Route) -> None:
        """Hand over a flight. What its sender cannot write fails, or it would stop the loop again and again."""
        shipment = self._shipment(flight, route)
        waited = shipment.started - flight.load.claimed
        self._parts.meter.passed(Stage.HAND_OVER, shipment.lane.name.lower(), waited)
        try:
            sender.send(shipment)
        except Exception:  # noqa: BLE001 - whatever it is, nothing of it was sent
            if shipment.parcel and len(shipment.parcel) > 1:
                for index in flight.indexes:
                    self._hand(flight._replace(indexes=(index,)), sender, route)
                return
            notification = uuid_of(flight.load.key(flight.indexes[0]))
            _log.exception("shipment.cannot_be_written", route=flight.way.route.id, notification=notification)
            refused = ours(Refusal.PAYLOAD)
            self._results(flight, shipment, [], [(position, refused) for position in range(len(flight.indexes))])

    def _shipment(self, flight: Flight, route: Route) -> Shipment:
        load, indexes = flight.load, flight.indexes
        monotonic, patience = self._parts.clock.monotonic(), self._patience(flight.way, load)
        if isinstance(indexes, range):
            recipients = load.recipients[indexes.start : indexes.stop]
            parcel = load.members[indexes.start : indexes.stop]
        else:
            recipients = [load.recipients[index] for index in indexes]
            parcel = [load.members[index] for index in indexes] if load.members else ()
        return Shipment(
            route=route,
            lane=load.job.lane,
            notification=load.notification if not parcel else parcel[0],
            recipients=recipients,
            deadline=monotonic + (patience if flight.trial is None else min(patience, PATIENCE)),
            on_results=partial(self._results, flight),
            badges=load.badges,
            attempt=load.job.attempt,
            started=monotonic,
            parcel=parcel,
        )

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
        self, flight: Flight, shipment: Shipment, accepted: Sequence[int], others: list[tuple[int, Outcome]]
    ) -> None:
        self._answers.on_results(flight, shipment, accepted, others)
        self._shelf.ended(flight.load)
