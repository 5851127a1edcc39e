"""Push parameters: those of RFC 8599, the older ones, and what phones in the field get wrong."""

from __future__ import annotations

import pytest

from wakeline.model.sip.push import PushParams, PushProvider, PushTexts
from wakeline.wire.sip.headers import parse_name_addr
from wakeline.wire.sip.message import parse
from wakeline.wire.sip.push_params import MAX_VALUE, PushAsked, PushQuery, PushRefused, hidden, hide, push_of

ONE, TWO = "ab" * 32, "CD" * 32


def asked(params: str) -> PushAsked | None:
    return push_of(parse_name_addr(f"<sip:bob;x@192.0.2.7:5060;transport=tls;{params}?H=pn-tok>;expires=60"))


def understood(params: str) -> PushParams:
    found = asked(params)
    assert isinstance(found, PushParams)
    return found


def tokens(params: str) -> dict[str, tuple[str, str]]:
    return {token.service: (token.value, token.topic) for token in understood(params).tokens}


def test_a_contact_without_push_parameters_asks_for_nothing() -> None:
    assert asked("ob") is None
    assert asked("pn-param=x;pn-prid=y") is None


def test_what_liblinphone_writes_for_an_iphone() -> None:
    found = understood(
        f"pn-prid={ONE}:voip&{TWO}:remote;pn-provider=apns.dev;pn-param=ABCD1234.org.linphone.phone.voip&remote;pn-silent=1;"
        "pn-timeout=0;pn-msg-str=IM_MSG;pn-call-str=IC_MSG;pn-groupchat-str=GC_MSG;pn-call-snd=notes_of_the_optimistic.caf;"
        "pn-msg-snd=msg.caf;pn-call-remote-push-interval=5"
    )
    assert (found.provider, found.legacy, found.timeout, found.repeat) == (PushProvider.APNS_DEV, False, 0.0, 5.0)
    assert found.texts == PushTexts(call_sound="notes_of_the_optimistic.caf", message_sound="msg.caf")
    assert found.warnings == ()
    voip, remote = found.token("voip"), found.token("remote")
    assert voip is not None
    assert remote is not None
    assert (voip.value, voip.topic) == (ONE, "org.linphone.phone.voip")
    assert (remote.value, remote.topic) == (TWO, "org.linphone.phone")
    assert found.key == ("apns.dev", "ABCD1234.org.linphone.phone.voip&remote", f"{ONE}:voip&{TWO}:remote")


@pytest.mark.parametrize(
    ("param", "service", "topic"),
    [
        ("T.org.app.voip", "voip", "org.app.voip"),
        ("T.org.app.remote", "remote", "org.app"),
        ("T.org.app", "remote", "org.app"),
        ("T.app", "remote", "app"),
    ],
)
def test_one_token_belongs_to_the_one_service(param: str, service: str, topic: str) -> None:
    found = understood(f"pn-provider=apns;pn-param={param};pn-prid={ONE}")
    assert [(token.service, token.value, token.topic) for token in found.tokens] == [(service, ONE, topic)]
    assert found.warnings == ()


@pytest.mark.parametrize(
    "prid", [f"{ONE}:voip&{TWO}:remote", f"{TWO}:remote&{ONE}:voip", f"{ONE}%3Avoip%26{TWO}%3aremote"]
)
@pytest.mark.parametrize("param", ["T.a.b.voip&remote", "T.a.b.remote&voip", "T.a.b.voip%26remote"])
def test_two_tokens_go_by_their_labels_in_any_order(prid: str, param: str) -> None:
    assert tokens(f"pn-provider=apns;pn-param={param};pn-prid={prid}") == {
        "voip": (ONE, "a.b.voip"),
        "remote": (TWO, "a.b"),
    }


