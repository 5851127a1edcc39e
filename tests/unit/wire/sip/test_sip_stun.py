"""STUN keep-alives, against the published test vectors of RFC 5769 section 2 and their like without credentials."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeline.wire.sip.stun import is_stun, stun_answer

TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")
REQUEST = bytes.fromhex("000100002112a442") + TRANSACTION


def test_an_ipv4_address_is_told_as_in_rfc_5769_section_2_2() -> None:
    answer = stun_answer(REQUEST, "192.0.2.1", 32853)
    assert answer is not None
    assert answer == bytes.fromhex("0101000c2112a442") + TRANSACTION + bytes.fromhex("002000080001a147e112a643")


def test_an_ipv6_address_is_told_as_in_rfc_5769_section_2_3() -> None:
    answer = stun_answer(REQUEST, "2001:db8:1234:5678:11:2233:4455:6677", 32853)
    assert answer is not None
    assert answer[20:] == bytes.fromhex("002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(bytes.fromhex("010100002112a442") + TRANSACTION, id="a response"),
        pytest.param(bytes.fromhex("000100082112a442") + TRANSACTION, id="cut off"),
        pytest.param(
            bytes.fromhex("000100082112a442") + TRANSACTION + bytes.fromhex("0006000461626364"), id="with a user name"
        ),
    ],
)
def test_what_is_no_keep_alive_is_not_answered(data: bytes) -> None:
    assert is_stun(data)
    assert stun_answer(data, "192.0.2.1", 5060) is None


def test_optional_attributes_are_passed_over() -> None:
    software = bytes.fromhex("8022000561626364650000008028000400000000")
    data = REQUEST[:2] + len(software).to_bytes(2) + REQUEST[4:] + software
    assert stun_answer(data, "192.0.2.1", 5060) is not None


@given(data=st.binary(max_size=80))
def test_nothing_that_looks_like_it_breaks_it(data: bytes) -> None:
    wrapped = data[:1] + b"\x01\x00" + data[1:2] + bytes.fromhex("2112a442") + data[2:]
    if is_stun(wrapped):
        stun_answer(wrapped, "192.0.2.1", 5060)


def test_sip_and_keep_alives_are_not_stun() -> None:
    assert not is_stun(b"OPTIONS sip:example.org SIP/2.0\r\n")
    assert not is_stun(b"\r\n\r\n")
