"""RFC 8599 at the registrar, statement by statement: what is promised to a phone with push parameters, and what is kept of them."""

from __future__ import annotations

import pytest

from sip_registering import APNS, FCM, INSTANCE, OTHER_TOKEN, TOKEN, Registering, contact, register
from storing import HOUR, NOW
from wakeline.model.device import DeviceClaim, TargetClaim, TargetKind
from wakeline.model.event import EventType
from wakeline.model.route import Environment
from wakeline.model.sip.push import PushProvider

pytestmark = pytest.mark.anyio

WEEK = 604_800


async def test_section_5_6_1_1_a_service_that_is_served_is_named_in_the_answer() -> None:
    async with Registering() as edge:
        app = await edge.apple("phone-app", "org.example.phone")
        answer = await edge.register(contact(APNS))
        assert answer.all("feature-caps") == ['*;+sip.pns="apns"']
        (bound,) = edge.bindings()
        assert bound.push is not None
        assert (bound.push.provider, bound.app, bound.device, bound.why_not) == (
            PushProvider.APNS,
            app.id,
            INSTANCE,
            "",
        )


async def test_section_5_4_each_service_has_a_field_of_its_own_and_stands_there_once() -> None:
    async with Registering() as edge:
        await edge.apple()
        await edge.firebase()
        phones = [
            contact(APNS),
            contact(APNS.replace(TOKEN, OTHER_TOKEN), instance="urn:uuid:2"),
            contact(FCM, instance="urn:uuid:3"),
        ]
        answer = await edge.register(*phones)
        assert answer.all("feature-caps") == ['*;+sip.pns="apns"', '*;+sip.pns="fcm"']


async def test_section_5_6_1_without_pn_provider_nothing_is_claimed() -> None:
    async with Registering() as edge:
        await edge.apple()
        assert "feature-caps" not in await edge.register(contact())
        legacy = f"app-id=org.example.phone.voip.prod;pn-type=apple;pn-tok={TOKEN}"
        assert "feature-caps" not in await edge.register(contact(legacy), cseq=2)
        (bound,) = edge.bindings()
        assert bound.push is not None
        assert bound.app


async def test_section_5_6_1_1_a_proxy_nearer_the_phone_pushes() -> None:
    async with Registering() as edge:
        await edge.apple()
        for push in (APNS, APNS.replace("apns", "pigeon")):
            answer = await edge.register(contact(push), feature_caps='*;+sip.pns="apns"', call_id=push)
            assert answer.status == 200
            assert "feature-caps" not in answer
        (bound,) = edge.bindings()
        assert bound.push is None
        assert bound.why_not


async def test_a_token_that_turns_up_with_another_phone_is_an_event() -> None:
    async with Registering() as edge:
        app = await edge.apple()
        await edge.register(contact(APNS))
        await edge.register(contact(APNS, instance="urn:uuid:2"), call_id="another phone")
        moved = await edge.store.events.read(after=0, types=frozenset({EventType.TARGET_MOVED}))
        assert [(one.app, one.data.device, one.data.note) for one in moved] == [
            (app.slug, "urn:uuid:2", f"It belonged to the device {INSTANCE}.")
        ]


@pytest.mark.parametrize(
    "push", ["pn-provider=pigeon;pn-param=a;pn-prid=b", "pn-provider=fcm;pn-prid=b", "pn-provider=apns;pn-prid=b"]
)
async def test_section_8_1_what_nobody_serves_is_555_and_registers_nothing(push: str) -> None:
    async with Registering() as edge:
        await edge.apple()
        await edge.firebase()
        answer = await edge.register(contact(push))
        assert (answer.status, answer.phrase) == (555, "Push Notification Service Not Supported")
        assert not edge.bindings()
        assert (await edge.register(contact(push), expires=0, cseq=2)).status == 200


async def test_section_5_6_1_1_too_short_to_be_renewed_by_a_push_is_423() -> None:
    async with Registering() as edge:
        await edge.apple()
        answer = await edge.register(contact(APNS), expires=120)
        assert (answer.status, answer.get("min-expires")) == (423, "180")
        assert (await edge.register(contact(APNS), expires=180)).all("feature-caps") == ['*;+sip.pns="apns"']


