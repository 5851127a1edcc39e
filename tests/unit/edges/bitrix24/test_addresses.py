"""Where the portal and its OAuth server are, as whoever asks knows them; and where users may be sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeline.config import Bitrix24, Server, Settings
from wakeline.edges.bitrix24.addresses import addresses, is_known, is_oauth_host, public
from wakeline.edges.bitrix24.redirects import checked, form_source, with_answer
from wakeline.model.bitrix24.access import PortalState
from wakeline.model.errors import InvalidRequest

PORTAL = PortalState(member_id="m")
SPLIT = Settings(bitrix24=Bitrix24(oauth_hosts=("oauth.test", "oauth.other"), portal_hosts=("crm.test",)))


@pytest.mark.parametrize(
    ("host", "settings", "portal", "oauth"),
    [
        ("p.test:8443", Settings(), "p.test:8443", "p.test:8443"),
        ("[::1]:80", Settings(), "[::1]:80", "[::1]:80"),
        ("p.test", SPLIT, "p.test", "oauth.test"),
        ("oauth.other", SPLIT, "crm.test", "oauth.other"),
        ("evil.test/x", Settings(), "localhost", "localhost"),
        ("a b", Settings(), "localhost", "localhost"),
        ("", Settings(), "localhost", "localhost"),
    ],
)
def test_addresses_follow_the_name_by_which_we_are_asked(
    host: str, settings: Settings, portal: str, oauth: str
) -> None:
    found = addresses("https", host, settings, PORTAL)

    assert found.portal == f"https://{portal}"
    assert found.oauth == f"https://{oauth}"
    assert found.client_endpoint == f"https://{portal}/rest/"
    assert found.server_endpoint == f"https://{oauth}/rest/"


def test_the_portals_own_domain_counts_before_any_name() -> None:
    found = addresses("https", "10.0.0.1", Settings(), PortalState(member_id="m", domain="crm.test:444"))

    assert (found.portal_host, found.portal_name) == ("crm.test:444", "crm.test")


@pytest.mark.parametrize(
    ("settings", "domain", "expected"),
    [
        (Settings(), "", "http://127.0.0.1:8750"),
        (Settings(server=Server(public_url="https://push.test/")), "", "https://push.test"),
        (Settings(server=Server(tls_certificate="x", listen="0.0.0.0:443")), "crm.test", "https://crm.test"),
    ],
)
def test_what_is_printed_has_the_address_that_the_world_knows(settings: Settings, domain: str, expected: str) -> None:
    assert public(settings, PortalState(member_id="m", domain=domain)).portal == expected


@pytest.mark.parametrize("host", ["oauth.test", "OAUTH.test:443", "oauth.other"])
def test_the_oauth_host_is_told_by_its_name(host: str) -> None:
    assert is_oauth_host(host, SPLIT.bitrix24)


@pytest.mark.parametrize("host", ["", "oauth.test.evil", "x@oauth.test", "[oauth.test"])
def test_other_names_are_not_the_oauth_hosts(host: str) -> None:
    assert not is_oauth_host(host, SPLIT.bitrix24)


def test_a_portal_with_names_has_no_other() -> None:
    assert is_known("anything", Settings().bitrix24)
    assert is_known("oauth.test", SPLIT.bitrix24)
    assert not is_known("portal.test", SPLIT.bitrix24)


@pytest.mark.parametrize(
    "uri",
    [
        "https://app.test/back",
        "http://localhost:3000/back?x=1",
        "http://[::1]:3000/",
        "myapp://callback",
        "com.example.app:/oauth",
        "myapp://",
    ],
)
def test_web_addresses_and_schemes_of_apps_may_be_registered(uri: str) -> None:
    assert checked(uri) == uri


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/back",
        "app.test/back",
        "https://",
        "https://app.test/back#fragment",
        "https://app.test/ba ck",
        "https://app.test/\r\nx",
        "https://app.test\\@evil.test/",
        "https://user@app.test/",
        "https://app.test:99999/",
        "https://[::1/",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://äpp.test/",
        "https://app.test/" + "x" * 2000,
    ],
)
def test_what_a_browser_may_read_otherwise_is_refused(uri: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        checked(uri)
    assert refused.value.pointer == "/redirect_uri"


def test_an_answer_is_added_to_the_query_that_is_there() -> None:
    assert with_answer("myapp://cb", [("code", "1"), ("state", "a b&")]) == "myapp://cb?code=1&state=a+b%26"
    assert with_answer("https://a.test/?x=1", [("code", "1")]) == "https://a.test/?x=1&code=1"


@pytest.mark.parametrize(
    ("uri", "source"),
    [
        ("https://App.test:8443/x", "https://app.test:8443"),
        ("http://[::1]:3000/", "http:"),
        ("myapp://x;y", "myapp:"),
    ],
)
def test_a_form_may_lead_to_the_application_alone(uri: str, source: str) -> None:
    assert form_source(uri) == source


@given(st.one_of(st.text(), st.from_regex(r"[a-z]{1,8}:(//)?[ -~]{0,40}", fullmatch=True)))
def test_whatever_may_be_registered_is_one_line_of_plain_text_and_cannot_run(uri: str) -> None:
    try:
        found = checked(uri)
    except InvalidRequest:
        return
    assert found.isascii()
    assert found.isprintable()
    assert " " not in found
    assert not found.lower().startswith(("javascript:", "data:", "vbscript:"))
    assert not set(form_source(found)) & set(" ;,'\"")
