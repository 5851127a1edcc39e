"""Payloads of liblinphone's apps, judged by what the apps read and by what APNs and FCM take."""

from __future__ import annotations

import json

import pytest

from sip_nouns import voip
from wakeline.model.notification import Audience, NotificationRequest, PushType
from wakeline.model.sip.push import PushParams, PushProvider, PushTexts, PushToken
from wakeline.pipeline.terms import terms_of
from wakeline.wire import apns, fcm
from wakeline.wire.content import encode
from wakeline.wire.flexisip.payloads import (
    Form,
    Occasion,
    Push,
    apple,
    collapse_id_of,
    content,
    firebase,
    form_for,
    loc_key,
    request,
    sound,
)

NOW = 1_790_000_000_123
TO = Audience(devices=("phone",))
TEXTS = PushTexts(call="CALLING", message="WRITING", call_sound="ring.caf", message_sound="msg.caf")


def push(occasion: Occasion = Occasion.CALL, **fields: object) -> Push:
    return Push(
        **{  # type: ignore[arg-type] # the fields are those of Push
            "occasion": occasion,
            "ttl": 90,
            "at": NOW,
            "call_id": "c1@192.0.2.1",
            "uuid": "<urn:uuid:7f>",
            "from_uri": "sip:alice@example.org",
            "from_name": 'Alice "A" \\',
            **fields,
        }
    )


def remote(*, voip_too: bool = False) -> PushParams:
    tokens = (PushToken(service="remote", value="b2" * 32, topic="org.example.phone"),)
    return PushParams(
        provider=PushProvider.APNS_DEV,
        param="ABCD1234.org.example.phone",
        prid="b2" * 32,
        tokens=tokens + (voip().tokens if voip_too else ()),
        texts=TEXTS,
    )


def android() -> PushParams:
    token = PushToken(service="", value="fcm:token", topic="8123")
    return PushParams(provider=PushProvider.FCM, param="8123", prid="fcm:token", tokens=(token,))


def judged(params: PushParams, made: Push) -> NotificationRequest:
    """Return a request that accept takes."""
    found = request(params, made, TO)
    assert found is not None
    whole = terms_of(found, NOW).content
    if params.provider is PushProvider.FCM:
        fcm.validate(whole)
    else:
        kind = "apns" if whole.type is PushType.CALL and params.token("voip") is None else ""
        apns.validate(whole, kind)
    return found


def test_a_voip_push_has_the_fields_of_flexisip_in_their_order() -> None:
    assert encode(apple(Form.PUSHKIT, TEXTS, push())).decode() == (
        '{"aps":{"sound":"","loc-key":"CALLING","loc-args":["Alice \\"A\\" \\\\"],"call-id":"c1@192.0.2.1",'
        '"uuid":"<urn:uuid:7f>","send-time":"2026-09-21 14:13:20"},"from-uri":"sip:alice@example.org",'
        '"display-name":"Alice \\"A\\" \\\\","pn_ttl":90,"customPayload":{}}'
    )


def test_a_background_push_has_the_fields_of_flexisip_in_their_order() -> None:
    made = push(Occasion.MESSAGE, from_name="", custom={"k": [1]})
    assert encode(apple(Form.BACKGROUND, TEXTS, made)).decode() == (
        '{"aps":{"badge":0,"content-available":1,"loc-key":"WRITING","loc-args":["sip:alice@example.org"],'
        '"call-id":"c1@192.0.2.1","uuid":"<urn:uuid:7f>","send-time":"2026-09-21 14:13:20"},'
        '"from-uri":"sip:alice@example.org","display-name":"","pn_ttl":90,"customPayload":{"k":[1]}}'
    )


def test_an_alert_bears_the_chat_room_and_the_sound_of_its_occasion() -> None:
    made = push(Occasion.MESSAGE, from_name="Al", chat_room="sip:room@example.org")
    assert encode(apple(Form.ALERT, TEXTS, made)).decode() == (
        '{"aps":{"alert":{"loc-key":"WRITING","loc-args":["Al"]},"sound":"msg.caf","mutable-content":1,"badge":1},'
        '"from-uri":"sip:alice@example.org","display-name":"Al","call-id":"c1@192.0.2.1","pn_ttl":90,'
        '"uuid":"<urn:uuid:7f>","send-time":"2026-09-21 14:13:20","chat-room-addr":"sip:room@example.org",'
        '"customPayload":{}}'
    )


def test_the_alert_of_flexisip_2_0_has_neither_mutable_content_nor_later_fields() -> None:
    document = apple(Form.BASIC, TEXTS, push(badge=False, custom={"a": 1}))
    assert document["aps"]["badge"] == 0
    assert "mutable-content" not in document["aps"]
    assert not {"chat-room-addr", "customPayload"} & set(document)


