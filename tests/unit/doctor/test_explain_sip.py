"""`explain` for a SIP address: why a phone rings, or does not."""

from __future__ import annotations

from typing import Any

import pytest

from sip_nouns import BOB, binding, message, user, voip
from stories.post import unregistered
from stories.world import World
from wakeline.config import Sip
from wakeline.doctor.explain import Explainer, ExplainPorts
from wakeline.doctor.explain_sip import SipExplainPorts
from wakeline.doctor.explanation import Explanation
from wakeline.model.errors import NotFound
from wakeline.model.sip.binding import TOKEN_GONE, Binding, BindingChange

pytestmark = pytest.mark.anyio

SIP = Sip(listen=("udp:127.0.0.1:5060",), domains=("example.org",), auth="none")
TOKEN = "0a1b2c3d" * 8


@pytest.fixture
async def world() -> World:
    return await World().open()


async def ask(world: World, question: str = BOB, settings: Sip = SIP, *, may_see: bool = True) -> Explanation:
    store = world.store
    sip = SipExplainPorts(
        bindings=store.sip_bindings, messages=store.sip_messages, users=store.sip_users, settings=settings
    )
    explainer = Explainer(
        ExplainPorts(
            clock=world.clock,
            devices=store.devices,
            credentials=store.credentials,
            routes=store.routes,
            ledger=store.ledger,
            pipeline=world.pipeline,
            sip=sip if may_see else None,
        )
    )
    return await explainer.explain(question, store.apps.all())


def phone(world: World, uid: str = "7f", **fields: Any) -> Binding:
    """Return a registration of Bob's iPhone, whose device is `uid`."""
    now = world.clock.now()
    times = {"registered": now, "updated": now, "expires": now + 3_600_000, "kept": now + 86_400_000}
    woken = {"push": voip(TOKEN), "app": world.app.id, "device": uid, "user_agent": "LinphoneiOS/5.2"}
    return binding(uid, **{**times, **woken, **fields})


async def registered(world: World, *bindings: Binding) -> None:
    for each in bindings:
        await world.store.sip_bindings.change(BindingChange(aor=each.aor, put=(each,)))


async def test_a_phone_that_can_be_woken_is_shown_with_all_that_wakes_it(world: World) -> None:
    await world.device("7f", BOB, f"apns-voip:{TOKEN}")
    contact = f"sip:bob@192.0.2.7;pn-provider=apns;pn-prid={TOKEN}:voip;pn-param=T.org.example.phone.voip"
    await registered(world, phone(world, contact=contact, flow="tcp:192.0.2.7:40000#1"))
    await world.call(BOB)
    await world.run()
    world.clock.advance(1)
    await registered(world, phone(world, contact=contact, registered=world.clock.now() - 5000))

    said = await ask(world)

    assert said.about == "SIP address sip:bob@example.org"
    assert said.verdict == "the phone can be woken"
    told = {step.what: step.detail for step in said.steps}
    assert list(told) == [
        "registered",
        "registered again",
        "registration ends",
        "push parameters",
        "woken through",
        "sender",
        "push (apns-voip)",
    ]
    assert told["registered"] == "as sip:bob@192.0.2.7, by LinphoneiOS/5.2"
    assert told["push parameters"] == f"apns; voip token ...{TOKEN[-6:]} for org.example.phone.voip"
    assert told["woken through"] == "app acme, device 7f"
    assert told["sender"] == f"apns-voip ...{TOKEN[-6:]} (production): apns_key, credential 1"
    assert told["push (apns-voip)"].startswith("accepted")
    assert TOKEN not in str(said)


@pytest.mark.parametrize(
    "question", ["sip:bob@EXAMPLE.org", "sips:bob@example.org:5061;transport=tls", "SIP:bob@example.org "]
)
async def test_an_address_is_found_however_it_is_written(world: World, question: str) -> None:
    await world.device("7f", BOB, f"apns-voip:{TOKEN}")
    await registered(world, phone(world))

    assert (await ask(world, question)).verdict == "the phone can be woken"


