"""What a test tells of each device: what the push service said, or where the push waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from wakeline.doctor.explain_delivery import DeliveryExplainer
from wakeline.doctor.explanation import phone_decides
from wakeline.doctor.meaning import meaning
from wakeline.edges.mesibo.answers import UNREACHED, DeviceTested, Tested
from wakeline.edges.mesibo.trials import Trial
from wakeline.edges.rest.notification_views import delivery as delivery_view
from wakeline.edges.rest.notification_views import outcome as outcome_view
from wakeline.edges.rest.ports import RestPorts
from wakeline.model.app import App
from wakeline.model.event import EventData, ReceivedResponse
from wakeline.model.ids import uuid_of
from wakeline.model.outcome import Outcome
from wakeline.observe.masking import masked_token
from wakeline.wire.event_json import sent_view
from wakeline.wire.mesibo.backend import Asked, Op
from wakeline.wire.outcomes import Refusal, ours

_NOBODY = 404
"""The code of an address that nobody has: 0 would read as success."""


class Telling:
    """Reads what was kept, where nothing was heard."""

    def __init__(self, ports: RestPorts) -> None:
        """Nothing is read yet."""
        self._ports = ports
        self._explainer = DeliveryExplainer(ports.clock, ports.devices, ports.routes, ports.ledger)

    async def of(self, app: App, address: str, trial: Trial, recorded: Mapping[str, EventData]) -> DeviceTested:
        """Tell of a device of this address, with what was recorded, by notification."""
        notification = uuid_of(trial.notification) if trial.notification else ""
        told = DeviceTested(
            address=address,
            result=False,
            state="pending",
            device=trial.device.device_id,
            kind=trial.target.kind if trial.target else "",
            token=masked_token(trial.target.value) if trial.target else "",
            notification=notification,
            code=0,
            text="",
        )
        if trial.outcome is None:
            return await self._waiting(app, trial, told)
        return _ended(told, trial.outcome, recorded.get(notification, EventData()))

    async def _waiting(self, app: App, trial: Trial, told: DeviceTested) -> DeviceTested:
        """Say where a push is that nobody has answered yet."""
        ledger, now = self._ports.ledger, self._ports.clock.now()
        notification = await ledger.notification(trial.notification)
        page = await ledger.deliveries(trial.notification, now=now, limit=1)
        if notification is None or not page.deliveries:
            return msgspec.structs.replace(told, text="Nothing is known of it yet.")
        delivery = page.deliveries[0]
        why = await self._explainer.delivery(notification, delivery, app)
        answered = next((one for one in reversed(delivery.attempts) if one.status), None)
        return msgspec.structs.replace(
            told,
            state=delivery.state,
            code=answered.status if answered is not None else delivery.code,
            text=why.cause,
            fix=why.fix,
            outcome=delivery_view(delivery).outcome,
            response=None if answered is None else ReceivedResponse(code=answered.status, reason=answered.reason),
        )


def nobody(address: str) -> DeviceTested:
    """Tell of an address that has no device."""
    outcome = ours(Refusal.UNKNOWN_USER)
    return DeviceTested(
        address=address,
        result=False,
        state="failed",
        code=_NOBODY,
        text=outcome.cause,
        fix=outcome.fix,
        outcome=outcome_view(outcome),
    )


def summed_up(asked: Asked, told: Sequence[DeviceTested]) -> Tested:
    """Return the answer to a test: it worked if each address was reached on a device at least."""
    reached = {each.address for each in told if each.result}
    missed = [each for each in told if each.address not in reached]
    devices = {each.device: each for each in told if each.device}.values()
    return Tested(
        op=Op.TEST,
        result=not missed,
        code=200 if not missed else next((each.code for each in missed if each.code), 0),
        id=asked.id,
        error=UNREACHED if missed else "",
        cause=missed[0].text if missed else "",
        fix=missed[0].fix if missed else "",
        sent=sum(bool(each.notification) for each in devices),
        accepted=sum(each.result for each in devices),
        devices=tuple(told),
    )


def _ended(told: DeviceTested, outcome: Outcome, recorded: EventData) -> DeviceTested:
    """Tell how it ended. The text of an answer is told where it was recorded, for there it is masked."""
    # A code of our own is for what never left; what a push service said bears its status, and our code in the outcome.
    code = outcome.status or outcome.code
    return msgspec.structs.replace(
        told,
        result=outcome.accepted,
        state="accepted" if outcome.accepted else "failed",
        code=code,
        text=phone_decides(told.kind) if outcome.accepted else outcome.cause,
        fix="" if outcome.accepted else outcome.fix,
        outcome=outcome_view(_of_kind(told.kind, outcome)),
        request=None if recorded.request is None else sent_view(recorded.request),
        response=recorded.response or (ReceivedResponse(code=code, reason=outcome.reason) if code else None),
    )


def _of_kind(kind: str, outcome: Outcome) -> Outcome:
    """Return an outcome in the words of who said it: that all went well is heard in one form, whoever says it."""
    return (meaning(kind, outcome.status, "") or outcome) if outcome.accepted else outcome
