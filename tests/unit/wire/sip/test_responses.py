"""Responses and requests of ours, GRUUs and Feature-Caps."""

from __future__ import annotations

import pytest

from wakeline.wire.sip.faults import fault
from wakeline.wire.sip.feature_caps import feature_caps, push_services
from wakeline.wire.sip.gruu import gruu_of, pub_gruu_param, public_gruu
from wakeline.wire.sip.hop_by_hop import ack_of, cancel_of
from wakeline.wire.sip.message import Request, Response, parse
from wakeline.wire.sip.responses import PHRASES, answer, best, rank
from wakeline.wire.sip.uri import parse_uri


def request(text: str) -> Request:
    message = parse(text.replace("\n", "\r\n").encode() + b"\r\n\r\n")
    assert isinstance(message, Request)
    return message


INVITE = request(
    "INVITE sip:bob@192.0.2.9 SIP/2.0\nv: SIP/2.0/UDP p;branch=z9hG4bK2, SIP/2.0/UDP x\nVia:SIP/2.0/UDP a;branch=z9hG4bK1\n"
    "Route: <sip:r;lr>\nFrom:  <sip:a@h>;tag=1\nTo: <sip:b@h>\nCall-ID: 1\nTimestamp: 5\nCSeq: 7 INVITE\nMax-Forwards: 69"
)


def test_a_response_carries_what_finds_its_request() -> None:
    response = answer(INVITE, 180, to_tag="me", fields=[("server", "x")])
    assert response.to_bytes() == (
        b"SIP/2.0 180 Ringing\r\nv: SIP/2.0/UDP p;branch=z9hG4bK2, SIP/2.0/UDP x\r\nVia:SIP/2.0/UDP a;branch=z9hG4bK1\r\n"
        b"From:  <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=me\r\nCall-ID: 1\r\nCSeq: 7 INVITE\r\nServer: x\r\n"
        b"Content-Length: 0\r\n\r\n"
    )
    assert fault(response) is None


def test_100_bears_the_timestamp_and_no_tag() -> None:
    response = answer(INVITE, 100, to_tag="me")
    assert response.get("timestamp") == "5"
    assert response.to.tag == ""
    assert answer(INVITE, 200).get("timestamp") is None


def test_a_tag_that_is_there_stays() -> None:
    inside = request("BYE sip:b@h SIP/2.0\nTo: <sip:b@h> ; TAG=old")
    assert answer(inside, 481, to_tag="me").get("to") == "<sip:b@h> ; TAG=old"


def test_a_request_with_faults_is_answered_with_what_it_has() -> None:
    broken = request('INVITE sip:b@h SIP/2.0\nVia: SIP/2.0/UDP a\nTo: "b <sip:b@h>')
    assert answer(broken, 400, phrase="Bad To", to_tag="me").to_bytes() == (
        b'SIP/2.0 400 Bad To\r\nVia: SIP/2.0/UDP a\r\nTo: "b <sip:b@h>\r\nContent-Length: 0\r\n\r\n'
    )
    assert answer(broken, 299).phrase == "Unknown"


def test_a_body_is_measured() -> None:
    response = answer(INVITE, 200, fields=[("content-type", "text/plain")], body=b"hi")
    assert response.to_bytes().endswith(b"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi")


def test_rfc3261_9_1_a_cancel_follows_its_request() -> None:
    assert cancel_of(INVITE, [("reason", "SIP;cause=200")]).to_bytes() == (
        b"CANCEL sip:bob@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP p;branch=z9hG4bK2\r\nRoute: <sip:r;lr>\r\nMax-Forwards: 70\r\n"
        b"From:  <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: 1\r\nCSeq: 7 CANCEL\r\nContent-Length: 0\r\n"
        b"Reason: SIP;cause=200\r\n\r\n"
    )
    assert "reason" not in cancel_of(INVITE)
    assert fault(cancel_of(INVITE)) is None


