"""All eleven push types through the provider to a fake APNs that was written from Apple's rules: each is accepted with its
topic, and its provider token is judged by PyJWT, which nobody here wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt
import pytest

from conformance.providers.conftest import KEY_ID, TEAM_ID, TOPIC
from wakeline.model.notification import Alert, Call, Content, LiveActivity, LiveActivityEvent, Override, PushType
from wakeline.wire.apns import RULES

if TYPE_CHECKING:
    from conformance.providers.conftest import Rig

pytestmark = pytest.mark.anyio

TOKEN = "ab" * 32
MORE: dict[PushType, dict[str, Any]] = {
    PushType.ALERT: {"alert": Alert(title="Hello")},
    PushType.CALL: {"call": Call(id="c1")},
    PushType.LIVEACTIVITY: {"liveactivity": LiveActivity(event=LiveActivityEvent.UPDATE)},
    PushType.MDM: {"data": {"mdm": "magic"}},
}


async def test_each_push_type_is_accepted_with_its_topic(rig: Rig) -> None:
    sender = rig.open_apns(rig.key())
    for push_type, rule in RULES.items():
        content = Content(type=push_type, **MORE.get(push_type, {}))
        results = await rig.send(sender, TOKEN, content=content, kinds=(rule.kind.value,))
        assert results.accepted == [0], (push_type, results.others)
        headers = (await rig.requests(provider="apns"))[-1]["headers"]
        assert (headers["apns-push-type"], headers["apns-topic"]) == (rule.name, TOPIC + rule.suffix)
        assert int(headers["apns-priority"]) in rule.priorities


async def test_a_certificate_sends_no_location_query(rig: Rig) -> None:
    sender = rig.open_apns(rig.certificate("com.example.chat", "com.example.chat.location-query"))
    results = await rig.send(sender, TOKEN, content=Content(type=PushType.LOCATION), kinds=("apns-location",))
    assert results.only.reason == "topic_mismatch"


@pytest.mark.parametrize("priority", ["10", "1"])
async def test_a_background_push_that_claims_to_be_urgent_is_refused_by_apple_too(rig: Rig, priority: str) -> None:
    content = Content(apns=Override(headers={"apns-priority": priority}))
    results = await rig.send(rig.open_apns(rig.key()), TOKEN, content=content)
    assert results.only.reason == "BadPriority"


async def test_an_independent_library_verifies_the_provider_token_on_the_wire(rig: Rig) -> None:
    await rig.send(rig.open_apns(rig.key()), TOKEN)
    (request,) = await rig.requests(provider="apns")
    scheme, token = request["headers"]["authorization"].split(" ")
    claims = jwt.decode(
        token, rig.ec_key.public_key(), algorithms=["ES256"], issuer=TEAM_ID, options={"require": ["iss", "iat"]}
    )
    assert scheme == "bearer"
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "kid": KEY_ID}
    assert claims.keys() == {"iss", "iat"}
    assert 20 * 60 <= rig.clock.now() / 1000 - claims["iat"] <= 55 * 60
