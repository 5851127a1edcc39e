"""Explaining one phone of a SIP address: can it be woken, by what, and what came of it the last time.

A phone rings if all of this holds: it is registered or kept, its Contact has push parameters, an app has a credential for them, the
app's device is well, and the push service took the last push. The first that does not hold is the answer. If all do and the phone
has not registered since it was woken, it ended at the push service or on the phone.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from wakeline import ports
from wakeline.doctor.explain_device import DeviceExplainer
from wakeline.doctor.explanation import Step, phone_decides
from wakeline.doctor.meaning import of_delivery
from wakeline.doctor.phone_reasons import ask_phone
from wakeline.doctor.sender import sender_of
from wakeline.model.app import App
from wakeline.model.delivery import Delivery, DeliveryState
from wakeline.model.device import Device, Target, TargetKind
from wakeline.model.ids import milliseconds_of
from wakeline.model.moments import moment, worded
from wakeline.model.notification import PushType
from wakeline.model.sip.binding import TOKEN_GONE, Binding
from wakeline.model.sip.push import PushParams
from wakeline.observe.masking import masked_token
from wakeline.wire.sip.push_params import hidden

_WAKES = 5
"""Pushes of each phone that are told."""
_TAKEN = frozenset({DeliveryState.ACCEPTED, DeliveryState.ACKNOWLEDGED, DeliveryState.OPENED})
_LOST = frozenset({DeliveryState.FAILED, DeliveryState.EXPIRED, DeliveryState.HELD, DeliveryState.SKIPPED})

Finding = tuple[str, str, str]
"""Verdict, cause and fix."""


class Phone(msgspec.Struct, frozen=True):
    """What there is to say of a phone. `wrong`: what keeps it from being woken; `quiet`: why it did not ring though it can be."""

    wrong: Finding | None
    quiet: Finding | None
    steps: tuple[Step, ...]


class PhoneExplainer:
    """Explains from a registration, the registry and the ledger."""

    def __init__(
        self,
        clock: ports.Clock,
        devices: ports.Devices,
        credentials: ports.Credentials,
        ledger: ports.Ledger,
        device_explainer: DeviceExplainer,
    ) -> None:
        self._clock = clock
        self._devices = devices
        self._credentials = credentials
        self._ledger = ledger
        self._device_explainer = device_explainer

    async def phone(self, binding: Binding, apps: Mapping[int, App]) -> Phone:
        """Explain the phone of a registration."""
        app = apps.get(binding.app)
        device = await self._devices.get(app.id, binding.device) if app is not None and binding.device else None
        wakes = [] if device is None else await self._ledger.recent(device.app, device=device.id, limit=_WAKES)
        return Phone(
            self._wrong(binding, app, device),
            _quiet(binding, device, wakes[0], self._clock.now()) if wakes and device is not None else None,
            (*self._steps(binding), *self._way(app, device), *map(_woken, reversed(wakes))),
        )

    def _wrong(self, binding: Binding, app: App | None, device: Device | None) -> Finding | None:
        """Return what keeps a phone from being woken."""
        if binding.why_not == TOKEN_GONE:
            return (
                "cannot be woken: its token is gone",
                f"{TOKEN_GONE}: the app was removed, or the phone gave it another one and has not registered since.",
                "Open the app: it gets a token and registers with it. Calls reach the phone while it is awake.",
            )
        if binding.why_not:
            return (
                "cannot be woken",
                f"{binding.why_not.rstrip('.')}.",
                "Once that is put right, have the phone register again: its push parameters are read when it does.",
            )
        if binding.push is None:
            return (
                "cannot be woken: it did not ask for it",
                "Its Contact has no push parameters, so it rings only while it runs and its registration lasts.",
                "Have the app put pn-provider, pn-param and pn-prid into its Contact (RFC 8599 section 4.1).",
            )
        if app is None:
            return (
                "cannot be woken: no app covers its push parameters",
                f"No app has a credential for {_topics(binding.push)}.",
                "Add the credential (`wakeline credential add`), and have the phone register again.",
            )
        if device is None:
            return (
                "cannot be woken: its device is gone",
                f"The app {app.slug} has no device {binding.device} any more.",
                "Have the phone register again.",
            )
        senders = self._senders(app, device)
        served = any(
            one.provider in {each.kind.provider for each in _ringing(device)}
            for one in self._credentials.of_app(app.id)
        )
        if served and not any(sends for _, sends in senders):
            return (
                "cannot be woken: no credential covers it",
                f"Its app has no credential for it any more. {senders[0][0]}",
                "Add the credential (`wakeline credential add`).",
            )
        found = self._device_explainer.in_the_way(app, device, _ringing(device))
        return None if found is None else (f"cannot be woken: {found[0]}", *found[1:])

    def _senders(self, app: App, device: Device) -> list[tuple[str, bool]]:
        """Return who sends calls to each target of a device that calls go to."""
        credentials, now = self._credentials.of_app(app.id), self._clock.now()
        return [sender_of(app, target, credentials, now) for target in _ringing(device)]

    def _way(self, app: App | None, device: Device | None) -> list[Step]:
        """Return through what a phone is woken, and by whom."""
        if app is None or device is None:
            return []
        through = Step(at=None, what="woken through", detail=f"app {app.slug}, device {device.device_id}")
        return [through, *(Step(at=None, what="sender", detail=said) for said, _ in self._senders(app, device))]

    def _steps(self, binding: Binding) -> list[Step]:
        """Return what is known of a registration, in the order in which it came to be."""
        ended = binding.expires <= self._clock.now()
        steps = [Step(at=moment(binding.registered), what="registered", detail=_from_where(binding))]
        if binding.updated != binding.registered:
            steps.append(Step(at=moment(binding.updated), what="registered again"))
        steps.append(
            Step(
                at=moment(binding.expires),
                what="registration ended" if ended else "registration ends",
                detail=f"{'kept' if binding.push is None else 'woken'} until {worded(binding.kept)}",
            )
        )
        if binding.push is not None:
            steps.append(Step(at=None, what="push parameters", detail=_understood(binding.push)))
        return steps


def _quiet(binding: Binding, device: Device, last: Delivery, now: int) -> Finding | None:
    """Return why a phone that can be woken did not ring: the last push was not taken, or nothing followed from it."""
    if last.state in _LOST:
        known = of_delivery(last)
        return (
            f"was not woken last time: the push {last.state.value}",
            known.cause if known is not None else f"It {last.state.value} ({last.reason or last.code}).",
            known.fix if known is not None else "`wakeline explain` with the id of the delivery tells more.",
        )
    if last.state in _TAKEN and milliseconds_of(last.notification) > binding.updated:
        return (
            "was sent a push, and has not registered since",
            phone_decides(last.kind),
            ask_phone(device, last.kind, now, PushType.CALL),
        )
    return None


def _ringing(device: Device) -> tuple[Target, ...]:
    """Return the targets that a call goes to: those for calls, if there are any."""
    return tuple(each for each in device.targets if each.kind is TargetKind.APNS_VOIP) or device.targets


def _from_where(binding: Binding) -> str:
    """Return from where a phone registered, without its tokens."""
    said = [f"as {hidden(binding.contact)}"]
    if binding.user_agent:
        said.append(f"by {binding.user_agent}")
    if binding.flow:
        said.append(f"over {binding.flow}")
    return ", ".join(said)


def _understood(push: PushParams) -> str:
    """Return push parameters as they were understood."""
    tokens = [
        " ".join(filter(None, (each.service, "token", masked_token(each.value), each.topic and f"for {each.topic}")))
        for each in push.tokens
    ]
    form = ["in the form from before RFC 8599"] if push.legacy else []
    return "; ".join([push.provider.value, *tokens, *form, *push.warnings])


def _topics(push: PushParams) -> str:
    return f"{push.provider.value} and {', '.join(each.topic for each in push.tokens if each.topic) or push.param}"


def _woken(delivery: Delivery) -> Step:
    known = of_delivery(delivery)
    detail = f"{delivery.state.value}. {known.cause if known else ''}".strip()
    return Step(at=moment(delivery.at), what=f"push ({delivery.kind})", detail=detail)