async def test_an_address_may_lack_its_scheme_where_its_domain_is_served(world: World) -> None:
    await world.device("7f", BOB, f"apns-voip:{TOKEN}")
    await registered(world, phone(world))

    assert (await ask(world, "bob@example.org")).about == "SIP address sip:bob@example.org"
    with pytest.raises(NotFound, match="nothing here is called"):
        await ask(world, "bob@example.com")
    await world.device("other", "bob@example.org")
    assert (await ask(world, "bob@example.org")).about == "user bob@example.org"


async def test_what_is_no_address_is_not_found(world: World) -> None:
    with pytest.raises(NotFound, match="no SIP address"):
        await ask(world, "sip:b b@example.org")


class TestAPhoneThatCannotBeWoken:
    async def test_because_the_registrar_said_why(self, world: World) -> None:
        await registered(world, phone(world, app=0, device="", why_not="No app has a credential for org.example.phone"))

        said = await ask(world)

        assert said.verdict == "the phone cannot be woken"
        assert said.cause == "No app has a credential for org.example.phone."
        assert "register again" in said.fix

    async def test_because_its_token_is_gone(self, world: World) -> None:
        await registered(world, phone(world, push=None, app=0, device="", why_not=TOKEN_GONE))

        said = await ask(world)

        assert said.verdict == "the phone cannot be woken: its token is gone"
        assert said.fix.startswith("Open the app")

    async def test_because_it_did_not_ask_for_it(self, world: World) -> None:
        await registered(world, phone(world, push=None, app=0, device=""))

        said = await ask(world)

        assert said.verdict == "the phone cannot be woken: it did not ask for it"
        assert "pn-prid" in said.fix
        assert [step.what for step in said.steps] == ["registered", "registration ends"]

    async def test_because_no_app_covers_it(self, world: World) -> None:
        await registered(world, phone(world, app=0, device=""))

        assert (await ask(world)).cause == "No app has a credential for apns and org.example.phone.voip."

    async def test_because_its_device_is_gone(self, world: World) -> None:
        await registered(world, phone(world))

        assert (await ask(world)).verdict == "the phone cannot be woken: its device is gone"

    async def test_because_its_token_is_dead_while_another_kind_of_token_lives(self, world: World) -> None:
        await world.device("7f", BOB, f"apns-voip:{TOKEN}", "apns:remote")
        await registered(world, phone(world))
        world.clock.advance(60)
        world.apple.to_token[TOKEN].append(unregistered(world.clock.now()))
        await world.call(BOB)
        await world.run()

        said = await ask(world)

        assert said.verdict == "the phone cannot be woken: retired after 410 Unregistered"
        assert "not active any more" in said.cause

    async def test_because_its_credential_was_exchanged_for_one_of_another_bundle_id(self, world: World) -> None:
        await world.device("7f", BOB, f"apns-voip:{TOKEN}/org.example.phone", "apns:remote/org.example.phone")
        await registered(world, phone(world))
        assert (await ask(world)).verdict == "the phone can be woken"
        (credential,) = world.store.credentials.of_app(world.app.id)
        await world.store.credentials.delete(credential.id)
        await world.credential(topics=("org.example.other",))

        said = await ask(world)

        assert said.verdict == "the phone cannot be woken: no credential covers it"
        assert "It would take one for apns production org.example.phone.voip." in said.cause

    async def test_because_the_app_is_paused(self, world: World) -> None:
        await world.device("7f", BOB, f"apns-voip:{TOKEN}")
        await registered(world, phone(world))
        await world.change_app(paused=True)

        assert (await ask(world)).verdict == "the phone cannot be woken: active, but the app is paused (902)"


