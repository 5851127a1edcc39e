from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from stories.post import BAD_TOKEN, REVOKED, unregistered
from stories.world import World
from wakeline.config import Limits, Settings
from wakeline.doctor.explain import Explainer, ExplainPorts
from wakeline.doctor.explain_reason import of_reason
from wakeline.doctor.explanation import Explanation
from wakeline.model.credential import CredentialKind
from wakeline.model.device import DeviceFacts
from wakeline.model.errors import NotFound
from wakeline.model.ids import delivery_id, uuid_of
from wakeline.model.moments import worded
from wakeline.model.receipt import ReceiptKind
from wakeline.model.route import Environment
from wakeline.pipeline.receiving import Said

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world() -> World:
    return await World().open()


async def ask(world: World, question: str) -> Explanation:
    store = world.store
    explainer = Explainer(
        ExplainPorts(
            clock=world.clock,
            devices=store.devices,
            credentials=store.credentials,
            routes=store.routes,
            ledger=store.ledger,
            pipeline=world.pipeline,
        )
    )
    return await explainer.explain(question, store.apps.all())


async def test_an_accepted_push_is_the_phones_decision(world: World) -> None:
    await world.device("ios-1", "alice")
    key = await world.send("alice")
    await world.run()

    said = await ask(world, uuid_of(key))

    assert said.verdict.startswith("accepted by Apple")
    assert "the phone's" in said.cause
    assert "Focus" in said.fix
    assert [step.what for step in said.steps][:2] == ["accepted by the gateway", "attempt 1 to ios-1 (apns)"]


@pytest.mark.parametrize(
    ("kind", "facts", "words"),
    [
        ("apns", DeviceFacts(notifications_enabled=False), "notifications are switched off"),
        ("apns", DeviceFacts(low_power=True), "Low Power Mode"),
        ("apns", DeviceFacts(background_refresh=False), "background refresh"),
        ("fcm", DeviceFacts(battery_restricted=True), "battery"),
        ("fcm", DeviceFacts(low_power=True), "battery saver"),
    ],
)
async def test_what_the_device_said_of_itself_comes_first(
    world: World, kind: str, facts: DeviceFacts, words: str
) -> None:
    await world.android()
    await world.device("phone", "alice", f"{kind}:token", facts=facts)
    silent: dict[str, Any] = {"alert": None, "data": {"n": 1}} if facts.background_refresh is False else {}
    key = await world.send("alice", **silent)
    await world.run()

    assert words in (await ask(world, uuid_of(key))).fix
    assert words in (await ask(world, "phone")).cause


async def test_a_dead_token_is_told_with_the_providers_own_words(world: World) -> None:
    device = await world.device("ios-1", "alice")
    world.clock.advance(60)
    world.apple.to_token["ios-1"].append(unregistered(world.clock.now()))
    key = await world.send("alice")
    await world.run()

    notification = await ask(world, uuid_of(key))
    delivery = await ask(world, delivery_id(key, device.targets[0].id))
    token = await ask(world, "token:ios-1")

    assert notification.verdict == delivery.verdict == "failed: 410 Unregistered (code 911)"
    assert "not active any more" in delivery.cause
    assert "410 Unregistered" in next(step.detail for step in delivery.steps if step.what.startswith("attempt"))
    assert token.verdict == "retired after 410 Unregistered"
    assert token.about.startswith("apns token ***")


async def test_a_doubtful_token_says_how_to_restore_it(world: World) -> None:
    await world.device("ios-1", "alice")
    world.apple.to_all = BAD_TOKEN
    await world.send("alice")
    await world.run()

    said = await ask(world, "device:ios-1")

    assert said.verdict.startswith("quarantined after 400 BadDeviceToken")
    assert "restore" in said.fix


async def test_a_held_push_tells_what_holds_its_route(world: World) -> None:
    await world.device("ios-1", "alice")
    world.apple.to_all = REVOKED
    key = await world.send("alice")
    await world.run()

    said = await ask(world, uuid_of(key))
    device = await ask(world, "ios-1")

    assert said.verdict.startswith("held")
    assert "cannot verify our signature" in said.cause
    assert ".p8" in said.fix
    assert any("route is held" in step.what for step in said.steps)
    assert said.steps[-1].what == "the ttl ends"
    assert "904" in device.verdict


