"""A push to one device as a test tries it: where it goes, or why it cannot, and what is heard of it."""

from __future__ import annotations

import asyncio

import msgspec

from wakeline.model.device import Candidate, Device, Target, TargetKind, TargetState
from wakeline.model.notification import PushType
from wakeline.model.outcome import Outcome
from wakeline.wire.outcomes import Refusal, ours


class Trial:
    """A push to one device; `refusal` says why there is none, or that the gateway itself did not send it."""

    def __init__(self, device: Device, place: Candidate | None, push_type: PushType) -> None:
        """Begin with where it would go; None: the device has no active target for such a push."""
        self.device = device
        self.target = _target(device, place)
        self.refusal = None if place is not None else _unfit(self.target, push_type)
        self.notification = 0
        self._answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    @property
    def awaited(self) -> asyncio.Future[Outcome] | None:
        """Return what its answer is waited for with; None: there is nothing to wait for."""
        return self._answer if self.notification and self.refusal is None else None

    @property
    def outcome(self) -> Outcome | None:
        """Return how it ended; None: it has not."""
        return self.refusal or (self._answer.result() if self._answer.done() else None)

    def heard(self, outcome: Outcome) -> None:
        """Hear what became of the push, in the midst of the pipeline's work."""
        if not self._answer.done():
            self._answer.set_result(outcome)

    def refuse(self, refusal: Refusal, cause: str, fix: str) -> None:
        """Know that the gateway does not take it, in these words."""
        self.refusal = msgspec.structs.replace(ours(refusal), cause=cause, fix=fix)


def _target(device: Device, place: Candidate | None) -> Target | None:
    """Return the target that is pushed to; where there is none, the one that would be the reason."""
    if place is not None:
        return next((one for one in device.targets if one.id == place.target), None)
    return max(device.targets, key=_standing, default=None)


def _standing(target: Target) -> tuple[bool, int]:
    return target.state is TargetState.ACTIVE, target.since


def _unfit(target: Target | None, push_type: PushType) -> Outcome:
    """Return why a device cannot be pushed to."""
    if target is None:
        return ours(Refusal.NO_TARGET)
    match target.state:
        case TargetState.ACTIVE:
            for_calls_alone = push_type is not PushType.CALL and target.kind is TargetKind.APNS_VOIP
            return ours(Refusal.NOT_A_CALL if for_calls_alone else Refusal.NO_TARGET)
        case TargetState.QUARANTINED:
            return ours(Refusal.TOKEN_QUARANTINED, detail=_said(target))
        case TargetState.RETIRED:
            return ours(Refusal.TOKEN_RETIRED, detail=_said(target))


def _said(target: Target) -> str:
    return f"It said {target.reason}." if target.reason else ""
