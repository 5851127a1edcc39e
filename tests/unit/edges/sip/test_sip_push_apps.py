"""Which app wakes a phone."""

from __future__ import annotations

import pytest

from sip_registering import APNS, FCM, Registering, contact
from wakeline.edges.sip.apps import Covered

pytestmark = pytest.mark.anyio

NUMBER = "pn-provider=fcm;pn-param=1234567890;pn-prid=fcm-token-1"


async def app_of(edge: Registering, push: str) -> str:
    """Return the slug of the app that a phone is woken through, or why there is none."""
    await edge.register(contact(push), call_id=f"c{len(edge.changes)}")
    (bound,) = edge.bindings()
    app = edge.store.apps.by_id(bound.app)
    return app.slug if app else bound.why_not


async def test_a_key_that_names_the_bundle_id_goes_before_one_of_a_whole_team() -> None:
    async with Registering() as edge:
        await edge.apple("exact", "org.example.phone")
        await edge.apple("team")
        assert await app_of(edge, APNS) == "exact"
        assert await app_of(edge, APNS.replace("org.example.phone", "org.example.other")) == "team"


async def test_of_two_apps_with_the_same_bundle_id_a_caller_gets_the_one_that_he_may_know() -> None:
    async with Registering() as edge:
        for slug in ("first", "second"):
            await edge.apple(slug, "org.example.phone")
        await edge.register(contact(APNS))
        (bound,) = edge.bindings()
        assert bound.push is not None
        for slug in ("first", "second"):
            covered = edge.apps.among({slug}.__contains__).cover(bound.push)
            assert isinstance(covered, Covered)
            assert covered.app.slug == slug
        assert isinstance(edge.apps.among(lambda _: False).cover(bound.push), str)


async def test_a_key_of_production_does_not_wake_builds_of_developers() -> None:
    async with Registering() as edge:
        await edge.apple()
        assert "sandbox" in await app_of(edge, APNS.replace("apns;", "apns.dev;"))


async def test_the_number_of_a_project_is_that_of_the_only_app_with_firebase() -> None:
    async with Registering() as edge:
        await edge.firebase()
        assert await app_of(edge, NUMBER) == "phone-app"
        assert "other-fire" in await app_of(edge, FCM.replace("acme-fire", "other-fire"))


async def test_of_several_apps_the_settings_say_whose_a_number_is() -> None:
    async with Registering() as edge:
        await edge.firebase("one", "one-fire")
        await edge.firebase("two", "two-fire")
        assert "[sip] senders" in await app_of(edge, NUMBER)
    async with Registering(senders=("1234567890:two",)) as edge:
        await edge.firebase("one", "one-fire")
        await edge.firebase("two", "two-fire")
        assert await app_of(edge, NUMBER) == "two"
        (bound,) = edge.bindings()
        device = await edge.store.devices.get(bound.app, bound.device)
        assert device is not None
        assert device.targets[0].topic == "two-fire"


async def test_a_token_that_is_none_of_apple_s_is_told() -> None:
    async with Registering() as edge:
        await edge.apple()
        assert "no APNs token" in await app_of(edge, APNS[: APNS.index("pn-prid=")] + "pn-prid=" + "xyz" * 22)
