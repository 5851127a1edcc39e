from __future__ import annotations

import asyncio
import random

import msgspec
import pytest

from storing import DAY, HOUR, NOW, Store, ToldClock, claim, some_app, some_device
from wakeline.model.device import (
    Crowd,
    Device,
    DeviceClaim,
    DeviceFacts,
    Evidence,
    Recipient,
    TargetClaim,
    TargetKind,
    TargetState,
)
from wakeline.model.errors import NotFound
from wakeline.model.route import Environment
from wakeline.ports import StalePage, TargetVerdict
from wakeline.storage.memory import MemoryStore
from wakeline.storage.sealing import Sealer

pytestmark = pytest.mark.anyio

ACTIVE, QUARANTINED, RETIRED = TargetState
PRODUCTION, SANDBOX = Environment


async def put(store: Store, **kwargs: object) -> Device:
    app = await some_app(store)
    (registered,) = await store.devices.put([claim(app, **kwargs)])  # type: ignore[arg-type]  # named as in `claim`
    return registered.device


def voip(value: str, environment: Environment, topic: str) -> TargetClaim:
    return TargetClaim(kind=TargetKind.APNS_VOIP, value=value, environment=environment, topic=topic)


async def judge(store: Store, device: Device, state: TargetState, at: int = NOW, **kwargs: object) -> bool:
    verdict = TargetVerdict(target=device.targets[0].id, state=state, reason="Unregistered", at=at)
    return bool(await store.devices.judge([msgspec.structs.replace(verdict, **kwargs)]))


async def state_of(store: Store, device: Device) -> TargetState:
    found = await store.devices.by_id(device.id)
    assert found is not None
    return found.targets[0].state