@pytest.mark.parametrize(
    ("param", "prid", "services"),
    [
        ("T.a.voip&remote", f"{ONE}:voip&{TWO}", {"voip": ONE, "remote": TWO}),
        ("T.a.voip&remote", f"{ONE}&{TWO}:remote", {"voip": ONE, "remote": TWO}),
        ("T.a.voip&remote", f"{ONE}&{TWO}", {"voip": ONE, "remote": TWO}),
        ("T.a.remote&voip", f"{ONE}&{TWO}", {"remote": ONE, "voip": TWO}),
        ("T.a.voip&remote", ONE, {"voip": ONE}),
        ("T.a.voip&remote", f"{TWO}:remote", {"remote": TWO}),
        ("T.a.voip", f"{ONE}:voip&{TWO}:remote", {"voip": ONE, "remote": TWO}),
        ("T.a.voip", f"{ONE}:voip&{TWO}", {"voip": ONE, "remote": TWO}),
        ("T.a.voip", f"{ONE}&{TWO}", {"voip": ONE}),
        ("T.a.voip&remote", f"{ONE}:voip&{TWO}:voip", {"voip": ONE, "remote": TWO}),
        ("T.a.voip&remote", f"{ONE}:voip&&{TWO}:sms", {"voip": ONE, "remote": TWO}),
    ],
)
def test_tokens_with_wrong_labels_are_pushed_to_and_warned_of(param: str, prid: str, services: dict[str, str]) -> None:
    found = understood(f"pn-provider=apns;pn-param={param};pn-prid={prid}")
    assert {token.service: token.value for token in found.tokens} == services
    assert found.warnings
    assert not any(ONE in warning or TWO in warning for warning in found.warnings)


def test_a_token_that_apple_would_not_write_is_tried_and_warned_of() -> None:
    found = understood("pn-provider=apns;pn-param=T.a.voip;pn-prid=short")
    assert found.warnings == ("A token is not as Apple writes tokens (64 hex digits)",)


def test_fcm_and_webpush() -> None:
    assert tokens("pn-provider=fcm;pn-param=223456789012;pn-prid=abc:APA91b-_x") == {
        "": ("abc:APA91b-_x", "223456789012")
    }
    url = "https://push.example.net/" + "x" * 3000
    found = understood(f"pn-provider=webpush;pn-prid={url.replace(':', '%3A').replace('/', '%2F')}")
    assert [token.value for token in found.tokens] == [url]
    assert found.warnings == ()
    assert understood("pn-provider=WebPush;pn-prid=https:x;pn-param=y").warnings


@pytest.mark.parametrize(
    ("params", "provider", "param", "token"),
    [
        (f"app-id=org.a.voip.prod;pn-type=apple;pn-tok={ONE}", "apns", "ABCD1234.org.a.voip", ("voip", "org.a.voip")),
        (f"app-id=org.a.dev;pn-type=apple;pn-tok={ONE}", "apns.dev", "ABCD1234.org.a", ("remote", "org.a")),
        (f"app-id=org.a;pn-type=apple;pn-tok={ONE}", "apns", "ABCD1234.org.a", ("remote", "org.a")),
        (f"app-id=44;pn-type=firebase;pn-tok={ONE}", "fcm", "44", ("", "44")),
        (f"app-id=44;pn-type=google;pn-tok={ONE}", "fcm", "44", ("", "44")),
        (f"app-id=44;pn-type=android;pn-tok={ONE}", "fcm", "44", ("", "44")),
    ],
)
def test_the_older_form(params: str, provider: str, param: str, token: tuple[str, str]) -> None:
    found = understood(params)
    assert (found.provider, found.param, found.prid, found.legacy) == (provider, param, ONE, True)
    assert [(one.service, one.topic) for one in found.tokens] == [token]
    assert bool(found.warnings) == ("app-id=org.a;" in params)


def test_the_form_of_the_rfc_goes_before_the_older_one() -> None:
    found = understood(f"pn-type=apple;app-id=x.dev;pn-tok={TWO};pn-provider=fcm;pn-param=44;pn-prid={ONE}")
    assert (found.provider, found.prid, found.legacy) == (PushProvider.FCM, ONE, False)