async def test_a_paused_app_is_named(world: World) -> None:
    await world.device("ios-1", "alice")
    await world.change_app(paused=True)
    key = await world.send("alice")
    await world.run()

    said = await ask(world, uuid_of(key))

    assert "paused" in said.cause
    assert said.verdict.startswith("held")


async def test_a_user_without_a_device_is_told_so(world: World) -> None:
    key = await world.send("nobody")
    await world.run()

    said = await ask(world, uuid_of(key))

    assert said.verdict == "skipped: nobody to send to"
    assert any("user nobody was not reached" in step.what for step in said.steps)
    with pytest.raises(NotFound):
        await ask(world, "user:nobody")


async def test_many_deliveries_are_counted_and_the_worst_explained(world: World) -> None:
    for number in range(3):
        await world.device(f"ios-{number}", "alice")
    world.clock.advance(60)
    world.apple.to_token["ios-1"].append(unregistered(world.clock.now()))
    key = await world.send("alice")
    await world.run()

    said = await ask(world, uuid_of(key))

    assert said.verdict == "2 accepted, 1 failed"
    assert "not active any more" in said.cause
    assert sum(step.what.startswith("attempt") for step in said.steps) == 3


async def test_a_scheduled_and_a_queued_push_say_when(world: World) -> None:
    await world.device("ios-1", "alice")
    queued = await world.send("alice")
    tomorrow = datetime.fromtimestamp(world.clock.now() / 1000 + 86400, UTC)
    scheduled = await world.send("alice", send_at=tomorrow.isoformat())

    assert (await ask(world, uuid_of(queued))).cause == "It waits for its turn."
    assert f"It is to be sent at {tomorrow:%Y-%m-%d %H:%M:%S} UTC." in (await ask(world, uuid_of(scheduled))).cause


async def test_a_user_is_explained_by_their_devices(world: World) -> None:
    await world.device("ios-1", "alice")
    await world.device("ios-2", "alice", "apns:two")
    world.clock.advance(60)
    world.apple.to_token["two"].append(unregistered(world.clock.now()))
    await world.send("alice")
    await world.run()

    said = await ask(world, "alice")

    assert said.about == "user alice"
    assert said.verdict == "1 of 2 devices can be woken"
    assert said.cause.startswith("ios-2: The token is not active any more")
    assert [step.what for step in said.steps] == ["device ios-2 of app acme", "device ios-1 of app acme"]


async def test_what_an_operator_can_mend_speaks_for_a_user_and_no_such_device_counts_as_one_that_can_be_woken(
    world: World,
) -> None:
    await world.device("ios-1", "alice")
    await world.device("ios-2", "alice", "apns:two")
    fine = await ask(world, "alice")
    await world.device("android", "alice", "fcm:token")
    lacks = await ask(world, "alice")
    await world.change_app(paused=True)
    paused = await ask(world, "alice")

    assert (fine.verdict, fine.cause) == (
        "2 of 2 devices can be woken",
        "All are registered, and nothing speaks against their tokens.",
    )
    assert lacks.verdict == "2 of 3 devices can be woken"
    assert lacks.cause.startswith("android: The app has no credential")
    assert paused.verdict == "0 of 3 devices can be woken"


async def test_a_device_without_a_credential_or_a_token_says_so(world: World) -> None:
    await world.device("android", "bob", "fcm:token")
    await world.store.credentials.delete(1)
    await world.device("ios-1", "alice")

    assert "901" in (await ask(world, "android")).verdict
    assert "901" in (await ask(world, "ios-1")).verdict
    await world.android()
    assert (await ask(world, "android")).verdict == "active"


@pytest.mark.parametrize(
    ("question", "about", "words"),
    [
        ("BadDeviceToken", "the token is in doubt", "other one"),
        ("unregistered", "the token is dead", ""),
        ("905", "the credential is at fault", "environment"),
        ("reason:914", "a rate limit", "limit"),
    ],
)
async def test_codes_and_reasons_are_explained_from_the_table(
    world: World, question: str, about: str, words: str
) -> None:
    said = await ask(world, question)

    assert said.verdict.startswith(about)
    assert words in said.cause
    assert said.fix
    assert said.steps


def test_a_reason_that_is_in_no_table_is_none() -> None:
    assert of_reason("Sunshine") is None
    assert of_reason("777") is None


