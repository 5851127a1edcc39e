"""A message is read lazily and leaves as it came."""

from __future__ import annotations

import pytest

from wakeline.model.errors import LocalProtocolError
from wakeline.wire.sip.broken import Broken
from wakeline.wire.sip.faults import fault
from wakeline.wire.sip.message import Request, Response, parse
from wakeline.wire.sip.push_params import hide


def sip(text: str, body: bytes = b"") -> bytes:
    """Return a message with CRLF at its line ends."""
    return text.strip("\n").replace("\n", "\r\n").encode() + b"\r\n\r\n" + body


INVITE = """
INVITE sip:bob@192.0.2.9:5060;transport=tcp SIP/2.0
Via: SIP/2.0/TCP 192.0.2.7:5071;branch=z9hG4bK.aaa;rport
v: SIP/2.0/UDP a.example.org , SIP/2.0/UDP "b".example.org
FROM:"Alice, \\"A\\"" <sip:alice@example.org>;tag=abc
t: <sip:bob@example.org>
CSeq: 20
  INVITE
i : aQ3f
Max-Forwards: 70
Route: <sip:one.example.org;lr>, <sip:two.example.org;lr>
Route: <sip:three.example.org;lr>
X-Odd-Name:   kept   as it is\t
Supported: replaces, outbound
k: gruu
Content-Length: 3
"""


def invite() -> Request:
    message = parse(sip(INVITE, b"v=0"))
    assert isinstance(message, Request)
    return message


def test_what_nobody_touched_leaves_byte_for_byte() -> None:
    wire = sip(INVITE, b"v=0")
    message = parse(wire)
    _ = message.to, message.cseq, message.call_id, message.values("route"), message.get("x-odd-name")
    assert message.to_bytes() == wire
    assert message.copy().to_bytes() == wire
    assert bytes(message) == wire


def test_names_are_found_in_any_case_and_in_their_compact_form() -> None:
    message = invite()
    assert message.from_.tag == "abc"
    assert message.to.uri == "sip:bob@example.org"
    assert message.call_id == "aQ3f"
    assert message.values("supported") == ["replaces", "outbound", "gruu"]
    assert "gruu" in message.options("supported")
    assert message.options("require") == set()
    assert "x-odd-name" in message
    assert "subject" not in message
    assert message.get("subject") is None
    assert message.names()[:3] == ["via", "via", "from"]


def test_a_folded_value_is_one_line_to_its_reader() -> None:
    message = invite()
    assert message.get("cseq") == "20 INVITE"
    assert (message.cseq.number, message.cseq.method) == (20, "INVITE")


def test_a_fold_with_nothing_in_it_leaves_no_line_end_in_the_value() -> None:
    wire = b"OPTIONS sip:h SIP/2.0\r\nContact: <sip:a@h;pn-prid=1>\r\n \r\n\t\r\nSubject:\r\n  \r\n\r\n"
    message = parse(wire)
    assert message.get("contact") == "<sip:a@h;pn-prid=1>"
    assert message.get("subject") == ""
    assert message.to_bytes() == wire
    hide(message)
    assert message.lines("contact") == ["Contact: <sip:a@h>"]


def test_lists_run_over_all_fields_of_a_name_and_split_outside_quotes_and_brackets() -> None:
    message = parse(sip('OPTIONS sip:h SIP/2.0\nm: "a, b" <sip:a,b@h>;x=",", <sip:c@h>\nContact: sip:d@h\nContact:'))
    assert message.values("contact") == ['"a, b" <sip:a,b@h>;x=","', "<sip:c@h>", "sip:d@h"]
    assert [contact.uri for contact in message.contacts] == ["sip:a,b@h", "sip:c@h", "sip:d@h"]
    assert message.all("contact")[2] == ""


def test_a_changed_field_changes_nothing_beside_it() -> None:
    wire = sip(INVITE, b"v=0")
    message = invite()
    message.set("max-forwards", "69")
    assert message.max_forwards == 69
    assert message.to_bytes() == wire.replace(b"Max-Forwards: 70", b"Max-Forwards: 69")


