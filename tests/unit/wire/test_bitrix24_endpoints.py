"""Addresses to which tokens go are read strictly."""

from __future__ import annotations

import pytest

from wakeline.model.errors import AddressRefused
from wakeline.wire.bitrix24.endpoints import (
    host_of,
    moved_to,
    oauth_endpoint,
    rest_endpoint,
    same_origin,
    token_address,
    webhook_address,
)

NAMED = ("Portal.lan", "192.0.2.7", "[2001:db8::1]")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("https://acme.bitrix24.com/rest/", "https://acme.bitrix24.com/rest/"),
        ("https://ACME.Bitrix24.com:443/rest", "https://acme.bitrix24.com/rest/"),
        ("https://acme.test.:8443/rest/", "https://acme.test:8443/rest/"),
        ("https://acme.test/crm/rest/", "https://acme.test/crm/rest/"),
        ("http://portal.LAN/rest/", "http://portal.lan/rest/"),
        ("http://192.0.2.7:8080/rest/", "http://192.0.2.7:8080/rest/"),
        ("http://[2001:db8::1]:81/rest/", "http://[2001:db8::1]:81/rest/"),
    ],
)
def test_an_address_of_rest_has_one_form(said: str, meant: str) -> None:
    assert rest_endpoint(said, named=NAMED) == meant


@pytest.mark.parametrize(
    "said",
    [
        "",
        "acme.test/rest/",
        "//acme.test/rest/",
        "http://acme.test/rest/",
        "http://portal.lan.evil.test/rest/",
        "ftp://portal.lan/rest/",
        "https://user@acme.test/rest/",
        "https://acme.test@evil.test/rest/",
        "https://acme.test\\@evil.test/rest/",
        "https://acme.test/rest/?x=1",
        "https://acme.test/rest/#x",
        "https://acme.test/rest/../other/",
        "https://acme.test/other/",
        "https://acme.test/../rest/",
        "https://acme.test/rest/1/code/",
        "https://acme.test:0/rest/",
        "https://acme.test:99999/rest/",
        "https://acme.test:x/rest/",
        "https://[::1/rest/",
        "https:///rest/",
        "https://acme.test/rest/\n",
        "https://\u0430cme.test/rest/",
    ],
)
def test_an_address_that_could_mean_something_else_is_refused(said: str) -> None:
    with pytest.raises(AddressRefused):
        rest_endpoint(said, named=NAMED)


def test_an_oauth_host_is_bitrix24s_or_the_operators() -> None:
    assert oauth_endpoint("", named=()) == "https://oauth.bitrix.info/rest/"
    assert oauth_endpoint("http://portal.lan:81/rest/", named=NAMED) == "http://portal.lan:81/rest/"
    assert token_address("http://portal.lan:81/rest/") == "http://portal.lan:81/oauth/token/"
    with pytest.raises(AddressRefused, match=r"evil\.test is not an OAuth host"):
        oauth_endpoint("https://evil.test/rest/", named=NAMED)


def test_a_webhook_has_a_user_and_a_code() -> None:
    assert webhook_address("https://a.test/rest/1/c0de", named=()) == (
        "https://a.test/rest/1/c0de/",
        "https://a.test/rest/",
    )
    for wrong in ("https://a.test/rest/", "https://a.test/rest/x/c0de/", "https://a.test/rest/1/c0de/profile/"):
        with pytest.raises(AddressRefused):
            webhook_address(wrong, named=())


def test_a_move_takes_scheme_host_and_port_and_no_path() -> None:
    assert moved_to("https://a.test/rest/", "https://b.test:8443/login?x=1", named=()) == "https://b.test:8443/rest/"


@pytest.mark.parametrize("location", ["http://b.test/", "/rest/", "https://a.test@b.test/", "data:x", "https:///x"])
def test_a_move_to_anything_else_is_refused(location: str) -> None:
    with pytest.raises(AddressRefused):
        moved_to("https://a.test/rest/", location, named=NAMED)


def test_the_same_place_in_two_forms() -> None:
    assert same_origin("https://a.test/rest/", "https://a.test:443/x/")
    assert not same_origin("https://a.test/rest/", "https://a.test:8443/rest/")
    assert host_of("https://a.test:8443/rest/") == "a.test:8443"
