"""Who gets it, through which target, on which route. Pure: candidates and placements in, jobs out.

Rule 1: one target a device, the best that the push type may use; a raw target is taken as it is named.
Rule 2: a push for a user or a device bears the device's binding generation, so that the next user never sees it; one to a
raw token, to tags or to everyone is for whoever holds the phone, and bears none.
Rule 3: what one job holds leaves together: same route, same due time, same reason to wait.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from wakeline.model.app import AppSettings, CallsBy
from wakeline.model.delivery import JobKind, NewJob, pack_all
from wakeline.model.device import Address, Candidate, Crowd, TargetKind
from wakeline.model.notification import Notification, PushType
from wakeline.model.outcome import Outcome
from wakeline.pipeline.raw_targets import TARGET_KINDS

PER_JOB = 500
"""Recipients in one job and one bulk chunk."""

LONGEST_ABSENCE_CHECK = 90_000
"""Milliseconds that `only_if_absent` waits for a connected device at most."""

FANOUT_ROUTE = 0
"""Fan-out jobs are on no route yet."""


Places = Mapping[Address, int | Outcome]
"""Where each address goes: a route's id, or why it cannot be served."""


class Wait(NamedTuple):
    """When a recipient may be sent to, and why not before: Unix ms, a code (0: nothing in the way), what may supersede it."""

    due: int
    code: int = 0
    collapse_key: str = ""


def kinds_for(push_type: PushType, settings: AppSettings) -> tuple[TargetKind, ...]:
    """Return the kinds of target for a push type, the best first."""
    if push_type is PushType.CALL and settings.calls_by is CallsBy.ALERT:
        return TargetKind.APNS, TargetKind.FCM, TargetKind.WEBPUSH, TargetKind.HTTP
    return TARGET_KINDS[push_type]


@functools.cache
def _ranks(push_type: PushType, calls_by: CallsBy) -> dict[str, int]:
    """Return the rank of each kind by its name; `calls_by` is all that the settings say about it."""
    return {kind.value: number for number, kind in enumerate(kinds_for(push_type, AppSettings(calls_by=calls_by)))}


def choose(candidates: Sequence[Candidate], push_type: PushType, settings: AppSettings) -> list[Candidate]:
    """Return one candidate a device: of the best kind, and the newest of that kind."""
    rank = _ranks(push_type, settings.calls_by)
    if len(candidates) == 1:
        return [candidates[0]] if candidates[0].kind in rank else []
    best: dict[int, Candidate] = {}
    for candidate in candidates:
        place = rank.get(candidate.kind)
        if place is None:
            continue
        known = best.get(candidate.device)
        if known is None or (place, -candidate.target) < (rank[known.kind], -known.target):
            best[candidate.device] = candidate
    return list(best.values())


def choose_columns(crowds: list[tuple[Address, Crowd]], kinds: Sequence[TargetKind]) -> list[tuple[Address, Crowd]]:
    """Do as `choose` for crowds of these kinds."""
    devices = [device for _, crowd in crowds for device in crowd.devices]
    if len(set(devices)) == len(devices):
        return crowds
    rank = {kind.value: number for number, kind in enumerate(kinds)}
    best: dict[int, tuple[int, int]] = {}
    for (kind, _, _), crowd in crowds:
        for device, target in zip(crowd.devices, crowd.targets, strict=True):
            best[device] = min(best.get(device, (rank[kind], -target)), (rank[kind], -target))
    chosen = {-target for _, target in best.values()}
    kept = [
        (address, crowd.only([place for place, target in enumerate(crowd.targets) if target in chosen]))
        for address, crowd in crowds
    ]
    return [(address, crowd) for address, crowd in kept if crowd]


def address_of(candidate: Candidate) -> Address:
    """Return what decides the route of a candidate: the last three of its fields."""
    return candidate[-3:]


def absent_at(candidate: Candidate, now: int, *, connected: bool = False) -> int:
    """Return when a device that is connected, `connected` for as long as nobody knows, is to be taken for absent, Unix ms."""
    latest = now + LONGEST_ABSENCE_CHECK
    return latest if connected else max(now, min(candidate.connected_until, latest))


def jobs_of(notification: Notification, waiting: Mapping[tuple[int, Wait], Sequence[int]]) -> list[NewJob]:
    """Return the jobs for packed recipients grouped by (route, wait)."""
    return [
        NewJob(
            notification=notification.key,
            app=notification.app,
            route=route,
            lane=notification.lane,
            due=wait.due,
            expires=notification.expires,
            recipients=pack_all(list(part)),
            code=wait.code,
            collapse_key=wait.collapse_key,
        )
        for (route, wait), recipients in waiting.items()
        for part in parts(recipients)
    ]


def parts(recipients: Sequence[int]) -> Iterator[Sequence[int]]:
    """Cut recipients into what one job may hold."""
    for start in range(0, len(recipients), PER_JOB):
        yield recipients[start : start + PER_JOB]


def fanout_job(notification: Notification) -> NewJob:
    """Return the job that walks an audience and makes the jobs that send."""
    return NewJob(
        notification=notification.key,
        app=notification.app,
        route=FANOUT_ROUTE,
        lane=notification.lane,
        due=notification.due,
        expires=notification.expires,
        kind=JobKind.FANOUT,
    )
