"""Reading the registry in dictionaries: whom a push reaches, and what a device is."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import islice

from wakeline.model.device import (
    RAW_PREFIX,
    Address,
    Candidate,
    Device,
    Recipient,
    Target,
    TargetChange,
    TargetKind,
    TargetState,
    crowd_of,
)
from wakeline.model.errors import NotFound
from wakeline.ports import DevicePage, StalePage, StaleTarget, Sweep, VoipPlace
from wakeline.storage.registration import FORMER, REPLACED
from wakeline.storage.rows import FORGOTTEN, Whose
from wakeline.storage.silence import Phone


class MemoryDeviceLookups:
    """Devices by row id, with indexes by name, token and target."""

    def __init__(self) -> None:
        self._devices: dict[int, Device] = {}
        self._names: dict[tuple[int, str], int] = {}
        self._tokens: dict[tuple[int, str, str], int] = {}
        self._targets: dict[int, int] = {}
        self._badges: dict[int, tuple[int, int]] = {}  # the number, and the notification it was last counted for
        self._history: list[tuple[int, TargetChange]] = []
        self._version = 0
        self._last_device = 0
        self._last_target = 0

    @property
    def version(self) -> int:
        """Grow with every write after which `recipients` may say something else of targets that were there."""
        return self._version

    def whose(self, target: int) -> Whose:
        """Return the device behind a target, for the ledger."""
        number = self._targets.get(target)
        if number is None:
            return self._whose_once(target)
        device = self._devices[number]
        return Whose(device.id, device.device_id, target_in(device, target).kind.value)

    def phones(self, targets: Sequence[int]) -> dict[int, Phone]:
        """Return the devices behind targets with what they say of themselves."""
        owners = {target: self._devices[self._targets[target]] for target in targets if target in self._targets}
        return {
            target: Phone(device.id, target_in(device, target).kind.value, device.facts)
            for target, device in owners.items()
        }

    def targets_of_device(self, device: int) -> list[int]:
        """Return a device's targets."""
        known = self._devices.get(device)
        return sorted(target.id for target in known.targets) if known is not None else []

    def _whose_once(self, target: int) -> Whose:
        """Return the device that has given up a target."""
        for number, one in self._history:
            if one.target == target and one.reason == REPLACED and number in self._devices:
                return Whose(number, self._devices[number].device_id, one.kind.value)
        return FORGOTTEN

    def present_and_former(self, device: int) -> list[int]:
        """Return a device's targets, and the last ones that it has given up."""
        gone = [one.target for owner, one in reversed(self._history) if owner == device and one.reason == REPLACED]
        return [*self.targets_of_device(device), *gone[:FORMER]]

    async def get(self, app: int, device_id: str) -> Device | None:
        """Return a device with all its targets."""
        return self._devices.get(self._names.get((app, device_id), 0))

    async def by_id(self, device: int) -> Device | None:
        """Return a device by its row id."""
        return self._devices.get(device)

    async def by_target(self, app: int, kind: TargetKind, value: str) -> Device | None:
        """Return the device that owns this token."""
        return await self.by_target_id(self._tokens.get((app, kind.value, value), 0))

    async def by_endpoint(self, app: int, endpoint: str) -> Device | None:
        """Return the device that owns the subscription at this endpoint: its keys follow, after a space."""
        found = [
            target
            for (owner, kind, value), target in self._tokens.items()
            if (owner, kind) == (app, TargetKind.WEBPUSH.value) and value.startswith(f"{endpoint} ")
        ]
        return await self.by_target_id(max(found, default=0))

    async def by_target_id(self, target: int) -> Device | None:
        """Return the device that owns this target."""
        return self._devices.get(self._targets.get(target, 0))

    async def by_target_ids(self, targets: Sequence[int]) -> dict[int, Device]:
        """Return the devices that own these targets."""
        return {target: self._devices[self._targets[target]] for target in targets if target in self._targets}

    async def find(
        self,
        app: int,
        *,
        user: str | None = None,
        state: TargetState | None = None,
        cursor: int = 0,
        limit: int = 50,
    ) -> DevicePage:
        """List devices by row id."""
        found = [
            device
            for device in self._of_app(app, cursor)
            if (user is None or user in device.users) and (state is None or (device.targets and device.state is state))
        ]
        more = len(found) > limit
        return DevicePage(devices=tuple(found[:limit]), cursor=found[limit - 1].id if more else None)

    async def candidates_of_users(self, app: int, users: Sequence[str]) -> list[Candidate]:
        """Return the active targets of all devices of these users."""
        devices = list(self._of_app(app))
        return [
            candidate
            for user in dict.fromkeys(users)
            for device in devices
            if user in device.users
            for candidate in _candidates(device, user)
        ]

    async def candidates_of_devices(self, app: int, device_ids: Sequence[str]) -> list[Candidate]:
        """Return the active targets of these devices."""
        numbers = [self._names.get((app, device_id), 0) for device_id in dict.fromkeys(device_ids)]
        return [candidate for number in numbers if number for candidate in _candidates(self._devices[number])]

    async def walk(self, app: int, *, tags: Sequence[str], after: int, limit: int) -> list[Candidate]:
        """Return the active targets of the next devices that have any."""
        reached: list[list[Candidate]] = []
        for device in self._registered(app, after):
            if len(reached) == limit:
                break
            candidates = list(_candidates(device)) if not tags or set(tags) & set(device.tags) else []
            if candidates:
                reached.append(candidates)
        return [candidate for candidates in reached for candidate in candidates]

    async def sweep(self, app: int, *, kinds: Collection[TargetKind], after: int, limit: int, locales: bool) -> Sweep:
        """Return the active targets of these kinds of the next devices, in columns."""
        devices = list(islice(self._registered(app, after), limit))
        groups: dict[Address, list[Candidate]] = {}
        for candidate in (candidate for device in devices for candidate in _candidates(device)):
            if candidate.kind in kinds:
                shown = candidate if locales else candidate._replace(locale="")
                groups.setdefault((shown.kind, shown.environment, shown.topic), []).append(shown)
        crowds = [(address, crowd_of(group)) for address, group in groups.items()]
        return Sweep(crowds, devices[-1].id if devices else 0)

    async def count(self, app: int, *, tags: Sequence[str]) -> int:
        """Estimate how many devices a walk will meet."""
        if not tags:
            return len(list(self._registered(app)))
        return sum(len(set(tags) & set(device.tags)) for device in self._registered(app))

    async def recipients(self, targets: Sequence[int]) -> list[Recipient]:
        """Return what sending needs."""
        devices = ((number, self._devices[self._targets[number]]) for number in targets if number in self._targets)
        return [candidate_of(device, target_in(device, number)).recipient() for number, device in devices]

    async def app_counts(self, app: int) -> dict[TargetState, int]:
        """Count targets by state."""
        states = [target.state for device in self._of_app(app) for target in device.targets]
        return {state: states.count(state) for state in TargetState}

    async def voip_places(self, app: int, *, limit: int = 20) -> list[VoipPlace]:
        """Return where the active VoIP targets of an app are."""
        found = {
            VoipPlace(target.environment, target.topic)
            for device in self._of_app(app)
            for target in device.targets
            if target.kind is TargetKind.APNS_VOIP and target.state is TargetState.ACTIVE
        }
        return sorted(found)[:limit]

    async def stale(self, app: int, *, before: int, cursor: int = 0, limit: int = 500) -> StalePage:
        """Return what of the next devices is stale."""
        devices = list(islice(self._of_app(app, cursor), limit))
        found = tuple(
            StaleTarget(target=target.id, device=device.id, seen=vouched)
            for device in devices
            if not device.device_id.startswith(RAW_PREFIX)
            for target in device.targets
            if target.state is TargetState.ACTIVE
            and (vouched := max(device.seen, device.connected_until, target.since, target.confirmed)) < before
        )
        return StalePage(targets=found, cursor=devices[-1].id if len(devices) == limit else None)

    async def history(self, device: int, *, limit: int = 50) -> list[TargetChange]:
        """Return what became of a device's targets, newest first."""
        return [change for owner, change in reversed(self._history) if owner == device][:limit]

    def _registered(self, app: int, after: int = 0) -> Iterator[Device]:
        """Yield an app's devices by row id, without those that stand behind raw tokens."""
        return (device for device in self._of_app(app, after) if not device.device_id.startswith(RAW_PREFIX))

    def _of_app(self, app: int, after: int = 0) -> Iterator[Device]:
        """Yield an app's devices by row id."""
        return (device for number, device in sorted(self._devices.items()) if number > after and device.app == app)

    def _named(self, app: int, device_id: str) -> Device:
        number = self._names.get((app, device_id))
        if number is None:
            raise NotFound(f"There is no device {device_id[:64]!r}")
        return self._devices[number]


def target_in(device: Device, number: int) -> Target:
    """Return a device's target by its row id."""
    return next(target for target in device.targets if target.id == number)


def _candidates(device: Device, user: str = "") -> Iterator[Candidate]:
    """Yield a device's active targets."""
    return (candidate_of(device, target, user) for target in device.targets if target.state is TargetState.ACTIVE)


def candidate_of(device: Device, target: Target, user: str = "") -> Candidate:
    """Return a target as `pipeline.resolve` chooses among them."""
    return Candidate(
        device.id,
        device.device_id,
        device.generation,
        device.connected_until,
        user,
        target.id,
        target.value,
        target.state.value,
        device.facts.locale,
        target.kind.value,
        target.environment.value,
        target.topic,
    )