class TestRegistering:
    async def test_keeps_what_the_app_said(self, store: Store) -> None:
        app = await some_app(store)
        given = msgspec.structs.replace(
            claim(app, users=("alice", "bob"), tokens=("aa", "bb"), tags=("beta", "de")),
            facts=DeviceFacts(platform="ios", locale="de-AT", notifications_enabled=False),
        )

        (registered,) = await store.devices.put([given])

        device = registered.device
        assert registered.created
        assert (device.users, device.tags, device.facts) == (("alice", "bob"), ("beta", "de"), given.facts)
        assert [(target.value, target.state, target.confirmed) for target in device.targets] == [
            ("aa", ACTIVE, NOW),
            ("bb", ACTIVE, NOW),
        ]
        assert (device.generation, device.created, device.seen) == (1, NOW, NOW)
        assert await store.devices.get(app.id, "phone") == device
        assert await store.devices.by_id(device.id) == device
        assert await store.devices.by_target(app.id, TargetKind.APNS, "bb") == device
        assert await store.devices.by_target_id(device.targets[1].id) == device

    async def test_is_found_by_the_endpoint_of_its_subscription_whatever_the_keys(self, store: Store) -> None:
        app = await some_app(store)
        other = await store.apps.create("other", "", NOW)
        endpoint = "https://push.example.com/wp/1"
        browsers = {
            name: DeviceClaim(
                app=app.id,
                device_id=name,
                users=(),
                targets=(TargetClaim(kind=TargetKind.WEBPUSH, value=value, topic="https://push.example.com"),),
                at=NOW,
            )
            for name, value in (("one", f"{endpoint} key secret"), ("two", f"{endpoint}2 key secret"))
        }

        first, second = await store.devices.put(list(browsers.values()))

        assert await store.devices.by_endpoint(app.id, endpoint) == first.device
        assert await store.devices.by_endpoint(app.id, f"{endpoint}2") == second.device
        assert await store.devices.by_endpoint(app.id, endpoint[:-1]) is None
        assert await store.devices.by_endpoint(other.id, endpoint) is None

    async def test_two_subscriptions_of_one_endpoint_are_two_tokens(self, store: Store) -> None:
        app = await some_app(store)
        values = [f"https://push.example.com/wp/1 key secret{number}" for number in range(3)]

        def browser(number: int) -> DeviceClaim:
            target = TargetClaim(kind=TargetKind.WEBPUSH, value=values[number], topic="https://push.example.com")
            return DeviceClaim(app=app.id, device_id=f"b{number}", users=(), targets=(target,), at=NOW)

        await store.devices.put([browser(0)])
        await store.devices.take_in([browser(1), browser(2)])

        for number, value in enumerate(values):
            found = await store.devices.by_target(app.id, TargetKind.WEBPUSH, value)
            assert found is not None
            assert found.device_id == f"b{number}"

    async def test_is_found_by_any_of_its_targets_together_with_others(self, store: Store) -> None:
        first = await put(store, device_id="one", tokens=("aa", "bb"))
        second = await put(store, device_id="two", tokens=("cc", "dd"))
        targets = [first.targets[1].id, second.targets[0].id, second.targets[1].id]

        found = await store.devices.by_target_ids([*targets, 1 << 40])

        assert found == dict(zip(targets, (first, second, second), strict=True))
        assert await store.devices.by_target_ids([]) == {}

    async def test_again_changes_nothing(self, store: Store) -> None:
        first = await put(store)

        assert await put(store, at=NOW + HOUR) == first
        assert (await put(store, at=NOW + DAY)).seen == NOW + DAY

    async def test_confirms_a_token_once_a_day(self, store: Store) -> None:
        await put(store)

        device = await put(store, at=NOW + DAY)

        assert device.targets[0].confirmed == NOW + DAY
        assert device.targets[0].since == NOW

    async def test_forgets_tokens_not_named_any_more(self, store: Store) -> None:
        app = await some_app(store)
        first = await put(store, tokens=("aa", "bb"))

        second = await put(store, tokens=("bb", "cc"))

        assert [target.value for target in second.targets] == ["bb", "cc"]
        assert second.targets[0].id == first.targets[1].id
        assert second.targets[1].id not in {target.id for target in first.targets}
        assert await store.devices.by_target(app.id, TargetKind.APNS, "aa") is None

    async def test_counts_a_change_of_users(self, store: Store) -> None:
        app = await some_app(store)
        await put(store, users=("alice", "bob"))
        assert (await put(store, users=("bob", "alice"))).generation == 1

        device = await put(store, users=("carol",))

        assert device.generation == 2
        assert await store.devices.candidates_of_users(app.id, ["alice", "bob"]) == []
        (candidate,) = await store.devices.candidates_of_users(app.id, ["carol"])
        assert candidate.generation == 2

    async def test_brings_a_fallen_token_back(self, store: Store) -> None:
        device = await put(store)
        await judge(store, device, RETIRED)

        device = await put(store, at=NOW + HOUR)

        target = device.targets[0]
        assert (target.state, target.reason, target.evidence) == (ACTIVE, "", None)
        assert (target.since, target.confirmed) == (NOW + HOUR, NOW + HOUR)

    async def test_by_an_old_import_brings_nothing_back(self, store: Store) -> None:
        device = await put(store)
        await judge(store, device, RETIRED, at=NOW + 5)

        device = await put(store, at=NOW + HOUR, confirmed=NOW)

        assert device.targets[0].state is RETIRED

    async def test_same_device_twice_in_one_call(self, store: Store) -> None:
        app = await some_app(store)

        first, second = await store.devices.put([claim(app, tokens=("aa",)), claim(app, tokens=("bb",))])

        assert (first.created, second.created) == (True, False)
        assert [target.value for target in second.device.targets] == ["bb"]

    async def test_apps_do_not_share_tokens(self, store: Store) -> None:
        one, two = await some_app(store), await some_app(store, "other")

        await store.devices.put([claim(one), claim(two)])

        for app in (one, two):
            device = await store.devices.by_target(app.id, TargetKind.APNS, "aa")
            assert device is not None
            assert device.app == app.id

    async def test_of_many_at_once_is_as_one_by_one(self, store: Store) -> None:
        app = await some_app(store)
        beside = MemoryStore(ToldClock(), Sealer(b"m" * 32))
        await some_app(beside)
        draw = random.Random(7)  # noqa: S311 - no secret: which devices and tokens meet
        claims = [
            claim(
                app,
                f"device-{draw.randrange(60)}",
                users=draw.sample(["alice", "bob", "carol", "dave"], draw.randrange(3)),
                tokens=[f"{draw.randrange(50):02x}" for _ in range(draw.randrange(4))],
                tags=draw.sample(["beta", "de", "fr"], draw.randrange(3)),
                at=NOW + number,
                limit=draw.choice((0, 3)),
                confirmed=draw.choice((None, None, 0, NOW + number - 20)),
            )
            for number in range(300)
        ]

        for start in range(0, 300, 60):
            await store.devices.take_in(claims[start : start + 60])
        for one in claims:
            await beside.devices.put([one])

        assert await store.devices.find(app.id, limit=500) == await beside.devices.find(app.id, limit=500)
        assert await store.devices.app_counts(app.id) == await beside.devices.app_counts(app.id)

    async def test_of_thousands_is_as_one_by_one(self, store: Store) -> None:
        app = await some_app(store)
        beside = MemoryStore(ToldClock(), Sealer(b"m" * 32))
        await some_app(beside)
        claims = [claim(app, f"device-{n % 170}", tokens=(f"{n * 7 % 160:02x}",), at=NOW + n) for n in range(400)]

        await asyncio.gather(*(store.devices.take_in(claims[start : start + 200]) for start in (0, 200)))
        for one in claims:
            await beside.devices.put([one])

        assert await store.devices.find(app.id, limit=500) == await beside.devices.find(app.id, limit=500)

    async def test_of_a_whole_list_gives_row_ids_that_were_never_used(self, store: Store) -> None:
        app = await some_app(store)
        gone = await put(store, device_id="gone")
        await store.devices.delete(app.id, "gone")

        await store.devices.take_in([claim(app, f"d{number}", tokens=(f"{number:02x}",)) for number in range(80)])

        made = (await store.devices.find(app.id, limit=500)).devices
        assert [one.id for one in made] == list(range(gone.id + 1, gone.id + 81))
        assert [one.targets[0].id for one in made] == [gone.targets[0].id + 1 + place for place in range(80)]


