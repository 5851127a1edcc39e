"""The Web Push provider against a fake push service with browsers that decrypt, written from the RFCs by other hands."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from wakeline import config
from wakeline.model.errors import CredentialRefused, InvalidRequest
from wakeline.model.notification import Alert, Call, Content, Override, PushType
from wakeline.model.outcome import Action, OutcomeClass
from wakeline.providers import WebPushProvider

if TYPE_CHECKING:
    from conformance.providers.conftest import Rig

pytestmark = pytest.mark.anyio

RING = Content(type=PushType.CALL, call=Call(id="c1", caller="Alice", video=True))
SILENT = {"status": 201, "delay_ms": 60_000}


async def test_a_push_is_accepted_and_the_browser_reads_it(rig: Rig) -> None:
    credential = rig.vapid_key()
    browser = await rig.subscribe(credential[0].public_key)
    results = await rig.send(rig.open_webpush(credential), browser.value)
    assert results.accepted == [0]
    assert results.only.status == 201
    assert browser.name in results.only.provider_id
    (request,) = await rig.requests(provider="webpush")
    assert (request["body"]["title"], request["body"]["body"]) == ("Hello", "World")
    assert request["headers"]["authorization"].startswith("vapid t=")
    assert request["headers"]["content-encoding"] == "aes128gcm"
    assert int(request["headers"]["ttl"]) in range(3570, 3601)


async def test_an_endpoint_without_keys_gets_an_empty_push(rig: Rig) -> None:
    credential = rig.vapid_key()
    browser = await rig.subscribe(credential[0].public_key)
    endpoint = browser.value.partition(" ")[0]
    results = await rig.send(rig.open_webpush(credential), f"{endpoint}  ")
    assert results.only.status == 201
    (request,) = await rig.requests(provider="webpush")
    assert request["headers"].get("content-length") == "0"
    assert "content-encoding" not in request["headers"]
    assert "content-type" not in request["headers"]


async def test_a_broadcast_reaches_every_browser_by_one_token_over_few_connections(rig: Rig) -> None:
    credential = rig.vapid_key()
    browsers = [await rig.subscribe(credential[0].public_key) for _ in range(40)]
    sender = rig.open_webpush(credential)
    results = await rig.send(sender, *(browser.value for browser in browsers), bulk=True)
    assert sorted(results.accepted) == list(range(40))
    assert results.others == {}
    requests = await rig.requests(provider="webpush", limit="100")
    assert {request["target"] for request in requests} == {browser.name for browser in browsers}
    assert len({request["headers"]["authorization"] for request in requests}) == 1
    assert 0 < sender.stats().connections <= rig.webpush_settings.max_connections


async def test_each_recipient_hears_what_became_of_its_own_push(rig: Rig) -> None:
    credential = rig.vapid_key()
    good, gone, unknown, busy, down, moved = [await rig.subscribe() for _ in range(6)]
    await rig.script(gone.name, {"status": 410})
    await rig.script(unknown.name, {"status": 404})
    await rig.script(busy.name, {"status": 429, "headers": {"retry-after": "7"}})
    await rig.script(down.name, {"status": 503})
    await rig.script(moved.name, {"status": 301, "headers": {"location": "https://localhost/elsewhere"}})
    values = [browser.value for browser in (good, gone, unknown, busy, down, moved)]
    results = await rig.send(rig.open_webpush(credential), *values)
    assert results.accepted == [0]
    seen = {at: (outcome.action, outcome.code) for at, outcome in results.others.items() if at}
    assert seen == {
        1: (Action.RETIRE, 911),
        2: (Action.RETIRE, 911),
        3: (Action.RETRY, 914),
        4: (Action.RETRY, 902),
        5: (Action.RETRY, 902),
    }
    assert results.others[3].retry_after == 7.0
    assert len(await rig.requests(provider="webpush")) == 6  # a redirect is not followed


async def test_a_browser_that_subscribed_with_another_key_is_a_mismatch_and_no_dead_token(rig: Rig) -> None:
    other, ours = rig.vapid_key(), rig.vapid_key()
    browser = await rig.subscribe(other[0].public_key)
    results = await rig.send(rig.open_webpush(ours), browser.value)
    assert (results.only.outcome_class, results.only.action, results.only.code) == (
        OutcomeClass.MISMATCH,
        Action.FAIL,
        912,
    )


async def test_a_clock_that_is_days_slow_is_a_credential_outcome_that_names_it(rig: Rig) -> None:
    credential = rig.vapid_key()
    browser = await rig.subscribe(credential[0].public_key)
    rig.clock.shift = -3 * 86_400
    results = await rig.send(rig.open_webpush(credential), browser.value)
    assert (results.only.action, results.only.code) == (Action.HOLD, 904)
    assert "clock" in results.only.fix


async def test_a_token_is_made_anew_when_its_window_is_over(rig: Rig) -> None:
    credential = rig.vapid_key()
    browser = await rig.subscribe(credential[0].public_key)
    sender = rig.open_webpush(credential)
    await rig.send(sender, browser.value)
    rig.clock.ahead += 86_400
    assert (await rig.send(sender, browser.value)).accepted == [0]
    tokens = {request["headers"]["authorization"] for request in await rig.requests(provider="webpush")}
    assert len(tokens) == 2


async def test_a_call_is_urgent_and_short_lived(rig: Rig) -> None:
    browser = await rig.subscribe()
    await rig.send(rig.open_webpush(rig.vapid_key()), browser.value, content=RING, ttl=30)
    (request,) = await rig.requests(provider="webpush")
    assert request["headers"]["urgency"] == "high"
    assert int(request["headers"]["ttl"]) in range(10, 31)
    assert request["body"]["call"] == {"id": "c1", "caller": "Alice", "video": True}


async def test_each_device_gets_its_own_badge(rig: Rig) -> None:
    one, two = await rig.subscribe(), await rig.subscribe()
    content = Content(type=PushType.ALERT, alert=Alert(title="t", badge="+1"))
    await rig.send(rig.open_webpush(rig.vapid_key()), one.value, two.value, content=content, badges={100: 3, 101: 8})
    requests = await rig.requests(provider="webpush")
    assert {request["target"]: request["body"]["badge"] for request in requests} == {one.name: 3, two.name: 8}


async def test_a_call_goes_out_while_all_other_workers_wait_for_answers(rig: Rig) -> None:
    sender = rig.open_webpush(rig.vapid_key())
    silent = [await rig.subscribe() for _ in range(sender.room())]
    for browser in silent:
        await rig.script(browser.name, SILENT)
    sender.send(rig.shipment(*(browser.value for browser in silent)))
    await rig.until(lambda: sender.stats().queued > 0 and sender.stats().in_flight > 0)
    assert sender.room() == 0
    assert sender.room(call=True) > 0
    phone = await rig.subscribe()
    assert (await rig.send(sender, phone.value, content=RING)).accepted == [0]


async def test_a_silent_push_service_does_not_hold_another(rig: Rig) -> None:
    credential = rig.vapid_key()
    silent = [await rig.subscribe() for _ in range(20)]
    for browser in silent:
        await rig.script(browser.name, SILENT)
    first = rig.open_webpush(credential)
    first.send(rig.shipment(*(browser.value for browser in silent)))
    await rig.until(lambda: first.stats().in_flight > 0)
    elsewhere = await rig.subscribe(host="127.0.0.1")
    second = rig.open_webpush(credential, origin=elsewhere.value.split("/wp/")[0])
    assert (await rig.send(second, elsewhere.value)).accepted == [0]
    assert first.stats().in_flight > 0


async def test_what_is_not_answered_by_its_deadline_is_unknown_and_what_was_not_sent_is_given_back(rig: Rig) -> None:
    sender = rig.open_webpush(rig.vapid_key())
    warm, *silent = [await rig.subscribe() for _ in range(sender.room() + 1)]
    assert (await rig.send(sender, warm.value)).accepted == [0]
    for browser in silent:
        await rig.script(browser.name, SILENT)
    results = await rig.send(sender, *(browser.value for browser in silent), within=1.5)
    assert {outcome.reason for outcome in results.others.values()} == {"timeout", "not_written"}
    actions = {outcome.reason: outcome.action for outcome in results.others.values()}
    assert actions == {"timeout": Action.RETRY, "not_written": Action.REPLAY}
    assert sender.room() > 0
    assert rig.wakes > 0


async def test_closing_waits_for_what_is_in_flight_and_tells_of_the_rest(rig: Rig) -> None:
    sender = rig.open_webpush(rig.vapid_key())
    quick, *silent = [await rig.subscribe() for _ in range(sender.room())]
    await rig.script(quick.name, {"status": 201, "delay_ms": 100})
    for browser in silent:
        await rig.script(browser.name, SILENT)
    sending = asyncio.create_task(rig.send(sender, quick.value, *(browser.value for browser in silent)))
    while not await rig.requests(target=quick.name):
        assert not sending.done()
    await sender.close(drain=1.2)
    results = await sending
    assert results.accepted == [0]
    assert {outcome.reason for at, outcome in results.others.items() if at} == {"no_answer", "not_written"}


async def test_an_unreachable_push_service_is_transient(rig: Rig) -> None:
    browser = await rig.subscribe()
    dead = "https://localhost:1/wp/x " + browser.value.split(" ", 1)[1]
    results = await rig.send(rig.open_webpush(rig.vapid_key(), origin="https://localhost:1"), dead)
    assert (results.only.outcome_class, results.only.action) == (OutcomeClass.TRANSIENT, Action.RETRY)


@pytest.mark.parametrize(
    ("endpoint", "cause"),
    [
        ("https://127.0.0.1:8443/wp/x", "by rule"),
        ("https://169.254.169.254/latest", "by rule"),
        ("http://push.example.com/wp/x", "plain http"),
    ],
)
async def test_endpoints_that_phones_choose_reach_nothing_private(rig: Rig, endpoint: str, cause: str) -> None:
    strict = WebPushProvider(config.WebPush(), rig.clock)
    keys = (await rig.subscribe()).value.split(" ", 1)[1]
    sender = rig.open_webpush(rig.vapid_key(), origin=endpoint.rpartition("/")[0], provider=strict)
    results = await rig.send(sender, f"{endpoint} {keys}")
    assert (results.only.reason, results.only.action, results.only.code) == ("address_refused", Action.FAIL, 911)
    assert cause in results.only.cause
    assert "allow_private" in results.only.fix


async def test_a_value_that_is_no_subscription_is_told_without_asking_anybody(rig: Rig) -> None:
    results = await rig.send(rig.open_webpush(rig.vapid_key()), "https://localhost/only-an-endpoint")
    assert (results.only.reason, results.only.code) == ("bad_token", 911)
    assert await rig.requests() == []


async def test_check_reaches_nobody_and_promises_nothing_about_the_key(rig: Rig) -> None:
    outcome = await rig.open_webpush(rig.vapid_key()).check()
    assert outcome.accepted
    assert "no way to ask about a VAPID key" in outcome.cause
    assert (await rig.open_webpush(rig.vapid_key(), origin="https://localhost:1").check()).action is Action.RETRY
    assert (await rig.open_webpush(rig.vapid_key(), origin="").check()).accepted


async def test_a_key_that_cannot_be_used_is_refused_when_opening(rig: Rig) -> None:
    facts, secret = rig.vapid_key()
    with pytest.raises(CredentialRefused):
        rig.open_webpush((facts, msgspec.structs.replace(secret, private_key=b"no key")))


async def test_a_preview_is_what_is_sent_with_secrets_left_out(rig: Rig) -> None:
    credential = rig.vapid_key()
    browser = await rig.subscribe()
    await rig.send(rig.open_webpush(credential), browser.value)
    shipment = rig.shipment(browser.value)
    route = msgspec.structs.replace(shipment.route, topic=rig.simulator.web_push_origin)
    preview = rig.webpush.preview(shipment.notification, route, credential[0], shipment.recipients[0], rig.clock.now())
    (request,) = await rig.requests(provider="webpush")
    shown = msgspec.json.decode(preview.body)
    assert {name: shown[name] for name in ("title", "body")} == {"title": "Hello", "body": "World"}
    assert shown.keys() == request["body"].keys()
    assert dict(preview.headers)["authorization"] == f"vapid t=[redacted], k={credential[0].public_key}"
    assert preview.url.startswith(f"{rig.simulator.web_push_origin}/...")
    assert not any(part in str(preview) for part in (browser.name, *browser.value.split(" ")[1:]))
    assert preview.warnings == ()


async def test_size_refuses_what_no_push_service_takes_and_measures_the_rest(rig: Rig) -> None:
    large = rig.shipment("x", content=Content(type=PushType.ALERT, alert=Alert(body="x" * 5000)))
    size, limit, field = rig.webpush.size(large.notification)
    assert (size > limit, limit, field) == (True, 3993, "/alert/body")
    hurried = Content(webpush=Override(headers={"urgency": "now"}))
    with pytest.raises(InvalidRequest):
        rig.webpush.size(rig.shipment("x", content=hurried).notification)


async def test_what_passes_the_size_check_is_not_too_large_for_a_push_service(rig: Rig) -> None:
    content = Content(type=PushType.ALERT, alert=Alert(title="t", body="é" * 4000, badge="+1"), truncate=True)
    browser = await rig.subscribe()
    results = await rig.send(rig.open_webpush(rig.vapid_key()), browser.value, content=content, badges={100: 2**31 - 1})
    assert results.accepted == [0]
