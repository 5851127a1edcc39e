"""Values of header fields, and the pieces of which they consist."""

from __future__ import annotations

import pytest

from wakeline.wire.sip.broken import Broken
from wakeline.wire.sip.headers import parse_cseq, parse_name_addr, parse_via, whole_number
from wakeline.wire.sip.pieces import (
    first_value,
    is_token,
    parse_params,
    quote,
    split_values,
    unescape,
    unquote,
    without_params,
)


def test_a_via_has_its_parts() -> None:
    via = parse_via("SIP / 2.0 / udp Host.Example:5070 ; Branch=z9hG4bK1;rport;maddr=224.2.0.1")
    assert (via.transport, via.host, via.port, via.sent_by) == ("UDP", "host.example", 5070, "host.example:5070")
    assert (via.branch, via.wants_rport, via.params["maddr"]) == ("z9hG4bK1", True, "224.2.0.1")
    assert parse_via("SIP/2.0/TLS [2001:db8::1]").sent_by == "[2001:db8::1]"
    assert parse_via("SIP/2.0/UDP h").branch == ""


def test_a_via_is_stamped_with_where_it_came_from_and_changed_nowhere_else() -> None:
    asks = parse_via("SIP/2.0/UDP 10.0.0.1:5060;RPORT;branch=z9hG4bK1")
    assert (
        asks.came_from("192.0.2.7", 4444) == "SIP/2.0/UDP 10.0.0.1:5060;rport=4444;branch=z9hG4bK1;received=192.0.2.7"
    )
    same = parse_via("SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1")
    assert same.came_from("192.0.2.7", 4444) == same.text
    assert parse_via("SIP/2.0/TCP [2001:db8::1]").came_from("2001:db8::1", 1) == "SIP/2.0/TCP [2001:db8::1]"
    named = parse_via("SIP/2.0/UDP phone.local;received=1.1.1.1")
    assert named.came_from("192.0.2.7", 4444) == "SIP/2.0/UDP phone.local;received=192.0.2.7"


@pytest.mark.parametrize(
    "text",
    ["", "SIP/2.0/UDP", "SIP/3.0/UDP h", "SIP/2.0/UDP h:0", "SIP/2.0/UDP h:99999", "SIP/2.0/UDP h h"],
)
def test_a_broken_via_is_refused(text: str) -> None:
    with pytest.raises(Broken):
        parse_via(text)


def test_parameters_of_a_name_addr_and_of_its_uri_are_kept_apart() -> None:
    address = parse_name_addr(
        '"Mr. \\"J\\" <x>" <sip:j@h;tag=uri>;TAG=field;q=0.7;expires=60;+sip.instance="<urn:uuid:1;2>"'
    )
    assert (address.display, address.uri, address.tag) == ('Mr. "J" <x>', "sip:j@h;tag=uri", "field")
    assert (address.q, address.number("expires"), address.instance) == (0.7, 60, "urn:uuid:1;2")


def test_without_angle_brackets_parameters_belong_to_the_field() -> None:
    address = parse_name_addr('sip:j@h;tag=1;+sip.instance="<urn:x>"')
    assert (address.display, address.uri, address.tag, address.instance) == ("", "sip:j@h", "1", "urn:x")
    assert parse_name_addr("*").uri == "*"


def test_a_display_name_may_be_bare_words() -> None:
    assert parse_name_addr("Bell, Alexander <sip:a@h>;tag=43").display == "Bell, Alexander"
    assert parse_name_addr("<sip:a@h>").display == ""


@pytest.mark.parametrize(
    "text", ['"Mr. J. User <sip:j@h>', "<sip:a@h", "sip:a h", "", "Bob sip:a@h", "<sip:a@h> rest", '"x"']
)
def test_a_broken_address_is_refused(text: str) -> None:
    with pytest.raises(Broken):
        parse_name_addr(text)


@pytest.mark.parametrize(("q", "value"), [("0", 0.0), ("1.000", 1.0), ("0.5", 0.5), ("2", 1.0), ("x", 1.0), ("", 1.0)])
def test_a_preference_that_is_none_is_the_highest(q: str, value: float) -> None:
    assert parse_name_addr(f"<sip:a@h>;q={q}").q == value


def test_a_number_beyond_32_bits_is_the_largest() -> None:
    assert whole_number("4294967296") == 2**32 - 1
    assert whole_number("9" * 6000) == 2**32 - 1
    assert whole_number(" 7 ") == 7
    assert [whole_number(text) for text in ("", "-1", "1.5", "x", "\u0661")] == [None] * 5
    assert parse_name_addr("<sip:a@h>;expires=never").number("expires") is None


@pytest.mark.parametrize("text", ["", "1", "INVITE", "x INVITE", "4294967296 INVITE", "1 IN VITE", "-1 INVITE"])
def test_a_broken_cseq_is_refused(text: str) -> None:
    with pytest.raises(Broken):
        parse_cseq(text)


def test_a_name_that_comes_twice_counts_once_and_the_first_time() -> None:
    assert parse_params(";a=1;A=2;b; c = 3 ;;d=") == {"a": "1", "b": None, "c": "3", "d": ""}
    assert parse_params('x="a;b=c";y') == {"x": '"a;b=c"', "y": None}


@pytest.mark.parametrize("text", [";=1", ';a="b', ';a="b;c=d'])
def test_broken_parameters_are_refused(text: str) -> None:
    with pytest.raises(Broken):
        parse_params(text)


def test_taken_away_parameters_leave_the_others_as_they_came() -> None:
    assert without_params('h; A = 1;b="x;a=1";a;c', lambda name: name == "a") == 'h;b="x;a=1";c'
    assert without_params("h", lambda _: True) == "h"


@pytest.mark.parametrize("text", ['"a, b', "<sip:a, b", 'a, "b" <c, d'])
def test_a_list_that_never_closes_is_refused(text: str) -> None:
    with pytest.raises(Broken):
        split_values(text)


def test_lists_are_split_outside_quotes_and_brackets() -> None:
    assert split_values("a,b , ,c") == ["a", "b", "c"]
    assert split_values('"a,\\",b" <sip:x,y>;z="<,>" , <q?"a>,b">') == ['"a,\\",b" <sip:x,y>;z="<,>"', '<q?"a>,b">']
    assert split_values("") == []
    assert first_value("a , b") == "a"
    assert first_value(" , b") == "b"
    assert first_value("<a,b>") == "<a,b>"


def test_quoting_goes_both_ways() -> None:
    for text in ("", "plain", 'with "quotes" and \\slashes\\'):
        assert unquote(quote(text)) == text
    assert unquote("bare") == "bare"
    assert unquote('"') == '"'


def test_escapes_are_characters() -> None:
    assert unescape("a%3Ab%26%c3%a9%zz%") == "a:b&\u00e9%zz%"
    assert is_token("a-b.!%*_+`'~")
    assert not is_token("a b")
    assert not is_token("")
