"""mesibo's backend API as its users' scripts ask it: real pipeline, push services that answer as told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import msgspec
import pytest
from structlog.testing import capture_logs

from stories.post import BAD_TOKEN, REVOKED, unregistered
from unit.edges.rest.gateway import TOKEN, Gateway, opened
from wakeline.edges.mesibo import MesiboDoor, testing
from wakeline.edges.mesibo.door import WRONG_TOKENS
from wakeline.edges.mesibo.testing import MOST_DEVICES, PATIENCE
from wakeline.model.app import App
from wakeline.model.device import DeviceClaim, TargetClaim, TargetKind
from wakeline.model.errors import StoreUnavailable
from wakeline.model.key import Scope
from wakeline.model.notification import PushType
from wakeline.model.route import ProviderKind
from wakeline.observe.health import Phase
from wakeline.wire.mesibo.backend import MOST_ADDRESSES

pytestmark = pytest.mark.anyio

APP = "acme-chat"
OPS = "pushupload, pushtest, pushdebug"
OTHER = "cd" * 32


@pytest.fixture
async def mesibo(anyio_backend: str) -> AsyncIterator[Gateway]:
    gateway = await opened()
    await gateway.with_app()
    door = MesiboDoor(gateway.ports)
    gateway.serve(door)
    gateway.admin = await gateway.key(Scope.ADMIN, apps=(APP,))
    yield gateway
    await door.close()
    await gateway.client.aclose()
    await gateway.store.close()


async def posts(gateway: Gateway, **given: Any) -> httpx2.Response:
    return await gateway.client.post("/mesibo/backend", json={"token": gateway.admin, **given})


async def asks(gateway: Gateway, **given: Any) -> dict[str, Any]:
    """Ask, and let push services answer meanwhile."""
    task = asyncio.create_task(posts(gateway, **given))
    while not task.done():
        await asyncio.sleep(0)
        gateway.pipeline.watch.refresh()
        await gateway.pipeline.dispatch.turn()
        for post in gateway.posts.values():
            post.deliver(gateway.clock.monotonic())
        await gateway.pipeline.settle.flush()
    found: dict[str, Any] = (await task).json()
    return found


async def phone(gateway: Gateway, device: str, users: str | tuple[str, ...], *targets: tuple[TargetKind, str]) -> None:
    claim = DeviceClaim(
        app=app_of(gateway).id,
        device_id=device,
        users=(users,) if isinstance(users, str) else users,
        targets=tuple(
            TargetClaim(kind=kind, value=value, topic="" if kind is TargetKind.FCM else "com.acme.chat")
            for kind, value in targets
        ),
        at=gateway.clock.now(),
    )
    await gateway.store.devices.put([claim])


def app_of(gateway: Gateway) -> App:
    app = gateway.store.apps.get(APP)
    assert app is not None
    return app


# --- who may ask, and how


@pytest.mark.parametrize("token", ["", "wk_wrong", "ptlk9hdel1gqxf3p0s15f5f5gtusldej18tl794suzit"])
async def test_a_wrong_token_is_told_in_its_own_form(mesibo: Gateway, token: str) -> None:
    answer = await posts(mesibo, op="pushdebug", token=token, id=7)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/json"
    said = answer.json()
    assert (said["op"], said["result"], said["code"], said["error"], said["id"]) == (
        "pushdebug",
        False,
        401,
        "UNAUTHENTICATED",
        7,
    )
    assert said["cause"]
    assert not token or token not in answer.text


async def test_who_sends_no_token_is_told_where_it_stands(mesibo: Gateway) -> None:
    assert "`token`" in (await posts(mesibo, op="pushdebug", token="")).json()["fix"]


async def test_an_unknown_operation_is_answered_with_those_there_are(mesibo: Gateway) -> None:
    for op in ("useradd", ""):
        answer = await posts(mesibo, op=op, id="r-1")
        said = answer.json()
        assert (answer.status_code, said["op"], said["result"], said["error"]) == (422, op, False, "BADOP")
        assert OPS in said["fix"]
        assert said["id"] == "r-1"


async def test_who_has_no_key_does_not_learn_which_operations_there_are(mesibo: Gateway) -> None:
    assert (await posts(mesibo, op="useradd", token="wk_no")).json()["error"] == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    "how",
    [
        {"json": {"op": "pushdebug", "id": 5}},
        {"content": b'{"op":"pushdebug","id":5}', "headers": {"content-type": "application/x-www-form-urlencoded"}},
        {"data": {"op": "PushDebug", "id": "5"}},
        {"files": {"op": (None, "pushdebug"), "id": (None, "5")}},
        {"params": {"op": "pushdebug", "id": "5"}},
    ],
    ids=["json", "json from curl", "form", "multipart", "query"],
)
async def test_it_may_be_written_in_each_of_the_forms(mesibo: Gateway, how: dict[str, Any]) -> None:
    headers = {"authorization": f"Bearer {mesibo.admin}", **how.pop("headers", {})}
    answer = await mesibo.client.post("/mesibo/backend/", headers=headers, **how)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["result"], str(answer.json()["id"])) == (True, "5")


async def test_the_token_of_the_body_goes_before_that_of_the_header(mesibo: Gateway) -> None:
    headers = {"authorization": f"Bearer {mesibo.admin}"}
    answer = await mesibo.client.post("/mesibo/backend", json={"op": "pushdebug", "token": "wk_no"}, headers=headers)
    assert answer.status_code == 401


async def test_a_key_of_several_apps_names_the_app_by_its_id_or_its_number(mesibo: Gateway) -> None:
    other = await mesibo.store.apps.create("other", "other", mesibo.clock.now())
    key, narrow = await mesibo.key(Scope.ADMIN), await mesibo.key(Scope.ADMIN, apps=("other",))
    answers = [
        await posts(mesibo, op="pushdebug", token=key),
        await posts(mesibo, op="pushdebug", token=key, app=APP),
        await posts(mesibo, op="pushdebug", token=key, aid=other.id),
        await posts(mesibo, op="pushdebug", token=key, app="nobody"),
        await posts(mesibo, op="pushdebug", token=narrow, app=APP),
        await posts(mesibo, op="pushdebug", token=narrow),
    ]
    assert [(answer.status_code, answer.json().get("error")) for answer in answers] == [
        (422, "INVALID"),
        (200, None),
        (200, None),
        (404, "NOTFOUND"),
        (404, "NOTFOUND"),
        (200, None),
    ]


async def test_each_operation_needs_its_scope(mesibo: Gateway) -> None:
    reader, sender = await mesibo.key(Scope.READ, apps=(APP,)), await mesibo.key(Scope.SEND, apps=(APP,))
    asked: list[dict[str, Any]] = [
        {"op": "pushdebug"},
        {"op": "pushdebug", "enable": 1},
        {"op": "pushtest", "addresses": "nobody"},
        {"op": "pushupload"},
    ]
    allowed = [
        [(await posts(mesibo, token=key, **one)).status_code != 403 for one in asked] for key in (reader, sender)
    ]
    assert allowed == [[True, False, False, False], [False, False, True, False]]


async def test_wrong_tokens_are_slowed_down_and_right_ones_are_not(mesibo: Gateway) -> None:
    with capture_logs() as logs:
        for number in range(WRONG_TOKENS):
            assert (await posts(mesibo, op="pushdebug", token=f"wk_guess-{number:08}")).status_code == 401
    answer = await posts(mesibo, op="pushdebug", token="wk_guess")
    assert (answer.status_code, answer.json()["error"], answer.headers["retry-after"]) == (429, "RATELIMITED", "2")
    assert (await posts(mesibo, op="pushdebug")).status_code == 200
    mesibo.clock.advance(1.3)
    assert (await posts(mesibo, op="pushdebug", token="wk_guess")).status_code == 401
    assert "mesibo.address_shut_out" in [entry["event"] for entry in logs]
    assert not any("guess" in repr(entry) for entry in logs)


async def test_what_cannot_be_read_is_refused_in_the_same_form(mesibo: Gateway) -> None:
    headers = {"content-type": "application/json"}
    answers = [
        await mesibo.client.post("/mesibo/backend", content=b"{", headers=headers),
        await mesibo.client.post("/mesibo/backend", content=b"[1]", headers=headers),
        await mesibo.client.post("/mesibo/backend", content=b"a[b" + b"[c]" * 50 + b"=1"),
        await mesibo.client.post("/mesibo/backend", content=b"x" * 1_100_000),
        await mesibo.client.get("/mesibo/backend"),
    ]
    assert [(answer.status_code, answer.json()["result"]) for answer in answers] == [
        (400, False),
        (422, False),
        (400, False),
        (413, False),
        (405, False),
    ]
    assert answers[-1].headers["allow"] == "POST"


async def test_a_defect_of_ours_shows_nothing_of_the_inside(mesibo: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_slug: str) -> None:
        raise ValueError("something private")

    monkeypatch.setattr(mesibo.store.apps, "get", broken)
    answer = await posts(mesibo, op="pushdebug")
    assert (answer.status_code, answer.json()["error"]) == (500, "INTERNAL")
    assert "private" not in answer.text


# --- pushtest


async def test_a_test_tells_of_each_device_what_the_push_service_said(mesibo: Gateway) -> None:
    await phone(mesibo, "android-1", "alice", (TargetKind.FCM, "fcm:APA91-of-alice"))
    said = await asks(mesibo, op="pushtest", addresses="alice", id=15)
    assert (said["op"], said["result"], said["code"], said["id"]) == ("pushtest", True, 200, 15)
    assert (said["sent"], said["accepted"]) == (2, 2)
    by_device = {one["device"]: one for one in said["devices"]}
    ios, android = by_device["ios-1"], by_device["android-1"]
    assert (ios["address"], ios["kind"], ios["token"], ios["code"]) == ("alice", "apns", "...ababab", 200)
    assert (android["kind"], android["token"], android["state"]) == (TargetKind.FCM, "...-alice", "accepted")
    assert ios["text"].startswith("Apple accepted the push.")
    assert ios["response"] == {"code": 200}
    assert ios["outcome"]["class"] == "accepted"
    assert TOKEN not in json.dumps(said)
    apple = mesibo.posts[ProviderKind.APNS].sent
    assert [(one.token, one.type) for one in apple] == [(TOKEN, PushType.BACKGROUND)]


async def test_a_test_shows_text_if_there_is_any_and_rings_if_it_is_told_to(mesibo: Gateway) -> None:
    await phone(mesibo, "ios-2", "bob", (TargetKind.APNS, OTHER), (TargetKind.APNS_VOIP, "ef" * 32))
    await asks(mesibo, op="pushtest", addresses=["bob"], title="Hello")
    await asks(mesibo, op="pushtest", addresses=["bob"], type="call")
    assert [(one.token[:2], one.type, one.title) for one in mesibo.posts[ProviderKind.APNS].sent] == [
        ("cd", PushType.ALERT, "Hello"),
        ("ef", PushType.CALL, ""),
    ]


async def test_what_a_push_service_refuses_is_told_with_its_status_and_our_code(mesibo: Gateway) -> None:
    post = mesibo.posts[ProviderKind.APNS]
    post.to_token[TOKEN].append(unregistered(mesibo.clock.now() + 1))
    said = await asks(mesibo, op="pushtest", addresses="alice")
    assert (said["result"], said["code"], said["error"], said["accepted"]) == (False, 410, "NOTREACHED", 0)
    [device] = said["devices"]
    assert (device["state"], device["code"], device["outcome"]["code"]) == ("failed", 410, 911)
    assert device["response"] == {"code": 410, "reason": "Unregistered"}
    assert device["text"] == device["outcome"]["cause"]
    assert device["fix"]


async def test_a_token_that_is_gone_or_doubted_is_told_and_not_pushed_to(mesibo: Gateway) -> None:
    await phone(mesibo, "ios-2", "bob", (TargetKind.APNS, OTHER))
    post = mesibo.posts[ProviderKind.APNS]
    post.to_token[TOKEN].append(unregistered(mesibo.clock.now() + 1))
    post.to_token[OTHER] += [BAD_TOKEN, BAD_TOKEN]
    await asks(mesibo, op="pushtest", addresses=["alice", "bob"])
    sent = len(post.sent)

    said = await asks(mesibo, op="pushtest", addresses=["alice", "bob"])
    assert [(one["code"], one["outcome"]["reason"], one.get("response")) for one in said["devices"]] == [
        (911, "token_retired", {"code": 911, "reason": "token_retired"}),
        (911, "token_quarantined", {"code": 911, "reason": "token_quarantined"}),
    ]
    assert (said["sent"], len(post.sent)) == (0, sent)


async def test_a_voip_token_alone_is_told_to_be_for_calls(mesibo: Gateway) -> None:
    await phone(mesibo, "ios-2", "bob", (TargetKind.APNS_VOIP, OTHER))
    [device] = (await asks(mesibo, op="pushtest", addresses="bob"))["devices"]
    assert (device["code"], device["kind"], device["token"]) == (913, "apns-voip", "...cdcdcd")
    assert "call" in device["fix"]


async def test_an_app_without_a_credential_is_told_901(mesibo: Gateway) -> None:
    for credential in mesibo.store.credentials.of_app(app_of(mesibo).id):
        await mesibo.store.credentials.delete(credential.id)
    said = await asks(mesibo, op="pushtest", addresses="alice")
    assert (said["result"], said["code"]) == (False, 901)
    assert said["devices"][0]["response"] == {"code": 901, "reason": "no_credential"}


async def test_a_test_is_under_the_limits_and_told_914(mesibo: Gateway) -> None:
    codes = [(await asks(mesibo, op="pushtest", addresses="alice"))["code"] for _ in range(4)]
    assert codes == [200, 200, 200, 914]


async def test_somebody_without_a_device_is_told_of_beside_the_others(mesibo: Gateway) -> None:
    said = await asks(mesibo, op="pushtest", addresses="alice, nobody")
    assert (said["result"], said["error"], said["sent"], said["accepted"]) == (False, "NOTREACHED", 1, 1)
    alice, nobody = said["devices"]
    assert alice["result"] is True
    assert (nobody["address"], nobody["result"], nobody["outcome"]["reason"]) == ("nobody", False, "unknown_user")
    assert (said["code"], nobody["code"]) == (404, 404)


async def test_a_device_of_two_users_is_pushed_to_once_and_told_of_twice(mesibo: Gateway) -> None:
    await phone(mesibo, "shared", ("bob", "carol"), (TargetKind.FCM, "fcm:APA91-shared"))
    said = await asks(mesibo, op="pushtest", addresses=["bob", "carol"])
    assert (said["result"], said["sent"], said["accepted"]) == (True, 1, 1)
    assert [one["address"] for one in said["devices"]] == ["bob", "carol"]
    assert len(mesibo.posts[ProviderKind.FCM].sent) == 1


async def test_who_is_not_answered_in_time_is_told_where_the_push_waits(mesibo: Gateway) -> None:
    mesibo.serve(MesiboDoor(mesibo.ports, patience=0.05))
    mesibo.posts[ProviderKind.FCM].silent = True
    await phone(mesibo, "android-1", "bob", (TargetKind.FCM, "fcm:APA91-of-bob"))
    said = await asks(mesibo, op="pushtest", addresses="bob")
    [device] = said["devices"]
    assert (device["state"], device["result"], said["result"], said["error"]) == ("sending", False, False, "NOTREACHED")
    assert "response" not in device
    assert device["text"]
    assert not mesibo.pipeline.settle.hearing


async def test_a_push_that_is_held_is_not_waited_for_and_told_with_what_holds_it(
    mesibo: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(testing, "_LOOK_AFTER", 0.01)
    mesibo.posts[ProviderKind.APNS].to_all = REVOKED
    began = asyncio.get_running_loop().time()
    [device] = (await asks(mesibo, op="pushtest", addresses="alice"))["devices"]
    assert asyncio.get_running_loop().time() - began < PATIENCE / 2
    assert (device["state"], device["result"], device["code"]) == ("held", False, 403)
    assert (device["outcome"]["class"], device["outcome"]["code"]) == ("credential", 904)
    assert device["response"] == {"code": 403, "reason": "InvalidProviderToken"}
    assert ".p8" in device["fix"]


async def test_a_push_of_a_paused_app_is_told_902(mesibo: Gateway) -> None:
    mesibo.serve(MesiboDoor(mesibo.ports, patience=0.05))
    await mesibo.store.apps.update(app_of(mesibo).id, paused=True)
    [device] = (await asks(mesibo, op="pushtest", addresses="alice"))["devices"]
    assert (device["state"], device["code"]) == ("held", 902)
    assert "paused" in device["text"]


async def test_in_a_debug_window_the_request_is_told_too(mesibo: Gateway) -> None:
    await asks(mesibo, op="pushdebug", enable=1)
    [device] = (await asks(mesibo, op="pushtest", addresses="alice"))["devices"]
    assert device["request"]["method"] == "POST"
    assert device["request"]["headers"]["authorization"] == "redacted"
    assert device["response"]["code"] == 200
    assert TOKEN not in json.dumps(device)


async def test_the_text_of_an_answer_is_told_where_it_was_recorded(mesibo: Gateway) -> None:
    gone = msgspec.structs.replace(unregistered(mesibo.clock.now() + 1), body='{"reason":"Unregistered"}')
    await phone(mesibo, "ios-2", "bob", (TargetKind.APNS, OTHER))
    answers = {}
    for user, token, enable in (("alice", TOKEN, 0), ("bob", OTHER, 1)):
        await asks(mesibo, op="pushdebug", enable=enable)
        mesibo.posts[ProviderKind.APNS].to_token[token].append(gone)
        [answers[user]] = (await asks(mesibo, op="pushtest", addresses=user))["devices"]
    assert answers["alice"]["response"] == {"code": 410, "reason": "Unregistered"}
    assert answers["bob"]["response"] == {"code": 410, "reason": "Unregistered", "body": gone.body}
    assert ("request" in answers["alice"], "request" in answers["bob"]) == (False, True)


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({}, "addresses"),
        ({"addresses": []}, "addresses"),
        ({"addresses": " , "}, "addresses"),
        ({"addresses": [["alice"]]}, "address"),
        ({"addresses": "a" * 256}, "address"),
        ({"addresses": [f"u{number}" for number in range(MOST_ADDRESSES + 1)]}, "addresses"),
        ({"addresses": "alice", "type": "voip"}, "`type`"),
    ],
)
async def test_a_wrong_test_is_refused_and_nothing_is_sent(
    mesibo: Gateway, given: dict[str, Any], pointer: str
) -> None:
    answer = await posts(mesibo, op="pushtest", **given)
    assert (answer.status_code, answer.json()["error"]) == (422, "INVALID")
    assert pointer in answer.json()["cause"]
    assert not mesibo.posts[ProviderKind.APNS].sent


async def test_a_test_of_a_crowd_is_refused(mesibo: Gateway) -> None:
    for number in range(MOST_DEVICES // 10 + 1):
        for each in range(10):
            await phone(mesibo, f"d{number}-{each}", f"u{number}", (TargetKind.FCM, f"fcm:APA91-{number}-{each}"))
    names = [f"u{number}" for number in range(MOST_DEVICES // 10 + 1)]
    assert (await posts(mesibo, op="pushtest", addresses=names)).status_code == 422
    assert await mesibo.store.queue.pending() == 0


async def test_text_that_is_too_long_is_told_as_it_is(mesibo: Gateway) -> None:
    answer = await posts(mesibo, op="pushtest", addresses="alice", title="x", body="y" * 5000)
    assert (answer.status_code, answer.json()["error"]) == (422, "PAYLOADTOOLARGE")


async def test_what_one_push_service_takes_and_another_does_not_is_told_of_each(mesibo: Gateway) -> None:
    await phone(mesibo, "android-1", "alice", (TargetKind.FCM, "fcm:APA91-of-alice"))
    mesibo.posts[ProviderKind.FCM].limit = 10
    said = await asks(mesibo, op="pushtest", addresses="alice", body="longer than that")
    told = {one["kind"]: one for one in said["devices"]}
    assert (told["apns"]["result"], told["fcm"]["result"], told["fcm"]["code"]) == (True, False, 913)
    assert "takes 10" in told["fcm"]["text"]
    assert (said["result"], said["sent"], said["accepted"]) == (True, 1, 1)


@pytest.mark.parametrize(
    "body", ["addresses[]=alice&addresses[]=nobody", "addresses[a]=alice&addresses[b]=nobody", "addresses=alice,nobody"]
)
async def test_a_form_names_several_in_each_of_the_ways_of_forms(mesibo: Gateway, body: str) -> None:
    mesibo.serve(MesiboDoor(mesibo.ports, patience=0.01))
    headers = {"authorization": f"Bearer {mesibo.admin}", "content-type": "application/x-www-form-urlencoded"}
    answer = await mesibo.client.post("/mesibo/backend", content=f"op=pushtest&{body}", headers=headers)
    assert [one["address"] for one in answer.json()["devices"]] == ["alice", "nobody"]


async def test_a_gateway_that_stops_or_cannot_write_takes_no_test(
    mesibo: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(mesibo.store.acceptance, "accept", fails)
    answer = await posts(mesibo, op="pushtest", addresses="alice")
    assert (answer.status_code, answer.json()["error"]) == (503, "STOREUNAVAILABLE")
    mesibo.health.phase = Phase.DRAINING
    answer = await posts(mesibo, op="pushtest", addresses="alice")
    assert (answer.status_code, answer.json()["error"]) == (503, "OVERLOADED")
    assert "retry-after" in answer.headers


# --- pushdebug


async def test_the_debug_window_is_opened_shown_and_closed(mesibo: Gateway) -> None:
    answers = [
        (await posts(mesibo, op="pushdebug", **given)).json()
        for given in ({}, {"enable": 1}, {"enable": None}, {"enable": "0"}, {"enable": ""})
    ]
    assert [answer["enable"] for answer in answers] == [0, 1, 1, 0, 0]
    assert [answer["debug"]["open"] for answer in answers] == [False, True, True, False, False]
    assert answers[1]["debug"]["until"]
    assert all(answer["result"] and answer["code"] == 200 for answer in answers)


async def test_a_window_that_was_open_for_its_hours_may_not_be_opened_and_says_when(mesibo: Gateway) -> None:
    await posts(mesibo, op="pushdebug", enable=True)
    mesibo.clock.advance(3 * 3600)
    answer = await posts(mesibo, op="pushdebug", enable=True)
    assert (answer.status_code, answer.json()["error"]) == (409, "CONFLICT")
    assert "again" in answer.json()["cause"]
    assert int(answer.headers["retry-after"]) == 5 * 3600


async def test_a_switch_is_on_or_off(mesibo: Gateway) -> None:
    answer = await posts(mesibo, op="pushdebug", enable="perhaps")
    assert (answer.status_code, answer.json()["error"]) == (422, "INVALID")
