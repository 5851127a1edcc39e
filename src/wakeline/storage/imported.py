"""What an import may change: a list made on another day, against what the app itself has said since. Pure.

Rules: of each kind of target that a line names it is the whole truth, and other kinds stay, since a list may name the tokens of one
device in lines far apart. What the app said after the line's date stands: its users, tags and facts, its token of that kind,
and whose a token is. A line without a date is older than anything that an app said, and as old as the list before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

import msgspec

from wakeline.model.device import Device, DeviceClaim, Target, TargetClaim, TargetKind

Token = tuple[str, str]
"""(kind, value): what can belong to only one device of an app."""


class Taken(NamedTuple):
    """A token that was registered with another device of the app."""

    target: Target
    owner: Device


class Narrowed(NamedTuple):
    """What of a line still holds, as a whole truth; the tokens that it takes; those of the device that it does not speak of."""

    claim: DeviceClaim
    owners: Mapping[Token, Taken]
    stay: AbstractSet[Token]


def narrowed(claim: DeviceClaim, date: int, current: Device | None, owners: Mapping[Token, Taken]) -> Narrowed:
    """Hold a line of this date (Unix ms, 0: none) against a device as it is, and whose its tokens are."""
    older = {token for token, taken in owners.items() if taken.target.confirmed > date}
    named = {token: one for one in claim.targets if (token := (one.kind.value, one.value)) not in older}
    stay: dict[Token, TargetClaim] = {}
    if current is not None:
        kinds = {target.kind for target in current.targets if target.confirmed > date}
        own = {(target.kind.value, target.value) for target in current.targets}
        named = {token: one for token, one in named.items() if one.kind not in kinds or token in own}
        kinds |= set(TargetKind) - {one.kind for one in named.values()}
        stay = _as_they_are([one for one in current.targets if one.kind in kinds])
        if any(target.confirmed > date for target in current.targets):
            claim = msgspec.structs.replace(claim, users=current.users, tags=current.tags, facts=current.facts)
    taken = {token: owner for token, owner in owners.items() if token in named}
    claim = msgspec.structs.replace(claim, targets=tuple({**stay, **named}.values()))
    return Narrowed(claim, taken, stay.keys() - named.keys())


def _as_they_are(targets: Iterable[Target]) -> dict[Token, TargetClaim]:
    return {
        (one.kind.value, one.value): TargetClaim(
            kind=one.kind, value=one.value, environment=one.environment, topic=one.topic
        )
        for one in targets
    }
