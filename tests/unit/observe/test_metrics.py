"""What a scrape shows, and that names never carry what a caller can multiply."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from wakeline.observe.metrics import DEFINITIONS, ENDPOINTS, Labels, Metrics, Reading, page
from wakeline.observe.names import Metric

ROOT = Path(__file__).parents[3]


def sample(text: bytes, name: str, **labels: str) -> float | None:
    for family in text_string_to_metric_families(text.decode()):
        for found in family.samples:
            if found.name == name and found.labels == labels:
                return found.value
    return None


def test_the_committed_page_is_the_generated_one() -> None:
    assert (ROOT / "docs/reference/metrics.md").read_text() == page()


def test_every_name_is_defined_once() -> None:
    assert [item.name for item in DEFINITIONS] == list(Metric)


def test_no_label_names_a_token_a_device_or_a_user() -> None:
    small = {"lane", "state", "provider", "outcome", "reason", "version", "kind", "stage", "result"}
    made_by_operators = {"app", "credential", "installation", "endpoint"}
    assert {label for item in DEFINITIONS for label in item.labels} <= small | made_by_operators


def test_counters_add_up_over_batches() -> None:
    metrics = Metrics()
    metrics.answered("apns", "accepted", 200)
    metrics.answered("apns", "accepted", 55)
    metrics.accepted("call", 1)
    metrics.retried("fcm", 3)
    metrics.sent("apns", 0.02)
    metrics.passed("commit", "alert", 0.002)
    metrics.passed("commit", "alert", 90.0)
    text = metrics.render(Reading())
    assert sample(text, "wakeline_deliveries_total", provider="apns", outcome="accepted") == 255
    assert sample(text, "wakeline_accepted_total", lane="call") == 1
    assert sample(text, "wakeline_retries_total", provider="fcm") == 3
    assert sample(text, "wakeline_send_seconds_count", provider="apns") == 1
    stage = {"stage": "commit", "lane": "alert"}
    below = [
        sample(text, "wakeline_stage_seconds_bucket", le=le, **stage) for le in ("0.001", "0.0025", "300.0", "+Inf")
    ]
    assert below == [0, 1, 2, 2]
    assert sample(text, "wakeline_stage_seconds_sum", **stage) == 90.002


def test_receipts_are_counted_by_kind_and_timed_by_the_first_word() -> None:
    metrics = Metrics()
    metrics.received("fcm", "acknowledged", 0.3)
    metrics.received("fcm", "opened", None)
    metrics.received("fcm", "acknowledged", 50_000.0)
    text = metrics.render(Reading())
    name = "wakeline_receipt_seconds"
    assert sample(text, "wakeline_receipts_total", provider="fcm", kind="acknowledged") == 2
    assert sample(text, "wakeline_receipts_total", provider="fcm", kind="opened") == 1
    assert sample(text, f"{name}_count", provider="fcm") == 2
    below = [sample(text, f"{name}_bucket", le=le, provider="fcm") for le in ("0.25", "0.5", "43200.0", "86400.0")]
    assert below == [0, 1, 1, 2]


def test_webhook_endpoints_have_a_hundred_series_and_those_after_share_one() -> None:
    metrics = Metrics()
    for number in range(ENDPOINTS + 7):
        metrics.told(f"id-{number}", "taken")
    metrics.told("id-0", "given_up", 3)
    metrics.told("id-106", "taken", 5)
    text = metrics.render(Reading())
    name = "wakeline_webhook_messages_total"
    assert sample(text, name, endpoint="id-0", result="taken") == 1
    assert sample(text, name, endpoint="id-0", result="given_up") == 3
    assert sample(text, name, endpoint="id-0", result="failed") == 0
    assert sample(text, name, endpoint="other", result="taken") == 12
    assert sample(text, name, endpoint="id-100", result="taken") is None
    assert text.count(f"{name}{{".encode()) == 3 * (ENDPOINTS + 1)


def test_gauges_are_what_was_read_and_forget_what_is_gone() -> None:
    metrics = Metrics()
    expiry = Labels(("acme", "3"), 1_800_000_000.0)
    before = metrics.render(Reading(credential_expiry=(expiry,), queue_oldest=2.5, store_writable=False))
    name = "wakeline_credential_expiry_timestamp_seconds"
    assert sample(before, name, app="acme", credential="3") == 1_800_000_000.0
    assert sample(before, "wakeline_queue_oldest_seconds") == 2.5
    assert sample(before, "wakeline_store_writable") == 0
    after = metrics.render(Reading())
    assert sample(after, name, app="acme", credential="3") is None
    assert sample(after, "wakeline_store_writable") == 1


def test_registries_do_not_meet() -> None:
    first, second = Metrics(), Metrics()
    first.accepted("alert", 1)
    assert sample(second.render(Reading()), "wakeline_accepted_total", lane="alert") is None


def test_a_watched_gauge_is_read_at_each_scrape() -> None:
    metrics, open_now = Metrics(), [0.0]
    metrics.watch(Metric.SIP_CONNECTIONS, lambda: open_now[0])
    for connections in (0.0, 3.0, 1.0):
        open_now[0] = connections
        assert sample(metrics.render(Reading()), "wakeline_sip_connections") == connections
