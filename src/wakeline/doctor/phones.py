"""What devices said of themselves that keeps accepted pushes from being seen: beyond anyone's control here, but worth knowing.

Rule: of an app it is a warning if it is a habit, since some phones always have something switched off; of one user, if it is any.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from wakeline.doctor.checking import fine, many, skipped, warning
from wakeline.doctor.phone_reasons import system_of, told, unused
from wakeline.model.device import Device, TargetState
from wakeline.observe.health import Check

HABIT = 0.25
"""So many of those that say something of themselves are more than some people's taste."""
FEW = 4
"""Below so many devices a share says nothing."""

_SAYS = "notifications_enabled", "background_refresh", "low_power", "battery_restricted"


def of_app(slug: str, devices: Sequence[Device], among: str) -> Check:
    """Say what many devices of an app have switched off; `among`: among how many it was counted, in words."""
    name = f"phones of {slug}"
    saying = [device for device in devices if _says(device)]
    if not saying:
        return skipped(name, f"None of {among} says what its settings are (`notifications_enabled` and so on).")
    counted = Counter(said for device in saying for said in _told(device))
    if len(saying) < FEW or not counted or counted.most_common(1)[0][1] < HABIT * len(saying):
        return fine(name, f"Of {among}, the settings of {len(saying)} are known, and no complaint is frequent.")
    (said, number), *_ = counted.most_common(1)
    return warning(
        name,
        f"Of {many(len(saying), 'device')} whose settings are known, {number} told the same. {said}",
        "Nothing here: it is set on the devices. Have the app ask its users, and say why.",
    )


def of_user(slug: str, user: str, devices: Sequence[Device], now: int) -> Check:
    """Say what each device of a user told of itself; `now` in Unix ms."""
    name = f"phones of user {user} in {slug}"
    lines = [
        f"{device.device_id}: {said}"
        for device in devices
        if device.state is TargetState.ACTIVE
        for said in (*_told(device), unused(device, system_of(device, _kind(device)), now))
        if said
    ]
    if not lines:
        return fine(name, f"None of {many(len(devices), 'device')} told of anything that keeps pushes from being seen.")
    return warning(name, " ".join(lines), "Nothing here: it is set on the device.")


def _told(device: Device) -> list[str]:
    return told(device, system_of(device, _kind(device)))


def _kind(device: Device) -> str:
    """Return the kind of the target that pushes go to, as a rule."""
    return next((one.kind.value for one in device.targets if one.state is TargetState.ACTIVE), "")


def _says(device: Device) -> bool:
    return any(getattr(device.facts, fact) is not None for fact in _SAYS)