class TestImporting:
    async def test_lines_of_one_device_far_apart_add_up_by_kind(self, store: Store) -> None:
        app = await some_app(store)
        ring = [claim(app, tokens=("cc",), kind=TargetKind.APNS_VOIP, confirmed=0)]
        await store.devices.put([claim(app, tokens=("aa",), confirmed=0)])

        await store.devices.put(ring)
        again = [await store.devices.put(lines) for lines in ([claim(app, tokens=("bb",), confirmed=0)], ring)]

        values = [sorted(target.value for target in done.device.targets) for (done,) in again]
        assert values == [["bb", "cc"], ["bb", "cc"]]

    async def test_changes_nothing_that_the_app_said_later(self, store: Store) -> None:
        app = await some_app(store)
        own = await put(store, users=("bob",), tokens=("bb",), tags=("beta",), at=NOW)

        for date in (0, NOW - 1):
            (done,) = await store.devices.put([claim(app, tokens=("aa",), at=NOW + 5, confirmed=date)])
            assert done.device == own

    async def test_adds_a_kind_that_the_app_did_not_name(self, store: Store) -> None:
        app = await some_app(store)
        own = await put(store, users=("bob",), tokens=("bb",))

        (done,) = await store.devices.put([claim(app, tokens=("cc",), kind=TargetKind.APNS_VOIP, confirmed=0)])

        assert done.device.users == ("bob",)
        assert [(target.value, target.confirmed) for target in done.device.targets] == [("bb", NOW), ("cc", 0)]
        assert done.device.targets[0] == own.targets[0]

    async def test_newer_than_the_registration_is_the_whole_truth_of_its_kinds(self, store: Store) -> None:
        app = await some_app(store)
        await put(store, users=("bob",), tokens=("bb",))

        (done,) = await store.devices.put([claim(app, tokens=("aa",), at=NOW + DAY, confirmed=NOW + 5)])

        assert done.device.users == ("alice",)
        assert [(target.value, target.confirmed) for target in done.device.targets] == [("aa", NOW + 5)]

    async def test_takes_no_token_from_a_device_that_named_it_later(self, store: Store) -> None:
        app = await some_app(store)
        await put(store, device_id="reinstalled", at=NOW)

        (done,) = await store.devices.put([claim(app, "old", tokens=("aa", "bb"), at=NOW + 5, confirmed=NOW - 1)])

        assert [target.value for target in done.device.targets] == ["bb"]
        owner = await store.devices.by_target(app.id, TargetKind.APNS, "aa")
        assert owner is not None
        assert owner.device_id == "reinstalled"

    async def test_of_a_token_on_two_lines_leaves_it_with_the_last(self, store: Store) -> None:
        app = await some_app(store)

        await store.devices.put([claim(app, "one", confirmed=0), claim(app, "two", confirmed=0)])

        owner = await store.devices.by_target(app.id, TargetKind.APNS, "aa")
        assert owner is not None
        assert owner.device_id == "two"


class TestMoving:
    async def test_token_goes_to_the_device_that_names_it(self, store: Store) -> None:
        app = await some_app(store)
        old = await put(store, tokens=("aa", "bb"))

        (registered,) = await store.devices.put([claim(app, "tablet", tokens=("aa",))])

        (moved,) = registered.moved
        assert (moved.from_device, moved.to_device, moved.kind) == ("phone", "tablet", TargetKind.APNS)
        assert moved.target == registered.device.targets[0].id
        left = await store.devices.by_id(old.id)
        assert left is not None
        assert [target.value for target in left.targets] == ["bb"]

    async def test_with_the_same_people_what_is_queued_still_arrives(self, store: Store) -> None:
        await put(store, users=("mallory",))
        old = await put(store, users=("alice",))

        new = await put(store, device_id="reinstalled", users=("alice",))

        assert new.targets[0].id == old.targets[0].id
        assert new.generation == old.generation == 2

    async def test_with_other_people_nothing_queued_can_reach_it(self, store: Store) -> None:
        old = await put(store, users=("alice",))

        new = await put(store, device_id="sold", users=("bob",))

        assert new.targets[0].id != old.targets[0].id
        assert await store.devices.recipients([old.targets[0].id]) == []

    async def test_a_single_target_moves_too(self, store: Store) -> None:
        app = await some_app(store)
        await put(store)
        await put(store, device_id="tablet", tokens=("bb",))

        registered = await store.devices.put_target(
            app.id, "tablet", TargetClaim(kind=TargetKind.APNS, value="aa"), NOW
        )

        assert [target.value for target in registered.device.targets] == ["aa"]
        assert [moved.from_device for moved in registered.moved] == ["phone"]


class TestOneTarget:
    async def test_takes_the_place_of_its_kind_and_leaves_the_others(self, store: Store) -> None:
        app = await some_app(store)
        device = await put(store, tokens=("aa",), tags=("beta",))
        voip = TargetClaim(kind=TargetKind.APNS_VOIP, value="v1", environment=Environment.SANDBOX, topic="com.acme")

        await store.devices.put_target(app.id, "phone", voip, NOW + 1)
        registered = await store.devices.put_target(app.id, "phone", msgspec.structs.replace(voip, value="v2"), NOW + 2)

        assert not registered.created
        first, second = registered.device.targets
        assert first == device.targets[0]
        assert (second.value, second.environment, second.topic) == ("v2", Environment.SANDBOX, "com.acme")
        assert (registered.device.users, registered.device.tags) == (("alice",), ("beta",))
        assert await store.devices.get(app.id, "phone") == registered.device

    async def test_of_an_unknown_device_is_not_found(self, store: Store) -> None:
        app = await some_app(store)

        with pytest.raises(NotFound):
            await store.devices.put_target(app.id, "nobody", TargetClaim(kind=TargetKind.FCM, value="x"), NOW)


