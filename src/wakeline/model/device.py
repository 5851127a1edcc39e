"""Devices and their targets: who can be woken, and where."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import repeat
from typing import NamedTuple, overload

import msgspec

from wakeline.model.route import Environment, ProviderKind

RAW_PREFIX = "raw-"
"""How the ids of devices begin that stand behind raw tokens. Nobody registered these: they are no part of an app's everyone."""


class TargetKind(StrEnum):
    """Where a provider delivers. One APNs push type that has a token of its own is one kind."""

    APNS = "apns"
    APNS_VOIP = "apns-voip"
    APNS_LIVEACTIVITY = "apns-liveactivity"
    APNS_PUSHTOTALK = "apns-pushtotalk"
    APNS_COMPLICATION = "apns-complication"
    APNS_FILEPROVIDER = "apns-fileprovider"
    APNS_LOCATION = "apns-location"
    APNS_MDM = "apns-mdm"
    APNS_WIDGETS = "apns-widgets"
    APNS_CONTROLS = "apns-controls"
    FCM = "fcm"
    WEBPUSH = "webpush"
    HTTP = "http"

    @property
    def provider(self) -> ProviderKind:
        """Name the push service that serves this kind."""
        match self:
            case TargetKind.FCM:
                return ProviderKind.FCM
            case TargetKind.WEBPUSH:
                return ProviderKind.WEBPUSH
            case TargetKind.HTTP:
                return ProviderKind.HTTP
            case _:
                return ProviderKind.APNS


class TargetState(StrEnum):
    """A token's life. Only proof retires; doubt quarantines (promise 2)."""

    ACTIVE = "active"
    QUARANTINED = "quarantined"
    RETIRED = "retired"


def proves(status: int, reason: str) -> bool:
    """Tell whether an answer about a token is proof that it is gone: one that no wrong setting explains.

    That is a 410 of any push service, and a 404 with a word of it (FCM's UNREGISTERED, Mozilla's errno). A bare 404 may as well
    come from whatever stands in front of a push service.
    """
    return status == 410 or (status == 404 and bool(reason))


class Evidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What speaks against a target: the answer as received, when (Unix ms), for which delivery, and the strikes so far.

    `route` is the route of the target as it is registered, which the answer speaks for or against, too.
    """

    status: int = 0
    reason: str = ""
    at: int = 0
    delivery: str = ""
    since: int | None = None
    strikes: int = 1
    route: int = 0

    @property
    def proof(self) -> bool:
        """Tell whether the push service said that the token is gone; anything else may as well come from a wrong setting."""
        return proves(self.status, self.reason)


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where a provider delivers to one device. `value` is the token; times in Unix ms.

    `confirmed`: when the app last told us this token (0: imported without a date); a 410 older than that proves nothing.
    """

    id: int
    kind: TargetKind
    value: str
    environment: Environment = Environment.PRODUCTION
    topic: str = ""
    state: TargetState = TargetState.ACTIVE
    reason: str = ""
    since: int = 0
    evidence: Evidence | None = None
    confirmed: int = 0


class SubscriptionKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of a Web Push subscription, base64url: the browser's public key and its authentication secret (RFC 8291)."""

    p256dh: str
    auth: str


class BrowserSubscription(msgspec.Struct, frozen=True, kw_only=True):
    """A browser's `PushSubscription` as its `toJSON()` says it; what else it says is not needed."""

    endpoint: str
    keys: SubscriptionKeys | None = None


class DeviceFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a device says about itself; all optional, all shown by explain."""

    platform: str = ""
    os_version: str = ""
    model: str = ""
    app_version: str = ""
    locale: str = ""
    notifications_enabled: bool | None = None
    background_refresh: bool | None = None
    low_power: bool | None = None
    battery_restricted: bool | None = None


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """One installation of an app. `generation` counts changes of its users; times in Unix ms.

    `held_since`: when it changed hands last (0: never), so that nobody is shown what was for those before.
    """

    id: int
    app: int
    device_id: str
    users: tuple[str, ...]
    targets: tuple[Target, ...] = ()
    tags: tuple[str, ...] = ()
    facts: DeviceFacts = DeviceFacts()
    generation: int = 1
    connected_until: int = 0
    created: int = 0
    seen: int = 0
    held_since: int = 0

    @property
    def state(self) -> TargetState:
        """Say how the device as a whole is: as good as its best target; retired when it has none."""
        states = {target.state for target in self.targets}
        for state in TargetState:
            if state in states:
                return state
        return TargetState.RETIRED


class TargetClaim(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A target as an app registers it: no id and no state yet.

    `topic` is an APNs bundle id, an FCM project id, or the origin of a Web Push endpoint.
    """

    kind: TargetKind
    value: str
    environment: Environment = Environment.PRODUCTION
    topic: str = ""


