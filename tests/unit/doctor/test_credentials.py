"""Credentials under the doctor's eyes: kind, days left, what their push service thinks, and what stands in for what."""

from __future__ import annotations

import pytest

from stories.world import World
from unit.doctor.clinic import line, ports_in
from wakeline.doctor import credentials
from wakeline.doctor.checking import DAY
from wakeline.model.credential import CredentialKind, CredentialState, Grade, Verdict
from wakeline.model.route import Environment

pytestmark = pytest.mark.anyio
CERTIFICATE = CredentialKind.APNS_CERTIFICATE


@pytest.fixture
async def world() -> World:
    """Return a gateway with an app that has nothing yet."""
    world = World()
    world.app = await world.store.apps.create("acme", "Acme", world.clock.now())
    return world


async def said(world: World, credential: int) -> tuple[str, str, str]:
    return await line(credentials.look, ports_in(world), f"credential {credential} of acme")


async def test_an_app_that_has_nothing_is_skipped_and_one_with_devices_alone_fails(world: World) -> None:
    before = await line(credentials.look, ports_in(world), "credentials of acme")
    await world.device("ios-1", "alice")
    status, cause, fix = await line(credentials.look, ports_in(world), "credentials of acme")

    assert (before[0], status) == ("skipped", "failed")
    assert "901" in cause
    assert "credential add" in fix


async def test_no_app_is_no_failure() -> None:
    assert (await line(credentials.look, ports_in(World()), "credentials"))[0] == "skipped"


async def test_a_key_never_ends(world: World) -> None:
    key = await world.credential(key_id="ABC1234567")
    status, cause, _ = await said(world, key.id)

    assert status == "ok"
    assert cause == "APNs key (.p8) ABC1234567: it does not end, no push service has seen it yet."


@pytest.mark.parametrize(
    ("days", "status", "words"),
    [(200, "ok", "200 days left"), (12, "warning", "ends in 12 days"), (-3, "failed", "ended 3 days ago")],
)
async def test_a_certificate_has_days_left_or_not(world: World, days: int, status: str, words: str) -> None:
    one = await world.credential(CERTIFICATE, topics=("com.acme",), not_after=world.clock.now() + days * DAY)
    found, cause, fix = await said(world, one.id)

    assert (found, words in cause) == (status, True)
    assert (".p8" in fix) == (status != "ok")


@pytest.mark.parametrize(
    ("topics", "environments", "status"),
    [
        ((), tuple(Environment), "warning"),
        (("com.acme",), tuple(Environment), "warning"),
        (("com.other",), tuple(Environment), "failed"),
        ((), (Environment.SANDBOX,), "failed"),
    ],
)
async def test_an_ended_certificate_is_no_failure_where_a_key_does_its_work(
    world: World, topics: tuple[str, ...], environments: tuple[Environment, ...], status: str
) -> None:
    ended = await world.credential(
        CERTIFICATE,
        topics=("com.acme", "com.acme.voip"),
        environments=(Environment.PRODUCTION,),
        not_after=world.clock.now() - DAY,
    )
    await world.credential(topics=topics, environments=environments)

    assert (await said(world, ended.id))[0] == status


async def test_a_refused_one_fails_with_what_was_said(world: World) -> None:
    key = await world.credential()
    await world.store.credentials.set_state(key.id, CredentialState.FAILED, "Apple cannot verify our signature.")
    status, cause, fix = await said(world, key.id)

    assert status == "failed"
    assert cause.endswith("refuses it: Apple cannot verify our signature.")
    assert fix


async def test_what_was_odd_at_its_upload_stays_a_warning(world: World) -> None:
    verdict = Verdict(grade=Grade.WARNING, notes=("It is for development only.",))
    one = await world.credential(CERTIFICATE, verdict=verdict, not_after=world.clock.now() + 100 * DAY)

    assert (await said(world, one.id))[::2] == ("warning", "It is for development only.")
