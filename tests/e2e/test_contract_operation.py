"""A gateway in the hands of an operator: limits, stop and start, backup and restore."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from acme import Stack
from contract import Caller, counted, own_app
from processes import Gateway, Simulator, gateway, pointing_at, started, until

LIMITED = (
    "[limits]\nper_user = true\nalert_per_hour = 60\nalert_burst = 2\nbackground_per_hour = 3\ncall_per_minute = 2\n"
)


def limited(fake: Simulator) -> str:
    """Return settings with small limits in place of none."""
    return pointing_at(fake).replace("[limits]\nper_user = false\n", LIMITED)


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory, fake: Simulator) -> Iterator[Caller]:
    with gateway(tmp_path_factory.mktemp("strict"), limited(fake)) as running, running.client() as http:
        yield own_app(Stack(gateway=running, simulator=fake, http=http))


def test_alerts_beyond_the_limit_wait_and_say_so(strict: Caller) -> None:
    phone = strict.phone()
    first, second, third = (strict.send(phone) for _ in range(3))
    assert [counted(strict.settled(id_)) for id_ in (first, second)] == [{"accepted": 1}] * 2
    shown = strict.in_state(third, "held")
    assert counted(shown) == {"held": 1}
    assert shown["deliveries"][0]["outcome"]["code"] == 914
    assert shown["deliveries"][0]["due"]
    assert "914" in str(strict.explain(third))
    assert counted(strict.settled(strict.send(strict.phone()))) == {"accepted": 1}


def test_a_newer_alert_supersedes_one_that_a_limit_holds(strict: Caller) -> None:
    phone = strict.phone()
    for _ in range(2):
        strict.settled(strict.send(phone))
    old, new = (strict.send(phone, alert={"body": text}, collapse_id="score") for text in ("1:0", "2:0"))
    assert counted(strict.settled(old)) == {"superseded": 1}
    assert counted(strict.in_state(new, "held")) == {"held": 1}


def test_calls_beyond_the_limit_are_refused_at_once(strict: Caller) -> None:
    phone = strict.phone("apns-voip")
    ids = [strict.send(phone, type="call", call={"id": f"call-{number}"}) for number in range(3)]
    assert [strict.delivery(id_)["outcome"]["code"] for id_ in ids] == [0, 0, 914]


def test_who_is_limited_is_said_by_everybody_who_is_asked(strict: Caller) -> None:
    phone = strict.phone()
    for _ in range(2):
        strict.settled(strict.send(phone))
    shown = strict.stack.gateway.cli("user", "show", phone.user, "--app", strict.app, "--json")
    [limit] = json.loads(shown.stdout)["limited"]
    listed = strict.http.get(f"{strict.path}/limits", params={"limit": 500}).raise_for_status().json()["limited"]
    asked = {"app": strict.app, "user": phone.user}
    checks = strict.http.get("/v1/doctor", params=asked).raise_for_status().json()["checks"]
    explained = strict.http.get("/v1/explain", params={"q": f"user:{phone.user}"}).raise_for_status().json()

    assert limit["type"] == "alert"
    assert {"user": phone.user, **limit} in listed
    assert [one["status"] for one in checks if one["name"].startswith("limits of user")] == ["warning"]
    assert "a limit keeps what is sent" in explained["verdict"]
    assert "914" in explained["cause"]


def test_an_app_may_be_without_limits(strict: Caller) -> None:
    strict.http.patch(strict.path, json={"settings": {"limits": False}}).raise_for_status()
    phone = strict.phone()
    ids = [strict.send(phone) for _ in range(4)]
    assert [counted(strict.settled(id_)) for id_ in ids] == [{"accepted": 1}] * 4
    strict.http.patch(strict.path, json={"settings": {"limits": True}}).raise_for_status()


def at(caller: Caller, running: Gateway) -> Caller:
    """Return the same caller, with the same key, of a gateway that was started since."""
    there = Caller(caller.stack, caller.app)
    there.http = httpx2.Client(base_url=running.address, headers=caller.http.headers, timeout=60, trust_env=False)
    return there


def test_a_stop_in_the_middle_of_sending_loses_and_doubles_nothing(tmp_path: Path, fake: Simulator) -> None:
    with gateway(tmp_path, pointing_at(fake)) as running, running.client() as http:
        caller = own_app(Stack(gateway=running, simulator=fake, http=http))
        phones = [caller.phone(tags=["all"]) for _ in range(60)]
        fake.behave("apns", min_latency_ms=100, max_streams=5)
        try:
            id_ = caller.post(to={"tags": ["all"]}, alert={"body": "x"}).json()["id"]
            until(lambda: caller.show(id_)["counts"]["accepted"] > 0, "some are sent")
            assert running.stop() == 0
        finally:
            fake.behave("apns", min_latency_ms=None, max_streams=None)
        running.start()
        again = at(caller, running)
        with again.http:
            assert counted(again.settled(id_)) == {"accepted": 60}
        assert [len(fake.requests(phone.token)) for phone in phones] == [1] * 60
        assert running.stop() == 0


def test_a_restored_backup_is_held_until_it_is_released(tmp_path: Path, fake: Simulator) -> None:
    first = Gateway(tmp_path / "first", pointing_at(fake))
    with started(first), first.client() as http:
        before = own_app(Stack(gateway=first, simulator=fake, http=http))
        phone = before.phone()
        before.settled(before.send(phone))
        before.http.patch(before.path, json={"paused": True}).raise_for_status()
        waiting = before.send(phone)
        before.in_state(waiting, "held")
        first.json("backup", str(tmp_path / "copy.bak"))
    sent = len(before.received(phone))
    second = Gateway(tmp_path / "second", pointing_at(fake))
    second.data.mkdir(mode=0o700)
    (second.data / "master.key").write_bytes((first.data / "master.key").read_bytes())
    (second.data / "master.key").chmod(0o600)
    second.json("restore", str(tmp_path / "copy.bak"))
    with started(second):
        after = at(before, second)
        with after.http:
            after.http.patch(after.path, json={"paused": False}).raise_for_status()
            assert counted(after.in_state(after.send(phone), "held")) == {"held": 1}
            assert counted(after.show(waiting)) == {"held": 1}
            assert len(after.received(phone)) == sent
            assert second.json("queue", "release")["released"]
            assert counted(after.settled(waiting)) == {"accepted": 1}


def test_metrics_and_health_show_an_app(stack: Stack) -> None:
    caller = own_app(stack)
    caller.settled(caller.send(caller.phone()))
    health = stack.http.get("/v1/health").json()
    assert {"status", "version", "checks", "credentials", "routes"} <= set(health)
    assert {route["hold"] for route in health["routes"] if route["app"] == caller.app} == {None}
    assert "wakeline_" in stack.http.get("/metrics").text
