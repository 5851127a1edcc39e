"""The way of a mobile app to its first answer: an operator's commands, a login page, tokens, a method; all over real sockets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest

from processes import Gateway, document, gateway, wakeline

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("portal"), "[bitrix24]\nrequire_https = false\n") as one:
        one.json("app", "create", "acme")
        yield one


def application(one: Gateway, *more: str) -> dict[str, str]:
    found: dict[str, str] = one.json(
        "bitrix24", "application", "create", "--name", "N", "--app", "acme", "--redirect-uri", "myapp://back", *more
    )
    return found


def browser(one: Gateway) -> httpx2.Client:
    return httpx2.Client(base_url=one.address, trust_env=False, timeout=30)


def called(http: httpx2.Client, method: str, token: str) -> httpx2.Response:
    return http.post(f"/rest/{method}.json", json={"auth": token})


def test_the_forms_that_scripts_rely_on(running: Gateway) -> None:
    made = application(running)
    webhook = running.json("bitrix24", "webhook", "create", "--user", "1", "--scope", "crm,pull")
    token = running.json("bitrix24", "token", "create", "--application", made["client_id"], "--user", "1", "--admin")

    assert set(made) == {"client_id", "client_secret"}
    assert set(webhook) == {"url"}
    assert set(token) == {"access_token", "refresh_token"}
    with browser(running) as http:
        assert http.get(urlsplit(webhook["url"]).path + "profile").json()["result"]["ID"] == "1"
        profile = called(http, "profile", token["access_token"]).json()["result"]
    assert profile["ADMIN"] is True


def test_what_was_made_offline_works_when_the_gateway_runs(tmp_path: Path) -> None:
    offline = Gateway(tmp_path, "[bitrix24]\nrequire_https = false\n")
    url = offline.json("bitrix24", "webhook", "create", "--user", "3", "--scope", "crm")["url"]
    assert offline.json("bitrix24", "user", "list")["users"][0]["admin"] is False
    with gateway(tmp_path, "[bitrix24]\nrequire_https = false\n") as one, browser(one) as http:
        path = urlsplit(url).path
        assert http.get(f"{path}profile.json").json()["result"]["ID"] == "3"
        (listed,) = one.json("bitrix24", "webhook", "list")["webhooks"]
        one.json("bitrix24", "webhook", "delete", str(listed["id"]))
        assert http.get(f"{path}profile.json").status_code == 401


def test_a_user_signs_in_and_the_app_calls_and_refreshes(running: Gateway) -> None:
    user = {"WAKELINE_BITRIX24_PASSWORD": PASSWORD}
    done = wakeline(
        *("bitrix24", "user", "create", "--id", "7", "--login", "max", "--json", "--config", str(running.config)),
        cwd=running.directory,
        variables=user,
    )
    assert document(done)["signs_in"] is True
    made = application(running, "--scope", "user,pull")
    with browser(running) as http:
        asked = {"client_id": made["client_id"], "response_type": "code", "redirect_uri": "myapp://back", "state": "s"}
        shown = http.get("/oauth/authorize/", params=asked)
        ticket = re.search(r'name="ticket" value="([^"]+)"', shown.text)
        assert ticket
        form = {"ticket": unescape(ticket[1]), "login": "max", "password": PASSWORD}
        back = http.post("/oauth/authorize/", data=form).headers["location"]
        answer = dict(parse_qsl(urlsplit(back).query))
        client = {"client_id": made["client_id"], "client_secret": made["client_secret"]}
        code = {**client, "grant_type": "authorization_code", "code": answer["code"]}
        first: dict[str, Any] = http.get("//oauth/token/", params=code).json()
        renew = {**client, "grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
        second: dict[str, Any] = http.post("/oauth/token/", data=renew).json()
        current = called(http, "user.current", second["access_token"]).json()
        replayed = http.get("/oauth/token/", params=code)

    assert back.startswith("myapp://back?code=")
    assert answer["state"] == "s"
    assert (first["user_id"], first["scope"], second["scope"]) == (7, "user,pull", "user,pull")
    assert current["result"]["ID"] == "7"
    assert replayed.status_code == 400


def test_an_operators_switches_count_at_once(running: Gateway) -> None:
    made = application(running, "--users", "1")
    token = running.json("bitrix24", "token", "create", "--application", made["client_id"], "--user", "1")
    access, client_id = token["access_token"], made["client_id"]
    rows = [
        (("portal", "set", "--closed"), 500, "PORTAL_DELETED", ("portal", "set", "--open")),
        (("portal", "set", "--blocked"), 503, "OVERLOAD_LIMIT", ("portal", "set", "--unblocked")),
        (("portal", "set", "--plan", "free"), 403, "ACCESS_DENIED", ("portal", "set", "--plan", "commercial")),
        (("application", "set", client_id, "--users", "2"), 403, "user_access_error", None),
        (("application", "set", client_id, "--everyone"), 200, None, None),
        (("application", "set", client_id, "--no-manifest"), 404, "ERROR_MANIFEST_IS_NOT_AVAILABLE", None),
        (("application", "delete", client_id), 401, "NO_AUTH_FOUND", None),
    ]
    with browser(running) as http:
        for command, status, error, undo in rows:
            running.json("bitrix24", *command)
            answer = called(http, "profile", access)
            assert (answer.status_code, answer.json().get("error")) == (status, error), command
            if undo is not None:
                running.json("bitrix24", *undo)
                assert called(http, "profile", access).status_code == 200


def test_the_audit_says_what_is_missing_and_its_exit_code_too(tmp_path: Path) -> None:
    offline = Gateway(tmp_path)
    missing = offline.json("bitrix24", "audit", code=1)["checks"]
    assert {"https", "users"} <= {check["name"] for check in missing if check["status"] == "failed"}

    open_ = Gateway(tmp_path, "[bitrix24]\nrequire_https = false\n")
    open_.json("bitrix24", "user", "create", "--id", "1", "--admin")
    assert "users" not in {one["name"] for one in open_.json("bitrix24", "audit")["checks"] if one["status"] != "ok"}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["application", "create", "--name", "N", "--app", "absent"], 4),
        (["application", "create", "--name", "N", "--app", "acme", "--redirect-uri", "javascript:1"], 4),
        (["application", "set", "local.absent", "--name", "x"], 3),
        (["application", "set", "x", "--users", "1", "--everyone"], 2),
        (["application", "set", "x", "--users", "one"], 2),
        (["application", "delete", "local.absent"], 3),
        (["webhook", "create", "--user", "1"], 2),
        (["webhook", "create", "--user", "0", "--scope", "crm"], 4),
        (["webhook", "delete", "99"], 3),
        (["token", "create", "--application", "local.absent", "--user", "1"], 3),
        (["user", "set", "99", "--admin"], 3),
        (["portal", "set", "--plan", "gold"], 2),
    ],
)
def test_exit_codes_say_what_went_wrong(running: Gateway, arguments: list[str], code: int) -> None:
    done = running.cli("bitrix24", *arguments)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
