"""Explaining notifications and deliveries: what happened in order, why, and what is outside anyone's control."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wakeline import ports
from wakeline.doctor.delivery_steps import attempts, ending, opening, ordered, reported, whom
from wakeline.doctor.explanation import Explanation, Step, company, phone_decides
from wakeline.doctor.held_by import held_step, holds_of
from wakeline.doctor.meaning import of_delivery
from wakeline.doctor.phone_reasons import ask_phone, every
from wakeline.doctor.silence import of_device
from wakeline.model.app import App
from wakeline.model.delivery import Delivery, DeliveryState
from wakeline.model.device import Device
from wakeline.model.ids import delivery_id, uuid_of
from wakeline.model.moments import moment, worded
from wakeline.model.notification import Counts, Notification
from wakeline.model.outcome import Outcome, OutcomeClass
from wakeline.model.route import Hold
from wakeline.model.silence import Suspicion
from wakeline.wire.outcomes import Refusal

_SHOWN = 50
_S = DeliveryState

# The first state that some delivery is in decides what the whole is about: what went wrong comes before what went well.
_URGENCY = (_S.FAILED, _S.EXPIRED, _S.HELD, _S.UNKNOWN, _S.SKIPPED, _S.SUPERSEDED, _S.CANCELLED, _S.QUEUED, _S.SENDING)


class DeliveryExplainer:
    """Explains from ledger, registry and holds."""

    def __init__(
        self,
        clock: ports.Clock,
        devices: ports.Devices,
        routes: ports.Routes,
        ledger: ports.Ledger,
        suspicions: Callable[[], Sequence[Suspicion]] = tuple,
    ) -> None:
        self._clock = clock
        self._devices = devices
        self._routes = routes
        self._ledger = ledger
        self._suspicions = suspicions

    async def notification(self, notification: Notification, app: App) -> Explanation:
        """Explain a notification: as its only delivery, or by counts and the delivery that went worst."""
        now = self._clock.now()
        counts = await self._ledger.counts(notification.key, now)
        page = await self._ledger.deliveries(notification.key, now=now, limit=_SHOWN)
        missing = await self._missing(notification)
        if len(page.deliveries) == 1 and not missing and notification.walked:
            return await self.delivery(notification, page.deliveries[0], app)
        worst = min(page.deliveries, key=_urgency, default=None)
        cause, fix = await self._why(worst, app, notification) if worst is not None else _nobody(notification, missing)
        steps = [*opening(notification), *missing]
        for delivery in page.deliveries:
            steps += attempts(delivery)
        steps += [*map(held_step, await self._holds(app, page.deliveries)), *ending(notification, counts)]
        return Explanation(
            about=f"notification {uuid_of(notification.key)}",
            verdict=_counted(counts) if page.deliveries or notification.recipients else _unsent(notification),
            cause=cause,
            fix=fix,
            steps=ordered(steps),
        )

    async def delivery(self, notification: Notification, delivery: Delivery, app: App) -> Explanation:
        """Explain one delivery."""
        push_type = notification.content.type
        cause, fix = await self._why(delivery, app, notification)
        steps = [
            *opening(notification),
            *attempts(delivery),
            *reported(delivery),
            *map(held_step, await self._holds(app, (delivery,))),
        ]
        if delivery.state in (_S.QUEUED, _S.HELD, _S.SCHEDULED, _S.UNKNOWN):
            steps.append(
                Step(at=moment(notification.expires), what="the ttl ends", detail="After that it is not sent any more.")
            )
        if delivery.state is _S.ACCEPTED:
            device = await self._device(delivery, app)
            reasons = every(device, delivery.kind, self._clock.now(), push_type)
            steps += [Step(at=None, what="on the device, perhaps", detail=reason) for reason in reasons]
        return Explanation(
            about=f"delivery {delivery_id(notification.key, delivery.target)} to {whom(delivery)}",
            verdict=_verdict(delivery),
            cause=cause,
            fix=fix,
            steps=ordered(steps),
        )

    async def _why(self, delivery: Delivery, app: App, notification: Notification) -> tuple[str, str]:
        """Return cause and fix of where a delivery is."""
        match delivery.state:
            case _S.ACCEPTED:
                device, now = await self._device(delivery, app), self._clock.now()
                cause, silent = phone_decides(delivery.kind), of_device(self._suspicions(), device, delivery.kind)
                if silent is not None:
                    cause += f" Phones like it have fallen silent. {silent.note}"
                return cause, ask_phone(device, delivery.kind, now, notification.content.type)
            case _S.ACKNOWLEDGED | _S.OPENED if delivery.reason != Refusal.ACKNOWLEDGED:
                return "The device itself reported the push: it arrived.", "Nothing."
            case _S.HELD:
                return await self._held(delivery, app)
            case _S.SCHEDULED | _S.QUEUED | _S.SENDING:
                return _waiting(delivery, notification)
        known = of_delivery(delivery)
        if known is not None:
            return known.cause, known.fix
        return f"It is {delivery.state.value}; no more was kept about it.", "Nothing."

    async def _held(self, delivery: Delivery, app: App) -> tuple[str, str]:
        if app.paused:
            return (
                "The app is paused by an operator.",
                f"`wakeline app resume {app.slug}`; what waits goes out until its ttl ends.",
            )
        for hold in await self._holds(app, (delivery,)):
            return hold.cause, hold.fix
        known = of_delivery(delivery)
        if known is not None and known.outcome_class is OutcomeClass.THROTTLED:
            return _limited(delivery, known)
        if known is not None:
            return known.cause, known.fix
        return "Its route was held and is released; it goes out in a moment.", "Nothing."

    async def _holds(self, app: App, deliveries: tuple[Delivery, ...]) -> list[Hold]:
        held = tuple(delivery for delivery in deliveries if delivery.state is _S.HELD)
        return await holds_of(app, held, self._routes, self._devices)

    async def _missing(self, notification: Notification) -> list[Step]:
        """Say which of the named users and devices have nothing to send to."""
        audience = notification.audience
        if audience is None or notification.bulk:
            return []
        at = moment(notification.created)
        users = [
            user
            for user in audience.users[:_SHOWN]
            if not (await self._devices.find(notification.app, user=user, limit=1)).devices
        ]
        names = [name for name in audience.devices[:_SHOWN] if await self._devices.get(notification.app, name) is None]
        return [
            *(
                Step(at=at, what=f"user {user} was not reached", detail="They have no device of this app.")
                for user in users
            ),
            *(
                Step(at=at, what=f"device {name} was not reached", detail="The app has no such device.")
                for name in names
            ),
        ]

    async def _device(self, delivery: Delivery, app: App) -> Device:
        known = await self._devices.get(app.id, delivery.device_id)
        return known or Device(id=0, app=app.id, device_id=delivery.device_id, users=())


def _limited(delivery: Delivery, known: Outcome) -> tuple[str, str]:
    """Return cause and fix of a delivery that waits for a limit, ours or its push service's."""
    said = (
        known.cause if delivery.status else "The user or the device has had as many pushes as may go out in this time."
    )
    return f"{said} It goes out at {worded(delivery.due or 0)}.", "Send less often, or collapse with `collapse_id`."


