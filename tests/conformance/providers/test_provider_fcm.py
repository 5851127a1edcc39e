"""The FCM provider against a fake FCM and token endpoint that were written from Google's rules by other hands."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from wakeline.model.errors import InvalidRequest
from wakeline.model.notification import Alert, Call, Content, PushType
from wakeline.model.outcome import Action, OutcomeClass

if TYPE_CHECKING:
    from conformance.providers.conftest import Rig

pytestmark = pytest.mark.anyio

TOKEN = "dpFNS8rXQ0:APA91bHun4MxP5egoKMwt2KZFBaFUH-1RYqx"
ACCOUNT = "push@acme-chat.iam.gserviceaccount.com"


def _tokens(count: int) -> list[str]:
    return [f"token:{number}" for number in range(count)]


async def test_a_push_is_accepted_and_its_message_name_is_kept(rig: Rig) -> None:
    results = await rig.send(rig.open_fcm(rig.account()), TOKEN)
    assert results.accepted == [0]
    assert results.only.provider_id.startswith("projects/acme-chat/messages/")
    (request,) = await rig.requests(provider="fcm")
    assert request["path"] == "/v1/projects/acme-chat/messages:send"
    assert request["headers"]["authorization"].startswith("Bearer ya29.")
    assert request["headers"]["content-type"] == "application/json"
    assert request["body"]["message"]["token"] == TOKEN
    assert request["body"]["message"]["notification"] == {"title": "Hello", "body": "World"}


async def test_a_broadcast_reaches_every_token_and_asks_for_one_access_token(rig: Rig) -> None:
    sender = rig.open_fcm(rig.account())
    results = await rig.send(sender, *_tokens(250), bulk=True)
    assert sorted(results.accepted) == list(range(250))
    assert results.others == {}
    targets = [request["body"]["message"]["token"] for request in await rig.requests(provider="fcm")]
    assert sorted(targets) == sorted(_tokens(250))
    assert len(await rig.requests(provider="oauth")) == 1


async def test_senders_of_one_account_share_one_access_token(rig: Rig) -> None:
    credential = rig.account()
    senders = [rig.open_fcm(credential) for _ in range(3)]
    await asyncio.gather(*(rig.send(sender, TOKEN) for sender in senders))
    assert len(await rig.requests(provider="oauth")) == 1


async def test_each_recipient_hears_what_became_of_its_own_push(rig: Rig) -> None:
    good, dead, foreign, bad, busy = _tokens(5)
    await rig.script(dead, {"status": 404, "error": "UNREGISTERED"})
    await rig.script(foreign, {"status": 403, "error": "SENDER_ID_MISMATCH"})
    await rig.script(bad, {"status": 400, "error": "INVALID_ARGUMENT"})
    await rig.script(busy, {"status": 503, "html": True, "headers": {"retry-after": "7"}})
    results = await rig.send(rig.open_fcm(rig.account()), good, dead, foreign, bad, busy)
    assert results.accepted == [0]
    seen = {at: (outcome.action, outcome.code) for at, outcome in results.others.items() if at}
    assert seen == {
        1: (Action.RETIRE, 911),
        2: (Action.FAIL, 912),
        3: (Action.RETIRE, 911),
        4: (Action.RETRY, 902),
    }
    assert results.others[4].retry_after == 7.0


async def test_an_empty_token_is_refused_without_asking_google(rig: Rig) -> None:
    results = await rig.send(rig.open_fcm(rig.account()), "", TOKEN)
    assert results.accepted == [1]
    assert results.others[0].reason == "bad_token"


async def test_a_call_is_an_urgent_data_message_as_long_as_it_rings(rig: Rig) -> None:
    ring = Content(type=PushType.CALL, call=Call(id="c1", caller="Alice", video=True))
    await rig.send(rig.open_fcm(rig.account()), TOKEN, content=ring, ttl=30)
    (request,) = await rig.requests(provider="fcm")
    message = request["body"]["message"]
    assert message["android"]["priority"] == "HIGH"
    assert int(message["android"]["ttl"].removesuffix("s")) in range(28, 31)
    assert "notification" not in message
    assert msgspec.json.decode(message["data"]["call"]) == {"id": "c1", "caller": "Alice", "video": True}


async def test_a_topic_and_an_installation_id_are_targets_too(rig: Rig) -> None:
    results = await rig.send(rig.open_fcm(rig.account()), "/topics/news", "cGxhY2Vob2xkZXIwMDAwMA")
    assert sorted(results.accepted) == [0, 1]
    messages = [request["body"]["message"] for request in await rig.requests(provider="fcm")]
    assert {name for message in messages for name in ("token", "fid", "topic") if name in message} == {"topic", "fid"}


async def test_a_refused_access_token_is_replaced_once_and_the_push_goes_out(rig: Rig) -> None:
    sender = rig.open_fcm(rig.account())
    await rig.send(sender, TOKEN)
    rig.simulator.state.grants.clear()
    await rig.tell("/trust", {"service_accounts": [{"client_email": ACCOUNT}]})
    results = await rig.send(sender, *_tokens(20))
    assert sorted(results.accepted) == list(range(20))
    assert len(await rig.requests(provider="oauth")) == 2


async def test_a_second_refusal_is_a_credential_outcome(rig: Rig) -> None:
    await rig.script(TOKEN, {"status": 401, "body": "Unauthorized", "content_type": "text/plain", "times": 2})
    results = await rig.send(rig.open_fcm(rig.account()), TOKEN)
    assert (results.only.outcome_class, results.only.action) == (OutcomeClass.CREDENTIAL, Action.HOLD)
    assert results.only.code == 904


async def test_an_account_that_google_does_not_know_holds_and_burns_nothing(rig: Rig) -> None:
    await rig.tell("/trust", {"service_accounts": []})
    results = await rig.send(rig.open_fcm(rig.account()), *_tokens(10))
    assert results.accepted == []
    assert {(o.reason, o.action, o.code) for o in results.others.values()} == {("invalid_grant", Action.HOLD, 904)}
    assert await rig.requests(provider="fcm") == []


async def test_a_clock_that_is_hours_slow_is_named(rig: Rig) -> None:
    rig.clock.shift = -5 * 3600
    results = await rig.send(rig.open_fcm(rig.account()), TOKEN)
    assert results.only.code == 904
    assert "clock" in results.only.fix


async def test_a_stumbling_token_endpoint_is_asked_again(rig: Rig) -> None:
    await rig.script(ACCOUNT, {"status": 503, "error": "temporarily_unavailable"})
    results = await rig.send(rig.open_fcm(rig.account()), TOKEN)
    assert results.accepted == [0]
    assert len(await rig.requests(provider="oauth")) == 2


async def test_a_failing_token_endpoint_is_transient_and_not_hammered(rig: Rig) -> None:
    rig.clock.stop()
    await rig.script(ACCOUNT, {"status": 503, "error": "temporarily_unavailable", "times": None})
    sender = rig.open_fcm(rig.account())
    for _ in range(5):
        results = await rig.send(sender, TOKEN)
        assert (results.only.outcome_class, results.only.action) == (OutcomeClass.TRANSIENT, Action.RETRY)
    assert len(await rig.requests(provider="oauth")) == 3
    await rig.script(ACCOUNT)
    rig.clock.ahead += 3
    assert (await rig.send(sender, TOKEN)).accepted == [0]


async def test_an_access_token_is_replaced_before_it_ends_and_nobody_waits(rig: Rig) -> None:
    sender = rig.open_fcm(rig.account())
    await rig.send(sender, TOKEN)
    await rig.tell("/behave", {"provider": "oauth", "min_latency_ms": 300})
    rig.clock.ahead += 3599 - 200
    await rig.send(sender, TOKEN)
    assert len({request["headers"]["authorization"] for request in await rig.requests(provider="fcm")}) == 1
    await rig.until(lambda: len(rig.simulator.state.grants) == 2)


@pytest.mark.parametrize("uri", ["https://evil.example.com/token", "http://169.254.169.254/token", "not a url"])
async def test_the_assertion_goes_to_no_host_that_is_not_googles_or_listed(rig: Rig, uri: str) -> None:
    results = await rig.send(rig.open_fcm(rig.account(token_uri=uri)), TOKEN)
    assert (results.only.action, results.only.code) == (Action.HOLD, 904)
    assert "token_hosts" in results.only.fix


async def test_a_token_of_another_project_is_refused_without_asking_google(rig: Rig) -> None:
    results = await rig.send(rig.open_fcm(rig.account(), topic="other-project"), TOKEN)
    assert results.only.code == 912
    assert "other-project" in results.only.cause
    assert await rig.requests() == []


async def test_a_goaway_is_survived_and_nothing_is_told_twice(rig: Rig) -> None:
    await rig.tell("/behave", {"provider": "fcm", "goaway_after": 20})
    results = await rig.send(rig.open_fcm(rig.account()), *_tokens(60))
    assert sorted(results.accepted) == list(range(60))


async def test_room_counts_what_waits_for_an_access_token(rig: Rig) -> None:
    await rig.tell("/behave", {"provider": "oauth", "min_latency_ms": 200})
    sender = rig.open_fcm(rig.account())
    free = sender.room()
    sending = asyncio.create_task(rig.send(sender, *_tokens(30)))
    await rig.until(lambda: sender.room() < free)
    assert sender.room() == free - 30
    assert len((await sending).accepted) == 30
    await rig.until(lambda: sender.stats().in_flight == 0)
    assert sender.room() >= free - 30
    assert sender.room(call=True) > sender.room()


async def test_check_reaches_nobody_and_says_that_the_account_is_good(rig: Rig) -> None:
    outcome = await rig.open_fcm(rig.account()).check()
    assert outcome.accepted
    (request,) = await rig.requests(provider="fcm")
    assert request["body"]["validateOnly"] is True


async def test_check_of_a_bad_account_says_so(rig: Rig) -> None:
    await rig.tell("/trust", {"service_accounts": []})
    assert (await rig.open_fcm(rig.account()).check()).code == 904
    await rig.tell("/trust", {"service_accounts": [{"client_email": ACCOUNT, "project_id": "another"}]})
    rig.clock.ahead += 3
    assert (await rig.open_fcm(rig.account()).check()).code == 904


async def test_a_preview_is_what_is_sent_with_secrets_left_out(rig: Rig) -> None:
    credential = rig.account()
    await rig.send(rig.open_fcm(credential), TOKEN)
    shipment = rig.shipment(TOKEN)
    preview = rig.fcm.preview(
        shipment.notification, shipment.route, credential[0], shipment.recipients[0], rig.clock.now()
    )
    (request,) = await rig.requests(provider="fcm")
    shown = msgspec.json.decode(preview.body)["message"]
    assert shown.pop("token") == "...-1RYqx"
    assert shown["notification"] == request["body"]["message"]["notification"]
    assert shown.keys() == request["body"]["message"].keys() - {"token"}
    assert dict(preview.headers)["authorization"] == "Bearer [redacted]"
    assert preview.url.endswith("/v1/projects/acme-chat/messages:send")
    assert TOKEN not in preview.body
    assert preview.warnings == ()


async def test_a_preview_warns_of_what_would_be_refused(rig: Rig) -> None:
    facts, _ = rig.account()
    shipment = rig.shipment("")
    preview = rig.fcm.preview(shipment.notification, shipment.route, facts, shipment.recipients[0], rig.clock.now())
    assert "cannot be a token" in preview.warnings[0]


async def test_size_refuses_what_google_would_refuse_and_measures_the_rest(rig: Rig) -> None:
    large = rig.shipment(TOKEN, content=Content(type=PushType.ALERT, alert=Alert(body="x" * 5000)))
    size, limit, field = rig.fcm.size(large.notification)
    assert (size > limit, limit, field) == (True, 4096, "/alert/body")
    with pytest.raises(InvalidRequest):
        rig.fcm.size(rig.shipment(TOKEN, content=Content(data={"from": "x"})).notification)


async def test_what_passes_the_size_check_is_not_too_large_for_google(rig: Rig) -> None:
    content = Content(
        type=PushType.ALERT, alert=Alert(title="t", body="é" * 4000, badge="+1", sound="s"), truncate=True
    )
    results = await rig.send(rig.open_fcm(rig.account()), TOKEN, content=content, badges={100: 2**31 - 1})
    assert results.accepted == [0]
