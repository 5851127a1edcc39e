"""The registry, in dictionaries of frozen devices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from wakeline.model.device import (
    Candidate,
    Device,
    DeviceClaim,
    Recipient,
    Target,
    TargetChange,
    TargetClaim,
    TargetKind,
    TargetState,
)
from wakeline.model.errors import NotFound
from wakeline.ports import DevicePage, Moved, Registered, TargetVerdict
from wakeline.storage import registration, verdicts
from wakeline.storage.raw import raw_device_id
from wakeline.storage.rows import FORGOTTEN, Whose


class MemoryDevices:
    """Devices by row id, with indexes by name, token and target."""

    def __init__(self) -> None:
        self._devices: dict[int, Device] = {}
        self._names: dict[tuple[int, str], int] = {}
        self._tokens: dict[tuple[int, str, str], int] = {}
        self._targets: dict[int, int] = {}
        self._badges: dict[int, int] = {}
        self._history: list[tuple[int, TargetChange]] = []
        self._last_device = 0
        self._last_target = 0

    # --- registration ---

    async def put(self, claims: Sequence[DeviceClaim]) -> list[Registered]:
        """Upsert devices."""
        return [self._put(claim) for claim in claims]

    async def put_target(self, app: int, device_id: str, claim: TargetClaim, at: int) -> Registered:
        """Upsert one target alone. Raises NotFound for an unknown device."""
        device = self._named(app, device_id)
        return self._apply(registration.plan_target(claim, device, self._owners(app, device_id, [claim]), at), at)

    def _put(self, claim: DeviceClaim) -> Registered:
        number = self._names.get((claim.app, claim.device_id))
        current = None if number is None else self._devices[number]
        owners = self._owners(claim.app, claim.device_id, claim.targets)
        registered = self._apply(registration.plan(claim, current, owners), claim.at)
        for user in registered.device.users:
            self._bound(user, registered.device, claim)
        return registered

    def _owners(
        self, app: int, device_id: str, claims: Iterable[TargetClaim]
    ) -> dict[registration.Token, registration.Taken]:
        owners = {}
        for token in registration.tokens(claims):
            number = self._tokens.get((app, *token))
            if number is not None:
                device = self._devices[self._targets[number]]
                if device.device_id != device_id:
                    owners[token] = registration.Taken(_target(device, number), device)
        return owners

    def _apply(self, plan: registration.Plan, at: int) -> Registered:
        device = plan.device
        moved: list[Moved] = []
        for target in plan.gone:
            self._drop_target(target.id, "not registered any more", at)
        for taken in plan.taken:
            self._drop_target(taken.target.id, "moved", at)
        if plan.created:
            self._last_device += 1
        device = msgspec.structs.replace(
            device,
            id=device.id or self._last_device,
            targets=tuple(sorted(map(self._numbered, device.targets), key=lambda target: target.id)),
        )
        self._keep(device)
        for taken in plan.taken:
            kind, value = taken.target.kind, taken.target.value
            new = next(target for target in device.targets if (target.kind, target.value) == (kind, value))
            moved.append(Moved(target=new.id, kind=kind, from_device=taken.owner.device_id, to_device=device.device_id))
        return Registered(device=device, created=plan.created, moved=tuple(moved))

    def _numbered(self, target: Target) -> Target:
        if target.id:
            return target
        self._last_target += 1
        return msgspec.structs.replace(target, id=self._last_target)

    def _bound(self, user: str, device: Device, claim: DeviceClaim) -> None:
        """Let go of a user's longest unseen devices beyond the limit."""
        seen = [
            (other.seen, other.id)
            for other in self._devices.values()
            if other.app == device.app and user in other.users
        ]
        for number in registration.surplus(seen, claim.max_devices_per_user, device.id):
            self._part(self._devices[number], user, claim.at)

    def _part(self, device: Device, user: str, at: int) -> None:
        if device.users == (user,):
            self._forget(device, "too many devices", at)
        else:
            self._keep(registration.without_user(device, user))

    def _keep(self, device: Device) -> None:
        self._devices[device.id] = device
        self._names[device.app, device.device_id] = device.id
        for target in device.targets:
            self._targets[target.id] = device.id
            self._tokens[device.app, target.kind.value, target.value] = target.id

    def _drop_target(self, target: int, reason: str, at: int) -> None:
        device = self._devices[self._targets.pop(target)]
        gone = _target(device, target)
        del self._tokens[device.app, gone.kind.value, gone.value]
        self._note(device.id, gone, reason, at)
        targets = tuple(kept for kept in device.targets if kept.id != target)
        self._devices[device.id] = msgspec.structs.replace(device, targets=targets)

    def _note(self, device: int, target: Target, reason: str, at: int) -> None:
        change = TargetChange(
            target=target.id, kind=target.kind, state=target.state, reason=reason, at=at, evidence=target.evidence
        )
        self._history.append((device, change))

    def _forget(self, device: Device, reason: str, at: int) -> None:
        for target in device.targets:
            self._drop_target(target.id, reason, at)
        del self._devices[device.id], self._names[device.app, device.device_id]
        self._badges.pop(device.id, None)

    def _named(self, app: int, device_id: str) -> Device:
        number = self._names.get((app, device_id))
        if number is None:
            raise NotFound(f"There is no device {device_id[:64]!r}")
        return self._devices[number]

    # --- reading ---

    def whose(self, target: int) -> Whose:
        """Return the device behind a target, for the ledger."""
        number = self._targets.get(target)
        if number is None:
            return FORGOTTEN
        device = self._devices[number]
        return Whose(device.id, device.device_id, _target(device, target).kind.value)

    async def get(self, app: int, device_id: str) -> Device | None:
        """Return a device with all its targets."""
        return self._devices.get(self._names.get((app, device_id), 0))

    async def by_id(self, device: int) -> Device | None:
        """Return a device by its row id."""
        return self._devices.get(device)

    async def by_target(self, app: int, kind: TargetKind, value: str) -> Device | None:
        """Return the device that owns this token."""
        return await self.by_target_id(self._tokens.get((app, kind.value, value), 0))

    async def by_target_id(self, target: int) -> Device | None:
        """Return the device that owns this target."""
        return self._devices.get(self._targets.get(target, 0))

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

    async def ensure_raw(self, app: int, claims: Sequence[TargetClaim], at: int) -> list[Candidate]:
        """Return a candidate for each raw token."""
        candidates = []
        for claim in claims:
            if (app, claim.kind.value, claim.value) not in self._tokens:
                self._put(
                    DeviceClaim(app=app, device_id=raw_device_id(claim), users=(), targets=(claim,), at=at, confirmed=0)
                )
            number = self._tokens[app, claim.kind.value, claim.value]
            device = self._devices[self._targets[number]]
            candidates.append(_candidate(device, _target(device, number)))
        return candidates

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
        for device in self._of_app(app, after):
            if len(reached) == limit:
                break
            candidates = list(_candidates(device)) if not tags or set(tags) & set(device.tags) else []
            if candidates:
                reached.append(candidates)
        return [candidate for candidates in reached for candidate in candidates]

    async def count(self, app: int, *, tags: Sequence[str]) -> int:
        """Estimate how many devices a walk will meet."""
        if not tags:
            return len(list(self._of_app(app)))
        return sum(len(set(tags) & set(device.tags)) for device in self._of_app(app))

    async def recipients(self, targets: Sequence[int]) -> list[Recipient]:
        """Return what sending needs."""
        found = []
        for number in targets:
            if number in self._targets:
                device = self._devices[self._targets[number]]
                target = _target(device, number)
                found.append(
                    Recipient(
                        number,
                        target.value,
                        device.generation,
                        target.state.value,
                        device.facts.locale,
                        device.id,
                        target.kind.value,
                    )
                )
        return found

    async def app_counts(self, app: int) -> dict[TargetState, int]:
        """Count targets by state."""
        states = [target.state for device in self._of_app(app) for target in device.targets]
        return {state: states.count(state) for state in TargetState}

    async def history(self, device: int, *, limit: int = 50) -> list[TargetChange]:
        """Return what became of a device's targets, newest first."""
        return [change for owner, change in reversed(self._history) if owner == device][:limit]

    def _of_app(self, app: int, after: int = 0) -> Iterator[Device]:
        """Yield an app's devices by row id."""
        return (device for number, device in sorted(self._devices.items()) if number > after and device.app == app)

    # --- changes ---

    async def delete(self, app: int, device_id: str) -> bool:
        """Forget a device."""
        device = await self.get(app, device_id)
        if device is not None:
            self._forget(device, "device forgotten", device.seen)
            self._history = [item for item in self._history if item[0] != device.id]
        return device is not None

    async def erase_user(self, app: int, user: str) -> int:
        """Forget a user and every device that is only theirs."""
        touched = [device for device in self._of_app(app) if user in device.users]
        for device in touched:
            if device.users == (user,):
                await self.delete(app, device.device_id)
            else:
                self._keep(registration.without_user(device, user))
        return len(touched)

    async def restore(
        self, app: int, *, device_id: str | None = None, since: int = 0, until: int | None = None, at: int
    ) -> int:
        """Make targets active again."""
        restored = 0
        for device in list(self._of_app(app)):
            if device_id is None or device.device_id == device_id:
                restored += self._restore(device, since, until, at)
        return restored

    def _restore(self, device: Device, since: int, until: int | None, at: int) -> int:
        fallen = {
            target.id
            for target in device.targets
            if target.state is not TargetState.ACTIVE
            and since <= target.since
            and (until is None or target.since <= until)
        }
        for target in device.targets:
            if target.id in fallen:
                self._replace(device.id, registration.restored(target, at), "restored", at)
        return len(fallen)

    async def set_presence(self, app: int, device_id: str, connected_until: int) -> None:
        """Say that the device is connected until then. Raises NotFound."""
        device = self._named(app, device_id)
        self._devices[device.id] = msgspec.structs.replace(device, connected_until=connected_until)

    async def judge(self, verdicts_: Sequence[TargetVerdict]) -> list[TargetVerdict]:
        """Apply what answers said."""
        changed = []
        for verdict in verdicts_:
            number = self._targets.get(verdict.target)
            target = (
                None if number is None else verdicts.applied(_target(self._devices[number], verdict.target), verdict)
            )
            if number is not None and target is not None:
                self._replace(number, target, target.reason, verdict.at)
                changed.append(msgspec.structs.replace(verdict, state=target.state))
        return changed

    def _replace(self, device: int, target: Target, reason: str, at: int) -> None:
        self._note(device, target, reason, at)
        old = self._devices[device]
        targets = tuple(target if kept.id == target.id else kept for kept in old.targets)
        self._devices[device] = msgspec.structs.replace(old, targets=targets)

    async def bump_badges(self, devices: Sequence[int]) -> dict[int, int]:
        """Count badges up by one."""
        known = [device for device in dict.fromkeys(devices) if device in self._devices]
        for device in known:
            self._badges[device] = self._badges.get(device, 0) + 1
        return {device: self._badges[device] for device in known}

    async def prune(self, before: int) -> int:
        """Forget history older than that."""
        kept = [item for item in self._history if item[1].at >= before]
        gone = len(self._history) - len(kept)
        self._history = kept
        return gone

    def forget_app(self, app: int) -> None:
        """Forget an app's devices."""
        for device in list(self._of_app(app)):
            self._forget(device, "app forgotten", device.seen)
            self._history = [item for item in self._history if item[0] != device.id]


def _target(device: Device, number: int) -> Target:
    return next(target for target in device.targets if target.id == number)


def _candidates(device: Device, user: str = "") -> Iterator[Candidate]:
    """Yield a device's active targets."""
    return (_candidate(device, target, user) for target in device.targets if target.state is TargetState.ACTIVE)


def _candidate(device: Device, target: Target, user: str = "") -> Candidate:
    return Candidate(
        device.id,
        device.device_id,
        device.generation,
        device.connected_until,
        user,
        target.id,
        target.kind.value,
        target.environment.value,
        target.topic,
    )
