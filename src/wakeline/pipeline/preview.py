"""What would be sent, without sending: `validate_only`. Nothing is kept, nothing is charged, nothing leaves."""

from __future__ import annotations

import msgspec

from wakeline.model.app import App
from wakeline.model.delivery import unpack, unpack_all
from wakeline.model.errors import WakelineError
from wakeline.model.notification import Notification, NotificationRequest, PushType
from wakeline.model.outcome import Outcome
from wakeline.model.route import Lane
from wakeline.pipeline import report
from wakeline.pipeline.draft import Drafting
from wakeline.pipeline.parts import Parts
from wakeline.pipeline.ready import Ready
from wakeline.pipeline.resolve import address_of, choose
from wakeline.pipeline.route import RouteTable
from wakeline.pipeline.way import facing
from wakeline.ports import Preview
from wakeline.wire.outcomes import Refusal, ours

SAMPLE = 20
"""Recipients shown of an audience that is walked."""


class PreviewItem(msgspec.Struct, frozen=True, kw_only=True):
    """One recipient: the request it would get, or why it gets none. `credential` is an id; `due` in Unix ms."""

    device: str
    target: int
    kind: str
    request: Preview | None = None
    credential: int | None = None
    host: str = ""
    due: int = 0
    outcome: Outcome | None = None
    warnings: tuple[str, ...] = ()


class PreviewResult(msgspec.Struct, frozen=True, kw_only=True):
    """A notification as it would be sent; of a walked audience only the first recipients are shown. Times in Unix ms."""

    type: PushType
    lane: Lane
    due: int
    expires: int
    recipients: int | None
    estimate: int | None
    items: tuple[PreviewItem, ...] = ()


class Previewing:
    """Answers `validate_only`."""

    def __init__(self, parts: Parts, table: RouteTable, drafting: Drafting) -> None:
        self._parts = parts
        self._table = table
        self._drafting = drafting

    async def preview(self, app: App, request: NotificationRequest) -> PreviewResult:
        """Return what a notification would become. Raises what `accept` would answer."""
        [ready] = await self._drafting.drafts(app, [(request, "")])
        if isinstance(ready, WakelineError):
            raise ready
        self._drafting.refund(ready.charges)
        notification, walked = ready.notification, ready.estimate is not None
        items = await self._sample(app, notification) if walked else await self._named(ready)
        return PreviewResult(
            type=notification.content.type,
            lane=notification.lane,
            due=notification.due,
            expires=notification.expires,
            recipients=None if walked else notification.recipients,
            estimate=ready.estimate,
            items=tuple(items),
        )

    async def _named(self, ready: Ready) -> list[PreviewItem]:
        by_reason = {outcome.reason: outcome for outcome in ready.failures}
        wanted: list[tuple[int, int | Outcome, int]] = [
            (unpack(packed)[0], job.route, job.due) for job in ready.jobs for packed in unpack_all(job.recipients)
        ]
        if ready.single is not None:
            wanted.append((unpack(ready.single.recipient)[0], ready.single.route, ready.notification.due))
        wanted += [(row.target, by_reason[row.reason], row.at) for row in ready.rows]
        return [await self._item(ready.notification, *one) for one in wanted]

    async def _sample(self, app: App, notification: Notification) -> list[PreviewItem]:
        """Show the first devices that a walk would meet."""
        audience, push_type = notification.audience, notification.content.type
        if audience is None or not audience.is_broad:
            return []
        found = await self._parts.devices.walk(app.id, tags=audience.tags, after=0, limit=SAMPLE)
        chosen = choose(found, push_type, app.settings)
        places = await self._table.place(app, push_type, {address_of(candidate) for candidate in chosen})
        return [
            await self._item(notification, candidate.target, places[address_of(candidate)], notification.due)
            for candidate in chosen
        ]

    async def _item(self, notification: Notification, target: int, place: int | Outcome, due: int) -> PreviewItem:
        device = await self._parts.devices.by_target_id(target)
        kind = next((item.kind.value for item in device.targets if item.id == target), "") if device is not None else ""
        item = PreviewItem(device=device.device_id if device is not None else "", target=target, kind=kind, due=due)
        if isinstance(place, Outcome):
            return msgspec.structs.replace(item, outcome=place)
        way = self._table.way(place)
        found = await self._parts.devices.recipients([target])
        if way is None or way.credential is None or not found:
            stranded = way is not None and self._table.stranded(way) is not None
            refusal = Refusal.WRONG_ENVIRONMENT if stranded else Refusal.NO_CREDENTIAL
            return msgspec.structs.replace(item, outcome=ours(refusal))
        provider = self._parts.providers[way.route.provider]
        now = self._parts.clock.now()
        request = provider.preview(notification, facing(way.route), way.credential, found[0], now)
        hold = self._table.barrier(way)
        return msgspec.structs.replace(
            item,
            request=request,
            credential=way.credential.id,
            host=request.url.split("/")[2] if "://" in request.url else request.url,
            warnings=(*request.warnings, *([report.worded(hold)] if hold is not None else ())),
        )
