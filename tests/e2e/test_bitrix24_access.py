"""The way of a mobile app to its first answer: an operator's commands, a login page, tokens, a method; all over real sockets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest

from processes import Gateway, document, end, wakeline

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def offline_url(tmp_path_factory: pytest.TempPathFactory) -> tuple[Gateway, str]:
    """A store that no gateway serves yet, with a webhook that was made there."""
    one = Gateway(tmp_path_factory.mktemp("portal"), "[bitrix24]\nrequire_https = false\n")
    one.json("app", "create", "acme")
    return one, one.json("bitrix24", "webhook", "create", "--user", "3", "--scope", "crm")["url"]


@pytest.fixture(scope="module")
def running(offline_url: tuple[Gateway, str]) -> Iterator[Gateway]:
    one = offline_url[0]
    one.start({"WAKELINE_LOGS__ACCESS": "true"})
    try:
        yield one
    finally:
        assert one.process is not None
        end(one.process)


def application(one: Gateway, *more: str) -> dict[str, str]:
    found: dict[str, str] = one.json(
        "bitrix24", "application", "create", "--name", "N", "--app", "acme", "--redirect-uri", "myapp://back", *more
    )
    return found


def browser(one: Gateway) -> httpx2.Client:
    return httpx2.Client(base_url=one.address, trust_env=False, timeout=30)


def test_the_forms_that_scripts_rely_on(running: Gateway, offline_url: tuple[Gateway, str]) -> None:
    made = application(running)
    webhook = running.json("bitrix24", "webhook", "create", "--user", "1", "--scope", "crm,pull")
    token = running.json("bitrix24", "token", "create", "--application", made["client_id"], "--user", "1", "--admin")

    assert set(made) == {"client_id", "client_secret"}
    assert set(webhook) == {"url"}
    assert set(token) == {"access_token", "refresh_token"}
    with browser(running) as http:
        assert http.get(webhook["url"] + "profile").json()["result"]["ID"] == "1"
        assert http.get(urlsplit(offline_url[1]).path + "profile.json").json()["result"]["ID"] == "3"
        profile = http.post("/rest/profile.json", json={"auth": token["access_token"]}).json()["result"]
    assert profile["ADMIN"] is True


def test_a_user_signs_in_and_the_app_calls_and_refreshes(running: Gateway) -> None:
    done = wakeline(
        *("bitrix24", "user", "create", "--id", "7", "--login", "max", "--json", "--config", str(running.config)),
        cwd=running.directory,
        variables={"WAKELINE_BITRIX24_PASSWORD": PASSWORD},
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
        first: dict[str, Any] = http.get(f"{running.address}//oauth/token/", params=code).json()
        renew = {**client, "grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
        second: dict[str, Any] = http.post("/oauth/token/", data=renew).json()
        current = http.get("/rest/user.current", params={"auth": second["access_token"]}).json()
        replayed = http.get("/oauth/token/", params=code)

    assert back.startswith("myapp://back?code=")
    assert answer["state"] == "s"
    assert (first["user_id"], first["scope"], second["scope"]) == (7, "user,pull", "user,pull")
    assert first["client_endpoint"] == f"{running.address}/rest/"
    assert current["result"]["ID"] == "7"
    assert replayed.status_code == 400
    log = running.log.read_text()
    assert "/oauth/token/" in log
    for reply in (first, second):
        assert reply["access_token"] not in log
        assert reply["refresh_token"] not in log
    assert answer["code"] not in log
    assert made["client_secret"] not in log
    assert PASSWORD not in log
