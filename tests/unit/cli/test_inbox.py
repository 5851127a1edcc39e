"""`wakeline device inbox` and the switch for receipts, on a store that no gateway serves."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from unit.cli.test_root import invoke
from wakeline.config import load
from wakeline.model.delivery import DeliveryRow, DeliveryState
from wakeline.model.device import DeviceClaim, TargetClaim, TargetKind
from wakeline.model.ids import key_at, uuid_of
from wakeline.model.notification import Alert, Content, Notification, PushType
from wakeline.model.route import Lane
from wakeline.ports import Admission
from wakeline.service.clock import SystemClock
from wakeline.service.master_key import Keys
from wakeline.storage.sqlite import SqliteStore


@pytest.fixture
def sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Leave a store in which Ann's phone was sent three pushes; return their ids."""
    monkeypatch.chdir(tmp_path)
    assert invoke("app", "create", "acme") == 0
    return asyncio.run(_furnish(tmp_path / "var" / "wakeline.db"))


async def _furnish(path: Path) -> list[str]:
    settings = load(None, {}).settings
    secrets = Keys(settings.secrets, create=False)
    store = SqliteStore(path, clock=SystemClock(), secrets=secrets, settings=settings.storage)
    await store.open()
    now = round(time.time() * 1000) - 60_000
    claim = TargetClaim(kind=TargetKind.APNS, value="aa" * 32)
    [registered] = await store.devices.put(
        [DeviceClaim(app=1, device_id="phone", users=("ann",), targets=(claim,), at=now)]
    )
    keys = [key_at(now + number, 0) for number in range(3)]
    for number, key in enumerate(keys):
        notification = Notification(
            key=key,
            app=1,
            content=Content(type=PushType.ALERT, alert=Alert(title=f"News {number}")),
            lane=Lane.ALERT,
            due=now,
            expires=now + 3_600_000,
            created=now,
            recipients=1,
        )
        target = registered.device.targets[0].id
        row = DeliveryRow(key, target, DeliveryState.ACCEPTED, 0, 200, "", "accepted", "", 1, now)
        await store.acceptance.accept([Admission(notification=notification, rows=(row,))])
    await store.close()
    return [uuid_of(key) for key in keys]


def test_an_inbox_is_shown_as_the_app_would_be(sent: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke("device", "inbox", "phone", "--app", "acme", "--limit", "2", "--json") == 0
    page = json.loads(capsys.readouterr().out)
    assert invoke("device", "inbox", "phone", "--app", "acme", "--after", sent[1]) == 0
    drawn = capsys.readouterr().out

    assert [one["id"] for one in page["notifications"]] == sent[:2]
    assert page["next_after"] == sent[1]
    assert ("News 2" in drawn, "News 1" in drawn) == (True, False)


def test_of_a_long_inbox_the_rest_is_offered(sent: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke("device", "inbox", "phone", "--app", "acme", "--limit", "1") == 0

    assert f"More with --after {sent[0]}" in capsys.readouterr().err.replace("\n", " ")


def test_receipts_are_switched_for_an_app(sent: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert sent
    states = []
    for switch in ("--receipts", "--no-receipts"):
        assert invoke("app", "set", "acme", switch, "--json") == 0
        states.append(json.loads(capsys.readouterr().out)["settings"]["receipts"])

    assert states == [True, False]
