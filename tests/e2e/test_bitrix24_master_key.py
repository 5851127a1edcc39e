"""The master key is changed: what Bitrix24 clients and portals hold stays good, also after a restart."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx2

from processes import Gateway, gateway

PASSWORD = "correct horse"
SETTINGS = "[bitrix24]\nrequire_https = false\n"
LICENCE = "0123456789abcdef0123456789abcdef"


class Client:
    """All that a mobile app, a script and a self-hosted portal hold of a portal."""

    def __init__(self, running: Gateway) -> None:
        self._running = running
        with running.client() as operator:

            def make(path: str, **body: object) -> dict[str, str]:
                made: dict[str, str] = operator.post(path, json=body).raise_for_status().json()
                return made

            make("/v1/apps", id="acme")
            make("/v1/bitrix24/users", id=7, login="max", password=PASSWORD)
            made = make("/v1/bitrix24/applications", name="N", app="acme", redirect_uri="myapp://back")
            self.application = {name: made[name] for name in ("client_id", "client_secret")}
            self.webhook = make("/v1/bitrix24/webhooks", user=1, scopes=["crm"])["url"]
            make("/v1/bitrix24/keys", app="acme", key=LICENCE)
        self.tokens: dict[str, str] = {}

    def http(self) -> httpx2.Client:
        return httpx2.Client(base_url=self._running.address, trust_env=False, timeout=30)

    def page(self, http: httpx2.Client) -> str:
        """Open the login page and return the ticket in its form."""
        shown = http.get("/oauth/authorize/", params={"client_id": self.application["client_id"], "state": "s"})
        ticket = re.search(r'name="ticket" value="([^"]+)"', shown.text)
        assert ticket, shown.text
        return unescape(ticket[1])

    def sign_in(self, http: httpx2.Client, ticket: str) -> None:
        """Send the form, and exchange the code."""
        form = {"ticket": ticket, "login": "max", "password": PASSWORD}
        answer = http.post("/oauth/authorize/", data=form)
        assert answer.status_code == 302, answer.text
        code = dict(parse_qsl(urlsplit(answer.headers["location"]).query))["code"]
        self._exchange(http, grant_type="authorization_code", code=code)

    def renew(self, http: httpx2.Client) -> None:
        """Use the refresh token."""
        self._exchange(http, grant_type="refresh_token", refresh_token=self.tokens["refresh_token"])

    def _exchange(self, http: httpx2.Client, **asked: str) -> None:
        answer = http.post("/oauth/token/", data={**self.application, **asked})
        assert answer.status_code == 200, answer.text
        self.tokens = answer.json()

    def check(self, http: httpx2.Client) -> None:
        """Use each thing that opens a door."""
        profile = http.post("/rest/profile.json", json={"auth": self.tokens["access_token"]}).json()
        assert profile["result"]["ID"] == "7"
        assert http.get(urlsplit(self.webhook).path + "profile").json()["result"]["ID"] == "1"
        push = {"key": LICENCE, "token": "5e" * 32, "platform": "ios", "payload": {"title": "Hello"}}
        assert http.post("/pub/", json=push).json()["code"] == 901  # the key is known; its app has no credential


def test_what_clients_hold_stays_good_when_the_master_key_is_changed(tmp_path: Path) -> None:
    with gateway(tmp_path, SETTINGS) as running:
        client = Client(running)
        with client.http() as http:
            client.sign_in(http, client.page(http))
            client.check(http)
            open_page = client.page(http)

            running.json("db", "rotate-key")
            client.sign_in(http, open_page)  # a form that stood open meanwhile
            client.renew(http)
            client.check(http)

        running.json("db", "rotate-key", "--revoke-old")
        assert running.stop() == 0
        assert len((running.data / "master.key").read_text().splitlines()) == 1
        running.start()
        with client.http() as http:
            client.check(http)
            client.renew(http)
            client.sign_in(http, client.page(http))
            client.check(http)
        text = running.log.read_text()
        for secret in (LICENCE, client.tokens["access_token"], client.tokens["refresh_token"]):
            assert secret not in text
