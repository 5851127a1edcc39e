"""The events of a batch of results: made right before it is written, so that they are of the same commit.

Rule: devices are looked up once a batch, for all events and verdicts together, and only if there are any.
"""

from __future__ import annotations

import asyncio

from wakeline.model.device import Device
from wakeline.model.event import Event, EventType
from wakeline.pipeline import report
from wakeline.pipeline.batch import Batch, Doubt, Report
from wakeline.pipeline.exchange import Recorder
from wakeline.pipeline.load import Load
from wakeline.pipeline.parts import Parts
from wakeline.ports import TargetVerdict

_TOGETHER = 25
"""Requests that are written out before others have the loop: some 2 ms."""


class BatchEvents:
    """Makes events of what was gathered."""

    def __init__(self, parts: Parts, recorder: Recorder) -> None:
        self._parts = parts
        self._recorder = recorder

    async def devices(self, batch: Batch) -> dict[int, Device]:
        """Look up the devices that events and verdicts are about, by target."""
        targets = {said.load.packed[said.number] >> 16 for said in batch.reports}
        targets |= {doubt.load.packed[doubt.number] >> 16 for doubt in batch.doubts}
        return await self._parts.devices.by_target_ids(list(targets)) if targets else {}

    def wants_completion(self, batch: Batch) -> bool:
        """Tell whether anybody listens for the completion of single successes of these apps."""
        apps = {load.job.app for load in batch.loads.values()}
        return any(self._parts.wanted(EventType.NOTIFICATION_COMPLETED, app) for app in apps)

    async def events(self, batch: Batch, devices: dict[int, Device]) -> list[Event]:
        """Return what became of deliveries, with what was recorded of them."""
        events = []
        recorded = 0
        for said in batch.reports:
            event = self._event(said, devices)
            if said.sent is not None:
                load, place = said.load, said.number
                event = self._recorder.told(event, said.sent, load.notification_of(place), load.recipients[place])
                recorded += 1
                if recorded % _TOGETHER == 0:
                    await asyncio.sleep(0)
            events.append(event)
        return events

    def judged(self, doubt: Doubt, verdict: TargetVerdict, device: Device) -> Event | None:
        """Return what was decided about a target in doubt, if that is an event."""
        return report.judged(
            verdict.state,
            doubt.outcome,
            app=self._slug(doubt.load),
            device=device,
            target=verdict.target,
            kind=_kind(device, verdict.target),
            at=verdict.at,
        )

    def _event(self, said: Report, devices: dict[int, Device]) -> Event:
        target = said.load.packed[said.number] >> 16
        device = devices.get(target)
        return report.pushed(
            said.state,
            said.outcome,
            app=self._slug(said.load),
            notification=said.load.key(said.number),
            target=target,
            device=device,
            kind=_kind(device, target),
            tries=said.tries,
            at=said.at,
        )

    def _slug(self, load: Load) -> str:
        app = self._parts.apps.by_id(load.job.app)
        return app.slug if app is not None else ""


def _kind(device: Device | None, target: int) -> str:
    if device is None:
        return ""
    return next((item.kind.value for item in device.targets if item.id == target), "")
