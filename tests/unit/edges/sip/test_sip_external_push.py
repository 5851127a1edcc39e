"""Phones whose pushes a program of somebody's sends: which app they belong to, and what is kept of them."""

from __future__ import annotations

import pytest

from sip_registering import APNS, FCM, INSTANCE, TOKEN, Registering, contact
from wakeline.model.credential import CredentialKind
from wakeline.model.device import TargetKind
from wakeline.model.route import Environment
from wakeline.wire.flexisip.external import read_phone

pytestmark = pytest.mark.anyio

WORLDS = (Environment.PRODUCTION,)


async def external(edge: Registering, slug: str, *topics: str) -> int:
    return (await edge._credential(slug, CredentialKind.EXTERNAL_PUSH, WORLDS, topics)).id


async def test_a_phone_that_nothing_else_serves_goes_by_the_external_push_uri() -> None:
    async with Registering() as edge:
        app = await external(edge, "outside")
        answer = await edge.register(contact(APNS), contact(FCM, instance="urn:uuid:2"))
        assert answer.all("feature-caps") == ['*;+sip.pns="apns"', '*;+sip.pns="fcm"']
        assert {bound.app for bound in edge.bindings()} == {app}
        device = await edge.store.devices.get(app, INSTANCE)
        assert device is not None
        [target] = device.targets
        assert (target.kind, target.topic) == (TargetKind.HTTP, "org.example.phone")
        assert read_phone(target.value) == {
            "type": "apple",
            "token": TOKEN,
            "app-id": "org.example.phone.voip.prod",
            "msgid": "IC_MSG",
            "sound": "empty",
        }


@pytest.mark.parametrize(("topics", "slug"), [((), "phone-app"), (("org.example.phone",), "outside")])
async def test_it_goes_before_our_own_sending_only_for_what_it_names(topics: tuple[str, ...], slug: str) -> None:
    async with Registering() as edge:
        await edge.apple("phone-app", "org.example.phone")
        await external(edge, "outside", *topics)
        await edge.register(contact(APNS))
        [bound] = edge.bindings()
        assert bound.app == (await edge.app(slug)).id


async def test_one_that_names_other_phones_serves_none_of_these() -> None:
    async with Registering() as edge:
        await external(edge, "outside", "8123")
        await edge.register(contact(FCM.replace("acme-fire", "8123"), instance="urn:uuid:2"))
        await edge.register(contact(APNS), call_id="c2")
        found = {bound.instance: bool(bound.app) for bound in edge.bindings()}
        assert found["urn:uuid:2"]
        assert not found.get(INSTANCE)
