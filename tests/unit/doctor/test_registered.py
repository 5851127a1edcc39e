"""What devices declared, against what the app can send with: each fault provoked, and silent where all is well."""

from __future__ import annotations

import pytest

from stories.world import World
from unit.doctor.clinic import line, ports_in
from wakeline.doctor import registered
from wakeline.doctor.checking import DAY
from wakeline.model.app import ApnsEnvironment, AppSettings
from wakeline.model.credential import CredentialKind
from wakeline.model.device import DeviceFacts, TargetClaim, TargetKind
from wakeline.model.route import Environment
from wakeline.observe.health import Status

pytestmark = pytest.mark.anyio
TOKEN = "ab12" * 16
IPHONE, ANDROID = DeviceFacts(platform="iOS"), DeviceFacts(platform="android")


@pytest.fixture
async def world() -> World:
    return await World().open()


async def said(world: World, name: str, *, user: str = "") -> tuple[str, str, str]:
    return await line(registered.look, ports_in(world, user=user), name)


async def test_an_app_without_devices_is_skipped(world: World) -> None:
    assert [check.status for check in await registered.look(ports_in(world))] == [Status.SKIPPED]


async def test_where_all_is_well_nothing_is_odd(world: World) -> None:
    await world.android()
    await world.device("ios-1", "alice", f"apns:{TOKEN}", facts=IPHONE)
    await world.device("android-1", "alice", "fcm:abcdefgh:APA91bxyz", facts=ANDROID)

    found = await registered.look(ports_in(world))

    assert {check.status for check in found} == {Status.OK, Status.SKIPPED}
    assert [check.name for check in found if check.status is Status.SKIPPED] == ["FCM on iOS of acme", "phones of acme"]


async def test_a_project_that_no_credential_covers_is_named(world: World) -> None:
    await world.android()
    await world.device("android-1", "alice", "fcm:abcdefgh:APA91bxyz")
    before = await said(world, "topics of acme")
    other = TargetClaim(kind=TargetKind.FCM, value="abcdefgh:APA91bxyz", topic="other-project")
    await world.store.devices.put_target(world.app.id, "android-1", other, world.clock.now())
    status, cause, fix = await said(world, "topics of acme")

    assert (before[0], status) == ("ok", "failed")
    assert "1 token fcm production other-project" in cause
    assert "google-services.json" in fix


async def test_tokens_that_name_no_bundle_id_are_told_where_credentials_are_of_several(world: World) -> None:
    await world.device("ios-1", "alice")
    bare = TargetClaim(kind=TargetKind.APNS, value="ios-1")
    await world.store.devices.put_target(world.app.id, "ios-1", bare, world.clock.now())
    await world.credential(topics=("com.example.acme",))
    before = await said(world, "topics of acme")
    await world.credential(topics=("com.example.other", "com.example.other.voip"))
    status, cause, fix = await said(world, "topics of acme")

    assert (before[0], status) == ("ok", "warning")
    assert cause.startswith(
        "Of 1 device, 1 apns token names no bundle id, and the credentials are of several: com.example.acme, com"
    )
    assert "`topic`" in fix

    named = TargetClaim(kind=TargetKind.APNS, value="ios-1", topic="com.example.other")
    await world.store.devices.put_target(world.app.id, "ios-1", named, world.clock.now())
    assert (await said(world, "topics of acme"))[0] == "ok"


async def test_a_bundle_id_and_an_environment_that_no_certificate_covers_are_named() -> None:
    world = World()
    world.app = await world.store.apps.create("acme", "Acme", world.clock.now())
    await world.credential(
        CredentialKind.APNS_CERTIFICATE, topics=("com.acme",), environments=(Environment.PRODUCTION,)
    )
    await world.device("ios-1", "alice", f"apns:{TOKEN}/com.acme")
    before = await said(world, "topics of acme")
    await world.device("ios-2", "bob", "apns:cd34/com.acme.beta")
    await world.device("ios-3", "carl", "apns:ef56@sandbox")
    status, cause, _ = await said(world, "topics of acme")

    assert (before[0], status) == ("ok", "failed")
    assert "2 tokens cannot be sent to" in cause
    assert "com.acme.beta" in cause
    assert "sandbox" in cause


async def test_a_development_certificate_for_production_tokens_is_905() -> None:
    world = World()
    world.app = await world.store.apps.create("acme", "Acme", world.clock.now())
    await world.credential(CredentialKind.APNS_CERTIFICATE, topics=("com.acme",), environments=(Environment.SANDBOX,))
    await world.device("ios-1", "alice", f"apns:{TOKEN}/com.acme")
    status, cause, fix = await said(world, "topics of acme")

    assert status == "failed"
    assert "for sandbox alone; one for production is required." in cause
    assert "no credential covers it (905)" in cause
    assert ".p8" in fix


async def test_without_any_credential_there_is_nothing_to_compare_with() -> None:
    world = World()
    world.app = await world.store.apps.create("acme", "Acme", world.clock.now())
    await world.device("ios-1", "alice")

    assert (await said(world, "topics of acme"))[0] == "skipped"


async def test_iphones_with_fcm_tokens_need_an_fcm_credential(world: World) -> None:
    await world.device("ios-1", "alice", "fcm:abcdefgh:APA91bxyz", facts=IPHONE)
    status, cause, fix = await said(world, "FCM on iOS of acme")
    await world.android()

    assert status == "failed"
    assert "an APNs key or certificate cannot send to FCM tokens" in cause
    assert "kind `apns`" in fix
    assert (await said(world, "FCM on iOS of acme"))[0] == "ok"


