"""The registry of devices and their targets."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

import msgspec

from wakeline.model.device import (
    Address,
    Candidate,
    Crowd,
    Device,
    DeviceClaim,
    Evidence,
    Recipient,
    TargetChange,
    TargetClaim,
    TargetKind,
    TargetState,
)
from wakeline.model.route import Environment


class TargetVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer says about a target: written in batches, idempotent, and only if it still holds.

    `unless_confirmed_after`: do nothing if the app confirmed the token after this time (a 410's timestamp).
    """

    target: int
    state: TargetState
    reason: str
    at: int
    evidence: Evidence | None = None
    unless_confirmed_after: int | None = None
    environment: Environment | None = None


class DevicePage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of devices by row id; `cursor` continues (None: the end)."""

    devices: tuple[Device, ...]
    cursor: int | None


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """A token that was registered with another device and has moved."""

    target: int
    kind: TargetKind
    from_device: str
    to_device: str


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """What a registration did."""

    device: Device
    created: bool
    moved: tuple[Moved, ...] = ()


class StaleTarget(msgspec.Struct, frozen=True, kw_only=True):
    """An active target that nobody vouched for in a long time: neither its app nor an operator since `seen` (Unix ms)."""

    target: int
    device: int
    seen: int


class StalePage(msgspec.Struct, frozen=True, kw_only=True):
    """What of some devices is stale; `cursor` continues (None: the end)."""

    targets: tuple[StaleTarget, ...]
    cursor: int | None


class VoipPlace(NamedTuple):
    """An environment and topic with which VoIP targets are registered."""

    environment: Environment
    topic: str


class Sweep(NamedTuple):
    """What a step over the devices of an app found: crowds by address, and the row id of the last device (0: there is none)."""

    crowds: list[tuple[Address, Crowd]]
    last: int


class Devices(Protocol):
    """The registry, in a database of its own."""

    @property
    def version(self) -> int:
        """Grow with every committed write after which `recipients` may say something else of targets that were there.

        Devices and targets that are new do not count: their ids were nobody's. It has grown before whoever wrote hears of
        the commit, and says nothing across restarts.
        """

    async def put(self, claims: Sequence[DeviceClaim]) -> list[Registered]:
        """Upsert devices by (app, device_id).

        A token that belonged to another device of the app moves; a registered token is active and confirmed again;
        a change of users raises the generation; targets not named any more are removed. All claims are kept, or none.

        An import (`confirmed` is given) removes targets of the kinds that it names only, and changes nothing that the app said
        later than that.
        """

    async def take_in(self, claims: Sequence[DeviceClaim]) -> None:
        """Upsert devices as `put` does, one after the other, for who brings thousands and asks for no more than that they are kept.

        Everybody else's writes go first. When it raises, some of them may be kept.
        """

    async def put_target(self, app: int, device_id: str, claim: TargetClaim, at: int) -> Registered:
        """Upsert one target alone. Raises NotFound for an unknown device."""

    async def get(self, app: int, device_id: str) -> Device | None:
        """Return a device with all its targets."""

    async def by_id(self, device: int) -> Device | None:
        """Return a device by its row id."""

    async def by_target(self, app: int, kind: TargetKind, value: str) -> Device | None:
        """Return the device that owns this token."""

    async def by_endpoint(self, app: int, endpoint: str) -> Device | None:
        """Return the device that owns the Web Push subscription at this endpoint, whatever its keys."""

    async def by_target_id(self, target: int) -> Device | None:
        """Return the device that owns the target with this row id."""

    async def by_target_ids(self, targets: Sequence[int]) -> dict[int, Device]:
        """Return the devices that own these targets, by target, in as few queries as possible; unknown ones are left out."""

    async def find(
        self,
        app: int,
        *,
        user: str | None = None,
        state: TargetState | None = None,
        cursor: int = 0,
        limit: int = 50,
    ) -> DevicePage:
        """List devices by row id. `state` is that of the device: as good as its best target; one without targets has none."""

    async def delete(self, app: int, device_id: str) -> bool:
        """Forget a device and its targets."""

    async def erase_user(self, app: int, user: str, at: int) -> int:
        """Forget a user and every device that is only theirs; returns devices touched.

        `at`, Unix ms: since then the others hold the rest of them, and are not shown what was sent before.
        """

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
        """Make quarantined and retired targets active again: of one device, or all that fell in a time range. Returns how many.

        `route`: only those whose evidence is an answer given on that route; `proven=False`: not those whose evidence is proof
        (`Evidence.proof`). History says `reason`.
        """

    async def set_presence(self, app: int, device_id: str, connected_until: int) -> None:
        """Say that the device is connected until then. Raises NotFound."""

    async def ensure_raw(self, app: int, claims: Sequence[TargetClaim], at: int) -> list[Candidate]:
        """Return a candidate for each raw token, registering unknown ones under a device of their own (a hash of the token)."""

    async def candidates_of_users(self, app: int, users: Sequence[str]) -> list[Candidate]:
        """Return the active targets of all devices of these users (one query, covering index)."""

    async def candidates_of_devices(self, app: int, device_ids: Sequence[str]) -> list[Candidate]:
        """Return the active targets of these devices."""

    async def walk(self, app: int, *, tags: Sequence[str], after: int, limit: int) -> list[Candidate]:
        """Return the active targets of the next `limit` devices after that row id, in device order; no tags: all registered."""

    async def sweep(self, app: int, *, kinds: Collection[TargetKind], after: int, limit: int, locales: bool) -> Sweep:
        """Return the active targets of these kinds of the next `limit` registered devices after that row id, in columns.

        A device may have several. `locales`: whether somebody reads them.
        """

    async def count(self, app: int, *, tags: Sequence[str]) -> int:
        """Estimate how many devices a walk will meet."""

    async def recipients(self, targets: Sequence[int]) -> list[Recipient]:
        """Return what sending needs of these targets, in the order asked for; unknown ones are left out."""

    async def judge(self, verdicts: Sequence[TargetVerdict]) -> list[TargetVerdict]:
        """Apply what answers said; returns those that changed something."""

    async def bump_badges(self, devices: Sequence[int], notification: int, *, again: bool = False) -> dict[int, int]:
        """Count each device's badge up by one for a notification and return the new numbers.

        The notification that was last counted for a device is not counted twice; one that is tried `again` is not counted.
        """

    async def app_counts(self, app: int) -> dict[TargetState, int]:
        """Count targets by state."""

    async def voip_places(self, app: int, *, limit: int = 20) -> list[VoipPlace]:
        """Return where the active VoIP targets of an app are, sorted; cheap, however many there are of them."""

    async def stale(self, app: int, *, before: int, cursor: int = 0, limit: int = 500) -> StalePage:
        """Look at the next `limit` devices and return their active targets that were last vouched for before that time.

        Whatever says that the app is alive counts: a registration, a connection, a target put back by an operator. Devices
        behind raw tokens are left out: nobody ever registers them again.
        """

    async def history(self, device: int, *, limit: int = 50) -> list[TargetChange]:
        """Return what became of this device's targets, newest first."""

    async def prune(self, before: int) -> int:
        """Forget history older than that; returns how many steps."""