class TestDeviceLimit:
    async def test_lets_the_longest_unseen_go(self, store: Store) -> None:
        app = await some_app(store)
        for number in range(4):
            await put(store, device_id=f"d{number}", tokens=(f"t{number}",), at=NOW + number, limit=3)

        found = await store.devices.find(app.id, user="alice")

        assert [device.device_id for device in found.devices] == ["d1", "d2", "d3"]

    async def test_never_lets_the_new_one_go_and_keeps_shared_ones(self, store: Store) -> None:
        app = await some_app(store)
        await put(store, device_id="family", users=("alice", "bob"), tokens=("t1",), at=NOW)
        await put(store, device_id="old clock", tokens=("t2",), at=NOW - DAY, limit=1)

        family = await store.devices.get(app.id, "family")
        assert family is not None
        assert (family.users, family.generation) == (("bob",), 2)
        found = await store.devices.find(app.id, user="alice")
        assert [device.device_id for device in found.devices] == ["old clock"]


class TestListing:
    async def test_pages_by_row_id(self, store: Store) -> None:
        app = await some_app(store)
        await store.devices.put([claim(app, f"d{number}", tokens=(f"t{number}",)) for number in range(5)])

        first = await store.devices.find(app.id, limit=2)
        second = await store.devices.find(app.id, limit=3, cursor=first.cursor or 0)

        assert [device.device_id for device in first.devices] == ["d0", "d1"]
        assert [device.device_id for device in second.devices] == ["d2", "d3", "d4"]
        assert second.cursor is None

    async def test_filters_by_user_and_by_state(self, store: Store) -> None:
        app = await some_app(store)
        one = await put(store, device_id="one", tokens=("a", "b"))
        two = await put(store, device_id="two", users=("alice", "bob"), tokens=("c",))
        await put(store, device_id="three", users=("bob",), tokens=("d",))
        await put(store, device_id="empty", tokens=())
        await judge(store, one, QUARANTINED)
        await judge(store, two, RETIRED)

        async def names(**filters: object) -> list[str]:
            page = await store.devices.find(app.id, **filters)  # type: ignore[arg-type]  # named as in the port
            return [device.device_id for device in page.devices]

        assert await names(user="bob") == ["two", "three"]
        assert await names(state=ACTIVE) == ["one", "three"]
        assert await names(state=RETIRED) == ["two"]
        assert await names(state=QUARANTINED) == []
        assert await names(state=RETIRED, user="bob") == ["two"]


class TestForgetting:
    async def test_a_device_goes_with_its_tokens(self, store: Store) -> None:
        app = await some_app(store)
        device = await put(store, tags=("beta",))

        assert await store.devices.delete(app.id, "phone")
        assert not await store.devices.delete(app.id, "phone")

        assert await store.devices.by_id(device.id) is None
        assert await store.devices.by_target(app.id, TargetKind.APNS, "aa") is None
        assert await store.devices.walk(app.id, tags=["beta"], after=0, limit=9) == []
        assert await store.devices.count(app.id, tags=[]) == 0
        again = await put(store)
        assert again.id != device.id
        assert again.targets[0].id != device.targets[0].id

    async def test_a_user_goes_with_what_is_only_theirs(self, store: Store) -> None:
        app = await some_app(store)
        await put(store, device_id="own", tokens=("a",))
        await put(store, device_id="shared", users=("alice", "bob"), tokens=("b",))
        await put(store, device_id="foreign", users=("bob",), tokens=("c",))

        assert await store.devices.erase_user(app.id, "alice", NOW) == 2

        found = await store.devices.find(app.id)
        assert [(device.device_id, device.users, device.generation) for device in found.devices] == [
            ("shared", ("bob",), 2),
            ("foreign", ("bob",), 1),
        ]
        assert await store.devices.erase_user(app.id, "alice", NOW) == 0


class TestJudging:
    async def test_retires_on_proof_once(self, store: Store) -> None:
        device = await put(store)
        evidence = Evidence(status=410, reason="Unregistered", at=NOW + 9, delivery="d", since=NOW + 5)

        assert await judge(store, device, RETIRED, at=NOW + 9, evidence=evidence, unless_confirmed_after=NOW + 5)
        assert not await judge(store, device, RETIRED, at=NOW + 9, evidence=evidence, unless_confirmed_after=NOW + 5)

        found = await store.devices.by_id(device.id)
        assert found is not None
        target = found.targets[0]
        assert (target.state, target.reason, target.since, target.evidence) == (
            RETIRED,
            "Unregistered",
            NOW + 9,
            evidence,
        )

    async def test_a_confirmation_after_the_410_wins(self, store: Store) -> None:
        device = await put(store)

        assert not await judge(store, device, RETIRED, unless_confirmed_after=NOW - 1)
        assert await state_of(store, device) is ACTIVE

    async def test_an_undated_token_needs_two(self, store: Store) -> None:
        device = await put(store, confirmed=0)
        first = Evidence(status=410, at=NOW)

        (verdict,) = await store.devices.judge(
            [
                TargetVerdict(
                    target=device.targets[0].id,
                    state=RETIRED,
                    reason="Unregistered",
                    at=NOW,
                    evidence=first,
                    unless_confirmed_after=NOW - 1,
                )
            ]
        )
        assert verdict.state is QUARANTINED
        assert await state_of(store, device) is QUARANTINED

        second = Evidence(status=410, at=NOW + 1, strikes=2)
        assert await judge(store, device, RETIRED, at=NOW + 1, evidence=second, unless_confirmed_after=NOW)
        assert await state_of(store, device) is RETIRED

    async def test_doubt_never_weakens_proof(self, store: Store) -> None:
        device = await put(store)
        await judge(store, device, RETIRED)

        assert not await judge(store, device, QUARANTINED)
        assert await state_of(store, device) is RETIRED

    async def test_another_strike_is_kept_the_same_one_is_not(self, store: Store) -> None:
        device = await put(store)
        assert await judge(store, device, QUARANTINED, evidence=Evidence(at=NOW, strikes=1))
        assert not await judge(store, device, QUARANTINED, at=NOW + 9, evidence=Evidence(at=NOW + 9, strikes=1))

        assert await judge(store, device, QUARANTINED, at=NOW + DAY, evidence=Evidence(at=NOW + DAY, strikes=2))

        found = await store.devices.by_id(device.id)
        assert found is not None
        assert found.targets[0].evidence == Evidence(at=NOW + DAY, strikes=2)
        assert found.targets[0].since == NOW

    async def test_corrects_the_environment(self, store: Store) -> None:
        device = await put(store)

        assert await judge(store, device, ACTIVE, environment=Environment.SANDBOX)
        assert not await judge(store, device, ACTIVE, environment=Environment.SANDBOX)

        found = await store.devices.by_id(device.id)
        assert found is not None
        assert found.targets[0].environment is Environment.SANDBOX

    async def test_leaves_out_what_is_gone(self, store: Store) -> None:
        verdict = TargetVerdict(target=4711, state=RETIRED, reason="x", at=NOW)

        assert await store.devices.judge([verdict]) == []


