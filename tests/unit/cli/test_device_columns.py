"""Cells of other servers' lists as what the API takes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from wakeline.cli.device_list.columns import ALIASES, Columns, Entry, Wrong, merged, moment_of
from wakeline.edges.rest.device_import import DeviceLine
from wakeline.model.errors import ConfigError


def entry(cells: dict[str, Any], *given: str, ignore_unknown: bool = False) -> Entry:
    columns = Columns(given, ignore_unknown=ignore_unknown)
    columns.check(tuple(cells))
    return columns.entry(cells)


def test_what_is_said_is_what_the_api_takes() -> None:
    made = entry(
        {
            "Device-ID": "d1",
            "USER_ID": "sip:a;b@example.com",
            "Platform": "iOS",
            "deviceToken": "aabb",
            "env": "dev",
            "bundle_id": "com.acme",
            "Tags": "beta; de",
            "language": "de",
            "notifications_enabled": "f",
            "updated_at": "2024-05-01 10:00:00+02",
        }
    )

    line = msgspec.json.decode(msgspec.json.encode(made), type=DeviceLine)
    assert (line.device, line.user, line.tags, line.locale) == ("d1", ("sip:a;b@example.com",), ("beta", "de"), "de")
    assert (line.platform, line.notifications_enabled) == ("iOS", False)
    assert line.confirmed_at == datetime(2024, 5, 1, 8, tzinfo=UTC)
    (target,) = line.targets
    assert (target.kind, target.value, target.environment, target.topic) == ("apns", "aabb", "sandbox", "com.acme")


def test_columns_for_apns_are_not_read_for_others() -> None:
    made = entry({"kind": "GCM", "token": "t", "environment": "sandbox", "topic": "com.acme", "project": "acme-1"})

    assert made.targets == [{"kind": "fcm", "value": "t", "project": "acme-1"}]


def test_a_browser_has_its_keys_in_columns() -> None:
    made = entry({"kind": "web", "endpoint": "https://push.example.com/1", "p256dh": "P", "auth": "A"})

    assert made.targets[0]["keys"] == {"p256dh": "P", "auth": "A"}


@pytest.mark.parametrize(
    ("cell", "kind"),
    [("apns_voip", "apns-voip"), ("APNs", "apns"), ("Android", "fcm"), ("apns-liveactivity", "apns-liveactivity")],
)
def test_kinds_have_other_names(cell: str, kind: str) -> None:
    assert entry({"kind": cell, "token": "aa"}).targets[0]["kind"] == kind


def test_a_list_without_device_ids_has_one_device_a_token() -> None:
    first, again, other = (entry({"kind": "fcm", "token": token}).device for token in ("one", "one", "two"))

    assert first == again != other
    assert "one" not in first


def test_the_caller_says_what_columns_are() -> None:
    made = entry(
        {"who": "d1", "apns_tok": "aa", "device": "iPhone", "os": "ios"}, "device=who", "value=apns_tok", "model=device"
    )

    assert (made.device, made.model, made.targets[0]["value"]) == ("d1", "iPhone", "aa")


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (("token", "kind", "colour", "shape"), "colour, shape"),
        (("token", "registration_id", "kind"), "token and registration_id both mean value"),
        (("device", "kind"), "tokens"),
    ],
)
def test_a_header_that_does_not_fit_is_refused_by_name(columns: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Columns((), ignore_unknown=False).check(columns)


def test_unknown_columns_are_left_out_if_asked_for() -> None:
    assert entry({"token": "aa", "kind": "apns", "colour": "red"}, ignore_unknown=True).targets[0]["value"] == "aa"


@pytest.mark.parametrize("text", ["value", "colour=x", "=x"])
def test_a_mapping_names_a_field(text: str) -> None:
    with pytest.raises(ConfigError, match="FIELD=COLUMN"):
        Columns([text], ignore_unknown=False)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"device": "d", "kind": "apns", "token": ""}, "no token"),
        ({"device": "", "kind": "apns", "token": "aa"}, "no device id"),
        ({"device": "d", "kind": "pigeon", "token": "aa"}, "no kind of target 'pigeon'"),
        ({"device": "d", "token": "aa"}, "neither a kind nor a platform"),
        ({"device": "d", "kind": "apns", "token": "aa", "confirmed_at": "soon"}, "no time"),
        ({"device": "d", "kind": "apns", "token": "aa", "low_power": "perhaps"}, "neither true nor false"),
        ({"device": "d", "targets": "x"}, "list of objects"),
        ({"device": "d", "kind": "apns", "token": "aa", "tags": "[1"}, "no JSON list"),
    ],
)
def test_what_is_wrong_with_a_row_is_said(cells: dict[str, Any], said: str) -> None:
    with pytest.raises(Wrong, match=said):
        entry(cells)


def test_rows_of_one_device_and_date_are_one_device() -> None:
    common = {"device": "d1", "platform": "ios", "confirmed_at": "1700000000"}
    alert = entry({**common, "kind": "apns", "token": "aa", "user": "alice", "tags": "beta"})
    call = entry({**common, "kind": "voip", "token": "bb", "user": "bob", "locale": "de", "low_power": "1"})
    later = entry({"device": "d1", "kind": "voip", "token": "cc", "confirmed_at": "1700000001"})

    both = merged(alert, call)

    assert both is not None
    assert [target["value"] for target in both.targets] == ["aa", "bb"]
    assert (both.user, both.tags, both.locale, both.low_power) == (("alice", "bob"), ("beta",), "de", True)
    assert merged(both, later) is None


@pytest.mark.parametrize(
    "cell",
    [
        "2023-11-14T22:13:20Z",
        "2023-11-14 22:13:20",
        "2023-11-14 22:13:20 UTC",
        "1700000000",
        "1700000000000",
        1700000000,
    ],
)
def test_times_are_read_as_others_write_them(cell: Any) -> None:
    assert moment_of(cell) == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


@pytest.mark.parametrize("cell", ["1700000000000000", "-5", "14.11.2023", "2023-13-01", True])
def test_what_is_no_time_is_none(cell: Any) -> None:
    with pytest.raises(Wrong):
        moment_of(cell)


def test_every_field_of_the_api_can_be_said() -> None:
    assert set(DeviceLine.__struct_fields__) <= set(ALIASES)
    assert set(DeviceLine.__struct_fields__) == set(Entry.__struct_fields__)
