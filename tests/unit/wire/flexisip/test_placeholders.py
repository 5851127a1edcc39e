"""Placeholders of an external push URI, filled in and read back."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest

from sip_nouns import voip
from wakeline.model.errors import InvalidRequest
from wakeline.model.sip.push import PushParams, PushProvider, PushTexts, PushToken
from wakeline.wire.flexisip.payloads import Occasion, Push
from wakeline.wire.flexisip.placeholders import NAMES, asked, check_template, fill, values

TEMPLATE = (
    "https://gw.example.org/flexisip?type=$type&token=$token&appid=$app-id&event=$event&from=$from-uri&name=$from-name"
    "&tag=$from-tag&to=$to-uri&cid=$call-id&uid=$uid&msgid=$msgid&snd=$sound"
)
PUSH = Push(
    occasion=Occasion.CALL,
    ttl=90,
    at=0,
    call_id="1j9F",
    uuid='"<urn:uuid:7f>"',
    from_uri="sip:alice@ex.org",
    from_name="Al & Ice",
    from_tag="a73k",
    to_uri="sip:bob@ex.org",
)


def filled(params: PushParams, push: Push = PUSH) -> str:
    return fill(TEMPLATE, values(params, push))


def read(uri: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(uri).query, keep_blank_values=True))


def test_a_call_to_a_phone_of_apple_is_filled_in_as_flexisip_does() -> None:
    assert filled(voip(topic="org.linphone.phone")) == (
        f"https://gw.example.org/flexisip?type=apple&token={'a1' * 32}&appid=org.linphone.phone.voip.prod&event=call"
        "&from=sip%3Aalice%40ex.org&name=Al%20%26%20Ice&tag=a73k&to=sip%3Abob%40ex.org&cid=1j9F"
        "&uid=%22%3Curn%3Auuid%3A7f%3E%22&msgid=IC_MSG&snd=empty"
    )


def test_every_occurrence_is_filled_in_and_what_is_no_placeholder_stays() -> None:
    template = "https://h/$type/$type?a=$callid&b=$call-id$call-id&c=$tokens&d=$&e=$token"
    found = fill(template, {"type": "apple", "call-id": "x y", "token": "ü/&=?#"})
    assert found == "https://h/apple/apple?a=$callid&b=x%20yx%20y&c=$tokens&d=$&e=%C3%BC%2F%26%3D%3F%23"


def test_a_value_can_bring_in_no_placeholder_and_no_host() -> None:
    values = dict.fromkeys(NAMES, "$token\r\n//evil/../@?#")
    found = urlsplit(fill("https://h/p/$type?q=$token", values))
    assert (found.netloc, found.path.count("/"), found.fragment) == ("h", 2, "")
    assert "\r" not in found.query
    assert "$" not in found.query


def test_what_is_filled_in_is_read_back() -> None:
    found = asked(read(filled(voip(topic="org.linphone.phone"))))
    [token] = found.params.tokens
    assert (found.params.provider, token.service, token.value, token.topic) == (
        PushProvider.APNS,
        "voip",
        "a1" * 32,
        "org.linphone.phone.voip",
    )
    assert (found.occasion, found.call_id, found.uid) == (Occasion.CALL, "1j9F", "urn:uuid:7f")
    assert (found.from_uri, found.from_name, found.to_uri) == ("sip:alice@ex.org", "Al & Ice", "sip:bob@ex.org")
    assert (found.params.texts.call, found.params.texts.call_sound) == ("IC_MSG", "empty")


def test_a_phone_with_both_tokens_gets_calls_on_one_and_messages_on_the_other() -> None:
    both = PushParams(
        provider=PushProvider.APNS_DEV,
        param="ABCD1234.org.x.voip&remote",
        prid="",
        tokens=(
            PushToken(service="voip", value="aa", topic="org.x.voip"),
            PushToken(service="remote", value="bb", topic="org.x"),
        ),
        texts=PushTexts(message="HELLO"),
    )
    call = read(filled(both))
    message = read(filled(both, Push(occasion=Occasion.MESSAGE, ttl=1, at=0)))
    assert (call["token"], call["appid"], call["event"]) == ("aa", "org.x.voip.dev", "call")
    assert (message["token"], message["appid"], message["event"]) == ("bb", "org.x.dev", "message")
    assert message["msgid"] == "HELLO"


def test_a_phone_of_firebase_is_named_by_its_project_and_has_no_texts() -> None:
    token = PushToken(service="", value="c:AP+A91/b=", topic="8123")
    android = PushParams(provider=PushProvider.FCM, param="8123", prid=token.value, tokens=(token,))
    uri = filled(android)
    found = read(uri)
    assert (found["type"], found["appid"], found["msgid"], found["snd"]) == ("firebase", "8123", "", "")
    assert asked(found).params.tokens == (token,)


@pytest.mark.parametrize(
    ("query", "occasion"),
    [
        ({"event": "call"}, Occasion.CALL),
        ({"event": "message"}, Occasion.MESSAGE),
        ({"event": "refer"}, Occasion.MESSAGE),
        ({"event": ""}, Occasion.REGISTER),
        ({}, Occasion.MESSAGE),
    ],
)
def test_the_event_says_why_a_phone_is_woken(query: dict[str, str], occasion: Occasion) -> None:
    given = {"type": "google", "token": "t", "APP_ID": "8123", **query}
    assert asked(given).occasion is occasion


def test_an_event_that_is_not_told_follows_from_the_token() -> None:
    given = {"type": "apple", "token": "a1" * 32, "app-id": "org.x.voip.prod"}
    assert asked(given).occasion is Occasion.CALL


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"token": "t", "app-id": "a"}, "/query/type"),
        ({"type": "apple", "app-id": "a"}, "/query/token"),
        ({"type": "apple", "token": "t"}, "/query/app-id"),
        ({"type": "wp10", "token": "t", "app-id": "a"}, "/query/type"),
    ],
)
def test_what_cannot_be_understood_names_the_parameter(query: dict[str, str], pointer: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        asked(query)
    assert caught.value.pointer == pointer


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "ftp://h/$token",
        "https:///x",
        "https://$type.example.org/",
        "https://h:$token/",
        "https://user:secret@h/",
        "https://h/#$token",
        "https://h/a b",
        "https://h/\n",
        "https://[::1/",
    ],
)
def test_a_template_whose_host_is_not_fixed_is_refused(uri: str) -> None:
    with pytest.raises(InvalidRequest):
        check_template(uri)


def test_the_examples_are_good_templates() -> None:
    check_template(TEMPLATE)
    check_template("http://192.0.2.1:8080/$type/$event?x=$callid")