class TestRestoring:
    async def test_brings_back_one_device(self, store: Store) -> None:
        app = await some_app(store)
        one, two = await put(store), await put(store, device_id="tablet", tokens=("bb",))
        await judge(store, one, QUARANTINED)
        await judge(store, two, RETIRED)

        assert await store.devices.restore(app.id, device_id="phone", at=NOW + 5) == 1

        assert await state_of(store, one) is ACTIVE
        assert await state_of(store, two) is RETIRED
        assert await store.devices.restore(app.id, device_id="phone", at=NOW + 5) == 0

    async def test_brings_back_what_fell_in_a_time_range(self, store: Store) -> None:
        app = await some_app(store)
        devices = [await put(store, device_id=f"d{number}", tokens=(f"t{number}",)) for number in range(4)]
        for number, device in enumerate(devices):
            await judge(store, device, QUARANTINED, at=NOW + number)

        assert await store.devices.restore(app.id, since=NOW + 1, until=NOW + 2, at=NOW + 9) == 2

        states = [await state_of(store, device) for device in devices]
        assert states == [QUARANTINED, ACTIVE, ACTIVE, QUARANTINED]
        assert await store.devices.app_counts(app.id) == {ACTIVE: 2, QUARANTINED: 2, RETIRED: 0}

    async def test_brings_back_what_fell_on_one_route_and_not_what_was_proven(self, store: Store) -> None:
        app = await some_app(store)
        devices = [await put(store, device_id=f"d{number}", tokens=(f"t{number}",)) for number in range(4)]
        for device, status, route in zip(devices, (400, 410, 404, 400), (7, 7, 7, 8), strict=True):
            evidence = Evidence(status=status, reason="Reason", at=NOW, route=route)
            await judge(store, device, RETIRED, evidence=evidence)

        assert await store.devices.restore(app.id, route=7, proven=False, reason="undone", at=NOW + 9) == 1
        states = [await state_of(store, device) for device in devices]
        assert states == [ACTIVE, RETIRED, RETIRED, RETIRED]
        assert (await store.devices.history(devices[0].id))[0].reason == "undone"

        assert await store.devices.restore(app.id, route=7, at=NOW + 10) == 2
        assert await store.devices.restore(app.id, device_id="d3", route=7, at=NOW + 10) == 0

    async def test_brings_back_more_than_a_batch_past_what_is_left_alone(self, store: Store) -> None:
        app = await some_app(store)
        claims = [claim(app, f"d{number}", tokens=(f"t{number}",)) for number in range(1100)]
        targets = [done.device.targets[0].id for done in await store.devices.put(claims)]
        await store.devices.judge(
            [
                TargetVerdict(
                    target=target,
                    state=QUARANTINED,
                    reason="x",
                    at=NOW,
                    evidence=Evidence(status=400, route=1 + (place >= 550)),
                )
                for place, target in enumerate(targets)
            ]
        )

        assert await store.devices.restore(app.id, since=NOW, until=NOW, route=2, at=NOW + 1) == 550
        assert await store.devices.app_counts(app.id) == {ACTIVE: 550, QUARANTINED: 550, RETIRED: 0}

    async def test_says_in_which_places_voip_targets_are(self, store: Store) -> None:
        app, other = await some_app(store), await some_app(store, "other")
        places = [(PRODUCTION, "com.b"), (SANDBOX, "com.a"), (PRODUCTION, ""), (PRODUCTION, "com.b")]
        claims = [
            DeviceClaim(app=app.id, device_id=f"d{number}", users=("u",), targets=(voip(f"t{number}", *place),), at=NOW)
            for number, place in enumerate(places)
        ]
        claims += [claim(app, "alerts", tokens=("aa",)), claim(other, "theirs", tokens=("bb",))]
        fallen = DeviceClaim(
            app=app.id, device_id="fallen", users=("u",), targets=(voip("cc", SANDBOX, "com.z"),), at=NOW
        )
        *_, last = await store.devices.put([*claims, fallen])
        await judge(store, last.device, QUARANTINED)

        found = await store.devices.voip_places(app.id)

        assert found == [(PRODUCTION, ""), (PRODUCTION, "com.b"), (SANDBOX, "com.a")]
        assert await store.devices.voip_places(app.id, limit=2) == found[:2]
        assert await store.devices.voip_places(other.id) == []

    async def test_history_remembers_every_step(self, store: Store) -> None:
        app = await some_app(store)
        device = await put(store)
        evidence = Evidence(status=400, reason="BadDeviceToken", at=NOW + 1)
        await judge(store, device, QUARANTINED, at=NOW + 1, evidence=evidence)
        await store.devices.restore(app.id, at=NOW + 2)
        await put(store, tokens=("bb",), at=NOW + 3)

        history = await store.devices.history(device.id)

        assert [(change.state, change.reason, change.at) for change in history] == [
            (ACTIVE, "not registered any more", NOW + 3),
            (ACTIVE, "restored", NOW + 2),
            (QUARANTINED, "Unregistered", NOW + 1),
        ]
        assert history[2].evidence == evidence
        assert await store.devices.history(device.id, limit=1) == history[:1]
        assert await store.devices.prune(NOW + 2) == 1
        assert await store.devices.history(device.id) == history[:2]


