"""Silence: a part of an app's phones that is sent to as ever, and says less than it used to.

Words: a *slice* is all phones of an app, or those of a platform, a major OS version, or a model. It is *silent* when fewer of
its deliveries than usual are followed by a receipt; a *suspicion* is one time of silence, from its first hour to its end.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

import msgspec

from wakeline.model.device import DeviceFacts, TargetKind
from wakeline.model.route import Lane, ProviderKind

HOUR = 3_600_000
"""Milliseconds of an hour: counts are kept by the hour, which is numbered from the beginning of Unix time."""

_LONGEST = 64
_NUMBER = re.compile(r"\d{1,4}")
_PLATFORMS = {ProviderKind.APNS: "ios", ProviderKind.FCM: "android", ProviderKind.WEBPUSH: "web"}


class SliceKind(StrEnum):
    """What the phones of a slice have in common, the widest first."""

    APP = "app"
    PLATFORM = "platform"
    OS_VERSION = "os_version"
    MODEL = "model"


class Traits(NamedTuple):
    """What is compared of a phone; empty: it did not say."""

    platform: str = ""
    os_version: str = ""
    model: str = ""


class Slice(NamedTuple):
    """Phones with something in common. `value`: the major OS version, or the model; `platform` is empty for the whole app."""

    kind: SliceKind
    platform: str = ""
    value: str = ""

    def holds(self, traits: Traits) -> bool:
        """Tell whether a phone belongs to it."""
        return self in slices_of(traits)

    @property
    def words(self) -> str:
        """Name it for people."""
        platform = _NAMES.get(self.platform, self.platform)
        match self.kind:
            case SliceKind.APP:
                return "the whole app"
            case SliceKind.PLATFORM:
                return platform
            case SliceKind.OS_VERSION:
                return f"{platform} {self.value}".strip()
            case SliceKind.MODEL:
                return f"model {self.value}" + (f" ({platform})" if platform else "")


_NAMES = {"android": "Android", "ios": "iOS", "ipados": "iPadOS", "web": "web browsers", "macos": "macOS"}

WHOLE = Slice(SliceKind.APP)


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """How many deliveries to phones alike were accepted in an hour, and how many of them a phone confirmed."""

    app: int
    hour: int
    lane: Lane
    traits: Traits
    sent: int
    heard: int


class Suspicion(msgspec.Struct, frozen=True, kw_only=True):
    """One time of silence. `id` is given by the store; times in Unix ms; rates are shares, from 0 to 1.

    `usual`: the share that was to be expected; `rate`: the share that came of `sent` deliveries until it was noticed.
    `until`: when it was over (None: it lasts); `lasting`: it went on for so long that it counts as usual since.
    """

    app: int
    part: Slice
    since: int
    noticed: int
    sent: int
    heard: int
    usual: float
    id: int = 0
    until: int | None = None
    lasting: bool = False

    @property
    def rate(self) -> float:
        """Return the share of its deliveries that were confirmed until it was noticed."""
        return self.heard / self.sent if self.sent else 0.0

    @property
    def note(self) -> str:
        """Say it for people: who, how much less than usual, and what most likely is behind it."""
        words = self.part.words
        if self.part.kind in {SliceKind.APP, SliceKind.MODEL}:
            words = words[0].upper() + words[1:]
        usual = f"usually {self.usual:.0%}"
        if self.lasting:
            return f"{words}: the silence has gone on for a week, and counts as usual from now on."
        if self.until is not None:
            return f"{words}: pushes are confirmed as usual again, after {_span(self.until - self.since)}."
        heard = f"of {self.sent} pushes in {_span(self.noticed - self.since)}, {self.rate:.0%} were confirmed, {usual}"
        return f"{words}: {heard}. {self.cause}"

    @property
    def cause(self) -> str:
        """Say what most likely is behind a silence of this kind of slice."""
        return CAUSES[self.part.kind]


CAUSES: dict[SliceKind, str] = {
    SliceKind.APP: "The last release of the app, or the way of its receipts: can phones reach this gateway and its /v1/receipts?",
    SliceKind.PLATFORM: "The push service of this platform, or what it needs of the app: entitlement, environment, topic,"
    " credential, or the app's last release for it.",
    SliceKind.OS_VERSION: "This version of the system: what it asks of apps in the background, or of users for notifications,"
    " is new.",
    SliceKind.MODEL: "Battery management of this maker: it ends apps in the background, or keeps pushes from them, until the"
    " user makes an exception.",
}
"""The likely cause by kind of slice: what is shared by these phones and by no others."""


def _span(milliseconds: int) -> str:
    hours = round(milliseconds / HOUR)
    if hours < 1:
        return "less than an hour"
    return f"{hours} hour{'s' * (hours > 1)}" if hours < 48 else f"{hours // 24} days"


def traits_of(facts: DeviceFacts, kind: str) -> Traits:
    """Return what is compared of a phone; one that does not name its platform has that of its token's kind."""
    platform = facts.platform.strip().lower()[:_LONGEST]
    if not platform and kind:
        platform = _PLATFORMS.get(TargetKind(kind).provider, "")
    number = _NUMBER.search(facts.os_version)
    return Traits(platform, number.group() if number else "", " ".join(facts.model.split())[:_LONGEST])


def slices_of(traits: Traits) -> tuple[Slice, ...]:
    """Return the slices to which a phone belongs, the widest first."""
    platform, os_version, model = traits
    found = [WHOLE]
    if platform:
        found.append(Slice(SliceKind.PLATFORM, platform))
    if os_version:
        found.append(Slice(SliceKind.OS_VERSION, platform, os_version))
    if model:
        found.append(Slice(SliceKind.MODEL, platform, model))
    return tuple(found)