async def test_section_5_6_1_1_what_is_granted_too_briefly_is_not_claimed() -> None:
    async with Registering(max_expires=150, default_expires=100) as edge:
        await edge.apple()
        answer = await edge.register(contact(APNS))
        assert answer.status == 200
        assert "feature-caps" not in answer


async def test_section_4_1_4_a_phone_that_wakes_itself_is_told_when() -> None:
    async with Registering() as edge:
        await edge.apple()
        answer = await edge.register(contact(APNS, more=";+sip.pnsreg"))
        assert answer.all("feature-caps") == ['*;+sip.pns="apns";+sip.pnsreg="130"']


async def test_section_4_1_5_a_phone_asks_for_one_service_or_all() -> None:
    async with Registering() as edge:
        await edge.apple(sandbox=True)
        await edge.firebase()
        one = await edge.register(contact("pn-provider=fcm"))
        every = await edge.register(contact("pn-provider"), cseq=2)
        assert one.all("feature-caps") == ['*;+sip.pns="fcm"']
        assert every.all("feature-caps") == ['*;+sip.pns="apns"', '*;+sip.pns="apns.dev"', '*;+sip.pns="fcm"']
        (bound,) = edge.bindings()
        assert (bound.push, bound.app) == (None, 0)


async def test_section_4_1_5_a_question_for_what_is_not_served_is_555() -> None:
    async with Registering() as edge:
        await edge.apple()
        assert (await edge.register(contact("pn-provider=fcm"))).status == 555
        assert not edge.bindings()


async def test_section_5_5_a_phone_that_registers_without_prid_is_woken_no_more() -> None:
    async with Registering() as edge:
        app = await edge.apple()
        await edge.register(contact(APNS))
        assert await edge.store.devices.get(app.id, INSTANCE) is not None
        await edge.register(contact(), cseq=2)
        (bound,) = edge.bindings()
        assert (bound.push, bound.app, bound.device) == (None, 0, "")
        assert await edge.store.devices.get(app.id, INSTANCE) is None


async def test_section_5_5_a_phone_that_unregisters_is_no_device_any_more() -> None:
    async with Registering() as edge:
        app = await edge.apple()
        await edge.register(contact(APNS))
        await edge.register("*", expires=0, cseq=2)
        assert await edge.store.devices.get(app.id, INSTANCE) is None


async def test_section_10_apple_s_tokens_become_targets_of_their_kind_and_world() -> None:
    async with Registering() as edge:
        app = await edge.apple(sandbox=True)
        both = "pn-provider=apns.dev;pn-param=ABCD1234.org.example.phone.voip&remote"
        tokens = f"pn-prid={TOKEN.upper()}:voip&{OTHER_TOKEN}:remote"
        assert (await edge.register(contact(f"{both};{tokens}"))).all("feature-caps") == ['*;+sip.pns="apns.dev"']
        device = await edge.store.devices.get(app.id, INSTANCE)
        assert device is not None
        assert device.users == ("sip:bob@example.org",)
        said = {(one.kind, one.value, one.environment, one.topic) for one in device.targets}
        assert said == {
            (TargetKind.APNS_VOIP, TOKEN, Environment.SANDBOX, "org.example.phone"),
            (TargetKind.APNS, OTHER_TOKEN, Environment.SANDBOX, "org.example.phone"),
        }


async def test_section_11_the_project_of_fcm_finds_the_app() -> None:
    async with Registering() as edge:
        await edge.firebase("other-app", "other-fire")
        app = await edge.firebase()
        await edge.register(contact(FCM))
        device = await edge.store.devices.get(app.id, INSTANCE)
        assert device is not None
        assert [(one.kind, one.value, one.topic) for one in device.targets] == [
            (TargetKind.FCM, "fcm-token-1", "acme-fire")
        ]