class TestStale:
    async def test_are_targets_that_nobody_vouched_for(self, store: Store) -> None:
        app = await some_app(store)
        old = await put(store, device_id="old", tokens=("aa", "bb"))
        await put(store, device_id="fresh", tokens=("cc",), at=NOW + 3 * DAY)
        connected = await put(store, device_id="connected", tokens=("dd",))
        await store.devices.set_presence(app.id, connected.device_id, NOW + 3 * DAY)
        back = await put(store, device_id="back", tokens=("ee",))
        await judge(store, back, QUARANTINED)
        await store.devices.restore(app.id, device_id="back", at=NOW + 3 * DAY)
        await judge(store, await put(store, device_id="gone", tokens=("ff",)), RETIRED)
        await store.devices.ensure_raw(app.id, [TargetClaim(kind=TargetKind.APNS, value="99")], NOW)

        found = await store.devices.stale(app.id, before=NOW + 2 * DAY)

        assert {(one.target, one.device, one.seen) for one in found.targets} == {
            (target.id, old.id, NOW) for target in old.targets
        }
        assert found.cursor is None
        assert (await store.devices.stale(app.id, before=NOW)).targets == ()

    async def test_are_found_device_by_device_in_pages(self, store: Store) -> None:
        app = await some_app(store)
        for number in range(5):
            await put(store, device_id=f"d{number}", tokens=(f"t{number}",), at=NOW + (number % 2) * 3 * DAY)

        found, cursor, pages = 0, 0, 0
        while True:
            page = await store.devices.stale(app.id, before=NOW + DAY, cursor=cursor, limit=2)
            found, pages = found + len(page.targets), pages + 1
            if page.cursor is None:
                break
            cursor = page.cursor

        assert (found, pages) == (3, 3)
        assert await store.devices.stale(99, before=NOW + DAY) == StalePage(targets=(), cursor=None)


class TestReaching:
    async def test_users_are_reached_on_all_their_active_targets(self, store: Store) -> None:
        app = await some_app(store)
        one = await put(store, device_id="one", tokens=("a", "b"))
        two = await put(store, device_id="two", users=("alice", "bob"), tokens=("c",))
        await judge(store, one, RETIRED)
        await store.devices.set_presence(app.id, "two", NOW + 60)

        found = await store.devices.candidates_of_users(app.id, ["alice", "nobody", "bob", "alice"])

        assert sorted(candidate[:6] for candidate in found) == [
            (one.id, "one", 1, 0, "alice", one.targets[1].id),
            (two.id, "two", 1, NOW + 60, "alice", two.targets[0].id),
            (two.id, "two", 1, NOW + 60, "bob", two.targets[0].id),
        ]
        assert {candidate[-3:] for candidate in found} == {("apns", "production", "")}

    async def test_devices_are_reached_by_name(self, store: Store) -> None:
        app = await some_app(store)
        device = await some_device(store)

        (found,) = await store.devices.candidates_of_devices(app.id, ["phone", "unknown", "phone"])

        assert (found.device, found.device_id, found.user) == (device.id, "phone", "")

    async def test_recipients_come_in_the_order_asked_for(self, store: Store) -> None:
        app = await some_app(store)
        registered = await store.devices.put(
            [
                msgspec.structs.replace(
                    claim(app, f"d{number}", tokens=(f"t{number}",)), facts=DeviceFacts(locale=f"l{number}")
                )
                for number in range(30)
            ]
        )
        targets = [item.device.targets[0].id for item in registered]
        await judge(store, registered[2].device, QUARANTINED)

        far = await store.devices.recipients([targets[29], 9999, targets[0], targets[2]])
        near = await store.devices.recipients(targets[3:0:-1])

        assert [item.value for item in near] == ["t3", "t2", "t1"]
        assert [item.value for item in far] == ["t29", "t0", "t2"]
        assert far[2] == Recipient(targets[2], "t2", 1, "quarantined", "l2", registered[2].device.id, "apns")
        assert await store.devices.recipients([]) == []

    async def test_a_candidate_says_what_sending_needs(self, store: Store) -> None:
        app = await some_app(store)
        given = msgspec.structs.replace(
            claim(app, tokens=("aa", "bb"), tags=("beta",)), facts=DeviceFacts(locale="de-AT")
        )
        await store.devices.put([given])
        raw = [TargetClaim(kind=TargetKind.APNS, value="cc", topic="com.acme")]

        named = [
            await store.devices.candidates_of_users(app.id, ["alice"]),
            await store.devices.candidates_of_devices(app.id, ["phone"]),
            await store.devices.walk(app.id, tags=(), after=0, limit=5),
            await store.devices.walk(app.id, tags=["beta"], after=0, limit=5),
            await store.devices.ensure_raw(app.id, raw, NOW),
        ]

        for found in named:
            assert found
            targets = [candidate.target for candidate in found]
            assert [candidate.recipient() for candidate in found] == await store.devices.recipients(targets)

    async def test_badges_count_up_for_each_device(self, store: Store) -> None:
        one, two = await put(store), await put(store, device_id="tablet", tokens=("bb",))

        assert await store.devices.bump_badges([one.id, two.id], 7) == {one.id: 1, two.id: 1}
        assert await store.devices.bump_badges([one.id, 999], 8) == {one.id: 2}

    async def test_a_badge_is_counted_once_a_notification(self, store: Store) -> None:
        device = (await put(store)).id

        assert await store.devices.bump_badges([device], 7) == {device: 1}
        assert await store.devices.bump_badges([device], 7) == {device: 1}
        assert await store.devices.bump_badges([device], 8) == {device: 2}
        assert await store.devices.bump_badges([device], 7, again=True) == {device: 2}
        assert await store.devices.bump_badges([device], 8) == {device: 2}

    async def test_presence_of_an_unknown_device_is_not_found(self, store: Store) -> None:
        app = await some_app(store)

        with pytest.raises(NotFound):
            await store.devices.set_presence(app.id, "nobody", NOW)


