"""The registry, in dictionaries of frozen devices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from wakeline.model.device import (
    Candidate,
    Device,
    DeviceClaim,
    Target,
    TargetChange,
    TargetClaim,
)
from wakeline.ports import Moved, Registered, TargetVerdict
from wakeline.storage import registration, verdicts
from wakeline.storage.imported import Taken, Token
from wakeline.storage.memory.device_lookups import MemoryDeviceLookups, candidate_of, target_in
from wakeline.storage.raw import moved, raw_device_id


class MemoryDevices(MemoryDeviceLookups):
    """Registration, verdicts and presence; look-ups are in `device_lookups`."""

    # --- registration ---

    async def put(self, claims: Sequence[DeviceClaim]) -> list[Registered]:
        """Upsert devices."""
        return [self._put(claim) for claim in claims]

    async def take_in(self, claims: Sequence[DeviceClaim]) -> None:
        """Upsert devices."""
        await self.put(claims)

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

    def _owners(self, app: int, device_id: str, claims: Iterable[TargetClaim]) -> dict[Token, Taken]:
        owners = {}
        for token in registration.tokens(claims):
            number = self._tokens.get((app, *token))
            if number is not None:
                device = self._devices[self._targets[number]]
                if device.device_id != device_id:
                    owners[token] = Taken(target_in(device, number), device)
        return owners

    def _apply(self, plan: registration.Plan, at: int) -> Registered:
        device = plan.device
        moved: list[Moved] = []
        for target in plan.gone:
            self._drop_target(target.id, registration.REPLACED, at)
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
            self._keep(registration.without_user(device, user, at))

    def _keep(self, device: Device) -> None:
        self._version += device != self._devices.get(device.id, device)
        self._devices[device.id] = device
        self._names[device.app, device.device_id] = device.id
        for target in device.targets:
            self._targets[target.id] = device.id
            self._tokens[device.app, target.kind.value, target.value] = target.id

    def _drop_target(self, target: int, reason: str, at: int) -> None:
        self._version += 1
        device = self._devices[self._targets.pop(target)]
        gone = target_in(device, target)
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

    async def ensure_raw(self, app: int, claims: Sequence[TargetClaim], at: int) -> list[Candidate]:
        """Return a candidate for each raw token."""
        candidates = []
        for claim in claims:
            known = self._tokens.get((app, claim.kind.value, claim.value))
            if known is None or moved(self._candidate(known), claim):
                self._put(
                    DeviceClaim(app=app, device_id=raw_device_id(claim), users=(), targets=(claim,), at=at, confirmed=0)
                )
            candidates.append(self._candidate(self._tokens[app, claim.kind.value, claim.value]))
        return candidates

    def _candidate(self, number: int) -> Candidate:
        device = self._devices[self._targets[number]]
        return candidate_of(device, target_in(device, number))

    # --- changes ---

    async def delete(self, app: int, device_id: str) -> bool:
        """Forget a device."""
        device = await self.get(app, device_id)
        if device is not None:
            self._forget(device, "device forgotten", device.seen)
            self._history = [item for item in self._history if item[0] != device.id]
        return device is not None

    async def erase_user(self, app: int, user: str, at: int) -> int:
        """Forget a user and every device that is only theirs."""
        touched = [device for device in self._of_app(app) if user in device.users]
        for device in touched:
            if device.users == (user,):
                await self.delete(app, device.device_id)
            else:
                self._keep(registration.without_user(device, user, at))
        return len(touched)

    async def restore(
        self,
        app: int,
        *,
        device_id: str | None = None,
        since: int = 0,
        until: int | None = None,
        route: int | None = None,
        proven: bool = True,
        reason: str = "restored",
        at: int,
    ) -> int:
        """Make targets active again."""
        restored = 0
        for device in list(self._of_app(app)):
            if device_id is not None and device.device_id != device_id:
                continue
            for target in device.targets:
                in_time = since <= target.since and (until is None or target.since <= until)
                if in_time and registration.to_restore(target, route, proven=proven):
                    self._replace(device.id, registration.restored(target, at), reason, at)
                    restored += 1
        return restored

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
                None if number is None else verdicts.applied(target_in(self._devices[number], verdict.target), verdict)
            )
            if number is not None and target is not None:
                self._replace(number, target, target.reason, verdict.at)
                changed.append(msgspec.structs.replace(verdict, state=target.state))
        return changed

    def _replace(self, device: int, target: Target, reason: str, at: int) -> None:
        self._version += 1
        self._note(device, target, reason, at)
        old = self._devices[device]
        targets = tuple(target if kept.id == target.id else kept for kept in old.targets)
        self._devices[device] = msgspec.structs.replace(old, targets=targets)

    async def bump_badges(self, devices: Sequence[int], notification: int, *, again: bool = False) -> dict[int, int]:
        """Count badges up by one, once a notification."""
        known = [device for device in dict.fromkeys(devices) if device in self._devices]
        for device in known if not again else ():
            badge, last = self._badges.get(device, (0, 0))
            self._badges[device] = badge + (last != notification), notification
        return {device: self._badges.get(device, (0, 0))[0] for device in known}

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
