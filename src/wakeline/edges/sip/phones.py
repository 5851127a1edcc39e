"""Phones as devices of the registry: what a REGISTER says is what `wakeline device` shows, and what pushes go through.

A phone is the device with its `+sip.instance` as id, else a hash of its push parameters; its users are the addresses-of-record
that it is registered for, and its targets are its tokens. What others know of the device (tags, targets of kinds that SIP does
not know, users that are no address-of-record) stays. A phone that leaves its last address-of-record is forgotten.

A registration that changes nothing costs nothing: what was written last for each address-of-record is remembered, for as long as
nobody else changed the registry. So the accounts of one phone must not take turns in changing it: each finds the others' users,
and their order, as they were.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from wakeline.edges.sip.apps import Covered
from wakeline.edges.sip.turns import Turns
from wakeline.model.device import (
    RAW_PREFIX,
    Device,
    DeviceClaim,
    DeviceFacts,
    Target,
    TargetClaim,
    TargetKind,
    TargetState,
)
from wakeline.model.sip.binding import Binding
from wakeline.model.sip.push import PushParams
from wakeline.pipeline import report
from wakeline.ports import Clock, Devices, Events, Registered
from wakeline.ports.sip import SipBindings

_OURS = frozenset({TargetKind.APNS, TargetKind.APNS_VOIP, TargetKind.FCM, TargetKind.WEBPUSH})
"""Kinds of targets that a REGISTER can name: of these it is the whole truth."""
_LONGEST_ID = 255
_REMEMBERED = 20_000
_AOR = "sip:"

_Key = tuple[int, str]
_Account = tuple[int, str, str]
"""App, device and address-of-record."""
_State = tuple[int, tuple[TargetClaim, ...]]


def device_id(push: PushParams, instance: str) -> str:
    """Return the id of the device that a phone is."""
    usable = instance and len(instance) <= _LONGEST_ID and instance.isprintable()
    if usable and not instance.startswith(RAW_PREFIX):
        return instance
    return "sip-" + hashlib.sha256("\0".join(push.key).encode("utf-8", "surrogateescape")).hexdigest()[:32]


class Phones:
    """Keeps phones in the registry."""

    def __init__(self, devices: Devices, bindings: SipBindings, events: Events, clock: Clock) -> None:
        self._devices = devices
        self._bindings = bindings
        self._events = events
        self._clock = clock
        self._turns = Turns()
        self._written: OrderedDict[_Account, _State] = OrderedDict()

    async def device_for(self, aor: str, device: str, push: PushParams, covered: Covered) -> str:
        """Return the device that a phone is: the one that it names, if it may. Raises StoreUnavailable.

        An instance is no secret, it stands in every call. So who names the device of somebody else shows one of its tokens, as
        the second account of a phone does, or is a device of its own; else anybody could turn another one's pushes to himself.
        """
        key = covered.app.id, device
        if self._written.get((*key, aor)) == (self._devices.version, covered.targets):
            return device
        known = await self._devices.get(*key)
        if known is None or aor in known.users or not self._others(known, aor):
            return device
        theirs = {each.value.lower() for each in known.targets if each.kind in _OURS}
        if not theirs or any(each.value.lower() in theirs for each in covered.targets):
            return device
        return device_id(push, "")

    async def keep(self, aor: str, device: str, covered: Covered) -> None:
        """Register a phone for an address-of-record. Raises StoreUnavailable."""
        key = covered.app.id, device
        account = (*key, aor)
        if self._written.get(account) == (self._devices.version, covered.targets):
            self._written.move_to_end(account)
            return
        async with self._turns.of(key):
            # Read before anything is: what somebody else commits meanwhile is then noticed by the next REGISTER.
            version = self._devices.version
            known = await self._devices.get(*key)
            users = self._with(known, aor) if known else (aor,)
            app = covered.app
            done = await self._put(key, users, covered.targets, known, most=app.settings.max_devices_per_user)
            if done.moved:
                at = self._clock.now()
                await self._events.append([report.moved(one, done.device, app=app.slug, at=at) for one in done.moved])
            self._remember(account, (version, covered.targets))

    async def leave(self, binding: Binding) -> None:
        """Take a phone from an address-of-record that it was registered for. Raises StoreUnavailable."""
        if not binding.app or not binding.device:
            return
        key = binding.app, binding.device
        async with self._turns.of(key):
            self._written.pop((*key, binding.aor), None)
            known = await self._devices.get(*key)
            if known is None or binding.aor not in known.users:
                return
            users = self._others(known, binding.aor)
            if users:
                stay = tuple(_claim(each) for each in known.targets if each.kind in _OURS)
                await self._put(key, users, stay, known)
            else:
                await self._devices.delete(*key)

    def _with(self, known: Device, aor: str) -> tuple[str, ...]:
        """Return the users of a device that this one has, each where it stood."""
        stay = {aor, *self._others(known, aor)}
        return tuple(dict.fromkeys((*(user for user in known.users if user in stay), aor)))

    def _others(self, known: Device, aor: str) -> tuple[str, ...]:
        """Return the users of a device besides this one: those that still are registered there."""
        return tuple(
            user
            for user in known.users
            if user != aor
            and (
                not user.startswith(_AOR)
                or any(each.device == known.device_id for each in self._bindings.of(user) if each.app == known.app)
            )
        )

    async def _put(
        self,
        key: _Key,
        users: tuple[str, ...],
        targets: tuple[TargetClaim, ...],
        known: Device | None,
        *,
        most: int = 0,
    ) -> Registered:
        app, device = key
        claim = DeviceClaim(
            app=app,
            device_id=device,
            users=users,
            targets=targets + _foreign(known),
            at=self._clock.now(),
            tags=known.tags if known else (),
            facts=known.facts if known else DeviceFacts(),
            max_devices_per_user=most,
        )
        (done,) = await self._devices.put([claim])
        return done

    def _remember(self, account: _Account, state: _State) -> None:
        self._written[account] = state
        self._written.move_to_end(account)
        if len(self._written) > _REMEMBERED:
            self._written.popitem(last=False)


def _foreign(known: Device | None) -> tuple[TargetClaim, ...]:
    """Return what is to stay of a device's targets: those that SIP knows nothing of."""
    targets = known.targets if known else ()
    return tuple(_claim(each) for each in targets if each.kind not in _OURS and each.state is TargetState.ACTIVE)


def _claim(target: Target) -> TargetClaim:
    return TargetClaim(kind=target.kind, value=target.value, environment=target.environment, topic=target.topic)