class TestWalking:
    async def fill(self, store: Store) -> list[Device]:
        app = await some_app(store)
        tags = [("even", "all") if number % 2 == 0 else ("odd", "all") for number in range(7)]
        registered = await store.devices.put(
            [claim(app, f"d{n}", tokens=(f"a{n}", f"b{n}"), tags=tags[n]) for n in range(7)]
        )
        devices = [item.device for item in registered]
        for target in devices[2].targets:
            await store.devices.judge([TargetVerdict(target=target.id, state=RETIRED, reason="Unregistered", at=NOW)])
        return devices

    async def walk(self, store: Store, tags: list[str], limit: int) -> list[str]:
        app = await some_app(store)
        met: list[str] = []
        after = 0
        while found := await store.devices.walk(app.id, tags=tags, after=after, limit=limit):
            assert len({candidate.device for candidate in found}) <= limit
            met += dict.fromkeys(candidate.device_id for candidate in found)
            after = found[-1].device
        return met

    @pytest.mark.parametrize("limit", [1, 2, 100])
    async def test_meets_everyone_who_can_be_reached_once(self, store: Store, limit: int) -> None:
        await self.fill(store)

        assert await self.walk(store, [], limit) == ["d0", "d1", "d3", "d4", "d5", "d6"]
        assert await self.walk(store, ["even"], limit) == ["d0", "d4", "d6"]
        assert await self.walk(store, ["odd", "even", "all"], limit) == ["d0", "d1", "d3", "d4", "d5", "d6"]
        assert await self.walk(store, ["unknown"], limit) == []

    async def test_gives_all_active_targets_of_a_device(self, store: Store) -> None:
        app = await some_app(store)
        devices = await self.fill(store)

        found = await store.devices.walk(app.id, tags=[], after=devices[2].id, limit=1)

        assert [candidate.target for candidate in found] == [target.id for target in devices[3].targets]

    async def swept(self, store: Store, limit: int, kinds: set[TargetKind], *, locales: bool = False) -> list[Crowd]:
        app = await some_app(store)
        crowds: list[Crowd] = []
        after = 0
        while (found := await store.devices.sweep(app.id, kinds=kinds, after=after, limit=limit, locales=locales)).last:
            assert found.last > after
            after = found.last
            crowds += [crowd for address, crowd in found.crowds if address == (crowd.kind, "production", "")]
        return crowds

    @pytest.mark.parametrize("limit", [1, 2, 100])
    async def test_a_sweep_meets_the_same_targets_as_a_walk(self, store: Store, limit: int) -> None:
        app = await some_app(store)
        await self.fill(store)
        raw = TargetClaim(kind=TargetKind.FCM, value="raw")
        await store.devices.ensure_raw(app.id, [raw], NOW)
        walked = await store.devices.walk(app.id, tags=(), after=0, limit=100)

        crowds = await self.swept(store, limit, {TargetKind.APNS, TargetKind.FCM})

        met = sorted(recipient for crowd in crowds for recipient in crowd)
        assert met == sorted(candidate.recipient()._replace(generation=0) for candidate in walked)
        assert met == sorted(crowd[place] for crowd in crowds for place in range(len(crowd)))
        assert await self.swept(store, limit, {TargetKind.WEBPUSH}) == []

    @pytest.mark.parametrize("value", ["plain", "two\nlines", ""])
    async def test_a_sweep_keeps_columns_apart(self, store: Store, value: str) -> None:
        app = await some_app(store)
        facts = DeviceFacts(locale="de\nAT" if value else "")
        token = TargetClaim(kind=TargetKind.FCM, value=value)
        first = msgspec.structs.replace(claim(app, "d1", tokens=()), facts=facts, targets=(token,))
        await store.devices.put([first, claim(app, "d2", tokens=("aa",))])

        (crowd,) = await self.swept(store, 9, {TargetKind.FCM}, locales=True)
        (bare,) = await self.swept(store, 9, {TargetKind.FCM})

        assert [(one.value, one.locale) for one in crowd] == [(value, facts.locale)]
        assert [(one.value, one.locale) for one in bare] == [(value, "")]

    async def test_counts_beforehand(self, store: Store) -> None:
        app = await some_app(store)
        await self.fill(store)

        assert await store.devices.count(app.id, tags=[]) == 7
        assert await store.devices.count(app.id, tags=["odd"]) == 3
        assert await store.devices.count(app.id, tags=["odd", "even"]) == 7
        assert await store.devices.app_counts(app.id) == {ACTIVE: 12, QUARANTINED: 0, RETIRED: 2}