class TestAPhoneThatDidNotRing:
    async def test_because_nothing_followed_the_push(self, world: World) -> None:
        await world.device("7f", BOB, f"apns-voip:{TOKEN}")
        await registered(world, phone(world))
        world.clock.advance(60)
        await world.call(BOB)
        await world.run()

        said = await ask(world)

        assert said.verdict == "the phone was sent a push, and has not registered since"
        assert "Apple accepted the push" in said.cause
        assert "Focus" in said.fix

    async def test_but_not_if_it_registered_before_the_push_was_settled(self, world: World) -> None:
        await world.device("7f", BOB, f"apns-voip:{TOKEN}")
        await registered(world, phone(world))
        world.clock.advance(60)
        await world.call(BOB)
        world.clock.advance(1)
        await registered(world, phone(world))
        world.clock.advance(1)
        await world.run()

        assert (await ask(world)).verdict == "the phone can be woken"

    async def test_because_the_push_was_refused(self, world: World) -> None:
        await world.device("7f", BOB, f"apns-voip:{TOKEN}")
        await registered(world, phone(world))
        world.clock.advance(60)
        await world.change_app(paused=True)
        await world.call(BOB)
        await world.run()
        await world.change_app(paused=False)

        said = await ask(world)

        assert said.verdict == "the phone was not woken last time: the push failed"
        assert "paused" in said.cause


class TestSeveralPhones:
    async def test_are_told_apart_and_the_first_trouble_is_told(self, world: World) -> None:
        await world.device("7f", BOB, f"apns-voip:{TOKEN}")
        await registered(world, phone(world), phone(world, "desk", push=None, app=0, device="", q=0.5))

        said = await ask(world)

        assert said.verdict == "1 of 2 phones can be woken; one cannot be woken: it did not ask for it"
        assert [step.what for step in said.steps] == [
            "phone 1: registered",
            "phone 1: registration ends",
            "phone 1: push parameters",
            "phone 1: woken through",
            "phone 1: sender",
            "phone 2: registered",
            "phone 2: registration ends",
        ]

    async def test_without_trouble_are_counted(self, world: World) -> None:
        for uid in ("7f", "80"):
            await world.device(uid, BOB, f"apns-voip:{uid}")
        await registered(world, phone(world), phone(world, "80"))

        assert (await ask(world)).verdict == "2 of 2 phones can be woken"


class TestNobody:
    async def test_is_registered(self, world: World) -> None:
        assert (await ask(world)).verdict == "nobody is registered"

    async def test_is_registered_any_more(self, world: World) -> None:
        await registered(world, phone(world, kept=world.clock.now() + 1000))
        world.clock.advance(1)

        assert (await ask(world)).verdict == "nobody is registered"

    async def test_of_a_domain_that_is_not_served(self, world: World) -> None:
        assert "example.com is none of [sip] domains" in (await ask(world, "sip:bob@example.com")).cause

    async def test_without_a_user_of_the_name(self, world: World) -> None:
        digest = Sip(listen=SIP.listen, domains=SIP.domains)

        assert (await ask(world, settings=digest)).fix == "`wakeline sip user add bob@example.org` makes one."
        await world.store.sip_users.put(user())
        assert (await ask(world, settings=digest)).verdict == "nobody is registered"

    async def test_while_the_edge_is_off(self, world: World) -> None:
        with pytest.raises(NotFound):
            await ask(world, settings=Sip())
        await world.store.sip_users.put(user())
        assert (await ask(world, settings=Sip())).verdict == "nobody is registered: the SIP edge is off"


async def test_waiting_messages_are_counted(world: World) -> None:
    for key in ("c1 1", "c2 1"):
        await world.store.sip_messages.put(message(key))

    assert [(step.what, step.detail) for step in (await ask(world)).steps] == [
        ("messages wait", "2 for phones that have not taken them")
    ]


async def test_who_may_not_see_registrations_is_told_of_the_devices_of_the_user(world: World) -> None:
    await world.device("7f", BOB, f"apns-voip:{TOKEN}")
    await registered(world, phone(world))

    said = await ask(world, may_see=False)

    assert said.about == "user sip:bob@example.org"
    assert "192.0.2.7" not in str(said)
