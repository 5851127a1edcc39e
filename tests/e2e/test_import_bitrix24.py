"""`wakeline bitrix24 key` and `wakeline import bitrix24`, on the store of a gateway that is not started."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from processes import Gateway

APP = "acme-chat"
CREATE = """CREATE TABLE `b_pull_push` (
  `ID` int NOT NULL,
  `USER_ID` int NOT NULL,
  `DEVICE_TYPE` varchar(50),
  `APP_ID` varchar(50),
  `DEVICE_ID` varchar(255),
  `DEVICE_TOKEN` varchar(255),
  `VOIP_TOKEN` varchar(255),
  `DATE_AUTH` datetime
);
"""
IPHONE, CALLS = "5e" * 32, "6f" * 32


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    made = Gateway(tmp_path / "gateway")
    made.json("app", "create", APP)
    return made


def test_a_dump_becomes_devices(gateway: Gateway, tmp_path: Path) -> None:
    dump = tmp_path / "portal.sql"
    rows = (
        f"(1,7,'APPLE','Bitrix24_bxdev','uuid-1','{IPHONE}','{CALLS}','2026-11-20 10:30:00')",
        "(2,8,'GOOGLE/REV2','Bitrix24','uuid-2','f:APA91x',NULL,'2026-11-21 10:30:00')",
        "(3,9,'HUAWEI','Bitrix24','uuid-3','hms',NULL,NULL)",
    )
    dump.write_text("\n".join(["-- MySQL dump", CREATE, "INSERT INTO `b_pull_push` VALUES", ",".join(rows) + ";"]))

    done = gateway.json("import", "bitrix24", str(dump), "--app", APP, code=4)

    assert (done["rows"], done["devices"], done["rejected"]) == (2, 2, 1)
    aside = json.loads(dump.with_name("portal.sql.rejected").read_text())
    assert aside["line"] == 14
    assert "Huawei" in aside["cause"]
    first = gateway.json("device", "show", "uuid-1", "--app", APP)
    assert first["user"] == "7"
    assert {(one["kind"], one["value"], one["environment"]) for one in first["targets"]} == {
        ("apns", IPHONE, "sandbox"),
        ("apns-voip", CALLS, "sandbox"),
    }


def test_a_table_becomes_devices(gateway: Gateway, tmp_path: Path) -> None:
    table = tmp_path / "devices.csv"
    table.write_text(
        "USER_ID;DEVICE_TYPE;APP_ID;DEVICE_ID;DEVICE_TOKEN;VOIP_TOKEN\n7;GOOGLE;Bitrix24;uuid-2;f:APA91x;\n"
    )

    done = gateway.json("import", "bitrix24", str(table), "--app", APP)

    assert (done["rows"], done["devices"], done["rejected"]) == (1, 1, 0)
    assert [one["kind"] for one in gateway.json("device", "show", "uuid-2", "--app", APP)["targets"]] == ["fcm"]


def test_a_licence_key_is_bound_shown_and_removed(gateway: Gateway) -> None:
    bound = gateway.json("bitrix24", "key", "add", "--app", APP, "--name", "Office")
    [listed] = gateway.json("bitrix24", "key", "list")["keys"]
    gateway.json("bitrix24", "key", "remove", listed["id"])

    assert len(bound["key"]) == 32
    assert bound["url"].endswith(f"/bitrix24/send/?key={bound['key']}")
    assert (listed["app"], listed["name"], listed["ending"]) == (APP, "Office", bound["key"][-6:])
    assert gateway.json("bitrix24", "key", "list")["keys"] == []
