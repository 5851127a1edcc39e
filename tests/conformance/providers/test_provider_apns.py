"""The APNs provider against a fake APNs that was written from Apple's rules by other hands."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import msgspec
import pytest

from conformance.providers.conftest import DEADLINE, Results
from wakeline.model.errors import InvalidRequest
from wakeline.model.ids import delivery_id
from wakeline.model.notification import Alert, Call, Content, Override, PushType, Translation
from wakeline.model.outcome import Action, OutcomeClass
from wakeline.model.route import Environment

if TYPE_CHECKING:
    from conformance.providers.conftest import Rig

pytestmark = pytest.mark.anyio

TOKEN = "00FC13ADFF785122B4AD28809A3420982341241421348097878E577C991DE8F0"


def _tokens(count: int) -> list[str]:
    return [f"{number:064x}" for number in range(1, count + 1)]


async def test_a_push_is_accepted_as_written(rig: Rig) -> None:
    sender = rig.open_apns(rig.key())
    results = await rig.send(sender, TOKEN)
    assert results.accepted == [0]
    (request,) = await rig.requests(provider="apns")
    assert request["path"] == f"/3/device/{TOKEN.lower()}"
    assert request["body"] == {"aps": {"alert": {"title": "Hello", "body": "World"}}}
    headers = request["headers"]
    assert headers["apns-topic"] == "com.example.chat"
    assert headers["apns-push-type"] == "alert"
    assert headers["apns-priority"] == "10"
    assert headers["authorization"].startswith("bearer ey")


async def test_a_broadcast_reaches_every_token_once_with_an_id_of_its_own(rig: Rig) -> None:
    sender = rig.open_apns(rig.key())
    results = await rig.send(sender, *_tokens(300), bulk=True)
    assert sorted(results.accepted) == list(range(300))
    assert results.others == {}
    requests = await rig.requests(provider="apns")
    assert len({request["path"] for request in requests}) == 300
    ids = {request["headers"]["apns-id"] for request in requests}
    head = next(iter(ids))[:24]
    assert ids == {f"{head}{target:012x}" for target in range(1, 301)}
    assert len({request["headers"]["authorization"] for request in requests}) == 1


async def test_the_id_leads_back_to_the_delivery(rig: Rig) -> None:
    sender = rig.open_apns(rig.key())
    from_now = rig.clock.now()
    await rig.send(sender, TOKEN)
    (request,) = await rig.requests(provider="apns")
    key = int(request["headers"]["apns-id"].replace("-", "")[:12], 16) << 14 | 1
    assert key >> 14 >= from_now
    assert request["headers"]["apns-id"] == delivery_id(key, 1)


async def test_each_recipient_hears_what_became_of_its_own_push(rig: Rig) -> None:
    good, dead, wrong, busy = _tokens(4)
    await rig.script(dead, {"status": 410, "reason": "Unregistered", "timestamp": 1_700_000_000_000})
    await rig.script(wrong, {"status": 400, "reason": "BadDeviceToken"})
    await rig.script(busy, {"status": 429, "reason": "TooManyRequests", "headers": {"retry-after": "9"}})
    results = await rig.send(rig.open_apns(rig.key()), good, dead, wrong, busy)
    assert results.accepted == [0]
    assert (results.others[1].action, results.others[1].since) == (Action.RETIRE, 1_700_000_000_000)
    assert (results.others[2].action, results.others[2].code) == (Action.OTHER_ENVIRONMENT, 911)
    assert (results.others[3].code, results.others[3].retry_after) == (914, 9.0)
    assert len(results.others[1].provider_id) == 36


async def test_a_token_that_is_none_is_refused_without_asking_apple(rig: Rig) -> None:
    results = await rig.send(rig.open_apns(rig.key()), "../../secret", TOKEN)
    assert results.accepted == [1]
    assert (results.others[0].reason, results.others[0].code) == ("bad_token", 911)
    assert len(await rig.requests(provider="apns")) == 1


async def test_badges_and_languages_differ_per_device(rig: Rig) -> None:
    content = Content(
        type=PushType.ALERT, alert=Alert(body="Hi", badge="+1", localized={"de": Translation(body="Hallo")})
    )
    await rig.send(rig.open_apns(rig.key()), *_tokens(2), content=content, badges={100: 5, 101: 6})
    bodies = {request["path"][-1]: request["body"]["aps"] for request in await rig.requests(provider="apns")}
    assert bodies == {"1": {"alert": {"body": "Hi"}, "badge": 5}, "2": {"alert": {"body": "Hi"}, "badge": 6}}


async def test_a_call_rings_a_voip_token_and_shows_on_an_alert_token(rig: Rig) -> None:
    ring = Content(type=PushType.CALL, call=Call(id="c1", caller="Alice"))
    results = await rig.send(rig.open_apns(rig.key()), *_tokens(2), content=ring, kinds=("apns-voip", "apns"), ttl=30)
    assert sorted(results.accepted) == [0, 1]
    types = {r["path"][-1]: (r["headers"]["apns-topic"], r["headers"]["apns-push-type"]) for r in await rig.requests()}
    assert types == {"1": ("com.example.chat.voip", "voip"), "2": ("com.example.chat", "alert")}


async def test_nothing_but_calls_goes_to_a_voip_token(rig: Rig) -> None:
    results = await rig.send(rig.open_apns(rig.key()), *_tokens(2), kinds=("apns-voip", "apns"))
    assert results.accepted == [1]
    assert results.others[0].reason == "not_a_call"


async def test_sandbox_and_production_are_served_side_by_side(rig: Rig) -> None:
    await rig.tell("/environment", {"target": TOKEN, "environment": "sandbox"})
    production = await rig.send(rig.open_apns(rig.key()), TOKEN)
    sandbox = await rig.send(rig.open_apns(rig.key(), environment=Environment.SANDBOX), TOKEN)
    assert production.only.reason == "BadDeviceToken"
    assert sandbox.accepted == [0]


async def test_a_certificate_authenticates_the_connection(rig: Rig) -> None:
    sender = rig.open_apns(rig.certificate("com.example.chat", "com.example.chat.voip"))
    results = await rig.send(sender, TOKEN)
    assert results.accepted == [0]
    (request,) = await rig.requests(provider="apns")
    assert "authorization" not in request["headers"]


async def test_a_certificate_does_not_cover_other_topics(rig: Rig) -> None:
    sender = rig.open_apns(rig.certificate("com.example.chat"), topic="com.example.other")
    results = await rig.send(sender, TOKEN)
    assert results.only.code == 912
    assert "com.example.other" in results.only.cause
    assert await rig.requests() == []


@pytest.mark.parametrize("by", ["answer", "alert"])
async def test_a_refused_certificate_is_a_credential_problem(rig: Rig, by: str) -> None:
    await rig.tell("/trust", {"apns_certificates": [], "refuse_certificates_by": by})
    results = await rig.send(rig.open_apns(rig.certificate("com.example.chat")), TOKEN)
    assert (results.only.outcome_class, results.only.action) == (OutcomeClass.CREDENTIAL, Action.HOLD)
    assert results.only.code == 904


async def test_an_expired_certificate_is_not_even_tried(rig: Rig) -> None:
    results = await rig.send(rig.open_apns(rig.certificate("com.example.chat", not_after=1)), TOKEN)
    assert (results.only.code, results.only.action) == (903, Action.HOLD)
    assert await rig.requests() == []


async def test_a_credential_of_the_other_environment_is_named(rig: Rig) -> None:
    results = await rig.send(rig.open_apns(rig.key(environments=(Environment.SANDBOX,))), TOKEN)
    assert results.only.code == 905


async def test_a_key_that_apple_does_not_know_holds_and_burns_nothing(rig: Rig) -> None:
    await rig.tell("/trust", {"apns_keys": []})
    results = await rig.send(rig.open_apns(rig.key()), *_tokens(20))
    assert results.accepted == []
    assert {(o.reason, o.action, o.code) for o in results.others.values()} == {
        ("InvalidProviderToken", Action.HOLD, 904)
    }


async def test_a_slow_clock_is_found_out_and_the_push_goes_out(rig: Rig) -> None:
    rig.clock.shift = -50 * 60
    sender = rig.open_apns(rig.key())
    results = await rig.send(sender, *_tokens(30))
    assert sorted(results.accepted) == list(range(30))
    answers = {request["headers"]["authorization"] for request in await rig.requests(provider="apns")}
    assert len(answers) <= 2


async def test_a_clock_that_is_hours_slow_ends_in_a_credential_outcome(rig: Rig) -> None:
    rig.clock.shift = -5 * 3600
    results = await rig.send(rig.open_apns(rig.key()), TOKEN)
    assert (results.only.reason, results.only.action) == ("ExpiredProviderToken", Action.HOLD)
    assert "clock" in results.only.fix


async def test_tokens_change_over_hours_without_offending_apple(rig: Rig) -> None:
    sender = rig.open_apns(rig.key())
    for _ in range(12):
        rig.clock.ahead += 11 * 60
        results = await rig.send(sender, TOKEN)
        assert results.accepted == [0], results.others
    bearers = [request["headers"]["authorization"] for request in await rig.requests(provider="apns")]
    assert 3 <= len(dict.fromkeys(bearers)) <= 5


async def test_a_key_that_is_unrelated_to_its_connection_gets_a_new_one_once(rig: Rig) -> None:
    await rig.script(TOKEN, {"status": 403, "reason": "UnrelatedKeyIdInToken"})
    sender = rig.open_apns(rig.key())
    assert (await rig.send(sender, TOKEN)).accepted == [0]
    assert [request["connection"] for request in await rig.requests(provider="apns")] == [1, 2]
    await rig.script(TOKEN, {"status": 403, "reason": "UnrelatedKeyIdInToken", "times": 2})
    again = await rig.send(sender, TOKEN)
    assert (again.only.action, again.only.code) == (Action.HOLD, 904)


async def test_a_goaway_is_survived_and_nothing_is_told_twice(rig: Rig) -> None:
    await rig.tell("/behave", {"provider": "apns", "goaway_after": 20})
    sender = rig.open_apns(rig.key())
    results = await rig.send(sender, *_tokens(100))
    assert sorted(results.accepted) == list(range(100))


async def test_silence_ends_in_an_unknown_outcome_at_the_deadline(rig: Rig) -> None:
    await rig.script(TOKEN, {"silent": True})
    sender = rig.open_apns(rig.key())
    await rig.send(sender, "ab")
    results = await rig.send(sender, TOKEN, within=1.5)
    assert (results.only.outcome_class, results.only.reason) == (OutcomeClass.UNKNOWN, "timeout")


async def test_nobody_there_is_transient_and_names_the_layer(rig: Rig) -> None:
    sender, port = rig.open_apns(rig.key()), rig.simulator.ports.apns
    await rig.simulator.close()
    with socket.socket() as held:  # or somebody else may listen there by now
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", port))
        results = await rig.send(sender, TOKEN)
    assert (results.only.outcome_class, results.only.reason) == (OutcomeClass.TRANSIENT, "connect_refused")


async def test_check_reaches_nobody_and_says_that_the_key_is_good(rig: Rig) -> None:
    outcome = await rig.open_apns(rig.key()).check()
    assert outcome.accepted
    assert "accepts the credential" in outcome.cause
    (request,) = await rig.requests(provider="apns")
    assert request["path"] == "/3/device/wakeline-check"


async def test_check_of_a_bad_key_says_so(rig: Rig) -> None:
    await rig.tell("/trust", {"apns_keys": []})
    assert (await rig.open_apns(rig.key()).check()).code == 904


async def test_check_needs_no_topic(rig: Rig) -> None:
    assert (await rig.open_apns(rig.key(), topic="").check()).accepted


async def test_check_of_a_certificate_for_voip_alone(rig: Rig) -> None:
    sender = rig.open_apns(rig.certificate("com.example.chat.voip"), topic="com.example.chat")
    assert (await sender.check()).accepted
    (request,) = await rig.requests(provider="apns")
    assert request["headers"]["apns-topic"] == "com.example.chat.voip"


async def test_routes_of_one_credential_share_their_connections(rig: Rig) -> None:
    credential = rig.key()
    first, second = rig.open_apns(credential), rig.open_apns(credential, topic="com.example.other")
    await rig.send(first, TOKEN)
    await rig.send(second, TOKEN)
    assert first.stats().connections == second.stats().connections == 1
    await first.close(drain=1.0)
    assert (await rig.send(second, TOKEN)).accepted == [0]
    assert rig.wakes > 0


async def test_a_replaced_credential_gets_connections_of_its_own(rig: Rig) -> None:
    old, new = rig.open_apns(rig.key()), rig.open_apns(rig.key(revision=2))
    await rig.send(old, TOKEN)
    assert new.stats().connections == 0
    await old.close(drain=1.0)
    assert (await rig.send(new, TOKEN)).accepted == [0]


async def test_after_the_last_sender_has_left_a_new_one_begins_anew(rig: Rig) -> None:
    credential = rig.key()
    first = rig.open_apns(credential)
    await rig.send(first, TOKEN)
    await first.close(drain=1.0)
    await first.close(drain=1.0)
    assert (await rig.send(rig.open_apns(credential), TOKEN)).accepted == [0]


async def test_closing_waits_for_what_is_in_flight(rig: Rig) -> None:
    await rig.tell("/behave", {"provider": "apns", "min_latency_ms": 200})
    sender = rig.open_apns(rig.key())
    sending = asyncio.create_task(rig.send(sender, *_tokens(5)))
    await rig.until(lambda: sender.stats().queued + sender.stats().in_flight > 0)
    await sender.close(drain=5.0)
    assert sorted((await sending).accepted) == [0, 1, 2, 3, 4]


async def test_a_preview_is_what_is_sent_with_secrets_left_out(rig: Rig) -> None:
    credential = rig.key()
    sender = rig.open_apns(credential)
    await rig.send(sender, TOKEN)
    shipment = rig.shipment(TOKEN)
    route = msgspec.structs.replace(shipment.route, topic="com.example.chat")
    preview = rig.apns.preview(shipment.notification, route, credential[0], shipment.recipients[0], rig.clock.now())
    (request,) = await rig.requests(provider="apns")
    assert msgspec.json.decode(preview.body) == request["body"]
    sent = {name: value for name, value in request["headers"].items() if name.startswith("apns-")}
    shown = {name: value for name, value in preview.headers if name.startswith("apns-")}
    per_notification = {"apns-id", "apns-collapse-id", "apns-expiration"}
    assert sent.keys() == shown.keys()
    assert {k: v for k, v in sent.items() if k not in per_notification} == {
        k: v for k, v in shown.items() if k not in per_notification
    }
    assert dict(preview.headers)["authorization"] == "bearer [redacted]"
    assert preview.url.endswith("/3/device/...1DE8F0")
    assert (preview.size, preview.limit, preview.warnings) == (len(preview.body.encode()), 4096, ())


async def test_a_preview_warns_of_what_would_be_refused(rig: Rig) -> None:
    shipment = rig.shipment("no token")
    facts, _ = rig.certificate("com.example.chat")
    preview = rig.apns.preview(shipment.notification, shipment.route, facts, shipment.recipients[0], rig.clock.now())
    assert "cannot be a token" in preview.warnings[0]
    expired = msgspec.structs.replace(facts, not_after=1)
    preview = rig.apns.preview(shipment.notification, shipment.route, expired, shipment.recipients[0], rig.clock.now())
    assert "has expired" in preview.warnings[0]


async def test_size_refuses_what_apple_would_refuse_and_measures_the_rest(rig: Rig) -> None:
    shipment = rig.shipment(TOKEN, content=Content(type=PushType.ALERT, alert=Alert(body="x" * 5000)))
    size, limit, field = rig.apns.size(shipment.notification)
    assert (size > limit, limit, field) == (True, 4096, "/alert/body")
    bad = rig.shipment(TOKEN, content=Content(apns=Override(headers={"authorization": "x"})))
    with pytest.raises(InvalidRequest):
        rig.apns.size(bad.notification)


async def test_pushes_to_one_device_each_go_together_and_each_hears_its_own_answer(rig: Rig) -> None:
    sender = rig.open_apns(rig.key())
    tokens = _tokens(40)
    await rig.script(tokens[7], {"status": 410, "reason": "Unregistered", "timestamp": 1_700_000_000_000})
    heard = [Results(1) for _ in tokens]
    before = sender.room()
    for number, (token, results) in enumerate(zip(tokens, heard, strict=True)):
        content = Content(type=PushType.ALERT, alert=Alert(body=f"number {number}"), collapse_id=f"c{number}")
        sender.send(rig.shipment(token, results=results, content=content))
    assert sender.room() == before - len(tokens), "what is gathered takes room"
    async with asyncio.timeout(DEADLINE):
        for results in heard:
            await results.complete.wait()

    assert heard[7].only.action is Action.RETIRE
    assert all(results.accepted == [0] for results in heard if results is not heard[7])
    received = {request["path"]: request for request in await rig.requests(provider="apns")}
    assert len(received) == len(tokens)
    for number, token in enumerate(tokens):
        request = received[f"/3/device/{token}"]
        assert request["body"]["aps"]["alert"] == {"body": f"number {number}"}
        assert request["headers"]["apns-collapse-id"] == f"c{number}"


async def test_single_pushes_are_sent_again_one_by_one_with_a_renewed_token(rig: Rig) -> None:
    sender = rig.open_apns(rig.key())
    tokens = _tokens(3)
    await rig.script(tokens[1], {"status": 403, "reason": "ExpiredProviderToken"})
    heard = [Results(1) for _ in tokens]
    for token, results in zip(tokens, heard, strict=True):
        sender.send(rig.shipment(token, results=results))
    async with asyncio.timeout(DEADLINE):
        for results in heard:
            await results.complete.wait()

    assert [results.accepted for results in heard] == [[0], [0], [0]]
    assert [request["path"][-1] for request in await rig.requests(provider="apns")].count("2") == 2


async def test_what_was_gathered_is_sent_before_the_sender_closes(rig: Rig) -> None:
    sender, results = rig.open_apns(rig.key()), Results(1)
    sender.send(rig.shipment(TOKEN, results=results))
    await sender.close(drain=5.0)
    assert results.accepted == [0]


async def test_a_defect_in_one_shipments_results_leaves_no_other_waiting(rig: Rig) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a defect")

    sender, results = rig.open_apns(rig.key()), Results(1)
    first, second = _tokens(2)
    shipment = rig.shipment(first)
    shipment.on_results = broken
    sender.send(shipment)
    sender.send(rig.shipment(second, results=results))
    async with asyncio.timeout(DEADLINE):
        await results.complete.wait()
    assert results.accepted == [0]