@pytest.mark.parametrize(("sandbox", "status"), [(0, "ok"), (1, "ok"), (4, "warning")])
async def test_a_few_sandbox_tokens_are_developers_and_many_are_a_mistake(
    world: World, sandbox: int, status: str
) -> None:
    for number in range(12):
        await world.device(f"ios-{number}", f"u{number}", f"apns:{number:02x}")
    for number in range(sandbox):
        await world.device(f"dev-{number}", f"d{number}", f"apns:d{number}@sandbox")

    found, cause, fix = await said(world, "APNs environments of acme")

    assert (found, bool(fix)) == (status, status == "warning")
    assert f"12 tokens for production, {sandbox} for sandbox" in cause


async def test_an_app_that_forces_an_environment_is_held_against_its_tokens(world: World) -> None:
    await world.device("ios-1", "alice", "apns:ab@sandbox")
    before = await said(world, "APNs environments of acme")
    await world.change_app(settings=AppSettings(apns_environment=ApnsEnvironment.PRODUCTION))
    status, cause, _ = await said(world, "APNs environments of acme")

    assert (before[0], status) == ("ok", "warning")
    assert "sent to production" in cause


async def test_one_device_in_both_environments_is_odd(world: World) -> None:
    await world.device("ios-1", "alice", "apns:ab", "apns-voip:cd@sandbox")

    assert "tokens of both" in (await said(world, "APNs environments of acme"))[1]


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("apns:abcdefgh-APA91bxyz", "not hexadecimal"),
        ("apns:abc", "was cut"),
        (f"apns:{'0' * 64}", "placeholder"),
        (f"fcm:{TOKEN}", "shape of an APNs token"),
    ],
)
async def test_a_token_of_another_shape_fails_and_is_never_shown_whole(world: World, target: str, words: str) -> None:
    await world.device("phone", "alice", target)
    status, cause, fix = await said(world, "tokens of acme")

    assert (status, words in cause) == ("failed", True)
    assert fix
    assert TOKEN not in cause


async def test_many_devices_that_are_all_confirmed_are_as_it_should_be(world: World) -> None:
    for number in range(3):
        await world.device(f"ios-{number}", "alice", f"apns:a{number}")
    status, cause, _ = await said(world, "user alice of acme", user="alice")

    assert status == "ok"
    assert cause.startswith("3 devices, all confirmed")


async def test_new_device_ids_every_day_are_duplicates(world: World) -> None:
    for number in range(4):
        await world.device(f"ios-{number}", "alice", f"apns:a{number}")
        world.clock.advance(DAY / 1000)
    of_app = await said(world, "device ids of acme")
    of_user = await said(world, "user alice of acme", user="alice")

    assert (of_app[0], of_user[0]) == ("warning", "warning")
    assert "such as alice (4 devices, every day)" in of_app[1]
    assert "4 devices: new device ids every day for this user" in of_user[1]
    assert "PUT" in of_app[2]


async def test_new_device_ids_every_few_days_are_duplicates_as_well(world: World) -> None:
    for number in range(4):
        await world.device(f"ios-{number}", "alice", f"apns:a{number}")
        world.clock.advance(4 * DAY / 1000)

    assert "new device ids every few days for this user" in (await said(world, "user alice of acme", user="alice"))[1]


async def test_phones_that_came_one_after_the_other_and_are_all_used_are_no_duplicates(world: World) -> None:
    for number in range(4):
        await world.device(f"ios-{number}", "alice", f"apns:a{number}")
        world.clock.advance(DAY / 1000)
        for used in range(number + 1):
            await world.device(f"ios-{used}", "alice", f"apns:a{used}")

    assert (await said(world, "device ids of acme"))[0] == "ok"
    assert (await said(world, "user alice of acme", user="alice"))[0] == "ok"


async def test_a_user_nobody_knows_fails_and_a_phone_long_unheard_of_is_a_warning(world: World) -> None:
    await world.device("ios-1", "alice", "apns:a1")
    world.clock.advance(60 * DAY / 1000)
    nobody = await said(world, "user bob of acme", user="bob")
    stale = await said(world, "user alice of acme", user="alice")

    assert (nobody[0], stale[0]) == ("failed", "warning")
    assert "0 of them confirmed lately" in stale[1]


async def test_a_user_of_one_app_is_no_fault_of_the_others(world: World) -> None:
    await world.store.apps.create("other", "Other", world.clock.now())
    await world.device("ios-1", "alice", f"apns:{TOKEN}")

    known = await registered.look(ports_in(world, user="alice"))
    unknown = await registered.look(ports_in(world, user="bob"))

    assert "user alice of acme" in {check.name for check in known}
    assert not [check for check in known if check.name.endswith("other") or check.status is Status.FAILED]
    assert [check.status for check in unknown] == [Status.FAILED, Status.FAILED]


async def test_devices_for_which_there_was_no_time_are_not_said_to_be_missing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registered, "SECONDS", 0.0)
    await world.device("ios-1", "alice")

    [found] = await registered.look(ports_in(world))

    assert (found.status, "no time left" in found.cause) == (Status.SKIPPED, True)


async def test_of_very_many_devices_some_are_looked_at_and_the_lines_say_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registered, "MOST", 2)
    monkeypatch.setattr(registered, "PAGE", 2)
    for number in range(5):
        await world.device(f"ios-{number}", f"u{number}", f"apns:a{number}")

    assert "the first 2 devices" in (await said(world, "tokens of acme"))[1]