class DeviceClaim(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A device as an app registers it: the whole truth about it at `at` (Unix ms).

    Lists bring thousands of them at once: the garbage collector is spared values that cannot be part of a cycle.
    `confirmed` is when the app itself last vouched for these tokens; None means `at`, an import without a date says 0.
    """

    app: int
    device_id: str
    users: tuple[str, ...]
    targets: tuple[TargetClaim, ...]
    at: int
    tags: tuple[str, ...] = ()
    facts: DeviceFacts = DeviceFacts()
    max_devices_per_user: int = 0
    confirmed: int | None = None


class TargetChange(msgspec.Struct, frozen=True, kw_only=True):
    """One step in the life of a target, as history keeps it: what it became, why, when (Unix ms) and on what evidence."""

    target: int
    kind: TargetKind
    state: TargetState
    reason: str
    at: int
    evidence: Evidence | None = None


class Candidate(NamedTuple):
    """One target of one device as `pipeline.resolve` chooses among: a tuple, because a broadcast reads millions.

    `user` is the user through whom the device was found ("" if it was not by user); `connected_until` in Unix ms.
    `value`, `state` and `locale` are there for `recipient`, so that what is sent at once is read once.
    """

    device: int
    device_id: str
    generation: int
    connected_until: int
    user: str
    target: int
    value: str
    state: str
    locale: str
    kind: str
    environment: str
    topic: str

    def recipient(self) -> Recipient:
        """Return what `Devices.recipients` says of this target, as long as `Devices.version` has not grown since it was read."""
        return Recipient(self.target, self.value, self.generation, self.state, self.locale, self.device, self.kind)


class Recipient(NamedTuple):
    """What a provider needs of a target at the moment of sending: a tuple, because a broadcast makes millions.

    `kind` decides between a call's VoIP push and its alert form, and whether the other APNs environment may be tried;
    empty means the kind that the push type asks for.
    """

    target: int
    value: str
    generation: int
    state: str
    locale: str
    device: int
    kind: str = ""


Address = tuple[str, str, str]
"""What decides the route of a target: its kind, and the environment and topic it was registered with."""


class Crowd(Sequence[Recipient]):
    """Recipients of one kind in columns, active when they were read: of a broadcast, nobody is looked at one by one.

    A slice is a crowd again; a recipient is put together when somebody asks for it. It bears no generation, since a push to
    a crowd is for whoever holds the phone. `locales` is empty if nobody needs them.
    """

    __slots__ = ("devices", "kind", "locales", "targets", "values")

    def __init__(
        self, kind: str, targets: list[int], values: list[str], devices: list[int], locales: list[str]
    ) -> None:
        self.kind = kind
        self.targets = targets
        self.values = values
        self.devices = devices
        self.locales = locales

    def __len__(self) -> int:
        return len(self.targets)

    @overload
    def __getitem__(self, place: int) -> Recipient: ...

    @overload
    def __getitem__(self, place: slice) -> Crowd: ...

    def __getitem__(self, place: int | slice) -> Recipient | Crowd:
        if isinstance(place, slice):
            columns = self.targets[place], self.values[place], self.devices[place], self.locales[place]
            return Crowd(self.kind, *columns)
        locale = self.locales[place] if self.locales else ""
        active = TargetState.ACTIVE.value
        return Recipient(self.targets[place], self.values[place], 0, active, locale, self.devices[place], self.kind)

    def __iter__(self) -> Iterator[Recipient]:
        columns = self.targets, self.values, repeat(0), repeat(TargetState.ACTIVE.value)
        locales = self.locales or repeat("")
        return map(Recipient, *columns, locales, self.devices, repeat(self.kind))

    def join(self, other: Crowd) -> None:
        """Take in others of this kind."""
        self.targets += other.targets
        self.values += other.values
        self.devices += other.devices
        self.locales += other.locales

    def only(self, places: Sequence[int]) -> Crowd:
        """Return those at these places."""
        columns = (self.targets, self.devices)
        words = (self.values, self.locales or [""] * len(self))
        targets, devices = ([column[place] for place in places] for column in columns)
        values, locales = ([column[place] for place in places] for column in words)
        return Crowd(self.kind, targets, values, devices, locales if self.locales else [])


def crowd_of(candidates: Sequence[Candidate]) -> Crowd:
    """Return candidates of one kind as a crowd; there is at least one."""
    return Crowd(
        candidates[0].kind,
        [candidate.target for candidate in candidates],
        [candidate.value for candidate in candidates],
        [candidate.device for candidate in candidates],
        [candidate.locale for candidate in candidates],
    )
