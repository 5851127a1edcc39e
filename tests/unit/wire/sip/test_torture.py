"""Messages as tests of parsers want them: the cases of RFC 4475, each made anew from its description and named by its section.

What must be understood is, and what must be refused is answered as the RFC asks; a section that leaves a choice to the server says
here what we chose.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from wakeline.wire.sip.broken import Broken
from wakeline.wire.sip.faults import fault
from wakeline.wire.sip.framing import BrokenStream, Framer
from wakeline.wire.sip.headers import parse_name_addr
from wakeline.wire.sip.message import Request, Response, parse
from wakeline.wire.sip.responses import answer
from wakeline.wire.sip.uri import parse_uri

START = "OPTIONS sip:lena@example.net SIP/2.0"
FIELDS = {
    "Via": "SIP/2.0/UDP 198.51.100.4;branch=z9hG4bKmill",
    "From": "<sip:otto@example.net>;tag=44",
    "To": "<sip:lena@example.net>",
    "Call-ID": "torture@198.51.100.4",
    "CSeq": "5 OPTIONS",
    "Max-Forwards": "70",
}


def made(start: str = START, body: bytes = b"", *more: str, **changed: str | None) -> bytes:
    """Return a good message with another start line, other fields (named with `_` for `-`; None: left out), and lines more."""
    fields: dict[str, str | None] = {**FIELDS, **{name.replace("_", "-"): value for name, value in changed.items()}}
    lines = [start, *(f"{name}: {value}" for name, value in fields.items() if value is not None), *more]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


def good(wire: bytes) -> Request:
    message = parse(wire)
    assert isinstance(message, Request)
    assert fault(message) is None
    return message


def refused(wire: bytes) -> int:
    """Return the status that answers a message, and see that the answer can be made."""
    message = parse(wire)
    assert isinstance(message, Request)
    wrong = fault(message)
    assert wrong is not None
    assert answer(message, wrong.answer, to_tag="us").to_bytes().startswith(b"SIP/2.0 %d " % wrong.answer)
    return wrong.answer


def test_3_1_1_1_a_short_tortuous_invite() -> None:
    wire = (
        b"INVITE sip:lena@desk.example.net;nobody-knows SIP/2.0\r\n"
        b"tO\t:\r\n\tsip:lena@desk.example.net  ;  tag\t=  77aa\r\n"
        b'fROM : "Otto \\"the\\\\ long\\"" \t<sip:otto@example.net>\r\n ;\r\n\ttag =x9\r\n'
        b"mAX-fORWARDS: 0009\r\ni: one@198.51.100.4\r\nL  : 5\r\nCSEQ: 000031\r\n    INVITE\r\n"
        b"via: SIP /2.0\r\n  / UDP\r\n  198.51.100.4;branch=older\r\nS:\r\n"
        b"Never-Heard-Of: one line\r\n\tand another\r\nStrange: ,;;,,=;\r\nc: text/plain\r\n"
        b"rOUTE:\r\n <sip:edge.example.net;odd=yes;lr;alone>\r\n"
        b"V: SIP/  2.0 /TCP \t core.example.net ;\r\n branch =\r\n  z9hG4bKtwo ,\r\n"
        b"\tSIP /2.0/ TLS  203.0.113.9 ;branch= z9hG4bKone\r\n"
        b'M:"a \\"quoted\\" one" <sip:otto@198.51.100.4>; mine\r\n  = yours ; alone;\r\n q  =0.25\r\n\r\nhello'
    )
    message = good(wire)
    assert message.to.tag == "77aa"
    assert (message.from_.display, message.from_.tag) == ('Otto "the\\ long"', "x9")
    assert message.max_forwards == 9
    assert (message.cseq.number, message.cseq.method) == (31, "INVITE")
    assert [message.via.transport, message.via.host, message.via.branch] == ["UDP", "198.51.100.4", "older"]
    assert len(message.values("via")) == 3
    assert message.get("subject") == ""
    assert message.get("never-heard-of") == "one line and another"
    assert message.contacts[0].q == 0.25
    assert message.contacts[0].params["mine"] == "yours"
    assert message.route is not None
    assert parse_uri(message.route.uri).is_loose_router
    assert message.to_bytes() == wire


def test_3_1_1_2_every_character_that_grammar_allows() -> None:
    method = "Odd-but_legal.METHOD!%*+`'~09"
    uri = "sip:a-_.!~*'()&=+$,;?/z:p-_.!~*'()&=+$,@desk.example.net;q[]/:&+$=1"
    message = good(
        made(f"{method} {uri} SIP/2.0", CSeq=f"1 {method}", To='"\\\x07 and \\\x00 and \\\x7f" <sip:lena@h>')
    )
    assert message.method == method
    assert (message.target.user, message.target.host) == ("a-_.!~*'()&=+$,;?/z", "desk.example.net")
    assert message.to.display == "\x07 and \x00 and \x7f"


def test_3_1_1_3_percent_that_escapes_and_percent_that_does_not() -> None:
    message = good(made("INVITE sip:sip%3Alena%40desk@example.net SIP/2.0", CSeq="1 INVITE"))
    assert message.target.aor == "sip:sip%3Alena%40desk@example.net"
    message = good(made("%52EGISTER sip:edge.example.net SIP/2.0", CSeq="1 %52EGISTER"))
    assert message.method != "REGISTER"


def test_3_1_1_4_an_escaped_nul_in_a_user() -> None:
    assert good(made("REGISTER sip:h SIP/2.0", CSeq="1 REGISTER", To="sip:a%00b@h")).to.uri == "sip:a%00b@h"
    assert parse_uri("sip:a%00b@h").aor == "sip:a%00b@h"


def test_3_1_1_6_a_message_with_no_space_between_display_name_and_bracket() -> None:
    assert good(made(From="otto<sip:otto@example.net>;tag=44")).from_.display == "otto"


def test_3_1_1_7_long_values_in_header_fields() -> None:
    long = "x" * 6000
    message = good(made(To=f'"{long}" <sip:{long}@{long}.example.org;{long}={long}>;{long};tag=1', Call_ID=f"{long}@h"))
    assert message.to.tag == "1"
    assert message.call_id == f"{long}@h"


def test_3_1_1_8_octets_behind_the_body_of_a_datagram() -> None:
    message = good(
        made("REGISTER sip:h SIP/2.0", b"INVITE sip:other@h SIP/2.0\r\n", CSeq="8 REGISTER", Content_Length="0")
    )
    assert message.body == b""
    assert b"INVITE" not in message.to_bytes()


def test_3_1_1_9_a_semicolon_in_the_user_part() -> None:
    message = good(made("OPTIONS sip:lena;desk=d%40h@example.net SIP/2.0"))
    assert (message.target.user, dict(message.target.params)) == ("lena;desk=d%40h", {})


def test_3_1_1_10_transports_of_all_kinds_in_via() -> None:
    more = "SIP/2.0/SCTP t3,SIP/2.0/TLS t4,SIP/2.0/UNKNOWN t5,SIP/2.0/TCP t6"
    assert len(good(made(START, b"", f"Via: {more}")).values("via")) == 5


def test_3_1_1_12_reason_phrases_in_other_scripts_and_none() -> None:
    for phrase in ("\u0432\u0441\u0451 \u0445\u043e\u0440\u043e\u0448\u043e", ""):
        message = parse(made(f"SIP/2.0 200 {phrase}"))
        assert isinstance(message, Response)
        assert message.phrase == phrase
        assert fault(message) is None


def test_3_1_2_1_extraneous_separators() -> None:
    assert refused(made(Via="SIP/2.0/UDP 198.51.100.4;;,,;;")) == 400


def test_3_1_2_2_a_content_length_that_is_larger_than_the_message() -> None:
    assert refused(made(START, b"short", Content_Length="9999")) == 400


def test_3_1_2_3_a_negative_content_length() -> None:
    wire = made(START, b"body", Content_Length="-999")
    assert refused(wire) == 400
    (broken,) = Framer().feed(wire)
    assert isinstance(broken, BrokenStream)
    assert broken.wrong.answer == 400


def test_3_1_2_4_scalars_that_overflow() -> None:
    assert refused(made(CSeq="99999999999999999999 OPTIONS")) == 400
    assert refused(made(Max_Forwards="300")) == 400
    message = good(made(START, b"", "Expires: 99999999999999999999999", "Contact: <sip:u@h>;expires=999999999999999"))
    assert message.seconds("expires") == 2**32 - 1
    assert message.contacts[0].number("expires") == 2**32 - 1


def test_3_1_2_5_a_response_with_scalars_that_overflow_is_dropped() -> None:
    assert fault(parse(made("SIP/2.0 503 No", CSeq="99999999999999999999999 OPTIONS"))) is not None


def test_3_1_2_6_a_quote_that_is_not_closed() -> None:
    assert refused(made(To='"Lena <sip:lena@example.net>')) == 400


def test_3_1_2_7_a_request_uri_in_brackets() -> None:
    assert refused(made("OPTIONS <sip:lena@example.net> SIP/2.0")) == 400


def test_3_1_2_8_whitespace_within_a_request_uri() -> None:
    assert refused(made("OPTIONS sip:lena@example.net; lr SIP/2.0")) == 400


def test_3_1_2_9_more_than_one_space_in_the_start_line() -> None:
    assert refused(made("OPTIONS  sip:lena@example.net  SIP/2.0")) == 400


def test_3_1_2_10_space_behind_the_start_line_hurts_nobody() -> None:
    assert good(made("OPTIONS sip:lena@example.net SIP/2.0  ")).target.user == "lena"


def test_3_1_2_11_escaped_headers_in_a_request_uri_are_not_obeyed() -> None:
    message = good(made("OPTIONS sip:lena@example.net?Route=%3Csip:x.example.net%3E SIP/2.0"))
    assert message.route is None
    assert message.target.headers == "Route=%3Csip:x.example.net%3E"


def test_3_1_2_12_a_date_of_another_time_zone_hurts_nobody() -> None:
    good(made(START, b"", "Date: Sun, 22 Nov 2026 10:00:00 CET"))


def test_3_1_2_13_a_contact_without_brackets_whose_uri_has_headers() -> None:
    contact = good(made("REGISTER sip:h SIP/2.0", b"", "Contact: sip:user@h?Route=x;q=1", CSeq="1 REGISTER")).contacts[
        0
    ]
    assert (contact.uri, contact.q) == ("sip:user@h?Route=x", 1.0)


def test_3_1_2_14_spaces_within_an_address() -> None:
    assert refused(made(To='"Otto, Lena" < sip:lena@example.net > x')) == 400
    assert parse_name_addr('"Otto, Lena" < sip:lena@example.net >').uri == "sip:lena@example.net"


def test_3_1_2_15_a_display_name_that_is_no_token() -> None:
    assert good(made(From="Otto, or so <sip:otto@example.net>;tag=43")).from_.tag == "43"


def test_3_1_2_16_a_version_that_does_not_exist() -> None:
    assert refused(made("OPTIONS sip:lena@example.net SIP/7.0")) == 505


@pytest.mark.parametrize(
    ("start", "cseq"), [("OPTIONS sip:h SIP/2.0", "8 INVITE"), ("LISTEN sip:h SIP/2.0", "8 INVITE")]
)
def test_3_1_2_17_and_18_methods_that_do_not_agree(start: str, cseq: str) -> None:
    assert refused(made(start, CSeq=cseq)) == 400


def test_3_1_2_19_a_status_of_more_digits_than_three() -> None:
    with pytest.raises(Broken):
        parse(made("SIP/2.0 4294967496 fits in no status"))


def test_3_2_1_a_branch_that_is_the_cookie_and_nothing_more() -> None:
    assert good(made(Via="SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK")).via.branch == "z9hG4bK"


@pytest.mark.parametrize("name", ["Call-ID", "From", "To", "Via", "CSeq"])
def test_3_3_1_fields_that_are_missing(name: str) -> None:
    lines = made().split(b"\r\n")
    assert refused(b"\r\n".join(line for line in lines if not line.startswith(name.encode() + b":"))) == 400


def test_3_3_2_to_4_schemes_that_nobody_serves() -> None:
    assert refused(made("OPTIONS some-scheme:of-nobody SIP/2.0")) == 416
    assert refused(made("OPTIONS blob://198.51.100.4:99 SIP/2.0")) == 416
    good(made(To="doi:10.1000", From="<https://www.example.net>;tag=1"))


def test_3_3_8_fields_that_may_come_once_come_twice() -> None:
    assert refused(made(START, b"", "Call-ID: other")) == 400
    assert refused(made(START, b"", "cseq: 59 OPTIONS")) == 400
    assert refused(made(START, b"", "f: <sip:other@h>;tag=2")) == 400
    assert refused(made(START, b"abc", "Content-Length: 3", "l: 0")) == 400


def test_3_3_9_expires_that_come_twice() -> None:
    assert refused(made(START, b"", "Expires: 0", "Expires: 1")) == 400


def test_3_3_11_a_body_in_a_response_of_unknown_kind_is_passed_on() -> None:
    wire = made("SIP/2.0 200 OK", b"\x00\xff\r\n\r\n--", Content_Type="multipart/mixed;boundary=x", Content_Length="8")
    assert parse(wire).to_bytes() == wire


def test_3_3_13_authorization_of_an_unknown_kind_is_passed_on() -> None:
    message = good(made(START, b"", 'Authorization: Riddle answer=none, x="a, b"'))
    assert message.all("authorization") == ['Riddle answer=none, x="a, b"']


def test_3_4_1_a_request_of_before_rfc3261() -> None:
    message = good(made(Via="SIP/2.0/UDP 192.0.2.1", From="<sip:otto@example.net>", Max_Forwards=None))
    assert (message.via.branch, message.from_.tag, message.max_forwards) == ("", "", None)


class Flood(NamedTuple):
    """A message that is made to cost more than it should."""

    name: str
    wire: bytes


@pytest.mark.parametrize(
    "flood",
    [
        Flood("spaces", made(START + " " * 60_000)),
        Flood("spaces within", made("OPTIONS sip:h" + " " * 60_000 + "x")),
        Flood("quotes", made(To='"' * 60_001)),
        Flood("backslashes", made(To='"' + "\\" * 60_000)),
        Flood("brackets", made(To="<" * 60_000)),
        Flood("brackets and quotes", made(To='<"' * 30_000)),
        Flood("list", made(START, b"", "Via: " + "," * 60_000)),
        Flood("list of quotes", made(START, b"", "Via: " + '"",' * 20_000)),
        Flood("parameters", made(Via=FIELDS["Via"] + ";a" * 30_000)),
        Flood("via", made(Via="SIP/2.0/UDP h" + " " * 60_000 + "x")),
        Flood("user", made("OPTIONS sip:" + "a:" * 30_000 + " SIP/2.0")),
        Flood("host", made("OPTIONS sip:u@" + "a." * 30_000 + "; SIP/2.0")),
        Flood("digits", made(CSeq="1" * 60_000 + " OPTIONS")),
        Flood("folds", made(To="<sip:h>" + "\r\n " * 20_000)),
    ],
    ids=lambda flood: flood.name,
)
def test_a_message_costs_no_more_than_its_length_allows(flood: Flood) -> None:
    """The time limit of a test is the judge: what costs the square of its length runs for minutes."""
    try:
        message = parse(flood.wire)
        fault(message)
        message.values("via")
    except Broken:
        return
    assert message.to_bytes() == flood.wire
