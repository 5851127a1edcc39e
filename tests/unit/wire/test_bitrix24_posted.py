"""What a portal posts is read; what no portal would send counts as not sent."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeline.model.errors import RemoteProtocolError
from wakeline.wire import php_form
from wakeline.wire.bitrix24.posted import Auth, Launch, PostedEvent, read

EVENT = (
    b"event=ONCRMDEALADD&event_handler_id=185&data%5BFIELDS%5D%5BID%5D=7405&ts=1766047124&auth%5Baccess_token%5D=s6p6"
    b"&auth%5Bexpires%5D=1766050724&auth%5Bexpires_in%5D=3600&auth%5Bscope%5D=crm%2Cpull"
    b"&auth%5Bdomain%5D=p.bitrix24.com&auth%5Bserver_endpoint%5D=https%3A%2F%2Foauth.bitrix.info%2Frest%2F"
    b"&auth%5Bstatus%5D=L&auth%5Bclient_endpoint%5D=https%3A%2F%2Fp.bitrix24.com%2Frest%2F"
    b"&auth%5Bmember_id%5D=a223c6b3710f85df22e9377d6c4f7553&auth%5Buser_id%5D=1"
    b"&auth%5Bapplication_token%5D=51856fefc120afa4b628cc82d3935cce"
)


def event(**auth: str) -> PostedEvent:
    """Return an event whose block `auth` says this."""
    found = read(php_form.build_query({"event": "ONCRMDEALADD", "auth": {**auth}}).encode())
    assert isinstance(found, PostedEvent)
    return found


def test_an_event_as_a_portal_posts_it() -> None:
    found = read(EVENT)

    assert found == PostedEvent(
        event="ONCRMDEALADD",
        data={"FIELDS": {"ID": "7405"}},
        raised=1766047124,
        auth=Auth(
            application_token="51856fefc120afa4b628cc82d3935cce",
            member_id="a223c6b3710f85df22e9377d6c4f7553",
            access="s6p6",
            scopes=("crm", "pull"),
            user=1,
            server_endpoint="https://oauth.bitrix.info/rest/",
        ),
    )
    assert found.auth.tokens(0) is None


def test_a_launch_as_a_portal_posts_it() -> None:
    form = {
        "AUTH_ID": "b24a",
        "AUTH_EXPIRES": "1800",
        "REFRESH_ID": "b24r",
        "SERVER_ENDPOINT": "https://oauth.bitrix24.tech/rest/",
        "APPLICATION_TOKEN": "5185",
        "APPLICATION_SCOPE": "crm pull",
        "member_id": "a223",
        "status": "L",
        "PLACEMENT": "DEFAULT",
    }

    found = read(urlencode(form).encode())

    assert isinstance(found, Launch)
    tokens = found.auth.tokens(1000)
    assert tokens is not None
    assert (tokens.access, tokens.refresh, tokens.access_expires) == ("b24a", "b24r", 1_801_000)
    assert (tokens.scopes, tokens.user) == (("crm", "pull"), 0)
    assert (found.auth.member_id, found.auth.application_token) == ("a223", "5185")


def test_a_token_that_claims_to_live_for_years_is_asked_about_after_a_day() -> None:
    tokens = event(access_token="a", refresh_token="r", expires_in="999999999999").auth.tokens(0)

    assert tokens is not None
    assert tokens.access_expires == 86_400_000


def test_an_event_is_known_in_any_case() -> None:
    found = read(b"event=onCrmDealAdd")

    assert isinstance(found, PostedEvent)
    assert (found.event, found.raised, found.auth) == ("ONCRMDEALADD", 0, Auth())


@pytest.mark.parametrize(
    "said",
    ["a b", "a\r\nx: y", "\u00e4", "x" * 513, "", "\x00"],
    ids=["space", "line", "letter", "long", "empty", "nul"],
)
def test_a_token_that_no_portal_sends_is_no_token(said: str) -> None:
    auth = event(application_token=said, access_token=said, refresh_token=said, member_id=said).auth

    assert (auth.application_token, auth.member_id, auth.tokens(0)) == ("", "", None)


def test_lists_and_maps_in_place_of_texts_are_nothing() -> None:
    body = (
        b"event=ONX&auth[application_token][]=a&auth[member_id][x]=b&auth[user_id][]=1&auth[scope][]=crm&ts[]=1"
        b"&auth[server_endpoint][]=https://oauth.bitrix.info/rest/"
    )
    found = read(body)

    assert isinstance(found, PostedEvent)
    assert (found.auth, found.raised) == (Auth(), 0)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"event=",
        b"event[]=ONCRMDEALADD",
        b"event=ON%0aCRM",
        b"event=" + b"A" * 101,
        b"AUTH_ID=",
        b'{"event":"ONCRMDEALADD"}',
        b"event=ONX&" + b"&".join(b"a%d=1" % place for place in range(5001)),
        b"event=ONX&data" + b"[a]" * 11 + b"=1",
        b"event=ONX" + b"&" * 10_001,
    ],
)
def test_what_is_neither_cannot_be_read(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        read(body)


@given(
    body=st.binary(max_size=200) | st.text(st.sampled_from("event=ONXauth[]&AUTH_ID%5B0"), max_size=60).map(str.encode)
)
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        found = read(body)
    except RemoteProtocolError:
        return
    assert found.auth.expires_in > 0


def test_reprs_keep_tokens_to_themselves() -> None:
    found = event(application_token="sesame-1", access_token="sesame-2", refresh_token="sesame-3")

    assert "sesame" not in repr(found) + repr(found.auth) + repr(Launch(auth=found.auth))
