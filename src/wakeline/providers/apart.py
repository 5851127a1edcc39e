"""A parcel taken apart, for push services to which each notification is written on its own anyway."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import structlog

from wakeline.model.outcome import Outcome
from wakeline.ports import Shipment
from wakeline.wire import outcomes
from wakeline.wire.outcomes import Refusal

log = structlog.get_logger()


def send_apart(parcel: Shipment, send: Callable[[Shipment], None]) -> None:
    """Send the notifications of a parcel one by one; what cannot be written fails alone. Results are told as the parcel's."""
    for position, (notification, recipient) in enumerate(zip(parcel.parcel, parcel.recipients, strict=True)):
        part = Shipment(
            route=parcel.route,
            lane=parcel.lane,
            notification=notification,
            recipients=[recipient],
            deadline=parcel.deadline,
            on_results=partial(_told, parcel, position),
            attempt=parcel.attempt,
            started=parcel.started,
        )
        try:
            send(part)
        except Exception:
            log.exception("shipment.cannot_be_written", route=parcel.route.id)
            refused = outcomes.ours(Refusal.PAYLOAD)
            asyncio.get_running_loop().call_soon(parcel.on_results, parcel, [], [(position, refused)])


def _told(
    parcel: Shipment, position: int, _: Shipment, accepted: Sequence[int], others: list[tuple[int, Outcome]]
) -> None:
    parcel.on_results(parcel, [position] if accepted else [], [(position, outcome) for _, outcome in others])
