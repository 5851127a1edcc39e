"""How many devices users have: several phones are no fault, a new device id at every start of the app is one.

Theory: a phone that comes back keeps its device id and is seen again. Where ids are made anew, each device is last seen before
the next one appears, and they follow each other within days. Then one phone gets one push as often as it has registered.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from wakeline.doctor.checking import DAY, failed, fine, many, warning
from wakeline.model.device import RAW_PREFIX, Device, TargetState
from wakeline.observe.health import Check

FEW = 3
"""So many devices in a row make a habit."""
QUICK = 14 * DAY
"""Nobody has so many new phones in that time."""

_FIX = (
    "Have the app keep one device id for as long as it is installed, and register with it at each start (PUT replaces the old "
    "token); `wakeline device delete` removes the others."
)


def of_users(slug: str, devices: Sequence[Device], now: int) -> Check:
    """Say whether users of an app get new device ids again and again."""
    owned: defaultdict[str, list[Device]] = defaultdict(list)
    for device in devices:
        for user in device.users:
            owned[user].append(device)
    name = f"device ids of {slug}"
    growing = [user for user, own in owned.items() if is_growing(own, now)]
    if not growing:
        return fine(
            name,
            f"{many(len(owned), 'user')}, at most {many(max(map(len, owned.values()), default=0), 'device')} each.",
        )
    first = growing[0]
    how = often(owned[first])
    such = f"such as {first} ({many(len(owned[first]), 'device')}, {how})"
    cause = f"{many(len(growing), 'user')} with new device ids again and again, {such}."
    return warning(name, cause, _FIX)


def of_one(slug: str, user: str, devices: Sequence[Device], now: int, stale: int) -> Check:
    """Say how a user's devices in an app are; `stale`: milliseconds of silence after which a token is not confirmed any more."""
    name = f"user {user} of {slug}"
    if not devices:
        fix = "Have the app register its device with this user's id; `wakeline device list` shows what is registered."
        return failed(name, "No device is registered for this user.", fix)
    number = many(len(devices), "device")
    alive = [device for device in devices if device.state is TargetState.ACTIVE]
    if not alive:
        cause = f"{number}, and none has a token that is sent to."
        return failed(name, cause, f"`wakeline explain user:{user}` says what each token was answered.")
    if is_growing(devices, now):
        cause = (
            f"{number}: new device ids {often(devices)} for this user, each left when the next came. What is sent comes as "
            "often as the phone has registered: duplicates."
        )
        return warning(name, cause, _FIX)
    confirmed = sum(now - max(target.confirmed for target in device.targets) < stale for device in alive)
    if confirmed == len(devices):
        return fine(name, f"{number}, all confirmed: a push on each of them is as it should be.")
    cause = f"{number}, {confirmed} of them confirmed lately; the others may be phones that are not used any more."
    return warning(name, cause, f"`wakeline explain user:{user}` says when each was last heard of.")


def often(devices: Sequence[Device]) -> str:
    """Return how often new device ids come, in words."""
    created = [one.created for one in _kept(devices)[-FEW:]]
    return "every day" if created[-1] - created[0] < 1.5 * DAY * (len(created) - 1) else "every few days"


def _kept(devices: Sequence[Device]) -> list[Device]:
    """Return the devices that an app registered, the oldest first."""
    return sorted((one for one in devices if not one.device_id.startswith(RAW_PREFIX)), key=lambda one: one.created)


def is_growing(devices: Sequence[Device], now: int) -> bool:
    """Tell whether the newest devices of a user are one phone under ever new ids."""
    kept = _kept(devices)[-FEW:]
    days = {one.created // DAY for one in kept}
    if len(kept) < FEW or len(days) < FEW or now - kept[0].created > 2 * QUICK:
        return False
    left = all(before.seen <= after.created for before, after in pairwise(kept))
    return left and kept[-1].created - kept[0].created <= QUICK
