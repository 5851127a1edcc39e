from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal_batch import APPLE, APPLE_TOKEN, GCM, GOOGLE, HUAWEI, apple, block, http
from wakeline.model.errors import MalformedRequest
from wakeline.model.route import Environment
from wakeline.wire.bitrix_broker import (
    MOST_ENTRIES,
    Entry,
    Service,
    Unreadable,
    asked,
    batch,
    service_called,
)

# Written by hand, byte by byte: command 1, id 7, expiry 1800000000, 32 bytes of token, 12 bytes of JSON.
GOLDEN = base64.b64encode(bytes.fromhex("01 00000007 6b49d200 0020" + "5e" * 32 + "000c") + b'{"aps":"x"}\n').decode()


def entry(text: str) -> Entry:
    [found] = batch(text)
    assert isinstance(found, Entry), found
    return found


def cause(text: str) -> str:
    [found] = batch(text)
    assert isinstance(found, Unreadable), found
    return found.cause


def test_a_frame_is_read_field_by_field() -> None:
    found = entry(f";2;tkey=com.acme.chat;h=portal.example;{GOLDEN}")

    assert found == Entry(
        number=1,
        service=Service.APNS,
        tokens=(APPLE_TOKEN,),
        payload={"aps": "x"},
        environment=Environment.PRODUCTION,
        mode=2,
        application="com.acme.chat",
        host="portal.example",
        mark=7,
        expires=1_800_000_000,
    )


@pytest.mark.parametrize(
    ("mode", "service", "environment"),
    [
        (1, Service.APNS, Environment.SANDBOX),
        (2, Service.APNS, Environment.PRODUCTION),
        (4, Service.APNS_VOIP, Environment.SANDBOX),
        (5, Service.APNS_VOIP, Environment.PRODUCTION),
    ],
)
def test_the_mode_says_service_and_environment(mode: int, service: Service, environment: Environment) -> None:
    found = entry(block(mode, apple(APPLE)))

    assert (found.service, found.environment, found.payload) == (service, environment, APPLE)


def test_a_message_of_fcm_loses_its_target_and_nothing_else() -> None:
    found = entry(block(7, http(GOOGLE)))

    assert (found.service, found.tokens, found.ttl) == (Service.FCM, ("f:APA91token",), 43200)
    assert found.payload == {key: value for key, value in GOOGLE["message"].items() if key != "token"}


def test_a_message_of_gcm_becomes_one_of_fcm() -> None:
    found = entry(block(3, http(GCM)))

    assert (found.service, found.tokens, found.ttl) == (Service.FCM, ("old:APA91a", "old:APA91b"), 43200)
    assert found.payload == {
        "data": {"contentTitle": "Anna", "contentText": "Deal №7 is won", "badge": "3"},
        "android": {"priority": "HIGH", "ttl": "43200s", "collapseKey": "deal"},
    }


def test_what_gcm_showed_is_shown() -> None:
    shown = {"title": "Anna", "body": "won", "sound": "default", "click_action": "OPEN", "badge": "1"}

    found = entry(block(3, http({"to": "old:APA91a", "notification": shown, "data": []})))

    assert found.payload == {
        "notification": {"title": "Anna", "body": "won"},
        "android": {"priority": "NORMAL", "notification": {"sound": "default", "clickAction": "OPEN"}},
    }


def test_huawei_is_recognised() -> None:
    assert entry(block(6, http(HUAWEI))).service is Service.HUAWEI


def test_parts_of_a_batch_follow_each_other() -> None:
    text = block(2, apple(APPLE), apple(APPLE, "6f" * 32)) + block(7, http(GOOGLE), app="Other", host="second.example")

    found = batch(text)

    assert [(one.number, one.mode, one.host) for one in found] == [
        (1, 2, "portal.example"),
        (2, 2, "portal.example"),
        (3, 7, "second.example"),
    ]
    assert [one.tokens for one in found if isinstance(one, Entry)] == [
        (APPLE_TOKEN,),
        ("6f" * 32,),
        ("f:APA91token",),
    ]


