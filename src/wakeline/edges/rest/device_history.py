"""What became of a device's targets, step by step, with the evidence of each."""

from __future__ import annotations

from datetime import datetime

from wakeline.edges.rest.device_views import EvidenceView, evidence_view
from wakeline.edges.rest.devices import existing
from wakeline.edges.rest.moments import moment
from wakeline.edges.rest.operations import Answer, Call, Operation
from wakeline.edges.rest.shapes import Limit, Strict, View
from wakeline.model.device import TargetKind, TargetState
from wakeline.model.key import Scope


class HistoryQuery(Strict, frozen=True, kw_only=True):
    """How many steps, the newest first."""

    limit: Limit = 50


class StepView(View, frozen=True, kw_only=True):
    """One step: what a target became, why, and on what evidence. `target` tells several of a kind apart."""

    at: datetime
    target: int
    kind: TargetKind
    state: TargetState
    reason: str
    evidence: EvidenceView | None


class HistoryView(View, frozen=True, kw_only=True):
    """The history of a device, the newest step first; as long as `[retention] notifications` keeps it."""

    history: tuple[StepView, ...]


async def show(call: Call) -> Answer:
    """Show what became of a device's targets."""
    query: HistoryQuery = call.query
    device = await existing(call)
    steps = tuple(
        StepView(
            at=moment(step.at),
            target=step.target,
            kind=step.kind,
            state=step.state,
            reason=step.reason,
            evidence=None if step.evidence is None else evidence_view(step.evidence),
        )
        for step in await call.ports.devices.history(device.id, limit=query.limit)
    )
    return Answer(body=HistoryView(history=steps))


OPERATIONS = (
    Operation(
        name="device.history",
        method="GET",
        path="/v1/apps/{app}/devices/{device}/history",
        handler=show,
        summary="Show what became of a device's targets, with the evidence",
        scopes=(Scope.DEVICES, Scope.READ),
        query=HistoryQuery,
        response=HistoryView,
    ),
)
