"""Credential files that would keep the gateway busy for minutes."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from wakeline.model.credential import CredentialKind, Grade
from wakeline.service.judging import Judge
from wakeline.wire.credential_file import Expectation, inspect

pytestmark = pytest.mark.anyio

EXPECTATION = Expectation(now=1_795_000_000_000, app=7, key_id="ABC123DEFG", team_id="TEAM123456")


def _integer(value: int) -> bytes:
    content = value.to_bytes(value.bit_length() // 8 + 1)
    return b"\x02" + _length(len(content)) + content


def _length(length: int) -> bytes:
    if length < 0x80:
        return bytes([length])
    content = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes([0x80 | len(content)]) + content


def endless_key() -> bytes:
    """An RSA key of 21,000 bits, in PKCS#1: the two Mersenne primes in it are primes, which takes a minute to see."""
    one, other, public = (1 << 9941) - 1, (1 << 11213) - 1, 65537
    private = pow(public, -1, (one - 1) * (other - 1))
    parts = (private % (one - 1), private % (other - 1), pow(other, -1, one))
    content = b"".join(map(_integer, (0, one * other, public, private, one, other, *parts)))
    der = b"\x30" + _length(len(content)) + content
    label = b"RSA PRIVATE KEY"
    return b"-----BEGIN %s-----\n%s-----END %s-----\n" % (label, base64.encodebytes(der), label)


async def test_a_file_is_judged_as_it_would_be_here() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    file = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    found = await Judge().inspect(file, EXPECTATION)

    assert found == inspect(file, EXPECTATION)
    assert found.secret is not None
    assert found.secret.kind is CredentialKind.APNS_KEY


async def test_what_a_refused_file_lacks_is_told() -> None:
    found = await Judge().inspect(b"nonsense", EXPECTATION)

    assert found == inspect(b"nonsense", EXPECTATION)
    assert found.verdict.grade is Grade.REFUSED


async def test_a_key_that_takes_a_minute_to_read_is_refused_in_time() -> None:
    """Nothing here measures the time: the minute is longer than any test may take."""
    found = await Judge(seconds=1.0).inspect(endless_key(), EXPECTATION)

    assert found.verdict.grade is Grade.REFUSED
    assert "too long" in found.verdict.notes[0]
