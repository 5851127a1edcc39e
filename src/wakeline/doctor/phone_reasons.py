"""Why a phone shows nothing of a push that its push service accepted: what it said of itself first, then what remains possible.

Rule: what a device said excludes reasons as well as it names them, and nobody is told of the settings of another system's phones.
A reason that the device named is a finding; the others are places to look at, most likely first.
Sources: Apple, "Troubleshooting push notifications" and "Pushing background updates to your app"; Firebase, "Lifetime of a
message" and "Set and manage message priority"; Android, "App Standby Buckets" and "Optimize for Doze".
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Literal

import msgspec

from wakeline.model.device import RAW_PREFIX, Device, TargetKind
from wakeline.model.notification import PushType
from wakeline.model.route import ProviderKind

UNUSED = 36 * 3_600_000
"""Milliseconds without a sign of life after which an app counts as not opened for a day or two."""

_IN_SHORT = 6
"""So many reasons make a paragraph."""

_DAY = 86_400_000
_NUMBER = re.compile(r"[0-9]{1,4}")
_APPLE = ("ios", "ipados", "iphone", "ipad", "watchos", "macos", "tvos", "visionos")

Fact = Literal["notifications_enabled", "background_refresh", "low_power", "battery_restricted"]


class System(StrEnum):
    """Whose rules a device follows."""

    APPLE = "apple"
    ANDROID = "android"
    BROWSER = "browser"
    OTHER = "other"


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One reason. `look`: where to see it; `said`: the finding if the device told of it, by `fact` being `when`.

    `shows`: it can keep pushes that show something from being seen, calls among them; `wakes`: those that wake the app in the
    background; `rings`: calls alone. `since`: the first major version of the system that has it; `spares`: how models begin that
    do not.
    """

    look: str
    systems: tuple[System, ...]
    fact: Fact | None = None
    when: bool = True
    said: str = ""
    shows: bool = True
    wakes: bool = True
    rings: bool = False
    since: int = 0
    spares: tuple[str, ...] = ()


REASONS = (
    Reason(
        look="Does the app report every VoIP push to CallKit? iOS ends an app that does not, and stops its VoIP pushes after some.",
        systems=(System.APPLE,),
        shows=False,
        wakes=False,
        rings=True,
    ),
    Reason(
        look="Are notifications of the app allowed, on the lock screen too (Settings, Notifications)?",
        systems=(System.APPLE, System.ANDROID, System.OTHER),
        fact="notifications_enabled",
        when=False,
        said="The device said that notifications are switched off for the app: its user can switch them on in Settings.",
        wakes=False,
    ),
    Reason(
        look="Are notifications of the site allowed, in the browser and by the system?",
        systems=(System.BROWSER,),
        fact="notifications_enabled",
        when=False,
        said="The device said that notifications are switched off for the site: its user can allow them in the browser.",
    ),
    Reason(
        look="Does the browser run? Most get pushes only while they do, and the service worker has to show a notification.",
        systems=(System.BROWSER,),
    ),
    Reason(
        look="Is a Focus or Do Not Disturb on? It shows pushes in silence, or later.",
        systems=(System.APPLE, System.OTHER),
        wakes=False,
    ),
    Reason(
        look="Is Do Not Disturb on, or the channel of the notification silenced?",
        systems=(System.ANDROID,),
        wakes=False,
    ),
    Reason(
        look="Is the app in the scheduled summary (Settings, Notifications)? Its pushes are shown there, hours later.",
        systems=(System.APPLE,),
        wakes=False,
        since=15,
    ),
    Reason(
        look="Did the user allow notifications when the app asked? From Android 13 on nothing is shown before.",
        systems=(System.ANDROID,),
        fact="notifications_enabled",
        when=False,
        wakes=False,
        since=13,
    ),
    Reason(
        look="Is Background App Refresh on for the app (Settings, General)? Without it background pushes do not wake it.",
        systems=(System.APPLE,),
        fact="background_refresh",
        when=False,
        said="The device said that background refresh is off: background pushes do not wake the app.",
        shows=False,
    ),
    Reason(
        look="Does battery optimisation restrict the app (Settings, Battery, App battery usage)? Try once without it.",
        systems=(System.ANDROID,),
        fact="battery_restricted",
        said="The device said that its battery settings restrict the app: Android holds its pushes back.",
    ),
    Reason(
        look="Does the maker's own battery management end the app? Many (Xiaomi, Huawei, Oppo, vivo, OnePlus, Samsung) go beyond "
        "Android's rules: allow its autostart, and lock it in the list of recent apps.",
        systems=(System.ANDROID,),
        spares=("pixel", "nexus", "android sdk", "sdk_"),
    ),
    Reason(
        look="Is the phone in Low Power Mode? It restricts delivery in the background.",
        systems=(System.APPLE,),
        fact="low_power",
        said="The device said that it is in Low Power Mode: background pushes wait until it is over.",
    ),
    Reason(
        look="Is the phone in battery saver? It restricts the background.",
        systems=(System.ANDROID,),
        fact="low_power",
        said="The device said that it is in battery saver: Android restricts the background until it is over.",
    ),
    Reason(
        look="Was the app force-quit (swiped away)? iOS wakes it for no background push until it is opened again.",
        systems=(System.APPLE,),
        shows=False,
    ),
    Reason(
        look="Was the app stopped by force, or by a task manager or memory cleaner? It gets nothing until it is opened again.",
        systems=(System.ANDROID,),
    ),
    Reason(
        look="Is the phone offline or its network filtered? Try cellular data against Wi-Fi (APNs takes TCP 5223, else 443).",
        systems=(System.APPLE,),
    ),
    Reason(
        look="Is the phone offline or its network filtered? Try cellular data against Wi-Fi (FCM takes TCP 5228 to 5230, or 443).",
        systems=(System.ANDROID,),
    ),
    Reason(
        look="Apple keeps but the last push of an app for a phone it cannot reach, and gives background pushes a budget that it "
        "does not name: it delays, merges and drops them.",
        systems=(System.APPLE,),
    ),
    Reason(
        look="Google delays what has normal priority while the phone dozes, and lowers high priority where nothing is shown.",
        systems=(System.ANDROID,),
    ),
    Reason(
        look="Do other apps on the device get pushes? If none does, it is the device or its network.",
        systems=(System.APPLE, System.ANDROID, System.OTHER),
    ),
)