def test_rfc3261_17_1_1_3_an_ack_has_the_tag_of_the_response() -> None:
    acknowledged = ack_of(INVITE, answer(INVITE, 486, to_tag="them"))
    assert (acknowledged.method, acknowledged.uri, acknowledged.to.tag) == ("ACK", "sip:bob@192.0.2.9", "them")
    assert (acknowledged.cseq.number, acknowledged.cseq.method) == (7, "ACK")
    assert acknowledged.values("via") == ["SIP/2.0/UDP p;branch=z9hG4bK2"]
    assert acknowledged.values("route") == ["<sip:r;lr>"]
    assert fault(acknowledged) is None


@pytest.mark.parametrize(
    ("statuses", "chosen"),
    [
        ([404, 603, 200], 200),
        ([404, 603, 401], 603),
        ([302, 486, 407], 407),
        ([302, 486], 302),
        ([500, 486, 404], 486),
        ([408, 480, 486], 486),
        ([480, 408], 480),
        ([503, 408], 408),
        ([503, 500], 503),
        ([500], 500),
    ],
)
def test_rfc3261_16_7_the_best_response_goes_on(statuses: list[int], chosen: int) -> None:
    given = [answer(INVITE, status) for status in statuses]
    found = best(given)
    assert found is not None
    assert found.status == (500 if chosen == 503 else chosen)
    assert rank(chosen) == min(map(rank, statuses))


def test_no_response_is_none_best() -> None:
    assert best([]) is None


def test_rfc3261_16_7_step_7_challenges_of_all_branches_are_kept() -> None:
    one = answer(INVITE, 407, fields=[("proxy-authenticate", 'Digest realm="a"')])
    two = answer(INVITE, 401, fields=[("www-authenticate", 'Digest realm="b", nonce="1,2"')])
    found = best([answer(INVITE, 404), one, two])
    assert found is not None
    assert (found.status, found.all("proxy-authenticate"), found.all("www-authenticate")) == (
        407,
        ['Digest realm="a"'],
        ['Digest realm="b", nonce="1,2"'],
    )
    assert "www-authenticate" not in one


def test_rfc3261_16_7_step_6_an_overloaded_branch_does_not_make_us_overloaded() -> None:
    given = answer(INVITE, 503, fields=[("retry-after", "30")])
    found = best([given])
    assert found is not None
    assert (found.status, found.phrase, found.get("retry-after")) == (500, PHRASES[500], None)
    assert found.call_id == "1"
    assert given.status == 503


def test_a_gruu_goes_both_ways() -> None:
    gruu = public_gruu("sip:bob@example.org", "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6")
    assert gruu == "sip:bob@example.org;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
    assert gruu_of(parse_uri(gruu)) == gruu
    assert gruu_of(parse_uri(gruu.replace("urn:", "urn%3A") + ";transport=tcp")) == gruu
    assert gruu_of(parse_uri("sip:bob@example.org")) is None
    assert gruu_of(parse_uri("sip:bob@example.org;gr")) is None
    assert pub_gruu_param(gruu) == ("pub-gruu", f'"{gruu}"')


def test_an_instance_cannot_break_out_of_its_gruu() -> None:
    gruu = public_gruu("sip:bob@h", 'x>;y="\u00e9"')
    assert gruu == "sip:bob@h;gr=x%3E%3By%3D%22%C3%A9%22"
    assert gruu_of(parse_uri(gruu)) == gruu


def test_rfc8599_5_4_feature_caps_are_written_and_read() -> None:
    assert feature_caps("apns") == '*;+sip.pns="apns"'
    assert (
        feature_caps("webpush", pnsreg=130, vapid="BKey") == '*;+sip.pns="webpush";+sip.pnsreg="130";+sip.vapid="BKey"'
    )
    message = Response.make(
        200, "OK", [("feature-caps", feature_caps("apns")), ("feature-caps", '+sip.pns="fcm", *;+sip.x')]
    )
    assert push_services(message) == ["apns", "fcm"]
    assert push_services(Response.make(200, "OK")) == []
