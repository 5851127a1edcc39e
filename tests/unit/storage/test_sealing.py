from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wakeline.model.errors import SecretError
from wakeline.storage.sealing import Sealer, id_of

KEY = bytes(range(32))


def test_a_sealed_secret_opens_with_its_key_and_context() -> None:
    sealer = Sealer(KEY)

    assert sealer.open(sealer.seal(b"secret", "7 apns_key 1"), "7 apns_key 1") == b"secret"


def test_the_same_secret_is_sealed_differently_each_time() -> None:
    sealer = Sealer(KEY)

    assert sealer.seal(b"secret", "row") != sealer.seal(b"secret", "row")


@pytest.mark.parametrize("damage", ["context", "bytes", "version", "key", "short"])
def test_a_changed_sealed_secret_does_not_open(damage: str) -> None:
    sealer = Sealer(KEY)
    sealed, context = sealer.seal(b"secret", "row 1"), "row 1"
    match damage:
        case "context":
            context = "row 2"
        case "bytes":
            sealed = sealed[:-1] + bytes([sealed[-1] ^ 1])
        case "version":
            sealed = b"\x09" + sealed[1:]
        case "key":
            sealer = Sealer(bytes(32))
        case _:
            sealed = sealed[:20]

    with pytest.raises(SecretError):
        sealer.open(sealed, context)


def test_derived_keys_differ_by_purpose_and_stay_the_same() -> None:
    assert Sealer(KEY).derive("cursors") == Sealer(KEY).derive("cursors")
    assert Sealer(KEY).derive("cursors") != Sealer(KEY).derive("device tokens")


def test_a_value_sealed_with_a_former_key_opens_and_new_ones_are_sealed_with_the_current() -> None:
    old, new = Sealer(KEY), Sealer(b"n" * 32, [KEY])
    sealed = old.seal(b"secret", "row")

    assert new.open(sealed, "row") == b"secret"
    assert not new.is_current(sealed)
    assert new.is_current(new.seal(b"secret", "row"))
    with pytest.raises(SecretError, match=new.key_id):
        old.open(new.seal(b"secret", "row"), "row")


def test_what_the_first_releases_sealed_still_opens() -> None:
    nonce = bytes(12)
    sealed = b"\x01" + nonce + AESGCM(Sealer(KEY).derive("seal")).encrypt(nonce, b"secret", b"row")

    for sealer in (Sealer(KEY), Sealer(b"n" * 32, [KEY])):
        assert sealer.open(sealed, "row") == b"secret"
        assert not sealer.is_current(sealed)
    with pytest.raises(SecretError, match="master key"):
        Sealer(bytes(32)).open(sealed, "row")


def test_an_error_names_the_key_that_is_needed_and_shows_none() -> None:
    sealed = Sealer(KEY).seal(b"secret", "row")

    with pytest.raises(SecretError) as caught:
        Sealer(b"n" * 32).open(sealed, "row")

    assert id_of(KEY) in caught.value.detail
    assert KEY.hex()[:8] not in caught.value.detail


def test_signatures_made_before_a_rotation_are_accepted_after_it() -> None:
    sealer = Sealer(KEY)
    before = sealer.derive("device-token")

    sealer.adopt(b"n" * 32, [KEY])

    assert sealer.derive("device-token") != before
    assert sealer.accepted("device-token") == (sealer.derive("device-token"), before)
