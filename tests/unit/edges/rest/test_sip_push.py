"""`POST /v1/sip/push`: real pipeline, push services that answer as told."""

from __future__ import annotations

from typing import Any

import httpx2
import msgspec
import pytest

from unit.edges.rest.gateway import Gateway, opened
from wakeline.config import Settings
from wakeline.config.tree import Sip
from wakeline.model.device import TargetKind, TargetState
from wakeline.model.ids import parse_key
from wakeline.model.key import Scope
from wakeline.model.notification import Notification, PushType
from wakeline.model.route import Lane, ProviderKind
from wakeline.ports import NewCredential, TargetVerdict
from wakeline.wire.credential_file import Expectation, new_vapid_key

pytestmark = pytest.mark.anyio

PATH = "/v1/sip/push"
TOKEN = "c3" * 32
OTHER = "d4" * 32
APPLE = {
    "pn_provider": "apns",
    "pn_param": "ABCD1234.com.acme.chat.voip&remote",
    "pn_prid": f"{TOKEN}:voip&{OTHER}:remote",
}
GOOGLE = {"pn_provider": "fcm", "pn_param": "acme", "pn_prid": "c:APA91b"}
CALL = {**APPLE, "type": "call", "call_id": "c1@example.org"}


@pytest.fixture
async def app(gateway: Gateway) -> Gateway:
    await gateway.with_app()
    return gateway


async def kept(gateway: Gateway, answer: httpx2.Response) -> Notification:
    assert answer.status_code == 202, answer.text
    found = await gateway.store.ledger.notification(parse_key(answer.json()["id"]))
    assert found is not None
    return found


async def test_a_call_goes_to_the_voip_token_of_the_app_that_the_parameters_name(app: Gateway) -> None:
    answer = await app.call(
        "POST", PATH, json={**CALL, "from": '"Al" <sip:alice@example.org;x=1>', "uid": "<urn:uuid:7>", "ttl": 20}
    )
    found = await kept(app, answer)
    raw = found.content.apns.raw
    assert raw is not None
    assert (answer.json()["app"], found.lane, found.expires - found.due) == ("acme-chat", Lane.CALL, 20_000)
    assert (raw["aps"]["call-id"], raw["aps"]["uuid"], raw["pn_ttl"]) == ("c1@example.org", '"<urn:uuid:7>"', 20)
    assert (raw["display-name"], raw["from-uri"]) == ("Al", "sip:alice@example.org")
    device = await app.store.devices.by_target(found.app, TargetKind.APNS_VOIP, TOKEN)
    assert device is not None