def test_a_message_for_fcm_is_data_of_android_and_all_text() -> None:
    made = firebase(PushTexts(), push(ttl=10**8, custom={"k": 1}))
    android = made["android"]
    assert (set(made), android["priority"], android["ttl"]) == ({"android"}, "high", "2419200s")
    assert list(android["data"]) == [
        "uuid",
        "from-uri",
        "display-name",
        "call-id",
        "sip-from",
        "loc-key",
        "loc-args",
        "send-time",
        "custom-payload",
    ]
    assert all(isinstance(value, str) for value in android["data"].values())
    assert json.loads(android["data"]["custom-payload"]) == {"k": 1}


@pytest.mark.parametrize("occasion", list(Occasion))
def test_every_push_is_one_that_the_push_services_take(occasion: Occasion) -> None:
    for params in (remote(), remote(voip_too=True), android()):
        made = judged(params, push(occasion, ttl=2_592_000))
        assert made.ttl == 2_419_200, params.provider


@pytest.mark.parametrize("form", list(Form))
def test_every_form_is_one_that_apns_takes(form: Form) -> None:
    made = content(remote(voip_too=True), push(), form)
    assert made is not None
    apns.validate(made, "apns" if form in (Form.ALERT, Form.BASIC) else "")


def test_a_background_push_is_sent_with_the_priority_that_apple_wants() -> None:
    found = judged(remote(), push(Occasion.REGISTER))
    assert terms_of(found, NOW).content.priority == "normal"


def test_only_a_call_goes_to_a_voip_token() -> None:
    assert form_for(voip(), Occasion.CALL) is Form.PUSHKIT
    for occasion in set(Occasion) - {Occasion.CALL}:
        assert form_for(voip(), occasion) is None
        assert content(voip(), push(occasion)) is None
        assert request(voip(), push(occasion), TO) is None


def test_a_call_to_a_phone_without_voip_token_rings_by_alerts_that_replace_each_other() -> None:
    first = judged(remote(), push(ttl=0))
    last = judged(remote(), push(Occasion.MISSED))
    assert first.type is PushType.CALL
    assert (first.collapse_id, last.collapse_id) == ("c1@192.0.2.1",) * 2
    assert last.apns.raw is not None
    assert last.apns.raw["aps"]["alert"]["loc-key"] == "Missing call"


def test_a_browser_is_told_what_wakes_it() -> None:
    browser = PushParams(provider=PushProvider.WEBPUSH, param="", prid="https://push.example.org/1", tokens=())
    call, message = content(browser, push()), content(browser, push(Occasion.MESSAGE))
    assert call is not None
    assert message is not None
    assert (call.type, message.type, message.data) == (
        PushType.CALL,
        PushType.BACKGROUND,
        {"call-id": "c1@192.0.2.1"},
    )


def test_what_is_too_large_loses_the_name_and_then_the_address_and_keeps_the_call() -> None:
    made = apple(Form.PUSHKIT, TEXTS, push(from_name="N" * 5000))
    assert (made["display-name"], made["from-uri"]) == ("", "sip:alice@example.org")
    assert made["aps"]["loc-args"] == ["sip:alice@example.org"]
    made = firebase(TEXTS, push(from_name="N" * 5000, from_uri="sip:" + "u" * 5000))
    assert (made["android"]["data"]["sip-from"], made["android"]["data"]["call-id"]) == ("", "c1@192.0.2.1")


def test_an_id_of_a_call_that_no_header_may_hold_is_replaced_by_a_digest() -> None:
    assert collapse_id_of("x" * 64) == "x" * 64
    for odd in ("x" * 65, "a\nb", " a", "\udcff"):
        assert len(collapse_id_of(odd)) == 64
        assert collapse_id_of(odd) != odd


@pytest.mark.parametrize(
    ("occasion", "key", "tune"),
    [
        (Occasion.CALL, "CALLING", "ring.caf"),
        (Occasion.GROUP_CHAT, "GC_MSG", "msg.caf"),
        (Occasion.MESSAGE, "WRITING", "msg.caf"),
        (Occasion.MESSAGE_WAITING, "MWI_NOTIFY_STR", "msg.caf"),
        (Occasion.OTHER, "IC_SIL", "msg.caf"),
        (Occasion.ACCEPTED_ELSEWHERE, "Accepted elsewhere", "msg.caf"),
        (Occasion.DECLINED_ELSEWHERE, "Declined elsewhere", "msg.caf"),
    ],
)
def test_texts_and_sounds_are_those_that_the_phone_asked_for(occasion: Occasion, key: str, tune: str) -> None:
    assert (loc_key(TEXTS, occasion), sound(TEXTS, occasion)) == (key, tune)
