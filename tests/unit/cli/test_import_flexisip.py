"""`wakeline import flexisip`: what it prints and writes; the settings that it makes are settings."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from unit.cli.test_root import invoke
from wakeline.config.loading import load

CONF = """\
# a proxy as its operators have it
[global]
transports=sip:*:5060 sips:*:5061
tls-certificates-file=/etc/flexisip/tls/agent.pem
tls-certificates-private-key=/etc/flexisip/tls/key.pem
[module::Router]
fork-late=true
call-fork-timeout=60
message-delivery-timeout=604800
[module::Registrar]
reg-domains=sip.example.org
max-expires=604800
[module::PushNotification]
enabled=true
apple=true
apple-certificate-dir=/etc/flexisip/apn
firebase=true
firebase-projects-api-keys=8123456789:AIzaSecret
https-proxy-host=proxy.example
https-proxy-username=me
https-proxy-password=hunter2
[module::Presence]
enabled=true
"""


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "flexisip.conf"
    file.write_text(CONF)
    return file


def test_each_setting_gets_its_line(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke("import", "flexisip", str(conf), "--app", "acme-chat", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    by_name = {one["name"]: one for one in found["settings"]}
    assert len(found["settings"]) == 16
    assert (by_name["fork-late"]["becomes"], by_name["fork-late"]["keys"]) == ("taken", ["sip.fork_late"])
    assert by_name["firebase-projects-api-keys"]["becomes"] == "obsolete"
    assert tomllib.loads(found["toml"])["sip"]["senders"] == ["8123456789:acme-chat"]


def test_what_is_written_is_a_settings_file(conf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = tmp_path / "wakeline.toml"
    assert invoke("import", "flexisip", str(conf), "--app", "acme-chat", "--output", str(made)) == 0
    settings = load(made, {}).settings
    assert settings.sip.listen == ("udp:0.0.0.0:5060", "tcp:0.0.0.0:5060", "tls:0.0.0.0:5061")
    assert (settings.sip.call_fork_timeout, settings.sip.domains) == (60, ("sip.example.org",))
    assert settings.credentials.directory == "/etc/flexisip/apn"
    assert settings.providers.fcm.proxy == "http://me:hunter2@proxy.example:3128"
    assert made.stat().st_mode & 0o777 == 0o600
    said = capsys.readouterr().out
    assert "Router/fork-late" in said
    assert "--unused" in said
    assert "AIzaSecret" not in said

    assert invoke("import", "flexisip", str(conf), "--output", str(made)) != 0
    assert load(made, {}).settings == settings


def test_what_does_not_go_together_is_said(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conf.write_text("[module::PushNotification]\napns-server=https://:443\n")
    assert invoke("import", "flexisip", str(conf)) == 0
    assert "providers.apns.production" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    assert invoke("import", "flexisip", str(tmp_path / "none.conf")) == 3
