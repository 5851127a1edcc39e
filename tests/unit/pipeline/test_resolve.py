from __future__ import annotations

import pytest

from wakeline.model.app import AppSettings, CallsBy
from wakeline.model.delivery import unpack_all
from wakeline.model.device import Candidate, crowd_of
from wakeline.model.notification import Content, Notification, PushType
from wakeline.model.route import Lane
from wakeline.pipeline.resolve import Wait, absent_at, choose, choose_columns, jobs_of, kinds_for

NOW = 1_000_000


def candidate(target: int, kind: str, device: int = 1, connected_until: int = 0) -> Candidate:
    found = device, f"d{device}", 1, connected_until, "ann"
    return Candidate(*found, target, f"token-{target}", "active", "", kind, "production", "com.acme")


IPHONE = [candidate(1, "apns"), candidate(2, "apns-voip"), candidate(3, "apns-liveactivity")]
ANDROID = [candidate(4, "fcm", device=2)]
OLD_IPHONE = [candidate(5, "apns", device=3)]


@pytest.mark.parametrize(
    ("found", "push_type", "calls_by", "targets"),
    [
        (IPHONE, PushType.ALERT, CallsBy.VOIP, [1]),
        (IPHONE, PushType.CALL, CallsBy.VOIP, [2]),
        (IPHONE, PushType.CALL, CallsBy.ALERT, [1]),
        (OLD_IPHONE, PushType.CALL, CallsBy.VOIP, [5]),
        (ANDROID, PushType.CALL, CallsBy.VOIP, [4]),
        (IPHONE + ANDROID, PushType.BACKGROUND, CallsBy.VOIP, [1, 4]),
        (IPHONE + ANDROID, PushType.LIVEACTIVITY, CallsBy.VOIP, [3]),
        (OLD_IPHONE, PushType.LOCATION, CallsBy.VOIP, []),
        ([candidate(7, "apns"), candidate(9, "apns"), candidate(8, "apns")], PushType.ALERT, CallsBy.VOIP, [9]),
    ],
)
def test_one_target_a_device(
    found: list[Candidate], push_type: PushType, calls_by: CallsBy, targets: list[int]
) -> None:
    settings = AppSettings(calls_by=calls_by)
    kinds = kinds_for(push_type, settings)
    groups = [[candidate for candidate in found if candidate.kind == kind] for kind in kinds]
    crowds = [((group[0].kind, "", ""), crowd_of(group)) for group in groups if group]
    assert [candidate.target for candidate in choose(found, push_type, settings)] == targets
    columns = choose_columns(crowds, kinds)
    assert sorted(target for _, crowd in columns for target in crowd.targets) == sorted(targets)


@pytest.mark.parametrize(("connected", "at"), [(0, NOW), (NOW + 5000, NOW + 5000), (NOW + 10**9, NOW + 90_000)])
def test_absence_is_assumed_after_ninety_seconds(connected: int, at: int) -> None:
    assert absent_at(candidate(1, "apns", connected_until=connected), NOW) == at


def test_jobs_hold_five_hundred_of_one_route_and_one_wait() -> None:
    notification = Notification(key=1, app=1, content=Content(), lane=Lane.ALERT, due=NOW, expires=NOW + 1, created=NOW)
    waiting = {(7, Wait(NOW)): list(range(1100)), (7, Wait(NOW + 60, 914, "ann\nscore")): [1], (8, Wait(NOW)): [2]}
    jobs = jobs_of(notification, waiting)
    assert [(job.route, job.due, job.code, len(unpack_all(job.recipients))) for job in jobs] == [
        (7, NOW, 0, 500),
        (7, NOW, 0, 500),
        (7, NOW, 0, 100),
        (7, NOW + 60, 914, 1),
        (8, NOW, 0, 1),
    ]
    assert {job.collapse_key for job in jobs} == {"", "ann\nscore"}
