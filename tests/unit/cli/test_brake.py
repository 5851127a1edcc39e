"""`wakeline brake` on a store that no gateway serves."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from unit.cli.test_root import invoke
from wakeline.config import load
from wakeline.model.brake import BrakeEpisode, ReasonCount
from wakeline.model.device import DeviceClaim, Evidence, TargetClaim, TargetKind, TargetState
from wakeline.model.route import Environment, Hold, HoldReason, ProviderKind
from wakeline.ports import TargetVerdict
from wakeline.service.clock import SystemClock
from wakeline.service.master_key import Keys
from wakeline.storage.sqlite import SqliteStore

NOW = 1_790_000_000_000
HOLD = Hold(reason=HoldReason.BRAKE, code=902, since=NOW, cause="Suddenly many tokens look dead.")


@pytest.fixture(autouse=True)
def _a_braked_route(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke("app", "create", "acme") == 0
    asyncio.run(_brake(tmp_path / "var" / "wakeline.db"))


async def _brake(path: Path) -> None:
    """Leave a store as a closed brake leaves it, with one token that a crash kept from being repaired."""
    settings = load(None, {}).settings
    store = SqliteStore(
        path, clock=SystemClock(), secrets=Keys(settings.secrets, create=False), settings=settings.storage
    )
    await store.open()
    app = store.apps.get("acme")
    assert app is not None
    route = await store.routes.ensure(app.id, ProviderKind.APNS, Environment.PRODUCTION, "com.acme")
    await store.routes.hold(route.id, HOLD)
    claim = TargetClaim(kind=TargetKind.APNS, value="ab" * 32)
    device = DeviceClaim(app=app.id, device_id="phone", users=("ann",), targets=(claim,), at=NOW)
    [registered] = await store.devices.put([device])
    evidence = Evidence(status=400, reason="BadDeviceToken", at=NOW + 1, route=route.id)
    verdict = TargetVerdict(
        target=registered.device.targets[0].id,
        state=TargetState.QUARANTINED,
        reason="BadDeviceToken",
        at=NOW + 1,
        evidence=evidence,
    )
    await store.devices.judge([verdict])
    await store.brakes.keep(
        BrakeEpisode(
            app=app.id,
            route=route.id,
            provider=route.provider,
            environment=route.environment,
            topic=route.topic,
            began=NOW,
            closed_at=NOW + 2,
            answers=80,
            doubtful=40,
            distinct=40,
            reasons=(ReasonCount("BadDeviceToken", 40),),
        )
    )
    await store.close()


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    assert invoke(*arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_brakes_are_listed_with_what_closed_them(capsys: pytest.CaptureFixture[str]) -> None:
    [brake] = printed(capsys, "brake", "list")["brakes"]
    assert (brake["state"], brake["share"], brake["hold"]["reason"]) == ("closed", 0.5, "brake")
    assert invoke("brake", "list", "--app", "acme") == 0
    assert "40 of 80 (40 tokens)" in capsys.readouterr().out


def test_a_brake_is_released_by_its_number_or_its_route(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "brake", "release", "--route", "1")["state"] == "released"
    assert printed(capsys, "brake", "release", "1")["hold"] is None
    assert [route["hold"] for route in printed(capsys, "route", "list")["routes"]] == [None]


def test_undo_brings_the_tokens_back_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "brake", "undo", "1")["restored"] == 1
    again = printed(capsys, "brake", "undo", "1", "--since", "2020-01-01", "--until", "2030-01-01", "--all")
    assert (again["restored"], again["brake"]["state"]) == (0, "undone")
    assert printed(capsys, "device", "show", "phone")["state"] == "active"


def test_what_speaks_against_a_token_is_shown_with_its_history(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["device", "show", "phone"], ["device", "history", "phone"]):
        assert invoke(*command) == 0
        assert "400 BadDeviceToken (strikes: 1)" in capsys.readouterr().out
    [step] = printed(capsys, "device", "history", "phone", "--limit", "1")["history"]
    assert (step["state"], step["evidence"]["route"]) == ("quarantined", 1)
    assert invoke("device", "history", "nobody") == 3
    assert invoke("app", "show", "acme") == 0
    assert "quarantined" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["release", "7"], 3),
        (["undo", "7"], 3),
        (["release", "--route", "7"], 3),
        (["list", "--app", "nobody"], 3),
        (["release"], 2),
        (["undo", "1", "--route", "1"], 2),
    ],
)
def test_what_is_not_there_is_exit_code_3_and_what_is_not_said_2(arguments: list[str], code: int) -> None:
    assert invoke("brake", *arguments) == code
