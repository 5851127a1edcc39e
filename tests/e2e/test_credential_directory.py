"""A real gateway and a directory of certificates: imported, watched, renewed while pushes flow."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import httpx2

from acme import APP, BUNDLE
from apn_directory import identity, put
from processes import Gateway, Simulator, pointing_at, started, until
from traffic import notification, register, settled, token

DEVICES = 5
_NOWHERE = '[providers.apns]\nproduction = "https://127.0.0.1:9"\nsandbox = "https://127.0.0.1:9"\n'
"""Nothing listens there: the live check of an upload must not leave this machine."""
SEND = f"/v1/apps/{APP}/notifications"


class Stream(threading.Thread):
    """Sends one push after the other until it is told to end; remembers the ids."""

    def __init__(self, http: httpx2.Client) -> None:
        super().__init__(daemon=True)
        self.ids: list[str] = []
        self.enough = threading.Event()
        self._http = http

    def run(self) -> None:
        for number in itertools.count():
            if self.enough.is_set():
                return
            answer = self._http.post(SEND, json=notification(number, DEVICES)).raise_for_status()
            self.ids.append(answer.json()["id"])
            self.enough.wait(0.02)

    def goes_on(self, pushes: int) -> None:
        """Wait until so many more are taken."""
        wanted = len(self.ids) + pushes
        until(lambda: len(self.ids) >= wanted or None, "pushes are taken")


def _revision(http: httpx2.Client) -> int:
    (only,) = http.get(f"/v1/apps/{APP}/credentials").raise_for_status().json()["credentials"]
    return int(only["revision"])


def _health(http: httpx2.Client) -> dict[str, str]:
    return {check["name"]: check["status"] for check in http.get("/v1/health").json()["checks"]}


def test_a_certificate_is_renewed_by_rename_while_pushes_flow_and_none_is_lost(tmp_path: Path, fake: Simulator) -> None:
    apn = tmp_path / "apn"
    apn.mkdir()
    file = put(apn / f"{BUNDLE}.prod.pem", BUNDLE)
    watching = f'[credentials]\ndirectory = "{apn}"\napp = "{APP}"\n'
    furnished = Gateway(tmp_path / "gateway", pointing_at(fake, watching))
    furnished.json("app", "create", APP)
    with started(furnished) as running, running.client() as http:
        until(lambda: running.events("credential_file.kept") or None, "it is taken")
        before = _revision(http)
        register(http, DEVICES)
        stream = Stream(http)
        stream.start()
        try:
            stream.goes_on(20)
            put(file, BUNDLE, days=301)
            until(lambda: len(running.events("credential_file.kept")) == 2 or None, "the renewal is seen")
            stream.goes_on(20)
            whole = identity(BUNDLE, days=302)
            file.write_bytes(whole[: len(whole) // 2])
            until(lambda: running.events("credential_file.refused") or None, "half a file is refused")
            until(lambda: _health(http)["credential_directory"] == "warning", "health says so")
            stream.goes_on(20)
        finally:
            stream.enough.set()
            stream.join()
        done = settled(http, stream.ids, time.monotonic() + 30)
        assert all(one["counts"]["accepted"] == 1 for one in done.values())
        pushes = [request for number in range(DEVICES) for request in fake.requests(token(number))]
        arrived = Counter(request["headers"]["apns-id"] for request in pushes)
        assert len(arrived) == len(stream.ids)
        assert set(arrived.values()) == {1}
        assert _revision(http) == before + 1
    text = running.log.read_text()
    assert "PRIVATE KEY" not in text
    assert "Traceback" not in text


def test_another_directory_is_watched_after_a_reload(tmp_path: Path) -> None:
    places = [tmp_path / "apn", tmp_path / "other"]
    for place, topic in zip(places, (BUNDLE, f"{BUNDLE}.voip"), strict=True):
        place.mkdir()
        put(place / f"{topic}.prod.pem", topic)
    furnished = Gateway(tmp_path / "gateway", f'[credentials]\ndirectory = "{places[0]}"\n{_NOWHERE}')
    furnished.json("app", "create", APP)
    with started(furnished) as running:
        until(lambda: running.events("credential_file.kept") or None, "the first is taken")
        running.config.write_text(running.config.read_text().replace(str(places[0]), str(places[1])))
        assert running.process is not None
        running.process.send_signal(signal.SIGHUP)
        kept = until(lambda: running.events("credential_file.kept")[1:] or None, "the second is taken")
        assert kept[0]["file"] == f"{BUNDLE}.voip.prod.pem"


def test_the_command_takes_a_directory_and_says_what_it_thinks_of_each_file(tmp_path: Path) -> None:
    apn = tmp_path / "apn"
    apn.mkdir()
    put(apn / f"{BUNDLE}.prod.pem", BUNDLE, marks=("1", "2"))
    (apn / f"{BUNDLE}.dev.pem").symlink_to(f"{BUNDLE}.prod.pem")
    offline = Gateway(tmp_path / "gateway")
    command = ("import", "credentials", str(apn), "--no-check")

    assert offline.json(*command, "--create-apps", "--dry-run")["files"][0]["result"] == "stored"
    (line,) = offline.json(*command, "--create-apps")["files"]
    assert (line["result"], line["app"], line["also"]) == ("stored", BUNDLE, [f"{BUNDLE}.dev.pem"])
    (apn / "broken.prod.pem").write_text("-----BEGIN nothing")
    again = offline.json(*command, code=4)["files"]
    assert [one["result"] for one in again] == ["refused", "unchanged"]