async def test_section_12_a_subscription_of_web_push_is_its_endpoint_and_we_say_our_key() -> None:
    async with Registering() as edge:
        app = await edge.vapid()
        push = "pn-provider=webpush;pn-prid=https%3A%2F%2Fpush.example.net%2Fsub%2F1%3Fa%3Db"
        answer = await edge.register(contact(push))
        assert answer.all("feature-caps") == ['*;+sip.pns="webpush";+sip.vapid="BNcVapidKey"']
        device = await edge.store.devices.get(app.id, INSTANCE)
        assert device is not None
        (target,) = device.targets
        assert (target.kind, target.topic) == (TargetKind.WEBPUSH, "https://push.example.net")
        assert target.value.strip() == "https://push.example.net/sub/1?a=b"
        assert (await edge.register(contact("pn-provider"), cseq=2)).all("feature-caps") == answer.all("feature-caps")


@pytest.mark.parametrize("endpoint", ["http://push.example.net/1", "nonsense", "https://u:p@push.example.net/"])
async def test_section_12_what_is_no_endpoint_wakes_nobody(endpoint: str) -> None:
    async with Registering() as edge:
        await edge.vapid()
        assert "feature-caps" not in await edge.register(contact(f"pn-provider=webpush;pn-prid={endpoint}"))
        (bound,) = edge.bindings()
        assert "endpoint" in bound.why_not


async def test_section_12_of_several_keys_none_is_anybody_s() -> None:
    async with Registering() as edge:
        await edge.vapid()
        await edge.vapid("other-app")
        await edge.register(contact("pn-provider=webpush;pn-prid=https://push.example.net/1"))
        (bound,) = edge.bindings()
        assert "VAPID" in bound.why_not
        assert (await edge.register(contact("pn-provider=webpush"), cseq=2)).status == 555


async def test_a_phone_that_no_app_covers_is_registered_and_it_is_said_why_it_is_not_woken() -> None:
    async with Registering() as edge:
        await edge.apple("phone-app", "org.example.other")
        answer = await edge.register(contact(APNS))
        (bound,) = edge.bindings()
        assert answer.status == 200
        assert "feature-caps" not in answer
        assert bound.app == 0
        assert "apns production org.example.phone.voip" in bound.why_not


async def test_section_5_5_what_lasts_longer_for_messages_is_kept_longer() -> None:
    async with Registering() as edge:
        await edge.apple()
        await edge.register(contact(APNS, more=f";message-expires={WEEK}"))
        (bound,) = edge.bindings()
        assert (bound.expires, bound.kept) == (NOW + HOUR, NOW + WEEK * 1000)


async def test_an_app_that_was_installed_again_is_one_phone() -> None:
    async with Registering() as edge:
        app = await edge.apple()
        await edge.register(contact(APNS))
        await edge.register(contact(APNS, instance="urn:uuid:new"), call_id="c2")
        assert [bound.instance for bound in edge.bindings()] == ["urn:uuid:new"]
        assert await edge.store.devices.get(app.id, INSTANCE) is None
        device = await edge.store.devices.get(app.id, "urn:uuid:new")
        assert device is not None
        assert [one.value for one in device.targets] == [TOKEN]


async def test_section_13_push_parameters_are_shown_to_their_own_phone_alone() -> None:
    async with Registering() as edge:
        await edge.apple()
        await edge.firebase()
        own = await edge.register(contact(APNS))
        assert TOKEN in own.all("contact")[0]
        both = await edge.register(contact(FCM, instance="urn:uuid:2"), call_id="c2")
        shown = {one.instance: one.uri for one in both.contacts}
        assert shown[INSTANCE] == "sip:bob@192.0.2.7:5060;transport=tcp"
        assert "fcm-token-1" in shown["urn:uuid:2"]
        asked = await edge.register(expires=None, call_id="c3")
        assert not [one for one in asked.all("contact") if "pn-" in one]