@pytest.mark.parametrize(
    ("given", "kind", "lane", "seconds"),
    [
        ({**CALL}, PushType.CALL, Lane.CALL, 32),
        ({**APPLE, "type": "message"}, PushType.ALERT, Lane.ALERT, 604_800),
        ({**APPLE, "event": "reg-refresh"}, PushType.BACKGROUND, Lane.BACKGROUND, 3600),
        ({**GOOGLE, "event": "ini-INVITE", "call_id": "c"}, PushType.CALL, Lane.CALL, 32),
        ({**GOOGLE, "event": "MESSAGE"}, PushType.ALERT, Lane.ALERT, 604_800),
        ({**APPLE, "event": "mid-INVITE"}, PushType.ALERT, Lane.ALERT, 32),
        ({**APPLE, "event": "REFER"}, PushType.ALERT, Lane.ALERT, 32),
    ],
)
async def test_type_or_event_says_what_kind_of_push_it_is(
    app: Gateway, given: dict[str, Any], kind: PushType, lane: Lane, seconds: int
) -> None:
    found = await kept(app, await app.call("POST", PATH, json=given))
    assert (found.content.type, found.lane, (found.expires - found.due) // 1000) == (kind, lane, seconds)


async def test_a_whole_contact_does_as_well(app: Gateway) -> None:
    contact = (
        f"<sip:bob@10.0.0.1;pn-provider=apns;pn-param=ABCD1234.com.acme.chat.voip;pn-prid={TOKEN}:voip"
        ';pn-call-str=RING;transport=tls>;+sip.instance="<urn:uuid:99>";q=0.5'
    )
    found = await kept(app, await app.call("POST", PATH, json={"contact": contact, "event": "INVITE", "call_id": "x"}))
    raw = found.content.apns.raw
    assert raw is not None
    assert (raw["aps"]["loc-key"], raw["aps"]["uuid"]) == ("RING", '"<urn:uuid:99>"')


async def test_the_same_wake_asked_for_twice_is_one_push(app: Gateway) -> None:
    first, again = [await app.call("POST", PATH, json=CALL) for _ in range(2)]
    other = await app.call("POST", PATH, json={**CALL, "call_id": "c2@example.org"})
    assert (first.status_code, again.json()) == (202, first.json())
    assert other.json()["id"] != first.json()["id"]
    assert await app.store.queue.pending() == 2


@pytest.mark.parametrize("event", ["reg-refresh", "mid-BYE"])
async def test_requests_that_share_a_call_id_are_a_push_each(app: Gateway, event: str) -> None:
    given = {**APPLE, "event": event, "call_id": "registration"}
    first, again = [await app.call("POST", PATH, json=given) for _ in range(2)]
    assert first.json()["id"] != again.json()["id"]


async def test_a_token_that_is_gone_is_refused_with_410(app: Gateway) -> None:
    wake = {**GOOGLE, "type": "call"}
    found = await kept(app, await app.call("POST", PATH, json={**wake, "call_id": "c1"}))
    device = await app.store.devices.by_target(found.app, TargetKind.FCM, GOOGLE["pn_prid"])
    assert device is not None
    verdict = TargetVerdict(
        target=device.targets[0].id, state=TargetState.RETIRED, reason="UNREGISTERED", at=app.clock.now()
    )
    await app.store.devices.judge([verdict])
    answer = await app.call("POST", PATH, json={**wake, "call_id": "c2"})
    assert (answer.status_code, answer.json()["code"]) == (410, "token_gone")


async def test_a_key_of_another_app_cannot_wake_this_ones_phones(app: Gateway) -> None:
    await app.store.apps.create("other", "other", app.clock.now())
    narrow = await app.key(Scope.SEND, apps=("other",))
    reader = await app.key(Scope.READ)
    assert (await app.call("POST", PATH, json=CALL, key=narrow)).status_code == 422
    assert (await app.call("POST", PATH, json=CALL, key=reader)).status_code == 403
    assert (await app.call("POST", PATH, json=CALL, key="")).status_code == 401
    assert await app.store.queue.pending() == 0


async def test_a_project_number_is_found_by_the_settings() -> None:
    gateway = await opened(Settings(sip=Sip(senders=("8123:acme-chat",))))
    await gateway.with_app()
    found = await kept(
        gateway, await gateway.call("POST", PATH, json={**GOOGLE, "pn_param": "8123", "type": "message"})
    )
    assert found.content.fcm.raw is not None


async def test_an_endpoint_of_web_push_without_keys_is_refused(app: Gateway) -> None:
    browser = {"pn_provider": "webpush", "pn_prid": "https://push.example.org/1", "type": "message"}
    answer = await app.call("POST", PATH, json=browser)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/pn_param")
    made = new_vapid_key(b"v" * 32, Expectation(now=0, contact="mailto:it@example.com"))
    assert made.facts is not None
    assert made.secret is not None
    acme = app.store.apps.get("acme-chat")
    assert acme is not None
    facts = msgspec.structs.replace(made.facts, app=acme.id)
    await app.store.credentials.create(NewCredential(facts=facts, secret=made.secret), app.clock.now())
    answer = await app.call("POST", PATH, json=browser)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/pn_provider")


async def external(gateway: Gateway, *topics: str, slug: str = "outside") -> None:
    """Make an app whose pushes a program of somebody's sends."""
    await gateway.store.apps.create(slug, slug, gateway.clock.now())
    file = b'{"external_push_uri": "https://gw.example/?t=$token"}'
    form = {"topics": ",".join(topics)} if topics else {}
    answer = await gateway.call(
        "POST", f"/v1/apps/{slug}/credentials", files={"file": ("push.json", file)}, data={**form, "check": "false"}
    )
    assert answer.status_code == 201, answer.text


async def test_an_external_push_uri_for_all_serves_phones_that_nothing_else_serves(app: Gateway) -> None:
    await external(app)
    own = await app.call("POST", PATH, json=CALL)
    unknown = {**CALL, "pn_param": "T.org.unknown.voip", "pn_prid": TOKEN, "from": "sip:al@example.org"}
    found = await app.call("POST", PATH, json=unknown)
    assert (own.json()["app"], found.json()["app"]) == ("acme-chat", "outside")
    notification = await kept(app, found)
    assert notification.content.data == {"call-id": "c1@example.org", "from-uri": "sip:al@example.org"}
    route = next(route for route in app.store.routes.all() if route.app == notification.app)
    assert (route.provider, route.topic) == (ProviderKind.HTTP, "")


async def test_an_external_push_uri_for_a_bundle_id_goes_before_our_own_sending(app: Gateway) -> None:
    await external(app, "com.acme.chat")
    found = await app.call("POST", PATH, json=CALL)
    assert found.json()["app"] == "outside"
    google = await app.call("POST", PATH, json={**GOOGLE, "type": "message"})
    assert google.json()["app"] == "acme-chat"


async def test_a_phone_behind_an_external_push_uri_may_be_registered_as_any_device(app: Gateway) -> None:
    await external(app)
    device = "/v1/apps/outside/devices/phone"
    target = {"kind": "http", "value": "token=t1&type=mine"}
    answer = await app.call("PUT", device, json={"user": "bob", "targets": [target]})
    assert answer.status_code == 201, answer.text
    wrong = {"kind": "http", "value": "no phone"}
    assert (await app.call("PUT", device, json={"user": "bob", "targets": [wrong]})).status_code == 422
    sent = await app.call(
        "POST", "/v1/apps/outside/notifications", json={"to": {"users": ["bob"]}, "alert": {"title": "Hello"}}
    )
    assert (sent.status_code, sent.json()["recipients"]) == (202, 1)


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({**APPLE}, "/type"),
        ({**APPLE, "type": "fax"}, "/type"),
        ({**APPLE, "event": "OPTIONS"}, "/event"),
        ({**APPLE, "type": "call"}, "/call_id"),
        ({"type": "message"}, "/pn_provider"),
        ({**APPLE, "type": "message", "pn_provider": "wns"}, "/pn_provider"),
        ({"type": "message", "contact": "<sip:bob@10.0.0.1>"}, "/contact"),
        ({"type": "message", "contact": "\u20ac <"}, "/contact"),
        ({**CALL, "from": "<<"}, "/from"),
        ({**APPLE, "type": "message", "pn_param": "T.org.unknown", "pn_prid": TOKEN}, "/pn_param"),
        ({**APPLE, "type": "message", "pn_param": "T.com.acme.chat.voip", "pn_prid": TOKEN}, "/pn_prid"),
        ({**CALL, "more": 1}, "/more"),
    ],
)
async def test_what_is_wrong_names_the_field(app: Gateway, given: dict[str, Any], pointer: str) -> None:
    answer = await app.call("POST", PATH, json=given)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer), answer.text
    assert await app.store.queue.pending() == 0
