from __future__ import annotations

import pytest

from wakeline.model.delivery import NewJob, pack_all, pack_targets, unpack_all
from wakeline.model.device import Crowd, DeviceClaim, TargetClaim, TargetKind
from wakeline.model.route import Lane
from wakeline.pipeline.remembered import MOST, Remembered
from wakeline.service.clock import SystemClock
from wakeline.storage.memory import MemoryStore
from wakeline.storage.sealing import Sealer

pytestmark = pytest.mark.anyio


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(SystemClock(), Sealer(b"m" * 32))


def crowd(*targets: int) -> Crowd:
    return Crowd("fcm", list(targets), [f"t{target}" for target in targets], list(targets), [])


def job(*targets: int, notification: int = 7) -> NewJob:
    return NewJob(
        notification=notification,
        app=1,
        route=1,
        lane=Lane.BULK,
        due=0,
        expires=1,
        recipients=pack_targets(targets),
    )


def a_claim(*users: str) -> DeviceClaim:
    token = TargetClaim(kind=TargetKind.FCM, value="token")
    return DeviceClaim(app=1, device_id="phone", users=users, targets=(token,), at=1)


async def test_is_told_once_and_to_its_job_alone(store: MemoryStore) -> None:
    memory, known = Remembered(store.devices), crowd(1, 2)
    memory.keep(job(1, 2), known, store.devices.version)

    assert memory.take(job(1, 2, notification=8)) is None
    assert memory.take(job(1)) is None
    assert memory.knows(job(1, 2))
    assert memory.take(job(1, 2)) is known
    assert memory.take(job(1, 2)) is None


async def test_a_change_in_the_registry_ends_it(store: MemoryStore) -> None:
    memory, version = Remembered(store.devices), store.devices.version
    await store.devices.put([a_claim("ann")])
    memory.keep(job(1), crowd(1), version)
    assert memory.knows(job(1))

    await store.devices.put([a_claim("bob")])

    assert not memory.knows(job(1))
    assert memory.take(job(1)) is None
    memory.keep(job(1), crowd(1), version)
    assert memory.take(job(1)) is None


async def test_the_oldest_goes_when_there_are_too_many(store: MemoryStore) -> None:
    memory = Remembered(store.devices)
    for target in range(1, MOST + 2):
        memory.keep(job(target), crowd(target), store.devices.version)

    assert not memory.knows(job(1))
    assert memory.knows(job(2))
    assert memory.knows(job(MOST + 1))


def test_targets_are_packed_with_an_empty_mark() -> None:
    targets = [1, 255, 256, (1 << 48) - 1]

    assert unpack_all(pack_targets(targets)) == [target << 16 for target in targets]
    assert pack_targets([]) == pack_all([])


def test_a_slice_of_a_crowd_is_a_crowd() -> None:
    whole = Crowd("apns", [1, 2, 3], ["a", "b", "c"], [4, 5, 6], ["de", "", "fr"])

    assert list(whole[1:]) == [whole[1], whole[2]]
    assert list(whole.only([0, 2])) == [whole[0], whole[2]]
    assert [one.locale for one in whole[:2]] == ["de", ""]
