"""Damaged files: whatever happened to one on its way, there is a verdict, and a refused file leaves no secret behind.

A .p12 is only cut: a changed byte may be its number of rounds, and then reading it takes minutes (which is why the gateway
judges files in a process apart).
"""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzing import REPEATABLE, examples
from unit.wire.credential_material import KEY, NOW_MS, RSA_KEY, certificate, p12, pem, service_account
from wakeline.model.credential import Grade
from wakeline.wire.credential_file import Expectation, inspect

LEAF = certificate(topics=("com.example.chat", "com.example.chat.voip"))
WHOLE = [
    pem(KEY),
    LEAF.public_bytes(Encoding.PEM) + pem(RSA_KEY),
    LEAF.public_bytes(Encoding.DER),
    KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
    service_account(),
]
BOXED = p12(RSA_KEY, LEAF)

Damage = list[tuple[float, int, bytes]]


def damaged(data: bytes, damage: Damage) -> bytes:
    """The data with stretches of it replaced: (where, how many bytes, by what)."""
    for where, length, instead in damage:
        place = int(where * len(data))
        data = data[:place] + instead + data[place + length :]
    return data


def judge(data: bytes) -> Grade:
    found = inspect(data, Expectation(now=NOW_MS, key_id="ABC123DEFG", team_id="TEAM123456"))
    usable = found.verdict.grade is not Grade.REFUSED
    assert (found.facts is not None) is usable
    assert (found.secret is not None) is usable
    assert found.verdict.notes or usable
    return found.verdict.grade


@settings(max_examples=examples(120), derandomize=REPEATABLE, deadline=None)
@given(
    st.sampled_from(WHOLE),
    st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 8), st.binary(max_size=6)), min_size=1, max_size=6
    ),
)
def test_a_damaged_file_gets_a_verdict(data: bytes, damage: Damage) -> None:
    judge(damaged(data, damage))


@pytest.mark.parametrize("data", [*WHOLE, BOXED], ids=["p8", "pem", "cer", "der", "json", "p12"])
def test_a_file_that_was_cut_is_refused(data: bytes) -> None:
    for kept in range(0, len(data) - 40, 37):
        assert judge(data[:kept]) is Grade.REFUSED


def test_a_certificate_of_an_unknown_version_is_refused_and_not_an_error() -> None:
    """X.509 counts its versions from zero: `02 01 02` is the third, and there is no tenth."""
    changed = LEAF.public_bytes(Encoding.DER).replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x09", 1)

    assert judge(changed) is Grade.REFUSED