class TestRawTokens:
    async def test_unknown_ones_get_a_device_of_their_own(self, store: Store) -> None:
        app = await some_app(store)
        claims = [TargetClaim(kind=TargetKind.FCM, value=value) for value in ("x", "y", "x")]

        first = await store.devices.ensure_raw(app.id, claims, NOW)
        second = await store.devices.ensure_raw(app.id, claims, NOW + 1)

        assert first == second
        assert first[0] == first[2]
        assert len({candidate.device for candidate in first}) == 2
        device = await store.devices.by_id(first[0].device)
        assert device is not None
        assert (device.users, device.targets[0].confirmed) == ((), 0)
        assert "x" not in device.device_id.removeprefix("raw-")

    async def test_are_no_part_of_everyone(self, store: Store) -> None:
        app = await some_app(store)
        device = await put(store)
        await store.devices.ensure_raw(app.id, [TargetClaim(kind=TargetKind.FCM, value="x")], NOW)

        walked = await store.devices.walk(app.id, tags=(), after=0, limit=9)

        assert {candidate.device for candidate in walked} == {device.id}
        assert await store.devices.count(app.id, tags=()) == 1

    async def test_known_ones_keep_their_device_and_state(self, store: Store) -> None:
        app = await some_app(store)
        device = await put(store)
        await judge(store, device, RETIRED)

        (found,) = await store.devices.ensure_raw(app.id, [TargetClaim(kind=TargetKind.APNS, value="aa")], NOW)

        assert (found.device, found.target) == (device.id, device.targets[0].id)
        assert await state_of(store, device) is RETIRED


class TestVersion:
    """`version` grows whenever a recipient that somebody remembers may not be right any more."""

    async def remembered(self, store: Store) -> int:
        await put(store, device_id="phone", users=("alice",), tokens=("aa",))
        await put(store, device_id="tablet", users=("bob",), tokens=("bb",))
        return store.devices.version

    async def test_what_is_new_was_in_nobodys_memory(self, store: Store) -> None:
        app = await some_app(store)
        before = await self.remembered(store)

        await store.devices.put([claim(app, f"d{number}", tokens=(f"t{number}",)) for number in range(8)])
        await put(store, device_id="phone", users=("alice",), tokens=("aa",), at=NOW + HOUR)

        assert store.devices.version == before

    @pytest.mark.parametrize(
        "change",
        [
            {"users": ("carol",), "tokens": ("aa",)},
            {"users": ("alice",), "tokens": ("cc",)},
            {"users": ("alice",), "tokens": ("aa", "bb")},
            {"device_id": "other", "tokens": ("aa",)},
        ],
        ids=["user", "token", "moved to another device", "moved to a new device"],
    )
    async def test_a_registration_of_what_is_known_counts(self, store: Store, change: dict[str, object]) -> None:
        before = await self.remembered(store)

        await put(store, **change)

        assert store.devices.version > before

    async def test_a_new_locale_counts(self, store: Store) -> None:
        app = await some_app(store)
        before = await self.remembered(store)

        await store.devices.put([msgspec.structs.replace(claim(app), facts=DeviceFacts(locale="fr"))])

        assert store.devices.version > before

    async def test_a_token_of_its_own_counts(self, store: Store) -> None:
        app = await some_app(store)
        before = await self.remembered(store)

        await store.devices.put_target(app.id, "phone", TargetClaim(kind=TargetKind.APNS, value="dd"), NOW)

        assert store.devices.version > before

    async def test_a_verdict_and_its_undoing_count(self, store: Store) -> None:
        app = await some_app(store)
        device = await put(store)
        before = store.devices.version

        await judge(store, device, RETIRED)
        judged = store.devices.version
        await store.devices.restore(app.id, at=NOW)

        assert before < judged < store.devices.version

    async def test_forgetting_counts(self, store: Store) -> None:
        app = await some_app(store)
        before = await self.remembered(store)
        await put(store, device_id="shared", users=("bob", "carol"), tokens=("dd",))

        await store.devices.delete(app.id, "phone")
        deleted = store.devices.version
        await store.devices.erase_user(app.id, "bob", NOW)

        assert before < deleted < store.devices.version

    async def test_one_device_too_many_counts(self, store: Store) -> None:
        app = await some_app(store)
        before = await self.remembered(store)

        await store.devices.put([claim(app, "new", tokens=("dd",), at=NOW + 1, limit=1)])

        assert await store.devices.get(app.id, "phone") is None
        assert store.devices.version > before
