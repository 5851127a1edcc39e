"""Rows of a Bitrix24 portal's device table as what the API takes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from wakeline.cli.device_list.columns import Wrong
from wakeline.cli.device_list.portal import PortalColumns
from wakeline.model.errors import ConfigError

IPHONE = {
    "ID": "1",
    "USER_ID": "7",
    "DEVICE_TYPE": "APPLE",
    "APP_ID": "Bitrix24",
    "UNIQUE_HASH": "x",
    "DEVICE_ID": "uuid-1",
    "DEVICE_NAME": "Anna's phone",
    "DEVICE_TOKEN": "5e" * 32,
    "VOIP_TYPE": "APPLE/VOIP",
    "VOIP_TOKEN": "6f" * 32,
    "DATE_CREATE": "2026-01-01 00:00:00",
    "DATE_AUTH": "2026-11-20 10:30:00",
}


def entry(topic: str = "", **cells: Any) -> Any:
    return PortalColumns(topic).entry(IPHONE | cells)


def test_an_iphone_has_a_token_for_alerts_and_one_for_calls() -> None:
    found = entry()

    assert (found.device, found.user, found.platform) == ("uuid-1", ("7",), "ios")
    assert found.targets == [
        {"kind": "apns", "value": "5e" * 32, "environment": "production"},
        {"kind": "apns-voip", "value": "6f" * 32, "environment": "production"},
    ]
    assert found.confirmed_at == datetime(2026, 11, 20, 10, 30, tzinfo=UTC)


def test_a_development_build_is_in_the_sandbox() -> None:
    assert {target["environment"] for target in entry(APP_ID="Bitrix24_bxdev").targets} == {"sandbox"}


@pytest.mark.parametrize("device_type", ["GOOGLE", "GOOGLE/REV2", "android"])
def test_an_android_phone_has_one_token(device_type: str) -> None:
    found = entry(DEVICE_TYPE=device_type, DEVICE_TOKEN="f:APA91x", VOIP_TYPE=None, VOIP_TOKEN=None)

    assert found.targets == [{"kind": "fcm", "value": "f:APA91x"}]
    assert found.platform == "android"


def test_a_token_may_be_for_calls_alone() -> None:
    assert [target["kind"] for target in entry(DEVICE_TOKEN="").targets] == ["apns-voip"]
    assert [target["kind"] for target in entry(DEVICE_TYPE="APPLE/VOIP", VOIP_TOKEN="").targets] == ["apns-voip"]


def test_the_bundle_id_goes_with_tokens_of_apple() -> None:
    assert {target["topic"] for target in entry("com.acme.crm").targets} == {"com.acme.crm"}


def test_names_of_columns_count_in_any_case_and_older_ones_too() -> None:
    cells = {"user_id": "7", "platform": "android", "token": "f:APA91x", "device_uuid": "u", "date_update": None}

    found = PortalColumns().entry(cells)

    assert (found.device, found.targets, found.confirmed_at) == ("u", [{"kind": "fcm", "value": "f:APA91x"}], None)


def test_without_a_uuid_a_device_is_named_by_its_token() -> None:
    first, again = entry(DEVICE_ID=""), entry(DEVICE_ID=None)

    assert first.device == again.device
    assert first.device.startswith("token-")
    assert "5e5e" not in first.device


def test_nobody_and_no_date_are_left_out() -> None:
    found = entry(USER_ID="0", DATE_AUTH="0000-00-00 00:00:00")

    assert (found.user, found.confirmed_at) == ((), None)


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"DEVICE_TYPE": "HUAWEI"}, "Huawei"),
        ({"DEVICE_TYPE": "BLACKBERRY"}, "'BLACKBERRY'"),
        ({"DEVICE_TYPE": None}, "device type"),
        ({"DEVICE_TOKEN": "", "VOIP_TOKEN": None}, "no token"),
        ({"DATE_AUTH": "yesterday"}, "'yesterday'"),
    ],
)
def test_what_is_wrong_with_a_row_is_said(cells: dict[str, Any], words: str) -> None:
    with pytest.raises(Wrong, match=words):
        entry(**cells)


def test_a_table_without_the_columns_of_a_portal_is_refused() -> None:
    PortalColumns().check(tuple(IPHONE))

    with pytest.raises(ConfigError, match="DEVICE_TOKEN"):
        PortalColumns().check(("USER_ID", "DEVICE_TYPE"))
