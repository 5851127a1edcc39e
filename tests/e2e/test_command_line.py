"""The command line on its own store and through a running gateway: the same answers, one JSON document, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from acme import APP, Stack
from processes import Gateway, document, gateway, until, wakeline
from wakeline.cli.demo import material

TOKEN = "c" * 64


def test_offline_commands_make_an_absent_store(tmp_path: Path) -> None:
    offline = Gateway(tmp_path)
    assert set(offline.json("key", "create", "--scope", "admin")) == {"key"}
    assert (offline.data / "wakeline.db").exists()
    assert (offline.data / "master.key").stat().st_mode & 0o777 == 0o600


def test_what_was_made_offline_is_there_when_the_gateway_runs(tmp_path: Path) -> None:
    offline = Gateway(tmp_path)
    offline.json("app", "create", "acme", "--name", "Acme")
    key = offline.json("key", "create", "--scope", "read", "--app", "acme", "--name", "reader")["key"]
    with gateway(tmp_path) as running:
        assert [app["id"] for app in running.json("app", "list")["apps"]] == ["acme"]
        with running.client() as http:
            answer = http.get("/v1/apps/acme", headers={"authorization": f"Bearer {key}"})
    assert answer.json()["name"] == "Acme"


def test_commands_go_through_the_socket_while_a_gateway_runs(stack: Stack) -> None:
    stack.gateway.json("app", "create", "via-socket")
    assert stack.http.get("/v1/apps/via-socket").status_code == 200


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["app", "show", "absent"], 3),
        (["device", "show", "absent", "--app", APP], 3),
        (["app", "create", "Not A Slug"], 4),
        (["key", "create", "--scope", "send", "--app", "absent"], 4),
        (["nonsense"], 2),
        (["app", "create"], 2),
    ],
)
def test_exit_codes_are_the_same_with_and_without_a_gateway(
    stack: Stack, tmp_path: Path, arguments: list[str], code: int
) -> None:
    offline = Gateway(tmp_path)
    offline.json("app", "create", APP)
    for side in (stack.gateway, offline):
        done = side.cli(*arguments)
        assert done.returncode == code, done.stderr
        assert done.stdout == ""
        assert done.stderr
        assert "Traceback" not in done.stderr


def test_a_failure_with_json_is_one_document_that_names_cause_and_fix(stack: Stack) -> None:
    found = stack.gateway.json("device", "list", "--app", "absent", code=3)
    assert found["error"]["code"] == "not_found"
    assert found["error"]["cause"]
    assert found["error"]["fix"]


def test_every_listing_is_one_document_on_one_line(stack: Stack) -> None:
    for arguments in (
        ["app", "list"],
        ["credential", "list", "--app", APP],
        ["device", "list", "--app", APP],
        ["key", "list"],
        ["route", "list"],
        ["queue", "show"],
        ["config", "show"],
        ["config", "check"],
        ["db", "status"],
    ):
        assert isinstance(stack.gateway.json(*arguments), dict)


def test_the_only_app_need_not_be_named_and_several_must(tmp_path: Path) -> None:
    offline = Gateway(tmp_path)
    assert offline.cli("device", "list").returncode == 3
    offline.json("app", "create", "one")
    assert offline.json("device", "list")["devices"] == []
    offline.json("app", "create", "two")
    done = offline.cli("device", "list")
    assert done.returncode == 2
    assert "one, two" in done.stderr


def test_a_notification_from_the_shell_is_sent_and_explained(stack: Stack) -> None:
    stack.gateway.json("device", "put", "shell-1", "--app", APP, "--user", "ann", "--target", f"apns={TOKEN}")
    shown = stack.gateway.json("send", "--app", APP, "--user", "ann", "--title", "Hello \U0001f44b", "--wait", "30")
    assert shown["counts"]["accepted"] == 1
    (request,) = stack.simulator.requests(TOKEN)
    assert "Hello \U0001f44b" in json.dumps(request, ensure_ascii=False)
    explained = stack.gateway.json("explain", shown["id"])
    assert explained["verdict"]
    assert explained["cause"]


def test_a_dry_run_shows_the_request_and_sends_nothing(stack: Stack) -> None:
    token = "d" * 64
    stack.gateway.json("device", "put", "shell-2", "--app", APP, "--user", "bob", "--target", f"apns={token}")
    shown = stack.gateway.json("send", "--app", APP, "--user", "bob", "--title", "Not yet", "--dry-run")
    (one,) = shown["requests"]
    assert "Not yet" in one["request"]["body"]
    assert token not in json.dumps(shown)
    assert stack.simulator.requests(token) == []


def test_a_whole_request_comes_from_standard_input(stack: Stack) -> None:
    token = "e" * 64
    stack.gateway.json("device", "put", "shell-3", "--app", APP, "--user", "eve", "--target", f"apns={token}")
    request = {"to": {"users": ["eve"]}, "alert": {"body": "from a pipe"}, "collapse_id": "one"}
    done = stack.gateway.cli("send", "--app", APP, "--file", "-", "--wait", "30", "--json", stdin=json.dumps(request))
    assert done.returncode == 0, done.stderr
    assert document(done)["counts"]["accepted"] == 1
    broken = stack.gateway.cli("send", "--app", APP, "--file", "-", stdin='{"to": ')
    assert broken.returncode == 4


def test_a_password_need_not_stand_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "voice.p12").write_bytes(material.certificate("com.example.voice"))
    password = {"WAKELINE_CREDENTIAL_PASSWORD": material.PASSWORD}

    done = wakeline("credential", "inspect", "voice.p12", "--json", cwd=tmp_path, variables=password)

    assert done.returncode == 0, done.stderr
    assert document(done)["verdict"]["grade"] in {"ok", "warning"}


def test_inspecting_a_credential_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "voice.p12").write_bytes(material.certificate("com.example.voice"))
    good = wakeline("credential", "inspect", "voice.p12", "--password", material.PASSWORD, "--json", cwd=tmp_path)
    assert good.returncode == 0
    assert document(good)["verdict"]["grade"] in {"ok", "warning"}
    assert document(good)["topics"] == ["com.example.voice", "com.example.voice.voip"]
    wrong = wakeline("credential", "inspect", "voice.p12", "--password", "nope", "--json", cwd=tmp_path)
    assert wrong.returncode == 4
    assert document(wrong)["verdict"]["grade"] == "refused"
    absent = wakeline("credential", "inspect", "absent.p8", cwd=tmp_path)
    assert absent.returncode == 3
    assert [path.name for path in tmp_path.iterdir()] == ["voice.p12"]


def test_a_credential_is_added_checked_and_removed(stack: Stack, tmp_path: Path) -> None:
    stack.gateway.json("app", "create", "credentials")
    (tmp_path / "voice.p12").write_bytes(material.certificate("com.example.voice"))
    file = str(tmp_path / "voice.p12")
    where = ("--app", "credentials")
    kept = stack.gateway.json("credential", "add", file, "--password", material.PASSWORD, *where)
    assert stack.gateway.json("credential", "check", kept["id"], *where)["ok"]
    stack.gateway.json("credential", "remove", kept["id"], *where)
    assert stack.gateway.json("credential", "list", *where)["credentials"] == []
    refused = stack.gateway.cli("credential", "add", file, "--password", "wrong", *where)
    assert refused.returncode == 4
    assert "password" in refused.stderr


def test_events_are_followed_as_they_happen(stack: Stack) -> None:
    token = "f" * 64
    stack.gateway.json("device", "put", "shell-4", "--app", APP, "--user", "kim", "--target", f"apns={token}")
    stack.simulator.script(token, {"status": 410, "reason": "Unregistered"})
    stack.gateway.json("send", "--app", APP, "--user", "kim", "--title", "x", "--wait", "30", code=1)

    def retired() -> object:
        types = ("--types", "target.retired", "--after", "0", "--count", "1")
        return stack.gateway.json("events", "tail", "--app", APP, *types)

    event = until(retired, "the event is in the feed")
    assert isinstance(event, dict)
    assert event["type"] == "target.retired"
    assert stack.gateway.json("device", "restore", "shell-4", "--app", APP)["restored"] == 1


def test_following_events_without_a_gateway_is_unavailable(tmp_path: Path) -> None:
    assert Gateway(tmp_path).cli("events", "tail").returncode == 5


def test_a_route_is_held_and_released(stack: Stack) -> None:
    token = "ab" * 32
    stack.gateway.json("app", "create", "routes")
    (route, *_) = stack.gateway.json("route", "list")["routes"] or [None]
    if route is None:
        stack.gateway.json("device", "put", "shell-5", "--app", APP, "--user", "lee", "--target", f"apns={token}")
        stack.gateway.json("send", "--app", APP, "--user", "lee", "--title", "x", "--wait", "30")
        (route, *_) = stack.gateway.json("route", "list")["routes"]
    held = stack.gateway.json("route", "hold", str(route["id"]), "--cause", "for a test")
    assert held["hold"]["cause"].endswith("for a test")
    assert route["id"] in stack.gateway.json("queue", "release")["released"]
    [now] = [one for one in stack.gateway.json("route", "list")["routes"] if one["id"] == route["id"]]
    # Another test's dead tokens may close the brake of a route that they share at any time.
    assert now["hold"] is None or now["hold"]["reason"] != held["hold"]["reason"]
