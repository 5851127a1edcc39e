"""Looking up who is named: one query a kind of name, for a whole batch of submissions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from wakeline import ports
from wakeline.model.app import AppSettings
from wakeline.model.device import Candidate, TargetClaim, TargetKind
from wakeline.model.notification import Audience, PushType, RawTarget
from wakeline.model.route import Environment, ProviderKind
from wakeline.pipeline.resolve import choose


class Named(NamedTuple):
    """A chosen target: whose it is (`subject`, for the limits; empty: nobody's) and which generation it is meant for."""

    candidate: Candidate
    generation: int
    subject: str


class Directory:
    """What was found under the names of a batch."""

    def __init__(self) -> None:
        self._users: dict[str, list[Candidate]] = {}
        self._devices: dict[str, list[Candidate]] = {}
        self._raw: dict[tuple[str, str], Candidate] = {}

    async def look_up(self, devices: ports.Devices, app: int, audiences: Sequence[Audience], now: int) -> None:
        """Fetch everybody these audiences name."""
        users = list(dict.fromkeys(user for audience in audiences for user in audience.users))
        named = list(dict.fromkeys(device for audience in audiences for device in audience.devices))
        raw = {(target.kind, target.token): target for audience in audiences for target in audience.targets}
        if users:
            for candidate in await devices.candidates_of_users(app, users):
                self._users.setdefault(candidate.user, []).append(candidate)
        if named:
            for candidate in await devices.candidates_of_devices(app, named):
                self._devices.setdefault(candidate.device_id, []).append(candidate)
        if raw:
            claims = [_claim(target) for target in raw.values()]
            self._raw = dict(zip(raw, await devices.ensure_raw(app, claims, now), strict=True))

    def candidates(self) -> list[Candidate]:
        """Return all that was found by user or device."""
        return [candidate for found in (*self._users.values(), *self._devices.values()) for candidate in found]

    def named(self, audience: Audience, push_type: PushType, settings: AppSettings) -> list[Named]:
        """Return the targets to send to, each once; the first mention counts."""
        if len(audience.users) == 1 and not audience.devices and not audience.targets:
            [user] = audience.users
            chosen = choose(self._users.get(user, ()), push_type, settings)
            if len(chosen) == 1:
                return [Named(chosen[0], chosen[0].generation, user)]
            return [Named(candidate, candidate.generation, user) for candidate in chosen]
        found: dict[int, Named] = {}
        for user in audience.users:
            for candidate in choose(self._users.get(user, ()), push_type, settings):
                found.setdefault(candidate.target, Named(candidate, candidate.generation, user))
        for device in audience.devices:
            for candidate in choose(self._devices.get(device, ()), push_type, settings):
                found.setdefault(candidate.target, Named(candidate, candidate.generation, f"device {device}"))
        for target in audience.targets:
            candidate = self._raw[target.kind, target.token]
            found.setdefault(candidate.target, Named(candidate, 0, ""))
        return list(found.values())

    def missing_users(self, audience: Audience, found: Iterable[Named]) -> list[str]:
        """Return the named users of whom no device has a target for this push."""
        reached = {entry.candidate.user for entry in found}
        shared = {entry.candidate.device for entry in found}
        return [
            user
            for user in audience.users
            if user not in reached and not any(candidate.device in shared for candidate in self._users.get(user, ()))
        ]

    def missing_devices(self, audience: Audience, found: Iterable[Named]) -> list[str]:
        """Return the named devices that have no target for this push."""
        reached = {entry.candidate.device_id for entry in found}
        return [device for device in audience.devices if device not in reached]


def slice_of(audience: Audience, start: int, count: int) -> Audience:
    """Return the part of the named recipients from `start` on: users first, then devices, then raw targets."""
    names: list[tuple[str, str | RawTarget]] = [
        *(("user", user) for user in audience.users),
        *(("device", device) for device in audience.devices),
        *(("target", target) for target in audience.targets),
    ]
    part = names[start : start + count]
    return Audience(
        users=tuple(name for kind, name in part if kind == "user" and isinstance(name, str)),
        devices=tuple(name for kind, name in part if kind == "device" and isinstance(name, str)),
        targets=tuple(name for _, name in part if isinstance(name, RawTarget)),
    )


def _claim(target: RawTarget) -> TargetClaim:
    """Return what to register: APNs tokens are hex, one token has one spelling; `terms` has written subscriptions out."""
    kind = TargetKind(target.kind)
    return TargetClaim(
        kind=kind,
        value=target.token.lower() if kind.provider is ProviderKind.APNS else target.token,
        environment=Environment(target.environment),
        topic=target.topic or target.project,
    )
