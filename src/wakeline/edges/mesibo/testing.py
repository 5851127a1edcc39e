"""pushtest: a push to each device of some users, and what became of it there.

Rule: the push is an ordinary one, under the limits that every push is under, to each device by itself, so that each answer can be
told. Who is not answered in time is told where his push waits, and it goes out within its minute if it still can. A device that
cannot be pushed to is told with the reason, and nothing is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import structlog

from wakeline.edges.mesibo.answers import DeviceTested, Tested
from wakeline.edges.mesibo.telling import Telling, nobody, summed_up
from wakeline.edges.mesibo.trials import Trial
from wakeline.edges.rest.ports import RestPorts
from wakeline.model.app import App
from wakeline.model.delivery import DeliveryState
from wakeline.model.device import Device
from wakeline.model.errors import InvalidRequest, WakelineError
from wakeline.model.event import EventData
from wakeline.model.ids import uuid_of
from wakeline.model.notification import Alert, Audience, Call, NotificationRequest, Priority, PushType
from wakeline.pipeline import Submission, Taken
from wakeline.pipeline.resolve import choose
from wakeline.ports import Reply
from wakeline.wire.mesibo.backend import Asked, Params, addresses, text
from wakeline.wire.outcomes import Refusal

PATIENCE = 10.0
"""Seconds that a test waits for the push services."""

MOST_DEVICES = 50
"""Devices that one test pushes to."""

_LASTS = 60
"""Seconds for which a test push is good: longer than its answer is waited for, and too short to puzzle anybody tomorrow."""

_LOOK_AFTER = 1.0
"""Seconds after which it is looked, again and again, whether an answer can still come."""

_TYPES = {kind.value: kind for kind in (PushType.BACKGROUND, PushType.ALERT, PushType.CALL)}
_PAGE, _PAGES = 500, 20
_MARK = {"pushtest": "1"}
"""The data of a test push: what an app may know it by."""

_log = structlog.get_logger()


class PushTests:
    """Runs tests; `patience` is how long answers are waited for, in seconds."""

    def __init__(self, ports: RestPorts, patience: float = PATIENCE) -> None:
        """Nothing is sent yet."""
        self._ports = ports
        self._patience = patience
        self._telling = Telling(ports)

    async def run(self, app: App, asked: Asked, request_id: str) -> Tested:
        """Send and wait. Raises InvalidRequest, and what accepting raises if nobody gets anything."""
        names, push_type = addresses(asked.params), _type(asked.params)
        before = await self._ports.events.last()
        found = {name: await self._devices(app, name) for name in names}
        trials = await self._trials(app, found.values(), push_type)
        await self._send(app, [trial for trial in trials.values() if trial.refusal is None], asked, request_id)
        await self._wait(trials.values())
        recorded = await self._recorded(app, before, trials.values())
        told: list[DeviceTested] = []
        for name, devices in found.items():
            told += [await self._telling.of(app, name, trials[one.id], recorded) for one in devices] or [nobody(name)]
        answer = summed_up(asked, told)
        _log.info("mesibo.tested", request_id=request_id, app=app.slug, sent=answer.sent, accepted=answer.accepted)
        return answer

    async def _devices(self, app: App, address: str) -> Sequence[Device]:
        return (await self._ports.devices.find(app.id, user=address, limit=MOST_DEVICES)).devices

    async def _trials(self, app: App, found: Iterable[Sequence[Device]], push_type: PushType) -> dict[int, Trial]:
        """Return a trial for each device, once, whoever it was found by. Raises InvalidRequest if there are too many."""
        devices = {device.id: device for some in found for device in some}
        if len(devices) > MOST_DEVICES:
            raise InvalidRequest(
                f"they have {len(devices)} devices, and one test is for {MOST_DEVICES}",
                pointer="/addresses",
                fix="Name fewer addresses.",
            )
        named = [device.device_id for device in devices.values()]
        candidates = await self._ports.devices.candidates_of_devices(app.id, named) if named else []
        places = {place.device: place for place in choose(candidates, push_type, app.settings)}
        return {number: Trial(device, places.get(number), push_type) for number, device in devices.items()}

    async def _send(self, app: App, trials: Sequence[Trial], asked: Asked, request_id: str) -> None:
        """Have a push for each accepted. Raises what is wrong, if that is so for all of them."""
        if not trials:
            return
        submissions = [_submission(trial, asked.params, request_id) for trial in trials]
        results = await self._ports.pipeline.accept.accept(app, submissions)
        errors = [result for result in results if isinstance(result, WakelineError)]
        if len(errors) == len(results):
            raise errors[0]
        for trial, result in zip(trials, results, strict=True):
            match result:
                case Taken(key=key, failures=failures):
                    trial.notification, trial.refusal = key, next(iter(failures), None)
                case WakelineError(detail=detail, fix=fix):
                    trial.refuse(Refusal.PAYLOAD, detail, fix)

    async def _wait(self, trials: Iterable[Trial]) -> None:
        """Wait for answers, and hear nothing of those that come later; what was heard is written then."""
        awaited = {trial.notification: answer for trial in trials if (answer := trial.awaited) is not None}
        if not awaited:
            return
        left = self._patience
        while left > 0:
            await asyncio.wait(awaited.values(), timeout=min(left, _LOOK_AFTER))
            left -= _LOOK_AFTER
            if await self._are_held(key for key, answer in awaited.items() if not answer.done()):
                break
        for notification in awaited:
            self._ports.pipeline.settle.hearing.forget(notification)
        await self._ports.pipeline.settle.flush()

    async def _are_held(self, notifications: Iterable[int]) -> bool:
        """Tell whether nothing is to be waited for: all that is not answered is held."""
        now = self._ports.clock.now()
        for notification in notifications:
            page = await self._ports.ledger.deliveries(notification, now=now, limit=1)
            if any(one.state is not DeliveryState.HELD for one in page.deliveries):
                return False
        return True

    async def _recorded(self, app: App, after: int, trials: Iterable[Trial]) -> dict[str, EventData]:
        """Return what the journal has of how these pushes ended since then, by notification."""
        names = {uuid_of(trial.notification) for trial in trials if trial.notification}
        found: dict[str, EventData] = {}
        for _ in range(_PAGES if names else 0):
            page = await self._ports.events.read(after=after, apps=frozenset((app.slug,)), limit=_PAGE)
            ended = (event.data for event in page if event.data.response is not None)
            found |= {data.notification: data for data in ended if data.notification in names}
            if len(page) < _PAGE:
                break
            after = page[-1].seq
        return found


def _type(params: Params) -> PushType:
    """Return what is sent: as asked for; else an alert if there is text to show, else a background push. Raises InvalidRequest."""
    said = text(params, "type").lower()
    if said and said not in _TYPES:
        raise InvalidRequest(
            f"`type` is {', '.join(_TYPES)}", pointer="/type", fix="Leave it out for a background push."
        )
    return _TYPES.get(said) or (PushType.ALERT if _has_text(params) else PushType.BACKGROUND)


def _has_text(params: Params) -> bool:
    return bool(text(params, "title") or text(params, "body"))


def _submission(trial: Trial, params: Params, request_id: str) -> Submission:
    title, body, push_type = text(params, "title"), text(params, "body"), _type(params)
    request = NotificationRequest(
        to=Audience(devices=(trial.device.device_id,)),
        type=push_type,
        alert=Alert(title=title or "Test", body=body) if push_type is PushType.ALERT else None,
        call=Call(id=f"pushtest-{request_id}", caller=title or "Test") if push_type is PushType.CALL else None,
        data=_MARK,
        priority=Priority.HIGH,
        ttl=_LASTS,
    )
    return Submission(
        request=request,
        idempotency=None,
        reply=_unasked,
        request_id=request_id,
        keeps_unserved=True,
        heard=trial.heard,
    )


def _unasked(_taken: Taken) -> Reply:
    """Nothing is kept for repeats: a test that is asked for again is another one."""
    return Reply(status=200, body=b"")
