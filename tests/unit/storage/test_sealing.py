from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from wakeline.model.errors import ConfigError, SecretError
from wakeline.storage.sealing import Sealer, open_master_key

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


def test_a_master_key_is_made_once_and_only_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "var" / "master.key"

    first = open_master_key(path)

    assert open_master_key(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_who_make_the_master_key_at_once_share_one(tmp_path: Path) -> None:
    path = tmp_path / "master.key"

    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(open_master_key, [path] * 32))

    assert len(keys) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["master.key"]


def test_an_absent_master_key_is_an_error_when_it_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no master key"):
        open_master_key(tmp_path / "master.key", create=False)


@pytest.mark.parametrize("content", [b"not base64!", b"c2hvcnQ="])
def test_a_damaged_master_key_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "master.key"
    path.write_bytes(content)

    with pytest.raises(ConfigError, match=r"master\.key"):
        open_master_key(path)