def test_a_plus_that_came_as_a_space_is_a_plus() -> None:
    written = apple({"aps": {"alert": "???>>>"}})
    assert "+" in written

    assert entry(block(2, written.replace("+", " "))).payload == {"aps": {"alert": "???>>>"}}


def test_one_entry_that_cannot_be_read_costs_no_other() -> None:
    found = batch(block(2, apple(APPLE), "!!!", apple(APPLE)))

    assert [type(one) for one in found] == [Entry, Unreadable, Entry]
    assert found[1] == Unreadable(number=2, cause="it is no base64", mode=2, host="portal.example")


def _frame(data: bytes) -> str:
    return block(2, base64.b64encode(data).decode())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (_frame(b"\x01\x00\x00"), "inside its head"),
        (_frame(struct.pack(">BIIH", 0, 1, 0, 32) + b"x" * 40), "command 0"),
        (_frame(struct.pack(">BIIH", 1, 1, 0, 0) + b"x" * 40), "a token of 0 bytes"),
        (_frame(struct.pack(">BIIH", 1, 1, 0, 60000) + b"x" * 40), "a token of 60000 bytes"),
        (_frame(struct.pack(">BIIH", 1, 1, 0, 32) + b"x" * 32), "inside its token"),
        (_frame(struct.pack(">BIIH", 1, 1, 0, 1) + b"x\x00\x09{}"), "9 bytes, and there are 2"),
        (_frame(struct.pack(">BIIH", 1, 1, 0, 1) + b"x\x00\x02[]"), "no JSON object"),
        (block(9, apple(APPLE)), "9 is no mode"),
        (apple(APPLE), "no mode stands before it"),
        (block(7, base64.b64encode(b'{"message":{}}').decode()), "no empty line"),
        (block(7, base64.b64encode(b"Content-length: 3\r\n\r\n{}").decode()), "3 bytes, and there are 2"),
        (block(7, base64.b64encode(b"Content-length: x\r\n\r\n{}").decode()), "no number"),
        (block(7, http({})), "no `message`"),
        (block(7, http({"message": {"data": {}}})), "names no token"),
        (block(7, http({"message": {"token": 7}})), "no list of up to"),
        (block(3, http({"data": "x", "to": "a"})), "`data` is no object"),
        (block(3, http({"data": {"a": "b"}})), "names no token"),
    ],
)
def test_what_is_wrong_with_an_entry_is_said(text: str, words: str) -> None:
    assert words in cause(text)


def test_what_is_nested_too_deep_is_refused() -> None:
    nested: dict[str, Any] = {}
    for _ in range(60):
        nested = {"a": nested}

    assert "deep" in cause(block(2, apple(nested)))


@pytest.mark.parametrize("text", [";2;" + "x;" * (MOST_ENTRIES + 1), ";" * 1_000_000])
def test_a_batch_beyond_the_bounds_is_refused_whole(text: str) -> None:
    with pytest.raises(MalformedRequest):
        batch(text)


def test_more_tokens_than_a_request_may_name_are_refused() -> None:
    many = http({"data": {"a": "b"}, "registration_ids": [f"t{number}" for number in range(600)]})

    with pytest.raises(MalformedRequest, match="1200 tokens"):
        batch(block(3, many, many))


@given(st.lists(st.text(alphabet=";0127=thkey+/AQBx \r\n{}\x00é", max_size=40), max_size=20))
def test_garbage_is_read_as_garbage(pieces: list[str]) -> None:
    for one in batch(";".join(pieces)):
        assert one.number > 0


@given(st.sampled_from([1, 2, 3, 4, 5, 6, 7]), st.binary(max_size=200), st.integers(0, 250), st.integers(1, 255))
def test_a_damaged_entry_is_read_or_refused(mode: int, tail: bytes, place: int, change: int) -> None:
    whole = base64.b64decode(apple(APPLE) if mode in (1, 2, 4, 5) else http(GOOGLE if mode == 7 else GCM))
    at = place % len(whole)
    damaged = whole[:at] + bytes([whole[at] ^ change]) + whole[at + 1 :]

    for data in (damaged, damaged[:at], damaged + tail, tail):
        [*found] = batch(block(mode, base64.b64encode(data).decode()))
        assert len(found) == (1 if data else 0)


