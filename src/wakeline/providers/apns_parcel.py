"""APNs: many notifications to one device each, which left the queue together, as one batch of requests.

A batch of requests costs the connection about 30 microseconds besides what each request costs: nothing for a broadcast,
most of the work for a single push. So the pushes of a parcel that share their indexed headers become one batch, with what
belongs to one notification (expiration, collapse id) among the fields of its own request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wakeline.model.device import Recipient
from wakeline.model.notification import Notification
from wakeline.model.outcome import Outcome
from wakeline.ports import Shipment
from wakeline.wire import apns
from wakeline.wire.http2 import Answer, Fields, RequestBatch


class Written:
    """Pushes of a parcel that are written out: columns of equal length, and the indexed headers that all of them share."""

    __slots__ = ("bodies", "extra", "paths", "positions", "stable")

    def __init__(self, stable: Fields) -> None:
        self.stable = stable
        self.positions: list[int] = []
        self.paths: list[bytes] = []
        self.extra: list[Fields] = []
        self.bodies: list[bytes] = []

    def add(self, position: int, token: bytes, recipient: Recipient, prepared: apns.Prepared) -> None:
        """Write one push."""
        self.positions.append(position)
        self.paths.append(prepared.path(token))
        self.extra.append((*prepared.literal, (b"apns-id", prepared.id_of(recipient.target))))
        self.bodies.append(prepared.body(recipient.locale))

    def only(self, places: list[int]) -> Written:
        """Return some of them: what is sent a second time."""
        part = Written(self.stable)
        part.positions = [self.positions[place] for place in places]
        part.paths = [self.paths[place] for place in places]
        part.extra = [self.extra[place] for place in places]
        part.bodies = [self.bodies[place] for place in places]
        return part


def written(
    shipment: Shipment, ready: Callable[[Notification, Recipient], apns.Prepared | Outcome]
) -> tuple[list[Written], list[tuple[int, Outcome]]]:
    """Return the pushes of a parcel by their indexed headers, and those that cannot go with the reason."""
    groups: dict[Fields, Written] = {}
    refused: list[tuple[int, Outcome]] = []
    for position, (notification, recipient) in enumerate(zip(shipment.parcel, shipment.recipients, strict=True)):
        prepared = ready(notification, recipient)
        if isinstance(prepared, Outcome):
            refused.append((position, prepared))
            continue
        group = groups.get(prepared.stable)
        if group is None:
            group = groups[prepared.stable] = Written(prepared.stable)
        group.add(position, apns.normal_token(recipient.value), recipient, prepared)
    return list(groups.values()), refused


class ParcelFlight:
    """One batch of a parcel on its way; `authorization` is what it went out with.

    `verdict(answer, flight)` returns what an answer means, or None if the push is to be sent once more; `submit(flight)` sends.
    """

    __slots__ = ("_submit", "_verdict", "again", "authorization", "shipment", "written")

    def __init__(
        self,
        shipment: Shipment,
        written: Written,
        verdict: Callable[[Answer, ParcelFlight], Outcome | None],
        submit: Callable[[ParcelFlight], None],
        *,
        again: bool = False,
    ) -> None:
        self.shipment = shipment
        self.written = written
        self.again = again
        self.authorization = b""
        self._verdict = verdict
        self._submit = submit

    def answered(self, _: RequestBatch, accepted: Sequence[int], others: list[tuple[int, Answer]]) -> None:
        """Tell the shipment what became of its recipients, and try again what may be."""
        positions = self.written.positions
        told: list[tuple[int, Outcome]] = []
        retry: list[int] = []
        for place, answer in others:
            outcome = self._verdict(answer, self)
            if outcome is None:
                retry.append(place)
            else:
                told.append((positions[place], outcome))
        if retry:
            self._submit(ParcelFlight(self.shipment, self.written.only(retry), self._verdict, self._submit, again=True))
        if accepted or told:
            self.shipment.on_results(self.shipment, [positions[place] for place in accepted], told)