def test_a_proxy_adds_its_via_on_top_and_takes_it_off_again() -> None:
    wire = sip(INVITE, b"v=0")
    message = invite()
    assert message.via.branch == "z9hG4bK.aaa"
    message.prepend("via", "SIP/2.0/UDP proxy.example.org;branch=z9hG4bK.p")
    assert message.via.branch == "z9hG4bK.p"
    assert message.to_bytes().split(b"\r\n")[1] == b"Via: SIP/2.0/UDP proxy.example.org;branch=z9hG4bK.p"
    message.remove_first("via")
    assert message.via.branch == "z9hG4bK.aaa"
    assert message.to_bytes() == wire


def test_the_first_route_of_a_list_goes_and_the_others_stay() -> None:
    message = invite()
    assert message.route is not None
    assert message.route.uri == "sip:one.example.org;lr"
    message.remove_first("route")
    assert message.lines("route") == ["Route: <sip:two.example.org;lr>", "Route: <sip:three.example.org;lr>"]
    message.remove_first("route")
    message.remove_first("route")
    message.remove_first("route")
    assert message.route is None


def test_the_first_item_of_a_list_is_replaced() -> None:
    message = invite()
    message.set_first("route", "<sip:new.example.org;lr>")
    assert message.values("route")[:2] == ["<sip:new.example.org;lr>", "<sip:two.example.org;lr>"]


def test_fields_that_are_new_go_to_the_end_and_a_first_one_to_the_top() -> None:
    request = Request.make("OPTIONS", "sip:h", [("subject", "x")])
    request.set("expires", "1")
    request.prepend("via", "SIP/2.0/UDP h")
    request.append("call-id", "1")
    assert request.names() == ["via", "subject", "content-length", "expires", "call-id"]
    request.replace("subject", ["a", "b"])
    request.remove("expires")
    assert request.names() == ["via", "subject", "subject", "content-length", "call-id"]


def test_a_copy_has_its_own_fields() -> None:
    message = invite()
    other = message.copy()
    other.set("to", "<sip:carol@example.org>")
    other.uri = "sip:carol@192.0.2.1"
    assert message.to.uri == "sip:bob@example.org"
    assert message.target.user == "bob"
    assert other.target.user == "carol"
    assert other.to_bytes().startswith(b"INVITE sip:carol@192.0.2.1 SIP/2.0\r\n")


def test_names_that_we_write_are_spelt_as_in_their_rfc() -> None:
    request = Request.make(
        "OPTIONS", "sip:h", [(name, "1") for name in ("cseq", "call-id", "www-authenticate", "x-mine")]
    )
    assert [line.split(b":")[0] for line in request.to_bytes().split(b"\r\n")[1:5]] == [
        b"CSeq",
        b"Call-ID",
        b"WWW-Authenticate",
        b"X-Mine",
    ]


def test_nothing_of_ours_can_break_a_line() -> None:
    request = Request.make("OPTIONS", "sip:h")
    with pytest.raises(LocalProtocolError):
        request.append("subject", "x\r\nVia: y")
    with pytest.raises(LocalProtocolError):
        request.uri = "sip:h SIP/2.0\r\nVia: y"
    with pytest.raises(LocalProtocolError):
        Request.make("OPTIONS", "sip:h h")


def test_bytes_that_are_no_utf8_survive() -> None:
    wire = sip("OPTIONS sip:h SIP/2.0").replace(b"\r\n\r\n", b"\r\nSubject: \xff\xfe\r\n\r\n")
    message = parse(wire)
    value = message.get("subject")
    assert value is not None
    message.set("subject", value)
    assert message.to_bytes() == wire


def test_what_only_python_takes_for_a_line_end_is_none() -> None:
    wire = sip("OPTIONS sip:h SIP/2.0\nSubject: a\x0bb\x0c\x1c\x85c\u2028d\nTo: <sip:h>")
    message = parse(wire)
    assert message.get("subject") == "a\x0bb\x0c\x1c\x85c\u2028d"
    assert message.names() == ["subject", "to"]
    assert message.to_bytes() == wire


