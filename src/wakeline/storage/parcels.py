"""Parcels: single deliveries that were accepted together and go the same way share one job.

So queue and dispatch handle a batch where they would handle a row each. A parcel is a job like any other but for its
`members`. What concerns one notification of it (a cancel, its state) sees `NewJob.alone`: that notification's part as a job
of its own.
"""

from __future__ import annotations

from collections.abc import Iterable

from wakeline.model.delivery import NewJob, pack_all
from wakeline.model.route import Lane
from wakeline.ports import Admission

MOST = 250
"""Recipients in a parcel: claiming, writing and settling one takes as long as others may wait for the loop."""

_Way = tuple[int, int, Lane, int, int]
"""App, route, lane, due, expires: what a job has once."""


def gathered(admissions: Iterable[Admission]) -> list[NewJob]:
    """Return the jobs of admissions with a single delivery; one that goes alone gets a job of its own."""
    groups: dict[_Way, tuple[list[int], list[int]]] = {}
    for admission in admissions:
        single, notification = admission.single, admission.notification
        if single is None:
            continue
        way = notification.app, single.route, notification.lane, notification.due, notification.expires
        group = groups.get(way)
        if group is None:
            group = groups[way] = [], []
        group[0].append(notification.key)
        group[1].append(single.recipient)
    return [
        _job(way, keys[start : start + MOST], recipients[start : start + MOST])
        for way, (keys, recipients) in groups.items()
        for start in range(0, len(keys), MOST)
    ]


def _job(way: _Way, keys: list[int], recipients: list[int]) -> NewJob:
    app, route, lane, due, expires = way
    alone = len(keys) == 1
    return NewJob(
        notification=keys[0] if alone else 0,
        app=app,
        route=route,
        lane=lane,
        due=due,
        expires=expires,
        recipients=pack_all(recipients),
        members=b"" if alone else pack_all(keys),
    )