def system_of(device: Device, kind: str) -> System:
    """Return whose rules a device follows: what it said of itself, else by the kind of its target."""
    platform = device.facts.platform.lower()
    if platform.startswith(_APPLE):
        return System.APPLE
    if platform.startswith("android"):
        return System.ANDROID
    match TargetKind(kind).provider if kind in frozenset(TargetKind) else None:
        case ProviderKind.APNS:
            return System.APPLE
        case ProviderKind.FCM:
            return System.ANDROID
        case ProviderKind.WEBPUSH:
            return System.BROWSER
        case _:
            return System.OTHER


def told(device: Device, system: System, push_type: PushType | None = None) -> list[str]:
    """Return what the device told of its settings that keeps pushes (of this type, or of any) from being seen."""
    return [
        reason.said
        for reason in REASONS
        if reason.fact is not None
        and reason.said
        and system in reason.systems
        and getattr(device.facts, reason.fact) is reason.when
        and (push_type is None or _fits(reason, push_type))
    ]


def unused(device: Device, system: System, now: int) -> str:
    """Return what follows from an app that is not opened ("" if it is, or if that has no consequence); `now` in Unix ms."""
    heard = max((device.seen, device.connected_until, *(target.confirmed for target in device.targets)))
    nobody = not heard or device.device_id.startswith(RAW_PREFIX)
    if system is not System.ANDROID or nobody or now - heard <= UNUSED:
        return ""
    days = (now - heard) // _DAY
    return (
        f"The app was last heard of {'1 day' if days == 1 else f'{days} days'} ago: where it is not opened for a day or two, "
        "Android may restrict it or stop its pushes. Have its user open it."
    )


def possible(device: Device, system: System, push_type: PushType) -> list[str]:
    """Return what else it may be for a push of this type: neither told by the device nor excluded by what it told."""
    return [
        reason.look
        for reason in REASONS
        if system in reason.systems and _fits(reason, push_type) and _is_open(reason, device) and _has(reason, device)
    ]


def every(device: Device, kind: str, now: int, push_type: PushType) -> list[str]:
    """Return all that may keep an accepted push from being seen on a device, what it told of itself first."""
    system = system_of(device, kind)
    return _known(device, system, now, push_type) + possible(device, system, push_type)


def ask_phone(device: Device, kind: str, now: int, push_type: PushType) -> str:
    """Return what to look at on a device whose push was accepted, in a paragraph; `now` in Unix ms."""
    system = system_of(device, kind)
    known = _known(device, system, now, push_type)
    return " ".join(known or ("Look at the device.", *possible(device, system, push_type)[:_IN_SHORT]))


def _known(device: Device, system: System, now: int, push_type: PushType) -> list[str]:
    return [said for said in (*told(device, system, push_type), unused(device, system, now)) if said]


def _fits(reason: Reason, push_type: PushType) -> bool:
    match push_type:
        case PushType.ALERT:
            return reason.shows
        case PushType.CALL:
            return reason.shows or reason.rings
        case PushType.BACKGROUND:
            return reason.wakes
        case _:
            return True


def _has(reason: Reason, device: Device) -> bool:
    """Tell whether a device may have what a reason is about, as far as it told its version and model."""
    number = _NUMBER.search(device.facts.os_version)
    old = number is not None and int(number.group()) < reason.since
    return not old and not (reason.spares and device.facts.model.lower().startswith(reason.spares))


def _is_open(reason: Reason, device: Device) -> bool:
    """Tell whether the device said nothing about a reason."""
    return reason.fact is None or getattr(device.facts, reason.fact) is None
