"""What a registration changes: the device as it is and the claim in, the device as it shall be out. Pure.

Ids that the store has still to give are 0. A registration that repeats what is known costs no write more often than daily.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

import msgspec

from wakeline.model.device import Device, DeviceClaim, Target, TargetClaim, TargetState
from wakeline.storage.imported import Taken, Token, narrowed

DAY = 86_400_000

REPLACED = "not registered any more"
"""Why a target left its device, as history says it: the app registered without it."""

FORMER = 5
"""Tokens of which a device may still speak though it has registered others since: of pushes that were under way to them."""


class Plan(NamedTuple):
    """What to write. `gone` leave the device for good; of `taken` the old row goes unless `device` still names its id."""

    device: Device
    created: bool
    changed: bool
    gone: tuple[Target, ...]
    taken: tuple[Taken, ...]


def tokens(targets: Iterable[TargetClaim]) -> list[Token]:
    """Return what must be looked up before a plan can be made."""
    return [(claim.kind.value, claim.value) for claim in targets]


def plan(claim: DeviceClaim, current: Device | None, owners: Mapping[Token, Taken]) -> Plan:
    """Plan the whole truth about a device. `owners` says which of its tokens sit on other devices.

    Of an import (`claim.confirmed` is given) it is the truth of that day: see `imported.narrowed`.
    """
    stay: AbstractSet[Token] = frozenset()
    if claim.confirmed is not None and (current is not None or owners):
        claim, owners, stay = narrowed(claim, claim.confirmed, current, owners)
    confirmed = claim.at if claim.confirmed is None else claim.confirmed
    own = {(target.kind.value, target.value): target for target in current.targets} if current else {}
    users = tuple(dict.fromkeys(claim.users))
    targets: list[Target] = []
    taken: list[Taken] = []
    for token, wanted in {(wanted.kind.value, wanted.value): wanted for wanted in claim.targets}.items():
        owner = owners.get(token)
        if (mine := own.pop(token, None)) is not None:
            targets.append(mine if token in stay else _renewed(mine, wanted, claim.at, confirmed))
        elif owner is not None:
            taken.append(owner)
            targets.append(_moved(owner, wanted, claim.at, confirmed, users))
        else:
            targets.append(_new(wanted, 0, claim.at, confirmed))
    device = Device(
        id=current.id if current else 0,
        app=claim.app,
        device_id=claim.device_id,
        users=users,
        targets=tuple(targets),
        tags=tuple(dict.fromkeys(claim.tags)),
        facts=claim.facts,
        generation=_generation(current, users, taken),
        connected_until=current.connected_until if current else 0,
        created=current.created if current else claim.at,
        seen=current.seen if current else claim.at,
        held_since=_held_since(current, users, taken, claim.at),
    )
    return _finish(device, current, claim.at, tuple(own.values()), tuple(taken))


def plan_target(claim: TargetClaim, current: Device, owners: Mapping[Token, Taken], at: int) -> Plan:
    """Plan one target alone: it takes the place of what the device had of that kind."""
    kept = tuple(
        TargetClaim(kind=target.kind, value=target.value, environment=target.environment, topic=target.topic)
        for target in current.targets
        if target.kind is not claim.kind
    )
    whole = DeviceClaim(
        app=current.app,
        device_id=current.device_id,
        users=current.users,
        targets=(*kept, claim),
        at=at,
        tags=current.tags,
        facts=current.facts,
    )
    planned = plan(whole, current, owners)
    untouched = {target.id: target for target in current.targets if target.kind is not claim.kind}
    targets = tuple(untouched.get(target.id, target) for target in planned.device.targets)
    device = msgspec.structs.replace(planned.device, targets=targets, seen=current.seen)
    return _finish(device, current, at, planned.gone, planned.taken)


def without_user(device: Device, user: str, at: int) -> Device:
    """Return the device after one of its users left: nothing queued for the former set may reach the next, nor be shown to it."""
    users = tuple(name for name in device.users if name != user)
    return msgspec.structs.replace(device, users=users, generation=device.generation + 1, held_since=at)


def restored(target: Target, at: int) -> Target:
    """Return a target that the operator trusts again; what spoke against it stays in its history only."""
    return msgspec.structs.replace(target, state=TargetState.ACTIVE, reason="", since=at, evidence=None)


def to_restore(target: Target, route: int | None, *, proven: bool) -> bool:
    """Tell whether a fallen target is to be made active again: judged on this route (None: any), and not by proof."""
    evidence = target.evidence
    if target.state is TargetState.ACTIVE or (route is not None and (evidence is None or evidence.route != route)):
        return False
    return proven or evidence is None or not evidence.proof


def surplus(seen: Sequence[tuple[int, int]], keep: int, newest: int) -> list[int]:
    """Return which of a user's devices, given as (seen, row id), are too many; the one just registered never is."""
    others = sorted(pair for pair in seen if pair[1] != newest)
    return [device for _, device in others[: max(0, len(seen) - keep)]] if keep else []


def _finish(
    device: Device, current: Device | None, at: int, gone: tuple[Target, ...], taken: tuple[Taken, ...]
) -> Plan:
    changed = current is None or device != current or at - current.seen >= DAY
    if changed:
        device = msgspec.structs.replace(device, seen=max(at, device.seen))
    return Plan(device=device, created=current is None, changed=changed, gone=gone, taken=taken)


def _generation(current: Device | None, users: tuple[str, ...], taken: list[Taken]) -> int:
    """Count a change of users. A new device that takes over a token of the same people goes on where the old one was."""
    if current is not None:
        return current.generation + (set(users) != set(current.users))
    return next((item.owner.generation for item in taken if set(item.owner.users) == set(users)), 1)


def _held_since(current: Device | None, users: tuple[str, ...], taken: list[Taken], at: int) -> int:
    """Return when the device changed hands last; tokens that it takes over from the same people bring their past with them."""
    if current is not None and set(users) != set(current.users):
        return at
    theirs = [item.owner.held_since for item in taken if set(item.owner.users) == set(users)]
    return max(current.held_since if current is not None else 0, *theirs, 0)


def _renewed(mine: Target, wanted: TargetClaim, at: int, confirmed: int) -> Target:
    """Confirm a target. What an import says about a token that has since gone out of use proves nothing."""
    if mine.state is not TargetState.ACTIVE and confirmed < mine.since:
        return mine
    same = mine.environment is wanted.environment and mine.topic == wanted.topic and mine.state is TargetState.ACTIVE
    doubted = mine.evidence is not None and confirmed >= mine.evidence.at
    if same and confirmed - mine.confirmed < DAY and not doubted:
        return mine
    return msgspec.structs.replace(
        mine,
        environment=wanted.environment,
        topic=wanted.topic,
        state=TargetState.ACTIVE,
        reason="",
        since=mine.since if mine.state is TargetState.ACTIVE else at,
        evidence=None,
        confirmed=max(confirmed, mine.confirmed),
    )


def _moved(owner: Taken, wanted: TargetClaim, at: int, confirmed: int, users: tuple[str, ...]) -> Target:
    """Move a token. With other people it gets a new row id, so that nothing queued for the former ones can find it."""
    same_people = set(owner.owner.users) == set(users)
    return _new(wanted, owner.target.id if same_people else 0, at, confirmed)


def _new(wanted: TargetClaim, row: int, at: int, confirmed: int) -> Target:
    return Target(
        id=row,
        kind=wanted.kind,
        value=wanted.value,
        environment=wanted.environment,
        topic=wanted.topic,
        since=at,
        confirmed=confirmed,
    )