def test_a_field_is_there_or_not_in_what_we_made_too() -> None:
    request = Request.make("OPTIONS", "sip:h", [("subject", "x"), ("subject", "y")])
    assert "subject" in request
    assert "to" not in request
    assert request.has_repeats
    request.remove("subject")
    assert "subject" not in request
    assert not request.has_repeats


def test_as_much_as_is_allowed_is_read() -> None:
    start = b"OPTIONS sip:h SIP/2.0\r\n"
    assert len(parse(start + b"X: y\r\n" * 256 + b"\r\n").names()) == 256
    rest = 65_536 - len(start) - len(b"X: \r\n\r\n")
    assert len(parse(start + b"X: " + b"y" * rest + b"\r\n\r\n").to_bytes()) == 65_536
    with pytest.raises(Broken) as caught:
        parse(start + b"X: " + b"y" * (rest + 1) + b"\r\n\r\n")
    assert caught.value.answer == 513


def test_a_body_ends_where_content_length_says() -> None:
    message = parse(sip("OPTIONS sip:h SIP/2.0\nl: 2", b"abcdef"))
    assert message.body == b"ab"
    assert message.to_bytes().endswith(b"\r\n\r\nab")


def test_a_stream_gets_the_content_length_that_a_datagram_lacked() -> None:
    message = parse(sip("OPTIONS sip:h SIP/2.0", b"abc"))
    assert b"Content-Length" not in message.to_bytes()
    assert message.to_bytes(stream=True).endswith(b"\r\nContent-Length: 3\r\n\r\nabc")
    with_length = parse(sip("OPTIONS sip:h SIP/2.0\nContent-Length: 3", b"abc"))
    assert with_length.to_bytes(stream=True).count(b"Content-Length") == 1


def test_a_body_brings_its_length_and_type() -> None:
    request = Request.make("MESSAGE", "sip:h")
    request.set_body(b"hello", "text/plain")
    assert (request.get("content-type"), request.get("content-length")) == ("text/plain", "5")
    request.set_body(b"hello you")
    assert (request.get("content-type"), request.get("content-length")) == ("text/plain", "9")
    request.set_body(b"")
    assert (request.get("content-type"), request.get("content-length")) == (None, "0")


def test_a_response_is_read() -> None:
    wire = sip("SIP/2.0 183 Session in\u2009progress\nContent-Length: 0")
    message = parse(wire)
    assert isinstance(message, Response)
    assert not Response.make(199, "").is_final
    assert Response.make(200, "").is_final
    assert (message.status, message.phrase, message.is_final) == (183, "Session in\u2009progress", False)
    assert message.to_bytes() == wire
    assert message.copy().to_bytes() == wire
    assert message.restated(500, "Server Internal Error").to_bytes() == sip(
        "SIP/2.0 500 Server Internal Error\nContent-Length: 0"
    )
    assert Response.make(200, "OK").to_bytes() == sip("SIP/2.0 200 OK\nContent-Length: 0")


def test_seconds_are_read_or_are_none() -> None:
    message = parse(
        sip("REGISTER sip:h SIP/2.0\nExpires: 3600\nMin-Expires: many\nSession-Expires: 1800;refresher=uac")
    )
    assert message.seconds("expires") == 3600
    assert message.seconds("min-expires") is None
    assert message.seconds("session-expires") == 1800
    assert message.seconds("retry-after") is None


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"\x00",
        b"INVITE sip:h SIP/2.0\r\nVia: x",
        b"INVITE sip:h\r\n\r\n",
        b"INVITE  SIP/2.0\r\n\r\n",
        b"IN\x01VITE sip:h SIP/2.0\r\n\r\n",
        b"SIP/2.0 99 No\r\n\r\n",
        b"SIP/2.0 4294967301 Big\r\n\r\n",
        b"INVITE sip:h SIP/2.0\r\n folded\r\n\r\n",
        b"INVITE sip:h SIP/2.0\r\nNo colon\r\n\r\n",
        b"INVITE sip:h SIP/2.0\r\n: empty\r\n\r\n",
        b"INVITE sip:h SIP/2.0\r\nA B: x\r\n\r\n",
        b"INVITE sip:h SIP/2.0\r\nSubject: a\nVia: smuggled\r\n\r\n",
        b"INVITE sip:h SIP/2.0\r\nSubject: a\rVia: smuggled\r\n\r\n",
        b"INVITE sip:h SIP/2.0\r\n" + b"X: y\r\n" * 257 + b"\r\n",
        b"INVITE sip:h SIP/2.0\r\nX: " + b"y" * 65_536 + b"\r\n\r\n",
    ],
)
def test_what_is_no_message_is_refused(wire: bytes) -> None:
    with pytest.raises(Broken):
        parse(wire)


