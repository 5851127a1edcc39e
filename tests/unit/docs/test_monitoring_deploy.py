"""deploy/grafana and deploy/prometheus ask for what the gateway tells, and Prometheus understands it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml  # type: ignore[import-untyped]  # it has no types

from wakeline.model.outcome import OutcomeClass
from wakeline.model.route import HoldReason, Lane
from wakeline.observe.metrics import DEFINITIONS
from wakeline.pipeline.meter import Stage

DEPLOY = Path(__file__).parents[3] / "deploy"
RULES = DEPLOY / "prometheus/wakeline.rules.yml"
DASHBOARD = DEPLOY / "grafana/wakeline.json"

SCRAPED = {"instance", "job"}
"""Labels that Prometheus adds to whatever it scrapes."""
VALUES: dict[str, set[str]] = {
    "lane": {lane.name.lower() for lane in Lane},
    "stage": set(Stage),
    "outcome": set(OutcomeClass),
    "reason": {*HoldReason, "resting"},
    "state": {"queued", "sending", "ok", "failing", "disabled", "gone"},
    "result": {"taken", "failed", "given_up"},
}
promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed")


def told() -> dict[str, set[str]]:
    """Return the labels of each series that a scrape may have."""
    found: dict[str, set[str]] = {}
    for item in DEFINITIONS:
        found[item.name.value] = set(item.labels)
        if item.kind == "histogram":
            found |= {f"{item.name.value}{end}": set(item.labels) for end in ("_sum", "_count")}
            found[f"{item.name.value}_bucket"] = {*item.labels, "le"}
    return found


def faults(expression: str, shown: str = "") -> list[str]:
    """Return what an expression asks for that no scrape tells; `shown`: text that may name labels of its result."""
    series = told()
    wrong: list[str] = []
    everything = set(SCRAPED)
    for name, selector in re.findall(r"\b(wakeline_\w+)(?:\{([^}]*)\})?", expression):
        if name not in series:
            wrong.append(name)
            continue
        everything |= series[name]
        for label, values in re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"', selector):
            if label not in series[name] | SCRAPED:
                wrong.append(f"{name}{{{label}}}")
            elif label in VALUES:
                wrong += [f"{label}={value}" for value in values.split("|") if value not in VALUES[label]]
    kept = everything
    for grouped in re.findall(r"\bby\s*\(([^)]*)\)", expression):
        asked = {label.strip() for label in grouped.split(",")}
        wrong += sorted(asked - everything)
        kept = kept & asked
    return wrong + sorted(set(re.findall(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}", shown)) - kept)


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load(RULES.read_text())["groups"]
    assert group["name"] == "wakeline"
    found: list[dict[str, Any]] = group["rules"]
    return found


def targets() -> list[tuple[str, str]]:
    """Return each expression of the dashboard with the text beside it."""
    found = [
        (target["expr"], target["legendFormat"])
        for panel in dashboard()["panels"]
        for target in panel.get("targets", [])
    ]
    assert found
    return found


def dashboard() -> dict[str, Any]:
    return msgspec.json.decode(DASHBOARD.read_bytes(), type=dict[str, Any])


@pytest.mark.parametrize(
    ("expression", "shown", "fault"),
    [
        ("wakeline_queue_olddest_seconds > 3", "", "wakeline_queue_olddest_seconds"),
        ('wakeline_accepted_total{app="a"}', "", "wakeline_accepted_total{app}"),
        ('wakeline_routes_held{reason=~"brake|fire"}', "", "reason=fire"),
        ("sum by (user) (wakeline_h2_streams)", "", "user"),
        ("sum by (lane) (wakeline_queue_depth)", "{{state}}", "state"),
        ('rate(wakeline_stage_seconds_bucket{stage="write"}[5m])', "", "stage=write"),
        ("wakeline_queue_depth", "of {{ $labels.provider }}", "provider"),
    ],
)
def test_the_judge_of_expressions_finds_what_is_wrong(expression: str, shown: str, fault: str) -> None:
    assert faults(expression, shown) == [fault]


def test_alerts_ask_for_what_is_told_and_say_what_it_means() -> None:
    alerts = rules()

    assert len({rule["alert"] for rule in alerts}) == len(alerts)
    for rule in alerts:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert set(rule["annotations"]) == {"summary", "description"}
        assert "wakeline_" in rule["expr"]
        assert faults(rule["expr"], " ".join(rule["annotations"].values())) == [], rule["alert"]


def test_the_guide_names_every_alert() -> None:
    guide = (DEPLOY.parent / "docs/guide/operations.md").read_text()

    assert set(re.findall(r"`(Wakeline\w+)`", guide)) == {rule["alert"] for rule in rules()}


def test_the_dashboard_asks_for_what_is_told() -> None:
    for expression, legend in targets():
        assert faults(expression, legend) == [], expression
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            assert faults(variable["query"]["query"]) == []


def test_panels_have_a_place_of_their_own() -> None:
    panels = dashboard()["panels"]
    taken = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)


@promtool
def test_prometheus_takes_the_rules() -> None:
    done = subprocess.run(["promtool", "check", "rules", str(RULES)], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert f"{len(rules())} rules found" in done.stdout


@promtool
def test_prometheus_takes_the_expressions_of_the_dashboard(tmp_path: Path) -> None:
    asked = [expression.replace("$__rate_interval", "5m") for expression, _ in targets()]
    made = {"groups": [{"name": "g", "rules": [{"record": f"r{at}", "expr": one} for at, one in enumerate(asked)]}]}
    file = tmp_path / "dashboard.yml"
    file.write_bytes(msgspec.json.encode(made))

    done = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


GOOD_DAYS = {
    "wakeline_build_info": "1x60",
    "wakeline_queue_oldest_seconds": "1x60",
    'wakeline_queue_age_seconds{lane="call"}': "0x60",
    "wakeline_store_writable": "1x60",
    "wakeline_disk_free_bytes": "5000000000x60",
    "wakeline_sip_datagrams_dropped": "7x60",
    "wakeline_credential_expiry_timestamp_seconds": "9000000x60",
    'wakeline_deliveries_total{outcome="accepted"}': "0+9x60",
    'wakeline_webhook_lag_seconds{endpoint="a"}': "1x60",
    'wakeline_webhook_messages_total{endpoint="a",result="taken"}': "0+9x60",
    'wakeline_webhook_messages_total{endpoint="a",result="given_up"}': "3x60",
    'wakeline_webhook_endpoints{state="gone"}': "0x60",
    'wakeline_silences{app="acme"}': "0x60",
    'wakeline_stage_seconds_bucket{stage="commit",le="0.1"}': "0+9x60",
    'wakeline_stage_seconds_bucket{stage="commit",le="10"}': "0+9x60",
    'wakeline_stage_seconds_bucket{stage="commit",le="+Inf"}': "0+9x60",
    'wakeline_send_seconds_bucket{le="1"}': "0+9x60",
    'wakeline_send_seconds_bucket{le="10"}': "0+9x60",
    'wakeline_send_seconds_bucket{le="+Inf"}': "0+9x60",
}
BAD_DAYS = {
    "WakelineAbsent": ("wakeline_build_info", "_x60"),
    "WakelineStoreNotWritable": ("wakeline_store_writable", "0x60"),
    "WakelineDiskNearlyFull": ("wakeline_disk_free_bytes", "900000000x60"),
    "WakelineCommitsSlow": ('wakeline_stage_seconds_bucket{stage="commit",le="0.1"}', "0x60"),
    "WakelineQueueStalled": ("wakeline_queue_oldest_seconds", "400+60x60"),
    "WakelineCallsWait": ('wakeline_queue_age_seconds{lane="call"}', "6+60x60"),
    "WakelineCredentialRefused": ('wakeline_routes_held{reason="credential"}', "2x60"),
    "WakelineBrakeClosed": ('wakeline_routes_held{reason="brake"}', "1x60"),
    "WakelineProviderSilent": ('wakeline_routes_held{reason="breaker"}', "1x60"),
    "WakelineAnswersSlow": ('wakeline_send_seconds_bucket{le="1"}', "0x60"),
    "WakelinePushesFail": ('wakeline_deliveries_total{outcome="payload"}', "0+9x60"),
    "WakelineTokensDying": ('wakeline_deliveries_total{outcome="token_dead"}', "0+9x60"),
    "WakelineCredentialExpires": ("wakeline_credential_expiry_timestamp_seconds", "86400x60"),
    "WakelineCredentialExpired": ("wakeline_credential_expiry_timestamp_seconds", "1x60"),
    "WakelinePortalBehind": ("wakeline_bitrix24_portal_oldest_seconds", "1000+60x60"),
    "WakelineWebhookBehind": ('wakeline_webhook_lag_seconds{endpoint="a"}', "1000+60x60"),
    "WakelineWebhookGivenUp": ('wakeline_webhook_messages_total{endpoint="a",result="given_up"}', "0+1x60"),
    "WakelineWebhookGone": ('wakeline_webhook_endpoints{state="gone"}', "1x60"),
    "WakelinePhonesSilent": ('wakeline_silences{app="acme"}', "1x60"),
    "WakelineSipFlooded": ("wakeline_sip_datagrams_dropped", "0+9x60"),
}


@promtool
def test_each_alert_is_raised_by_what_it_is_for_and_by_nothing_on_good_days(tmp_path: Path) -> None:
    assert set(BAD_DAYS) == {rule["alert"] for rule in rules()}
    days: list[tuple[dict[str, str], list[str]]] = [(GOOD_DAYS, [])]
    days += [(GOOD_DAYS | {series: values}, [alert]) for alert, (series, values) in BAD_DAYS.items()]
    tests = [
        {
            "interval": "2m",
            "input_series": [{"series": name, "values": values} for name, values in given.items()],
            "promql_expr_test": [
                {
                    "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                    "eval_time": "100m",  # an hour's dead tokens have to go on for an hour
                    "exp_samples": [{"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in raised],
                }
            ],
        }
        for given, raised in days
    ]
    file = tmp_path / "test.yml"
    file.write_bytes(msgspec.json.encode({"rule_files": [str(RULES)], "evaluation_interval": "4m", "tests": tests}))

    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