async def test_section_13_nobody_may_watch_registrations() -> None:
    async with Registering() as edge:
        watch = register()
        watch.method = "SUBSCRIBE"
        watch.uri = "sip:bob@example.org"
        watch.set("cseq", "1 SUBSCRIBE")
        watch.set("event", "reg")
        assert (await edge.ask(watch)).status == 489
        watch.set("event", "presence")
        assert (await edge.ask(watch)).status == 202


async def test_two_addresses_of_one_phone_are_one_device_with_two_users() -> None:
    async with Registering() as edge:
        app = await edge.apple()
        await edge.register(contact(APNS))
        await edge.register(contact(APNS), user="work", call_id="c2")
        device = await edge.store.devices.get(app.id, INSTANCE)
        assert device is not None
        assert set(device.users) == {"sip:bob@example.org", "sip:work@example.org"}
        await edge.register(contact(APNS), expires=0, cseq=2)
        left = await edge.store.devices.get(app.id, INSTANCE)
        assert left is not None
        assert left.users == ("sip:work@example.org",)
        assert [one.value for one in left.targets] == [TOKEN]


async def test_nobody_turns_the_pushes_of_another_phone_to_himself_by_its_instance() -> None:
    async with Registering() as edge:
        app = await edge.apple()
        await edge.register(contact(APNS))
        for cseq in (1, 2):
            await edge.register(contact(APNS.replace(TOKEN, OTHER_TOKEN)), user="mallory", call_id="c2", cseq=cseq)
        device = await edge.store.devices.get(app.id, INSTANCE)
        assert device is not None
        assert device.users == ("sip:bob@example.org",)
        assert [one.value for one in device.targets] == [TOKEN]
        (other,) = edge.store.sip_bindings.of("sip:mallory@example.org")
        found = await edge.store.devices.get(app.id, other.device)
        assert found is not None
        assert found.users == ("sip:mallory@example.org",)


async def test_a_phone_without_an_instance_is_known_by_its_token() -> None:
    async with Registering() as edge:
        app = await edge.apple()
        for host in ("192.0.2.7:5060", "198.51.100.9:1234"):
            await edge.register(contact(APNS, instance="", host=host), call_id=host)
        (bound,) = edge.bindings()
        assert bound.contact.startswith("sip:bob@198.51.100.9:1234;")
        assert bound.device.startswith("sip-")
        assert TOKEN not in bound.device
        assert await edge.store.devices.get(app.id, bound.device) is not None


async def test_a_device_that_was_deleted_is_there_again_when_its_phone_registers() -> None:
    async with Registering() as edge:
        app = await edge.apple()
        for cseq in (1, 2):
            await edge.register(contact(APNS), cseq=cseq)
        await edge.store.devices.delete(app.id, INSTANCE)
        await edge.register(contact(APNS), cseq=3)
        assert await edge.store.devices.get(app.id, INSTANCE) is not None


async def test_what_others_know_of_a_device_stays() -> None:
    async with Registering() as edge:
        app = await edge.apple()
        live = TargetClaim(kind=TargetKind.APNS_LIVEACTIVITY, value="d4" * 32, topic="org.example.phone")
        known = DeviceClaim(app=app.id, device_id=INSTANCE, users=("7",), targets=(live,), at=NOW, tags=("beta",))
        await edge.store.devices.put([known])
        await edge.register(contact(APNS))
        device = await edge.store.devices.get(app.id, INSTANCE)
        assert device is not None
        assert set(device.users) == {"7", "sip:bob@example.org"}
        assert device.tags == ("beta",)
        assert {one.kind for one in device.targets} == {TargetKind.APNS_VOIP, TargetKind.APNS_LIVEACTIVITY}


async def test_a_phone_that_changes_its_token_has_the_new_one_alone() -> None:
    async with Registering() as edge:
        app = await edge.apple()
        await edge.register(contact(APNS))
        await edge.register(contact(APNS.replace(TOKEN, OTHER_TOKEN)), cseq=2)
        device = await edge.store.devices.get(app.id, INSTANCE)
        assert device is not None
        assert [one.value for one in device.targets] == [OTHER_TOKEN]
