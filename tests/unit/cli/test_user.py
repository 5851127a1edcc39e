"""`wakeline user` on a store that no gateway serves: who is limited was kept when the last one stopped."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from unit.cli.test_root import invoke
from wakeline.config import load
from wakeline.model.device import DeviceClaim, TargetClaim, TargetKind
from wakeline.service.clock import SystemClock
from wakeline.service.master_key import Keys
from wakeline.storage.sqlite import SqliteStore


@pytest.fixture(autouse=True)
def _a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke("app", "create", "acme") == 0
    asyncio.run(_furnish(tmp_path / "var" / "wakeline.db"))


async def _furnish(path: Path) -> None:
    """Leave a store as a gateway leaves it whose user Ann had as many alerts as she may, for half an hour to come."""
    settings = load(None, {}).settings
    store = SqliteStore(
        path, clock=SystemClock(), secrets=Keys(settings.secrets, create=False), settings=settings.storage
    )
    await store.open()
    app = store.apps.get("acme")
    assert app is not None
    now = round(time.time() * 1000)
    for user in ("ann", "bob"):
        claim = TargetClaim(kind=TargetKind.APNS, value=user.encode().hex() * 16)
        await store.devices.put(
            [DeviceClaim(app=app.id, device_id=f"{user}-1", users=(user,), targets=(claim,), at=now)]
        )
    arrival = now + 1_800_000 + 60_000 * 19
    await store.settings.set("limited", json.dumps({"at": now, "counts": [[app.id, "ann", "alert", arrival]]}))
    await store.close()


def test_a_user_is_shown_with_what_limits_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke("user", "show", "ann", "--app", "acme", "--json") == 0
    ann = json.loads(capsys.readouterr().out)
    assert invoke("user", "show", "ann", "--app", "acme") == 0
    drawn = capsys.readouterr().out
    assert invoke("user", "show", "bob", "--app", "acme", "--json") == 0
    bob = json.loads(capsys.readouterr().out)

    assert [one["type"] for one in ann["limited"]] == ["alert"]
    assert ("ann-1" in drawn, "limited" in drawn, "connected until" in drawn) == (True, True, True)
    assert bob["limited"] == []


def test_limits_are_listed_with_what_one_may_get(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke("user", "limits", "--app", "acme") == 0
    drawn = capsys.readouterr().out
    assert invoke("user", "limits", "--app", "acme", "--json") == 0
    listed = json.loads(capsys.readouterr().out)

    assert ("60 an hour, 20 at once" in drawn, "ann" in drawn, "bob" in drawn) == (True, True, False)
    assert [(one["user"], one["type"]) for one in listed["limited"]] == [("ann", "alert")]


def test_a_user_who_is_erased_is_limited_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke("user", "erase", "ann", "--app", "acme") == 0
    capsys.readouterr()
    assert invoke("user", "limits", "--app", "acme", "--json") == 0

    assert json.loads(capsys.readouterr().out)["limited"] == []