@pytest.mark.parametrize("question", ["nothing", "user:x", "01a1ee56-5e00-7000-967c-0070a30ee6d0", "%"])
async def test_what_names_nothing_is_not_found_and_says_what_can_be_asked(world: World, question: str) -> None:
    with pytest.raises(NotFound) as caught:
        await ask(world, question)

    assert "905" in caught.value.fix


async def test_tokens_are_found_in_any_spelling_and_never_shown_whole(world: World) -> None:
    token = "ab12" * 16
    await world.device("ios-1", "alice", f"apns:{token}")

    said = await ask(world, token.upper())

    assert said.about == f"apns token ...{token[-6:]} of device ios-1, app acme"
    assert all(token not in step.what + step.detail for step in said.steps)


async def test_other_apps_are_not_looked_into(world: World) -> None:
    await world.device("ios-1", "alice")
    key = await world.send("alice")
    store = world.store
    explainer = Explainer(
        ExplainPorts(
            clock=world.clock,
            devices=store.devices,
            credentials=store.credentials,
            routes=store.routes,
            ledger=store.ledger,
            pipeline=world.pipeline,
        )
    )

    for question in (uuid_of(key), "ios-1", "alice", "token:ios-1"):
        with pytest.raises(NotFound):
            await explainer.explain(question, [])


async def test_a_push_to_everyone_is_explained_while_it_walks_and_after(world: World) -> None:
    for number in range(3):
        await world.device(f"ios-{number}", f"u{number}")
    key = await world.send(to={"everyone": True})
    before = await ask(world, uuid_of(key))
    await world.run()
    after = await ask(world, uuid_of(key))

    assert before.verdict == "the audience is being walked"
    assert after.verdict == "3 accepted"


async def test_an_expired_push_says_that_its_time_was_over(world: World) -> None:
    await world.device("ios-1", "alice")
    world.apple.to_all = REVOKED
    key = await world.send("alice", ttl=60)
    await world.run()
    await world.later(120)

    said = await ask(world, uuid_of(key))

    assert said.verdict.startswith("expired")
    assert said.cause


async def test_google_is_named_where_google_accepted(world: World) -> None:
    await world.android()
    await world.device("android", "bob", "fcm:token")
    key = await world.send("bob")
    await world.run()

    assert (await ask(world, uuid_of(key))).verdict.startswith("accepted by Google")


async def test_what_waits_for_a_limit_says_when_it_goes_out() -> None:
    world = await World(Settings(limits=Limits(per_user=False))).open()
    await world.android()
    await world.device("android-1", "bob", "fcm:android")
    for _ in range(240):
        await world.send("bob")
    key = await world.send("bob")
    await world.run()

    said = await ask(world, uuid_of(key))

    [held] = await world.deliveries(key)
    assert said.verdict.startswith("held")
    assert "(code 914)" in said.verdict
    assert "as many pushes as may go out" in said.cause
    assert worded(held.due) in said.cause
    assert "collapse_id" in said.fix
    assert said.steps[-1].what == "the ttl ends"


async def test_a_user_who_had_as_many_pushes_as_they_may_is_told_so_with_the_time() -> None:
    world = await World(Settings(limits=Limits(alert_burst=1))).open()
    await world.device("ios-1", "alice")
    before = await ask(world, "alice")
    await world.send("alice")
    said = await ask(world, "alice")

    assert before.verdict == "1 of 1 devices can be woken"
    assert said.verdict == "1 of 1 devices can be woken, and a limit keeps what is sent (alert)"
    assert "914" in said.cause
    assert "collapse_id" in said.fix
    [step] = [step for step in said.steps if step.what == "limited until then"]
    assert step.at == datetime.fromtimestamp(world.clock.now() / 1000 + 60, UTC)
    assert "alert pushes of app acme" in step.detail


async def test_an_open_debug_window_is_named_with_its_end(world: World) -> None:
    await world.device("ios-1", "alice")
    before = await ask(world, "alice")
    await world.pipeline.debug.open(world.app, seconds=600)

    for question in ("alice", "device:ios-1"):
        [step] = [one for one in (await ask(world, question)).steps if "debug window" in one.what]
        assert step.at == datetime.fromtimestamp(world.clock.now() / 1000 + 600, UTC)
    assert not [step for step in before.steps if "debug" in step.what]