GOOD = """
OPTIONS sip:bob@h SIP/2.0
Via: SIP/2.0/UDP h;branch=z9hG4bK1
From: <sip:a@h>;tag=1
To: <sip:b@h>
Call-ID: 1
CSeq: 1 OPTIONS
Max-Forwards: 70
Content-Length: 0
"""


def test_as_many_via_as_are_allowed_are_no_fault() -> None:
    vias = ", ".join(f"SIP/2.0/UDP h{number}" for number in range(32))
    message = GOOD.replace("SIP/2.0/UDP h;branch=z9hG4bK1", vias)
    assert fault(parse(sip(message))) is None
    assert fault(parse(sip(message.replace("From:", "Via: SIP/2.0/UDP h\nFrom:")))) is not None


def test_a_good_message_has_no_fault() -> None:
    assert fault(parse(sip(GOOD))) is None
    assert fault(parse(sip(GOOD.replace("OPTIONS sip:bob@h SIP/2.0", "SIP/2.0 200 OK")))) is None


@pytest.mark.parametrize(
    ("old", "new", "answer"),
    [
        ("SIP/2.0\n", "SIP/7.0\n", 505),
        ("sip:bob@h", "mailto:bob@h", 416),
        ("sip:bob@h", "<sip:bob@h>", 400),
        ("sip:bob@h", "sip:bob@h; lr", 400),
        ("Via: SIP/2.0/UDP h", "Via: SIP/2.0/UDP", 400),
        ("Via:", "X:", 400),
        ("From:", "X:", 400),
        ("To:", "X:", 400),
        ("Call-ID: 1", "Call-ID:", 400),
        ("CSeq: 1 OPTIONS", "CSeq: 1 INVITE", 400),
        ("CSeq: 1 OPTIONS", "CSeq: 36893488147419103232 OPTIONS", 400),
        ("CSeq: 1 OPTIONS", "CSeq: 4294967296 OPTIONS", 400),
        ("Max-Forwards: 70", "Max-Forwards: 256", 400),
        ("Max-Forwards: 70", "Max-Forwards: -1", 400),
        ("Max-Forwards: 70", "Max-Forwards: 70\nMax-Forwards: 69", 400),
        ("To:", "t: <sip:c@h>\nTo:", 400),
        ("Content-Length: 0", "Content-Length: 1", 400),
        ("Content-Length: 0", "Content-Length: -1", 400),
        ("Content-Length: 0", f"Content-Length: {'9' * 5000}", 400),
        ("Content-Length: 0", "Content-Length: 0\nl: 0", 400),
        ("Via:", "Via: " + "SIP/2.0/UDP x," * 32 + "SIP/2.0/UDP y\nVia:", 400),
        ("Via:", "Via: SIP/2.0/UDP x, ;;\nVia:", 400),
    ],
)
def test_a_fault_names_the_status_that_answers_it(old: str, new: str, answer: int) -> None:
    assert old in GOOD
    wrong = fault(parse(sip(GOOD.replace(old, new, 1))))
    assert wrong is not None
    assert wrong.answer == answer


def test_a_repr_shows_no_uri_and_no_field() -> None:
    assert repr(invite()) == "Request(INVITE, 'aQ3f')"
    assert repr(parse(sip("SIP/2.0 200 OK\ni: 7"))) == "Response(200, '7')"