def _waiting(delivery: Delivery, notification: Notification) -> tuple[str, str]:
    """Return cause and fix of a delivery that is on its way."""
    if delivery.state is _S.SENDING:
        return f"It is with {company(delivery.kind)}, whose answer has not come yet.", "Nothing: ask again in a moment."
    if delivery.reason or delivery.code:
        known = of_delivery(delivery)
        what = known.cause if known else "An attempt failed."
        return f"{what} It is tried again at {worded(delivery.due or 0)}.", known.fix if known else "Nothing."
    if delivery.state is _S.SCHEDULED and notification.only_if_absent and (delivery.due or 0) > notification.due:
        cause = (
            "The device is connected, and the notification is for those who are not (`only_if_absent`): it is sent at "
            f"{worded(delivery.due or 0)}, unless the device acknowledges it before."
        )
        return cause, "Nothing; a device that is not connected any more is said so with PUT .../presence."
    if delivery.state is _S.SCHEDULED:
        return f"It is to be sent at {worded(delivery.due or 0)}.", "Nothing; cancel it if it must not go out."
    return "It waits for its turn.", "Nothing; `wakeline queue` shows how much waits."


def _urgency(delivery: Delivery) -> int:
    return _URGENCY.index(delivery.state) if delivery.state in _URGENCY else len(_URGENCY)


def _verdict(delivery: Delivery) -> str:
    """Say where a delivery is, in a line."""
    known = of_delivery(delivery)
    match delivery.state:
        case _S.ACCEPTED:
            return f"accepted by {company(delivery.kind)}; whether the phone shows it is the phone's decision"
        case _S.ACKNOWLEDGED:
            return "acknowledged by the device"
        case _S.OPENED:
            return "opened on the device"
        case _S.UNKNOWN:
            return "unknown: the push was written and never answered"
    answer = " ".join(part for part in (str(delivery.status or ""), delivery.reason) if part)
    what = answer or (known.reason if known else "")
    code = f" (code {delivery.code})" if delivery.code else ""
    return f"{delivery.state.value}{': ' if what else ''}{what}{code}"


def _counted(counts: Counts) -> str:
    """Say how many are where."""
    named = {name: getattr(counts, name) for name in counts.__struct_fields__}
    return ", ".join(f"{number} {name}" for name, number in named.items() if number) or "nothing was sent"


def _unsent(notification: Notification) -> str:
    return "the audience is being walked" if not notification.walked else "skipped: nobody to send to"


def _nobody(notification: Notification, missing: list[Step]) -> tuple[str, str]:
    if not notification.walked:
        return "Its audience is being walked; no delivery has been made yet.", "Nothing: ask again in a moment."
    if missing:
        return (
            "None of those it names has a device here.",
            "Have the app register its device after login, with this user's id.",
        )
    return (
        "It reached nobody: none of those it names has an active target that could take this kind of push.",
        "`wakeline explain` with the user or device shows what is registered and how it fares.",
    )