@pytest.mark.parametrize(
    ("facts", "code", "words"),
    [
        ({"topics": ("com.other",)}, "901", "It would take one for apns production com.acme"),
        ({"topics": ("com.acme",), "environments": (Environment.SANDBOX,)}, "905", "for sandbox alone"),
    ],
)
async def test_a_device_whose_token_no_credential_covers_says_what_it_takes(
    facts: dict[str, Any], code: str, words: str
) -> None:
    world = World()
    world.app = await world.store.apps.create("acme", "Acme", world.clock.now())
    await world.credential(CredentialKind.APNS_CERTIFICATE, **({"environments": (Environment.PRODUCTION,)} | facts))
    await world.device("ios-1", "alice", "apns:a1/com.acme")

    said = await ask(world, "ios-1")

    assert said.verdict == f"active, but no credential covers it ({code})"
    assert words in said.cause
    assert "credential add" in said.fix


async def test_a_held_push_is_explained_by_what_holds_it_and_not_by_another_route(world: World) -> None:
    await world.device("ios-1", "alice", "apns:a1")
    await world.device("dev-1", "dora", "apns:d1@sandbox")
    for user in ("alice", "dora"):
        await world.send(user)
        await world.run()
    production, sandbox = sorted(world.store.routes.all(), key=lambda route: route.environment)
    await world.pipeline.hold(sandbox.id, "The sandbox is being looked at.")
    await world.pipeline.hold(production.id, "Friday evening.")
    alices, doras = await world.send("alice"), await world.send("dora")
    await world.run()

    assert "Friday evening." in (await ask(world, uuid_of(alices))).cause
    assert "being looked at" in (await ask(world, uuid_of(doras))).cause


async def test_a_limit_is_the_cause_also_while_another_route_is_held() -> None:
    world = await World(Settings(limits=Limits(alert_burst=1))).open()
    await world.device("ios-1", "alice", "apns:a1")
    await world.device("dev-1", "dora", "apns:d1@sandbox")
    for user in ("alice", "dora"):
        await world.send(user)
        await world.run()
    [sandbox] = [route for route in world.store.routes.all() if route.environment is Environment.SANDBOX]
    await world.pipeline.hold(sandbox.id, "The sandbox is being looked at.")
    key = await world.send("alice")
    await world.run()

    said = await ask(world, uuid_of(key))

    assert "(code 914)" in said.verdict
    assert "as many pushes" in said.cause


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [(ReceiptKind.ACKNOWLEDGED, "acknowledged by the device"), (ReceiptKind.OPENED, "opened on the device")],
)
async def test_what_a_device_reported_itself_has_arrived(world: World, kind: ReceiptKind, verdict: str) -> None:
    device = await world.device("ios-1", "alice", "apns:a1")
    key = await world.send("alice")
    await world.run()
    await world.pipeline.receiving.note([Said(device, key, kind)])

    said = await ask(world, uuid_of(key))

    assert (said.verdict, "it arrived" in said.cause) == (verdict, True)
    assert not [step for step in said.steps if step.what == "on the device, perhaps"]


async def test_a_push_that_waits_for_a_connected_device_says_so(world: World) -> None:
    await world.device("ios-1", "alice")
    await world.store.devices.set_presence(world.app.id, "ios-1", world.clock.now() + 60_000)
    said = await ask(world, uuid_of(await world.send("alice", only_if_absent=True)))

    assert said.verdict == "scheduled"
    assert said.cause.startswith("The device is connected")
    assert "unless the device acknowledges it before" in said.cause


async def test_a_device_whose_token_moved_says_where_it_went_and_comes_after_those_that_can_be_mended(
    world: World,
) -> None:
    await world.device("ios-1", "alice")
    await world.device("ios-2", "alice", "apns:ios-1")
    gone = await ask(world, "device:ios-1")
    await world.device("android", "alice", "fcm:token")
    user = await ask(world, "alice")

    assert gone.verdict == "no target: its token moved to another device"
    assert "with another device of the app now" in gone.cause
    assert [step.what for step in gone.steps] == ["registered", "apns target left"]
    assert user.verdict == "1 of 3 devices can be woken"
    assert user.cause.startswith("android: ")
