"""Whose word is believed when a portal installs our application."""

from __future__ import annotations

import pytest

from wakeline.wire.bitrix24.oauth_server import DEFAULT_SERVER_ENDPOINT, OAUTH_HOSTS, server_endpoint

OURS = ("oauth.portal.test", "192.0.2.7", "::1")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("https://oauth.bitrix.info/rest/", "https://oauth.bitrix.info/rest/"),
        ("https://OAuth.Bitrix24.tech/rest", "https://oauth.bitrix24.tech/rest/"),
        ("https://oauth.bitrix.info:443/rest/", "https://oauth.bitrix.info/rest/"),
        ("http://oauth.portal.test:8080/rest/", "http://oauth.portal.test:8080/rest/"),
        ("http://192.0.2.7:81/rest/", "http://192.0.2.7:81/rest/"),
        ("https://[::1]:9443/rest/", "https://[::1]:9443/rest/"),
    ],
)
def test_servers_of_bitrix24_and_those_of_the_settings_are_believed(said: str, meant: str) -> None:
    assert server_endpoint(said, OURS) == meant


@pytest.mark.parametrize(
    "said",
    [
        "",
        "oauth.bitrix.info/rest/",
        "http://oauth.bitrix.info/rest/",
        "https://oauth.bitrix.info:8443/rest/",
        "https://oauth.bitrix.info.evil.test/rest/",
        "https://evil.test/rest/",
        "https://evil.test/oauth.bitrix.info/rest/",
        "https://oauth.bitrix.info@evil.test/rest/",
        "https://evil.test#@oauth.bitrix.info/rest/",
        "https://evil.test\\@oauth.bitrix.info/rest/",
        "https://oauth.bitrix.info/rest/../evil/",
        "https://oauth.bitrix.info/rest/?next=https://evil.test",
        "https://oauth.bitrix.info/",
        "https://oauth.bitrix.info/rest/\n",
        "https://oauth.bitrix.info./rest/",
        "https://xn--oauth-bitrix.info/rest/",
        "https://oauth.bitr\u0456x.info/rest/",
        "ftp://oauth.portal.test/rest/",
        "https://[::1/rest/",
        "https://[:::::::1]/rest/",
        "https://127.0.0.1/rest/",
    ],
)
def test_nobody_else_is(said: str) -> None:
    assert server_endpoint(said, OURS) == ""


def test_the_usual_server_is_one_of_them() -> None:
    assert server_endpoint(DEFAULT_SERVER_ENDPOINT, ()) == DEFAULT_SERVER_ENDPOINT
    assert {server_endpoint(f"https://{host}/rest/", ()) for host in OAUTH_HOSTS} == {
        f"https://{host}/rest/" for host in OAUTH_HOSTS
    }