def test_rfc8599_4_1_5_a_provider_without_prid_is_a_question() -> None:
    assert asked("pn-provider") == PushQuery("")
    assert asked("pn-provider=FCM") == PushQuery("fcm")
    assert asked("pn-provider=acme;pn-param=x") == PushQuery("acme")


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ("pn-provider=acme;pn-prid=1", "'acme' is not served"),
        ("pn-provider=firebase;pn-prid=1;pn-param=2", "'firebase' is not served"),
        ("pn-provider=fcm;pn-prid=1", "pn-param is missing"),
        ("pn-provider=fcm;pn-prid=;pn-param=1", "pn-prid is empty"),
        ("pn-provider=apns;pn-prid=1", "pn-param is not"),
        ("pn-provider=apns;pn-prid=1;pn-param=nodots", "pn-param is not"),
        ("pn-provider=apns;pn-prid=:voip;pn-param=T.a.voip", "no token"),
        (f"pn-provider=fcm;pn-param=1;pn-prid={'x' * (MAX_VALUE + 1)}", "longer than"),
        ("pn-type=apple;pn-tok=1", "app-id is missing"),
        ("pn-type=apple;pn-tok=;app-id=x", "pn-tok is empty"),
        ("pn-type=wp10;pn-tok=1;app-id=x", "'wp10' is not served"),
        ("pn-tok=1;app-id=x", "'' is not served"),
    ],
)
def test_what_cannot_be_pushed_is_refused_with_its_reason(params: str, why: str) -> None:
    found = asked(params)
    assert isinstance(found, PushRefused)
    assert why in found.why


@pytest.mark.parametrize(
    ("value", "timeout", "repeat"),
    [("", None, None), ("7", 7.0, 7.0), ("-3", 0.0, 0.0), ("soon", None, None), ("31", 31.0, 30.0)],
)
def test_seconds_are_read_as_flexisip_reads_them(value: str, timeout: float | None, repeat: float | None) -> None:
    found = understood(f"pn-provider=fcm;pn-param=1;pn-prid=2;pn-timeout={value};pn-call-remote-push-interval={value}")
    assert (found.timeout, found.repeat) == (timeout, repeat)


def test_parameters_beside_a_contact_without_brackets_are_found() -> None:
    found = push_of(parse_name_addr("sip:bob@h;pn-provider=fcm;pn-param=1;pn-prid=2"))
    assert isinstance(found, PushParams)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (
            '"pn-prid=x <" <sip:a;pn-x@h;transport=tcp;PN-PRID=1;app-id=2;x=y?h=1>;+sip.instance="<urn:pn-x>";pn-param=3;q=1',
            '"pn-prid=x <" <sip:a;pn-x@h;transport=tcp;x=y?h=1>;+sip.instance="<urn:pn-x>";q=1',
        ),
        ("sip:a@h;pn-tok=1;q=1", "sip:a@h;q=1"),
        ("<sip:h;pn-provider;lr>", "<sip:h;lr>"),
        ("<sip:a@h;pn-purr=1;pn-prid=2>;pn-prid=3", "<sip:a@h;pn-purr=1>"),
        ("<sip:a@h;transport=TCP>;x = 1", "<sip:a@h;transport=TCP>;x = 1"),
    ],
)
def test_rfc8599_13_push_parameters_are_hidden_and_nothing_else(value: str, shown: str) -> None:
    assert hidden(value) == shown


def test_rfc8599_4_1_a_message_that_goes_on_bears_no_push_parameters() -> None:
    text = (
        "INVITE sip:bob@h;pn-prid=1;ob SIP/2.0\r\nX-Other: pn-prid=kept\r\n"
        "m: <sip:a@h;pn-prid=1>, <sip:b@h;pn-tok=2;app-id=3>;q=1\r\nRefer-To: <sip:c@h;pn-param=1>\r\n\r\n"
    )
    message = parse(text.encode())
    hide(message)
    assert message.to_bytes() == (
        b"INVITE sip:bob@h;ob SIP/2.0\r\nX-Other: pn-prid=kept\r\n"
        b"Contact: <sip:a@h>\r\nContact: <sip:b@h>;q=1\r\nRefer-To: <sip:c@h>\r\n\r\n"
    )


def test_a_message_without_push_parameters_is_not_touched() -> None:
    wire = b"SIP/2.0 200 OK\r\nm :  <sip:a@h>, <sip:b@h>\r\n\r\n"
    message = parse(wire)
    hide(message)
    assert message.to_bytes() == wire


def test_a_repr_shows_no_token() -> None:
    found = understood(f"pn-provider=apns;pn-param=T.a.voip;pn-prid={ONE}")
    assert ONE not in repr(found)
    assert ONE not in repr(found.tokens)
