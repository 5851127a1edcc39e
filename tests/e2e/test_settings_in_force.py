"""Settings at work in the real process: TLS, uvloop, access lines, metrics, a provider that is swapped while running."""

from __future__ import annotations

import json
import re
import signal
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import trustme

from acme import APP, Stack, furnish
from processes import Gateway, Simulator, gateway, pointing_at, started, until
from wakeline.observe.metrics import DEFINITIONS
from webhook_receiver import receiving

SEND = f"/v1/apps/{APP}/notifications"


def ended(http: httpx2.Client, notification: str) -> Any:
    shown = http.get(f"{SEND}/{notification}").raise_for_status().json()
    return shown if shown["state"] == "done" else None


def test_a_listener_with_a_certificate_speaks_tls_and_serves_on_uvloop(tmp_path: Path) -> None:
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1")
    leaf.private_key_pem.write_to_path(tmp_path / "key.pem")
    leaf.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    variables = {
        "WAKELINE_SERVER__TLS_CERTIFICATE": str(tmp_path / "cert.pem"),
        "WAKELINE_SERVER__TLS_KEY": str(tmp_path / "key.pem"),
        "WAKELINE_SERVER__UVLOOP": "true",
    }
    with started(Gateway(tmp_path), variables) as running:
        assert running.address.startswith("https://")
        trust = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        assert httpx2.get(f"{running.address}/readyz", verify=trust, trust_env=False, timeout=60).status_code == 200
        assert running.json("app", "list") == {"apps": []}
        assert running.events("service.uvloop_absent") == []

        later = authority.issue_cert("127.0.0.1", not_after=datetime.now(UTC) + timedelta(days=7))
        later.private_key_pem.write_to_path(tmp_path / "key.pem")
        later.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
        assert own_certificate(running)["status"] == "ok"
        assert running.process is not None
        running.process.send_signal(signal.SIGHUP)
        until(lambda: own_certificate(running)["status"] == "warning", "it shows the one that ends in a week")
        assert running.stop() == 0


def own_certificate(running: Gateway) -> dict[str, str]:
    """Return what the doctor says of the certificate that the listener shows."""
    checks = json.loads(running.cli("doctor", "--json").stdout)["checks"]
    return next(one for one in checks if one["name"] == "certificate of server")


def test_requests_are_logged_only_if_asked_for_and_without_tokens(tmp_path: Path) -> None:
    token = "5e" * 32
    logging = Gateway(tmp_path)
    logging.config.write_text(logging.config.read_text().replace('format = "json"', 'format = "json"\naccess = true'))
    with started(logging) as running:
        running.cli("explain", token)
        lines = until(lambda: running.events("http.request") or None, "a line is written")
        assert running.stop() == 0
    assert [(line["method"], line["status"]) for line in lines] == [("GET", 404)]
    assert lines[0]["path"].startswith("/v1/explain")
    assert token not in running.log.read_text()


def test_no_request_is_logged_by_default(tmp_path: Path) -> None:
    with gateway(tmp_path) as running:
        httpx2.get(f"{running.address}/healthz", trust_env=False, timeout=60)
    assert "/healthz" not in running.log.read_text()


def test_every_metric_of_the_reference_is_scraped(stack: Stack) -> None:
    stack.gateway.json("device", "put", "m1", "--app", APP, "--user", "met", "--target", f"apns={'6f' * 32}")
    stack.gateway.json("send", "--app", APP, "--user", "met", "--title", "x", "--wait", "10")
    text = stack.http.get("/metrics").raise_for_status().text
    for item in DEFINITIONS:
        assert re.search(rf"^# TYPE {item.name.removesuffix('_total')}", text, re.MULTILINE), item.name
    assert re.search(r'^wakeline_deliveries_total\{outcome="accepted",provider="apns"\} [1-9]', text, re.MULTILINE)
    assert re.search(r'^wakeline_accepted_total\{lane="alert"\} [1-9]', text, re.MULTILINE)
    assert "6f6f6f" not in text


def test_a_provider_authority_is_swapped_while_running(tmp_path: Path, fake: Simulator) -> None:
    settings = pointing_at(fake)
    blind = settings.replace(f'ca_file = "{fake.ca_file}"\n[providers.fcm]', "[providers.fcm]")
    assert blind != settings
    with gateway(tmp_path, blind) as running, running.client() as http:
        furnish(running, fake)
        running.json("device", "put", "d1", "--app", APP, "--user", "ann", "--target", f"apns-voip={'7a' * 32}")
        call = {"to": {"users": ["ann"]}, "call": {"id": "c1"}}
        notification = http.post(SEND, json=call).raise_for_status().json()["id"]
        until(lambda: running.events("connect_failed") or None, "it is not trusted")
        text = running.config.read_text()
        running.config.write_text(text.replace("[providers.fcm]", f'ca_file = "{fake.ca_file}"\n[providers.fcm]'))
        assert running.process is not None
        running.process.send_signal(signal.SIGHUP)
        until(lambda: running.events("settings.reloaded") or None, "the reload is logged")
        shown = until(lambda: ended(http, notification), "the call is over")
        assert shown["counts"]["accepted"] == 1


def test_what_webhooks_may_do_is_changed_while_running(tmp_path: Path) -> None:
    with receiving() as receiver, gateway(tmp_path) as running:
        refused = running.cli("webhook", "create", receiver.url)
        assert refused.returncode
        assert "allow_http" in refused.stderr
        running.config.write_text(
            running.config.read_text() + "\n[webhooks]\nallow_private = true\nallow_http = true\n"
        )
        assert running.process is not None
        running.process.send_signal(signal.SIGHUP)
        until(lambda: running.events("settings.reloaded") or None, "it has read them")
        made = running.json("webhook", "create", receiver.url)
        receiver.secret = made["secret"]
        assert running.json("webhook", "test", made["id"])["taken"]
