"""The master key file: made once, replaced whole, and it shows its keys to nobody."""

from __future__ import annotations

import base64
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from wakeline.model.errors import ConfigError
from wakeline.storage.keyring import FormerKey, Keyring, open_keyring, parse, sweep, write

OLD, NEW = b"o" * 32, b"n" * 32
DAY = 86_400_000


def test_a_master_key_is_made_once_and_only_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "var" / "master.key"

    first = open_keyring(path)

    assert open_keyring(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_who_make_the_master_key_at_once_share_one(tmp_path: Path) -> None:
    path = tmp_path / "master.key"

    with ThreadPoolExecutor(8) as pool:
        rings = list(pool.map(open_keyring, [path] * 32))

    assert len({ring.current for ring in rings}) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["master.key"]


def test_an_absent_master_key_is_an_error_when_it_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no master key"):
        open_keyring(tmp_path / "master.key", create=False)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"not base64!",
        b"c2hvcnQ=",
        b"\xff\xfe",
        base64.b64encode(NEW) + b"\ngarbage",
        base64.b64encode(NEW) + b" until never",
        base64.b64encode(NEW) + b" since 2026-01-01T00:00:00Z",
    ],
)
def test_a_damaged_master_key_is_named_and_not_shown(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "master.key"
    path.write_bytes(content)

    with pytest.raises(ConfigError, match=r"master\.key") as caught:
        open_keyring(path)

    assert base64.b64encode(NEW).decode() not in caught.value.detail


def test_a_ring_is_written_and_read_back_with_its_former_keys(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    open_keyring(path)
    ring = Keyring(NEW, (FormerKey(OLD, 20_000 * DAY), FormerKey(b"x" * 32)))

    write(path, ring)

    assert open_keyring(path) == ring
    assert [file.name for file in tmp_path.iterdir()] == ["master.key"]


def test_the_file_keeps_its_mode_and_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    real, path = tmp_path / "elsewhere" / "key", tmp_path / "master.key"
    open_keyring(real)
    real.chmod(0o640)
    path.symlink_to(real)

    write(path, Keyring(NEW))

    assert path.is_symlink()
    assert open_keyring(real).current == NEW
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_what_a_crash_left_beside_the_file_is_swept(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    open_keyring(path)
    (tmp_path / ".master.key.new").write_bytes(b"half a k")

    sweep(path)

    assert [file.name for file in tmp_path.iterdir()] == ["master.key"]


def test_a_successor_keeps_the_former_keys_that_are_still_needed() -> None:
    ring = Keyring(OLD, (FormerKey(b"a" * 32, 5 * DAY), FormerKey(b"b" * 32, 50 * DAY), FormerKey(b"c" * 32)))

    after = ring.succeeded_by(NEW, now=10 * DAY, until=90 * DAY)

    assert after == Keyring(NEW, (FormerKey(OLD, 90 * DAY), FormerKey(b"b" * 32, 50 * DAY), FormerKey(b"c" * 32)))


def test_going_back_to_a_former_key_does_not_hold_it_twice() -> None:
    ring = Keyring(NEW, (FormerKey(OLD, 50 * DAY),))

    assert ring.succeeded_by(OLD, now=0, until=90 * DAY) == Keyring(OLD, (FormerKey(NEW, 90 * DAY),))


def test_a_setting_holds_several_keys_between_commas() -> None:
    text = ",".join(base64.b64encode(key).decode() for key in (NEW, OLD))

    assert parse(text, "here") == Keyring(NEW, (FormerKey(OLD),))


def test_a_ring_shows_no_key() -> None:
    shown = repr(Keyring(NEW, (FormerKey(OLD),)))

    assert str(NEW) not in shown
    assert str(OLD) not in shown
