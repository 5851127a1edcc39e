"""SIP URIs: parts, address-of-record, comparison (RFC 3261 section 19.1)."""

from __future__ import annotations

import pytest

from wakeline.wire.sip.broken import Broken
from wakeline.wire.sip.uri import parse_uri, same_uri


def test_a_uri_has_its_parts() -> None:
    uri = parse_uri("SIP:bob;phone=1?:pa$$@Example.ORG:5061;Transport=TLS;lr;x=%41?Subject=a&Route=%3Csip:h%3E")
    assert (uri.scheme, uri.user, uri.password, uri.host, uri.port) == (
        "sip",
        "bob;phone=1?",
        "pa$$",
        "example.org",
        5061,
    )
    assert uri.params == {"transport": "TLS", "lr": None, "x": "%41"}
    assert (uri.transport, uri.is_loose_router, uri.secure) == ("tls", True, False)
    assert uri.headers == "Subject=a&Route=%3Csip:h%3E"
    assert uri.aor == "sip:bob;phone=1?@example.org"
    assert uri.bare == "SIP:bob;phone=1?:pa$$@Example.ORG:5061"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("sip:h", "h", None),
        ("sips:h:1", "h", 1),
        ("sip:h:65535", "h", 65535),
        ("sip:[2001:db8::10]:5070", "[2001:db8::10]", 5070),
        ("sip:bob@under_score.example.org", "under_score.example.org", None),
        ("sip:bob@192.0.2.1;x=[1:2]/3&$", "192.0.2.1", None),
    ],
)
def test_hosts_and_ports_are_read(text: str, host: str, port: int | None) -> None:
    uri = parse_uri(text)
    assert (uri.host, uri.port) == (host, port)


@pytest.mark.parametrize(
    ("text", "aor"),
    [
        ("sip:bob@Example.org:5080;transport=tcp?x=y", "sip:bob@example.org"),
        ("sips:bob@example.org", "sip:bob@example.org"),
        ("sip:%62o%62@example.org", "sip:bob@example.org"),
        ("sip:b%40b%c3%a9@example.org", "sip:b%40b%C3%A9@example.org"),
        ("sip:Bob@example.org", "sip:Bob@example.org"),
        ("sip:example.org;lr", "sip:example.org"),
    ],
)
def test_an_address_of_record_is_one_for_all_spellings(text: str, aor: str) -> None:
    assert parse_uri(text).aor == aor


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip:",
        "sip:@h",
        "bob",
        "sip:b b@h",
        "sip:bob@",
        "sip:bob@h:0",
        "sip:bob@h:65536",
        "sip:bob@h:",
        "sip:bob@h\u00e9",
        "<sip:bob@h>",
        'sip:bob@h;x="y"',
        "sip:bob@h>",
        "sip:bob@h\r\nVia: x",
        "sip:a@b@c",
        "sip:bob@[::1",
        "sip:bob@h;x y",
    ],
)
def test_what_is_no_uri_is_answered_400(text: str) -> None:
    with pytest.raises(Broken) as caught:
        parse_uri(text)
    assert caught.value.answer == 400


@pytest.mark.parametrize("text", ["tel:+15551234", "mailto:a@b", "some-scheme:of-nobody", "urn:service:sos"])
def test_another_scheme_is_answered_416(text: str) -> None:
    with pytest.raises(Broken) as caught:
        parse_uri(text)
    assert caught.value.answer == 416


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sip:%64ora@example.org;transport=TCP", "sip:dora@Example.ORG;Transport=tcp"),
        ("sip:erik@example.com", "sip:erik@example.com;new=1"),
        ("sip:erik@example.com;side=left", "sip:erik@example.com;new=1"),
        ("sip:h;lr", "sip:h;lr"),
    ],
)
def test_uris_that_are_equivalent(one: str, other: str) -> None:
    assert same_uri(parse_uri(one), parse_uri(other))
    assert same_uri(parse_uri(other), parse_uri(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SIP:DORA@ExAmple.ORG;Transport=udp", "sip:dora@ExAmple.ORG;Transport=UDP"),
        ("sip:bob@example.net", "sip:bob@example.net:5060"),
        ("sip:bob@example.net", "sip:bob@example.net;transport=udp"),
        ("sip:bob@example.net", "sip:bob@example.net:6000;transport=tcp"),
        ("sip:erik@example.com;side=left", "sip:erik@example.com;side=right"),
        ("sip:bob@example.net", "sips:bob@example.net"),
        ("sip:bob@example.net", "sip:bob:secret@example.net"),
        ("sip:bob@example.net", "sip:bob@example.net?Subject=x"),
    ],
)
def test_uris_that_differ(one: str, other: str) -> None:
    assert not same_uri(parse_uri(one), parse_uri(other))
    assert not same_uri(parse_uri(other), parse_uri(one))


def test_a_repr_shows_no_token() -> None:
    assert "5ecret" not in repr(parse_uri("sip:bob@h;pn-prid=5ecret"))
