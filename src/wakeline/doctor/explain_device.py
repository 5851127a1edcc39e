"""Explaining devices, users and tokens: what is registered, how it fares, what was sent last."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from wakeline import ports
from wakeline.doctor.explanation import Explanation, Step
from wakeline.doctor.meaning import meaning, of_delivery
from wakeline.doctor.phone_reasons import system_of, told, unused
from wakeline.doctor.sender import lacking
from wakeline.doctor.silence import FIX, of_device
from wakeline.model.app import App
from wakeline.model.delivery import Delivery
from wakeline.model.device import RAW_PREFIX, Device, Target, TargetChange, TargetKind, TargetState
from wakeline.model.moments import moment
from wakeline.model.route import ProviderKind
from wakeline.observe.masking import masked_token
from wakeline.pipeline import Pipeline
from wakeline.pipeline.limits import Limited

_RECENT = 10
_DAY = 86_400_000
_ACTIVE = "active"
_MOVED = "moved"
_LEFT = {
    _MOVED: "its token turned up with another device of the app",
    "not registered any more": "the app registered without it",
}
"""Reasons in history for which a device has a target no more."""
_OURS, _ITS_OWN, _FALLEN, _FINE = range(4)
_WAKES = (_ITS_OWN, _FINE)


_WENT = (
    "no target: its token moved to another device",
    "Its token is with another device of the app now: the app was installed anew, or registers under another device id.",
    "Nothing, if the phone is that other device now; else have the app keep one device id.",
)


class _Weighed(NamedTuple):
    """What is said of one device of a user, and how much it matters: `_OURS` first."""

    weight: int
    device: str
    cause: str
    fix: str
    step: Step


class DeviceExplainer:
    """Explains from registry, credentials, holds and ledger."""

    def __init__(
        self,
        clock: ports.Clock,
        devices: ports.Devices,
        credentials: ports.Credentials,
        routes: ports.Routes,
        ledger: ports.Ledger,
        pipeline: Pipeline,
        *,
        stale_after: int,
    ) -> None:
        self._clock = clock
        self._devices = devices
        self._credentials = credentials
        self._routes = routes
        self._ledger = ledger
        self._pipeline = pipeline
        self._stale_after = 1000 * stale_after

    async def device(self, app: App, device: Device) -> Explanation:
        """Explain a device: can it be woken, and if not, why."""
        verdict, cause, fix = await self._whole(app, device)
        return Explanation(
            about=f"device {device.device_id} of app {app.slug}",
            verdict=verdict,
            cause=cause,
            fix=fix,
            steps=(*await self._steps(device), *self._recorded(app)),
        )

    async def token(self, app: App, device: Device, kind: TargetKind, value: str) -> Explanation:
        """Explain one token."""
        own = tuple(target for target in device.targets if (target.kind, target.value) == (kind, value))
        verdict, cause, fix = self._judged(app, device, own)
        return Explanation(
            about=f"{kind.value} token {masked_token(value)} of device {device.device_id}, app {app.slug}",
            verdict=verdict,
            cause=cause,
            fix=fix,
            steps=tuple(await self._steps(device)),
        )

    async def user(self, user: str, found: Sequence[tuple[App, Device]]) -> Explanation:
        """Explain a user: each of their devices."""
        judged = sorted([await self._weighed(app, device) for app, device in found], key=lambda one: one.weight)
        reachable = sum(one.weight in _WAKES for one in judged)
        cause, fix = _first_of(judged)
        steps = [one.step for one in judged]
        verdict = f"{reachable} of {len(found)} devices can be woken"
        apps = list(dict.fromkeys(app for app, _ in found))
        reached = [(app, one) for app in apps for one in await self._pipeline.limited.of_user(app, user)]
        if reached and reachable:
            types = ", ".join(sorted({one.push_type.value for _, one in reached}))
            verdict += f", and a limit keeps what is sent ({types})"
            cause = (
                f"The user had as many pushes as they may for now ({types}): more wait, and calls are refused (914)."
            )
            fix = "Send less often, or collapse with `collapse_id`; the app's setting `limits` switches the limits off."
        if len(found) == 1:
            steps += await self._steps(found[0][1])
        steps += [_until(app, one) for app, one in reached]
        recorded = [step for app in apps for step in self._recorded(app)]
        return Explanation(about=f"user {user}", verdict=verdict, cause=cause, fix=fix, steps=(*steps, *recorded))

    async def _weighed(self, app: App, device: Device) -> _Weighed:
        """Judge a device of a user: what an operator can mend comes before what the phone decides, and that before old phones."""
        blocked = self.in_the_way(app, device, device.targets) is not None
        verdict, cause, fix = await self._whole(app, device)
        if blocked:
            weight = _OURS if any(target.state is TargetState.ACTIVE for target in device.targets) else _FALLEN
        else:
            weight = _FINE if verdict == _ACTIVE else _ITS_OWN
        return _Weighed(
            weight=weight,
            device=device.device_id,
            cause=cause,
            fix=fix,
            step=Step(
                at=moment(device.seen),
                what=f"device {device.device_id} of app {app.slug}",
                detail=f"{verdict}. {cause}",
            ),
        )

    def _recorded(self, app: App) -> list[Step]:
        """Say that the requests of an app and the answers to them are recorded, if they are."""
        window = self._pipeline.debug.state(app)
        if not window.open:
            return []
        until = None if window.until is None else moment(window.until)
        detail = f"Requests of app {app.slug} and their answers are recorded, and told to who is told of its events."
        return [
            Step(
                at=until,
                what="the debug window is open until then" if until else "the debug window is open",
                detail=detail,
            )
        ]

    def in_the_way(self, app: App, device: Device, targets: tuple[Target, ...]) -> tuple[str, str, str] | None:
        """Return verdict, cause and fix of what keeps these targets of a device from being sent to; None: nothing does."""
        best = min(targets, key=lambda target: list(TargetState).index(target.state), default=None)
        if best is not None and best.state is TargetState.ACTIVE and self._obstacle(app, best) is None:
            return None
        return self._judged(app, device, targets)

    async def _whole(self, app: App, device: Device) -> tuple[str, str, str]:
        """Return verdict, cause and fix of a device; of one without a token also where it went."""
        last = [] if device.targets else await self._devices.history(device.id, limit=1)
        if last and last[0].reason == _MOVED:
            return _WENT
        return self._judged(app, device, device.targets)

    def _judged(self, app: App, device: Device, targets: tuple[Target, ...]) -> tuple[str, str, str]:
        """Return verdict, cause and fix for these targets of a device; the best of them speaks for it."""
        if not targets:
            return "no target", "The device registered no token.", "Have the app ask for a token and register it."
        best = min(targets, key=lambda target: list(TargetState).index(target.state))
        if best.state is not TargetState.ACTIVE:
            return _fallen(best)
        obstacle = self._obstacle(app, best)
        if obstacle is not None:
            return obstacle
        system, now = system_of(device, best.kind), self._clock.now()
        said = told(device, system)
        if said:
            return "active, but the device limits it", " ".join(said), "Nothing here: it is set on the device."
        unheard = now - max(device.seen, device.connected_until, best.since, best.confirmed)
        if unheard > self._stale_after and not device.device_id.startswith(RAW_PREFIX):
            return (
                f"active, but stale: not heard of for {unheard // _DAY} days",
                "An app registers at each start, so nobody has opened it since; it may be removed.",
                "Nothing here, if the app registers at each start. `[devices] retire_stale_after` retires such tokens.",
            )
        if idle := unused(device, system, now):
            return "active, but its app is not opened", idle, "Nothing here, if the app registers at each start."
        silent = of_device(self._pipeline.silence.suspicions(), device, best.kind.value)
        if silent is not None:
            return "active, but phones like it have fallen silent", silent.note, FIX
        return _ACTIVE, "It is registered, and nothing speaks against its token.", "Nothing."

    def _obstacle(self, app: App, target: Target) -> tuple[str, str, str] | None:
        """Return what stands between us and an active target: no credential, a paused app, a held route."""
        provider = target.kind.provider
        if not any(one.provider is provider for one in self._credentials.of_app(app.id)):
            missing = meaning(target.kind, 0, "no_credential", 901)
            return "active, but no credential (901)", missing.cause if missing else "", missing.fix if missing else ""
        uncovered = lacking(app, target, self._credentials.of_app(app.id), self._clock.now())
        if uncovered is not None:
            code, takes = uncovered
            cause = f"No credential of the app covers the {target.kind.value} token. {takes}"
            fix = f"`wakeline credential add FILE --app {app.slug}`, or have the app register with the right topic and environment."
            return f"active, but no credential covers it ({code})", cause, fix
        if app.paused:
            return "active, but the app is paused (902)", "An operator paused the app.", "Resume the app."
        for route in self._routes.all():
            if (
                route.app == app.id
                and route.provider is provider
                and route.environment is target.environment
                and (provider is not ProviderKind.WEBPUSH or route.topic == target.topic)
                and route.hold
            ):
                return f"active, but its route is held ({route.hold.code})", route.hold.cause, route.hold.fix
        return None

    async def _steps(self, device: Device) -> list[Step]:
        steps = [Step(at=moment(device.created), what="registered", detail=f"for {_listed(device.users)}")]
        if device.connected_until > self._clock.now():
            steps.append(Step(at=moment(device.connected_until), what="connected until then"))
        steps += [_target(target) for target in device.targets]
        for change in await self._devices.history(device.id, limit=_RECENT):
            steps.append(_changed(change))
        steps += [_delivered(one) for one in await self._ledger.recent(device.app, device=device.id, limit=_RECENT)]
        return sorted(steps, key=lambda step: step.at or datetime.min.replace(tzinfo=UTC))


def _first_of(judged: Sequence[_Weighed]) -> tuple[str, str]:
    """Return cause and fix of the device that matters most; of several it is named."""
    first = judged[0]
    if len(judged) == 1:
        return first.cause, first.fix
    if first.weight == _FINE:
        return "All are registered, and nothing speaks against their tokens.", first.fix
    return f"{first.device}: {first.cause}", first.fix


def _changed(change: TargetChange) -> Step:
    if change.reason in _LEFT:
        return Step(at=moment(change.at), what=f"{change.kind} target left", detail=_LEFT[change.reason])
    evidence = f": {change.evidence.status} {change.evidence.reason}" if change.evidence is not None else ""
    return Step(
        at=moment(change.at), what=f"{change.kind} became {change.state.value}", detail=f"{change.reason}{evidence}"
    )


def _until(app: App, limited: Limited) -> Step:
    """Say of which type a user may have no more now, and until when."""
    detail = f"{limited.push_type.value} pushes of app {app.slug}"
    return Step(at=moment(limited.until), what="limited until then", detail=detail)


def _fallen(target: Target) -> tuple[str, str, str]:
    """Return verdict, cause and fix of a quarantined or retired token."""
    evidence = target.evidence
    known = meaning(target.kind, evidence.status, evidence.reason) if evidence is not None else None
    answer = f" after {evidence.status} {evidence.reason}" if evidence is not None else ""
    cause = known.cause if known is not None else f"It fell out of use: {target.reason or 'no reason was kept'}."
    fix = known.fix if known is not None else "Have the app register again."
    if target.state is TargetState.QUARANTINED:
        fix += " `wakeline device restore` makes it active again if the doubt is wrong."
    return f"{target.state.value}{answer}", cause, fix


def _target(target: Target) -> Step:
    detail = f"{masked_token(target.value)}, {target.environment.value}, {target.state.value}"
    if target.topic:
        detail += f", {target.topic}"
    if target.reason:
        detail += f", {target.reason}"
    at = target.since or target.confirmed
    return Step(at=moment(at) if at else None, what=f"{target.kind.value} target", detail=detail)


def _delivered(delivery: Delivery) -> Step:
    known = of_delivery(delivery)
    detail = f"{delivery.state.value}. {known.cause if known else ''}".strip()
    return Step(at=moment(delivery.at), what=f"delivery ({delivery.kind})", detail=detail)


def _listed(users: tuple[str, ...]) -> str:
    return ", ".join(users) or "nobody in particular"