def said(**item: Any) -> bytes:
    return json.dumps({"key": "k", "token": "t", "platform": "ios", "payload": {}} | item).encode()


def one(data: bytes) -> Entry | Unreadable:
    [found], alone = asked(data)
    assert alone
    assert found.key == "k"
    return found.entry


def test_an_object_asks_for_one_push() -> None:
    payload = {"aps": {"alert": "hi"}, "deal": 7}

    assert one(said(environment="sandbox", payload=payload)) == Entry(
        number=1, service=Service.APNS, tokens=("t",), payload=payload, environment=Environment.SANDBOX
    )


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"data": {"a": 1}}, {"data": {"a": 1}}),
        ({"message": {"data": {"a": "1"}, "token": "other"}}, {"data": {"a": "1"}}),
        (
            {"data": {"a": 1}, "priority": "high", "to": "other"},
            {"data": {"a": "1"}, "android": {"priority": "HIGH"}},
        ),
        (
            {"title": "Anna", "text": "won", "deal": 7},
            {"notification": {"title": "Anna", "body": "won"}, "data": {"deal": 7}},
        ),
        ({}, {}),
    ],
)
def test_a_payload_for_android_is_a_message_or_plain_words(payload: dict[str, Any], message: dict[str, Any]) -> None:
    found = one(said(platform="android", payload=payload))

    assert isinstance(found, Entry)
    assert (found.service, found.tokens, found.payload) == (Service.FCM, ("t",), message)


def test_plain_words_become_apples_document() -> None:
    found = one(said(payload={"title": "Anna", "body": "won", "badge": 2, "deal": 7}))

    assert isinstance(found, Entry)
    assert found.payload == {"aps": {"alert": {"title": "Anna", "body": "won"}, "badge": 2}, "deal": 7}


def test_a_payload_may_be_written_as_text() -> None:
    found = one(said(payload='{"aps": {"alert": "hi"}}'))

    assert isinstance(found, Entry)
    assert found.payload == {"aps": {"alert": "hi"}}


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"token": ""}, "`token`"),
        ({"token": 7}, "`token`"),
        ({"platform": "symbian"}, "'symbian'"),
        ({"platform": None}, "`platform`"),
        ({"platform": []}, "`platform` is no text"),
        ({"environment": "moon"}, "'moon'"),
        ({"payload": []}, "`payload` is no object"),
        ({"payload": "{"}, "no JSON object"),
    ],
)
def test_what_is_wrong_with_an_object_is_said(item: dict[str, Any], words: str) -> None:
    found = one(said(**item))

    assert isinstance(found, Unreadable)
    assert words in found.cause


def test_a_list_is_answered_as_a_list() -> None:
    found, alone = asked(b"[" + said() + b', 7, {"platform": "ios"}]')

    assert not alone
    assert [type(one.entry) for one in found] == [Entry, Unreadable, Unreadable]
    assert [one.entry.number for one in found] == [1, 2, 3]


@pytest.mark.parametrize("body", [b"", b"{", b"7", b"[" * 100_000, b"[" + b"{}," * MOST_ENTRIES + b"{}]"])
def test_a_body_that_asks_for_nothing_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedRequest):
        asked(body)


@pytest.mark.parametrize(
    ("word", "service"),
    [
        ("APPLE", Service.APNS),
        ("APPLE/VOIP", Service.APNS_VOIP),
        ("GOOGLE", Service.FCM),
        ("GOOGLE/REV2", Service.FCM),
        ("HUAWEI", Service.HUAWEI),
        ("blackberry", None),
    ],
)
def test_device_types_are_known_by_name(word: str, service: Service | None) -> None:
    assert service_called(word) is service
