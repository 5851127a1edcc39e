"""Nothing that a peer can send breaks the reader, and what it read leaves as it came."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzing import REPEATABLE, examples
from wakeline.wire.sip.broken import Broken
from wakeline.wire.sip.digest import parse_credentials
from wakeline.wire.sip.faults import fault
from wakeline.wire.sip.feature_caps import push_services
from wakeline.wire.sip.fields import Message
from wakeline.wire.sip.framing import BrokenStream, Framer, KeepAlive
from wakeline.wire.sip.gruu import gruu_of, public_gruu
from wakeline.wire.sip.headers import parse_name_addr, parse_via
from wakeline.wire.sip.message import Request, Response, parse
from wakeline.wire.sip.pieces import decode, encode, parse_params, quote, split_values, unquote
from wakeline.wire.sip.push_params import hidden, hide, push_of
from wakeline.wire.sip.responses import answer
from wakeline.wire.sip.uri import parse_uri, same_uri

fuzzed = settings(max_examples=examples(150), deadline=None, derandomize=REPEATABLE)

NAMES = st.sampled_from(
    ["Via", "v", "From", "f", "To", "t", "Call-ID", "i", "CSeq", "Contact", "m", "Route", "Max-Forwards", "Content-Length", "l",
     "Supported", "Expires", "Feature-Caps", "Authorization", "X-Any", "sUbJeCt", "To  "]
)  # fmt: skip
PIECES = st.sampled_from(
    ["sip:bob@h", "sip:", "SIP/2.0/UDP h", "<", ">", '"', "\\", ";", ",", "=", "@", "?", "%41", "%", ":", " ", "\t", "\r\n ",
     "tag=1", "branch=z9hG4bK1", "pn-provider=apns", "pn-prid=ab:voip&cd", "pn-param=T.a.voip", "app-id=x", "rport", "1", "70",
     "INVITE", "*", "[::1]", "+sip.pns", "Digest ", "\udcff", "\u00e9", "\x00",
     "\x0b", "\x85", "\u2028"]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=12).map("".join)
LENGTHS = st.builds(
    lambda name, between, number: f"{name}{between}{number}".encode(),
    st.sampled_from(["Content-Length", "l", "L ", "cONTENT-lENGTH\t"]),
    st.sampled_from([":", ": ", ":\r\n ", ":\t"]),
    st.integers(0, 25),
)
LINES = LENGTHS | st.tuples(NAMES, st.sampled_from([":", ": ", " :\t"]), TEXTS).map(
    lambda parts: encode("".join(parts))
)
STARTS = st.one_of(
    st.sampled_from([b"INVITE sip:bob@h SIP/2.0", b"SIP/2.0 200 OK", b"REGISTER sip:h;pn-prid=1 SIP/2.0", b"A b c"]),
    TEXTS.map(lambda text: encode(f"INVITE {text} SIP/2.0")),
)
MESSAGES = st.builds(
    lambda start, lines, body: b"\r\n".join([start, *lines, b"", body]),
    STARTS,
    st.lists(LINES, max_size=14),
    st.binary(max_size=20),
)


def read_all(message: Message) -> None:
    """Read whatever can be read, as proxy and registrar would."""
    message.names()
    for name in set(message.names()):
        message.get(name)
        message.all(name)
        message.lines(name)
        message.seconds(name)
    for read in (
        lambda: message.via.params,
        lambda: message.via.came_from("192.0.2.1", 9),
        lambda: (message.from_.tag, message.from_.instance, message.from_.q),
        lambda: message.to.tag,
        lambda: message.cseq,
        lambda: message.call_id,
        lambda: [push_of(contact) for contact in message.contacts],
        lambda: message.route,
        lambda: push_services(message),
        lambda: parse_credentials(message.get("authorization") or ""),
        lambda: [message.values(name) for name in set(message.names())],
    ):
        try:
            read()
        except Broken:
            continue


@fuzzed
@given(MESSAGES)
def test_what_was_read_and_not_changed_leaves_byte_for_byte(wire: bytes) -> None:
    try:
        message = parse(wire)
    except Broken:
        return
    read_all(message)
    if fault(message) is None and isinstance(message, Request):
        assert answer(message, 200, to_tag="x").via.text == message.via.text
    written = message.to_bytes()
    assert wire.startswith(written)
    assert message.copy().to_bytes() == written
    assert parse(written).to_bytes() == written


@fuzzed
@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(wire: bytes) -> None:
    try:
        message = parse(wire + b"\r\n\r\n")
    except Broken:
        return
    read_all(message)
    fault(message)


@fuzzed
@given(MESSAGES)
def test_after_a_change_only_that_field_differs(wire: bytes) -> None:
    try:
        message = parse(wire)
    except Broken:
        return
    before = {name: message.lines(name) for name in message.names()}
    message.prepend("via", "SIP/2.0/UDP us")
    message.set("max-forwards", "7")
    again = parse(message.to_bytes()[: len(message.to_bytes()) - len(message.body)])
    assert again.via.text == "SIP/2.0/UDP us"
    assert again.get("max-forwards") == "7"
    for name, lines in before.items():
        if name not in ("via", "max-forwards"):
            assert again.lines(name) == lines
    assert again.lines("via")[1:] == before.get("via", [])


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(
            ["set", "set_first", "prepend", "append", "remove", "remove_first", "replace", "copy", "forget_parsed"]
        ),
        st.sampled_from(["via", "from", "contact", "route", "x-any", "subject"]),
        st.sampled_from(["SIP/2.0/UDP us", " <sip:a;b>, <sip:c> ", "1", '"a,b" <sip:d>', ""]),
    ),
    max_size=6,
)


def changed(message: Request | Response, way: str, name: str, value: str) -> Request | Response:
    """Return a message after one change."""
    match way:
        case "copy":
            message.copy().set(name, value)
            return message.copy()
        case "forget_parsed":
            message.forget_parsed()
        case "remove" | "remove_first":
            getattr(message, way)(name)
        case "replace":
            message.replace(name, [value] * (len(value) % 3))
        case _:
            getattr(message, way)(name, value)
    return message


@fuzzed
@given(MESSAGES, CHANGES)
def test_a_changed_message_says_what_its_reader_will_find(wire: bytes, changes: list[tuple[str, str, str]]) -> None:
    try:
        message = parse(wire)
        for change in changes:
            message = changed(message, *change)
    except Broken:
        return
    again = parse(message.to_bytes())
    assert again.names() == message.names()
    assert again.has_repeats == message.has_repeats
    for name in {*message.names(), "contact", "route"}:
        assert (again.get(name), again.all(name)) == (message.get(name), message.all(name))
        assert (name in again) == (name in message)


@fuzzed
@given(MESSAGES)
def test_nothing_that_goes_on_bears_a_push_parameter(wire: bytes) -> None:
    try:
        message = parse(wire)
        hide(message)
        contacts = message.contacts
    except Broken:
        return
    for contact in contacts:
        assert push_of(contact) is None
        assert hidden(contact.text) == contact.text


@fuzzed
@given(st.lists(st.one_of(MESSAGES, st.sampled_from([b"\r\n", b"\r\n\r\n"])), max_size=4), st.integers(1, 40))
def test_a_stream_is_cut_the_same_in_any_portions(parts: list[bytes], step: int) -> None:
    stream = b"".join(parts)
    whole, chopped = Framer(), Framer()
    expected = whole.feed(stream)
    found = [item for at in range(0, len(stream), step) for item in chopped.feed(stream[at : at + step])]
    assert [item for item in found if isinstance(item, bytes)] == [item for item in expected if isinstance(item, bytes)]
    assert any(isinstance(item, BrokenStream) for item in found) == any(
        isinstance(item, BrokenStream) for item in expected
    )
    for item in expected:
        if isinstance(item, bytes):
            assert item in stream
        else:
            assert isinstance(item, KeepAlive | BrokenStream)


@fuzzed
@given(st.lists(MESSAGES, max_size=3))
def test_a_message_of_a_stream_ends_where_its_reader_thinks_it_ends(parts: list[bytes]) -> None:
    """Where framing and parsing disagree, somebody's body is somebody else's request."""
    for item in Framer().feed(b"".join(parts)):
        if isinstance(item, bytes):
            try:
                message = parse(item)
            except Broken:
                continue
            assert message.to_bytes() == item
            if fault(message) is None:
                assert (message.content_length or 0) == len(message.body)


@fuzzed
@given(TEXTS)
def test_values_are_read_or_refused(text: str) -> None:
    for read in (parse_uri, parse_via, parse_name_addr, parse_params, split_values, hidden):
        try:
            read(text)
        except Broken:
            continue


@fuzzed
@given(TEXTS)
def test_a_uri_that_was_read_is_itself(text: str) -> None:
    try:
        uri = parse_uri(f"sip:{text.strip()}")
    except Broken:
        return
    assert same_uri(uri, parse_uri(uri.text))
    assert parse_uri(uri.aor).aor == uri.aor
    assert uri.text.startswith(uri.bare)
    assert parse_uri(uri.bare).host == uri.host


@fuzzed
@given(st.text(max_size=30))
def test_quotes_and_instances_go_both_ways(text: str) -> None:
    assert unquote(quote(text)) == text
    gruu = public_gruu("sip:bob@h", text)
    if text:
        assert gruu_of(parse_uri(gruu)) == gruu


@fuzzed
@given(st.binary(max_size=30))
def test_bytes_survive_as_text(data: bytes) -> None:
    assert encode(decode(data)) == data
