"""Metrics: a Prometheus registry of our own. Counters are told as things happen, gauges are read when somebody scrapes.

Rule: labels are small closed sets (provider, outcome class, lane, app, credential); a label a caller can multiply is a leak
and an outage. Counters are told in batches: one call a batch, not one a push.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from wakeline import __version__
from wakeline.observe.names import Metric

CONTENT_TYPE = CONTENT_TYPE_LATEST
SEND_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
STAGE_BUCKETS = (0.001, 0.0025, *SEND_BUCKETS, 60.0, 300.0)
"""A commit may take a millisecond, and what waits in the queue minutes."""
RECEIPT_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 43200.0, 86400.0)
"""A phone that is on answers within a second; one that was off, when it is on again."""
ENDPOINTS = 100
"""Webhook endpoints with series of their own."""
OTHER = "other"
"""The label that all others share."""


class Labels(msgspec.Struct, frozen=True):
    """A gauge's value with the values of its labels."""

    labels: tuple[str, ...]
    value: float


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is read rather than counted, at the moment of a scrape."""

    queue_depth: tuple[Labels, ...] = ()
    queue_oldest: float = 0.0
    queue_age: tuple[Labels, ...] = ()
    portal_oldest: tuple[Labels, ...] = ()
    webhook_lag: tuple[Labels, ...] = ()
    webhook_waiting: tuple[Labels, ...] = ()
    webhook_endpoints: tuple[Labels, ...] = ()
    h2_streams: tuple[Labels, ...] = ()
    h2_connections: tuple[Labels, ...] = ()
    routes_held: tuple[Labels, ...] = ()
    deliveries_held: tuple[Labels, ...] = ()
    targets: tuple[Labels, ...] = ()
    targets_stale: tuple[Labels, ...] = ()
    silences: tuple[Labels, ...] = ()
    credential_expiry: tuple[Labels, ...] = ()
    store_writable: bool = True
    commit_seconds: float = 0.0
    wal_bytes: int = 0
    disk_free: int = 0


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A metric as the reference page shows it."""

    name: Metric
    kind: str
    labels: tuple[str, ...]
    words: str


DEFINITIONS: tuple[Definition, ...] = tuple(
    Definition(name=name, kind=kind, labels=labels, words=words)
    for name, kind, labels, words in (
        (Metric.BUILD, "gauge", ("version",), "1; the label says which release runs."),
        (Metric.ACCEPTED, "counter", ("lane",), "Deliveries taken from callers (answered 202)."),
        (Metric.DELIVERIES, "counter", ("provider", "outcome"), "Answers of push services, by outcome class."),
        (Metric.RETRIES, "counter", ("provider",), "Deliveries put back to be tried again."),
        (
            Metric.RECEIPTS,
            "counter",
            ("provider", "kind"),
            "What devices themselves reported, each delivery once: `acknowledged` (the app has it), `opened` (its user did).",
        ),
        (
            Metric.PORTAL_EVENTS,
            "counter",
            ("outcome",),
            "Events of our own Bitrix24 portal for bound handlers: `delivered`, `failed`, `dropped`.",
        ),
        (
            Metric.WEBHOOK_MESSAGES,
            "counter",
            ("endpoint", "result"),
            "Messages to webhook endpoints: `taken`, `failed` tries, `given_up`; `other` are all endpoints after the first 100.",
        ),
        (Metric.SEND_SECONDS, "histogram", ("provider",), "From handing a batch over to its answers."),
        (
            Metric.RECEIPT_SECONDS,
            "histogram",
            ("provider",),
            "From acceptance by the push service to the device's first word; of broadcasts in whole seconds.",
        ),
        (
            Metric.STAGE_SECONDS,
            "histogram",
            ("stage", "lane"),
            "What comes before, by the oldest of a batch: `commit` (accepted to kept), `claim` (due to claimed), `hand_over`.",
        ),
        (
            Metric.QUEUE_DEPTH,
            "gauge",
            ("lane", "state"),
            "Deliveries waiting (`queued`) and at a provider (`sending`).",
        ),
        (Metric.QUEUE_OLDEST, "gauge", (), "How long the oldest due job has waited: the one to alert on."),
        (Metric.QUEUE_AGE, "gauge", ("lane",), "The same for each lane; 0 while nothing is due."),
        (
            Metric.PORTAL_OLDEST,
            "gauge",
            ("installation", "kind"),
            "How long a connected Bitrix24 portal's first due `event` waits for its rules, or its first `write` for the portal.",
        ),
        (
            Metric.WEBHOOK_LAG,
            "gauge",
            ("endpoint",),
            "How long ago the first event happened that the endpoint was not told of; 0: it was told of all.",
        ),
        (Metric.WEBHOOK_WAITING, "gauge", ("endpoint",), "Messages set aside, to be tried again."),
        (
            Metric.WEBHOOK_ENDPOINTS,
            "gauge",
            ("state",),
            "Webhook endpoints: `ok`, `failing`, `disabled` by an operator, `gone` (they answered 410).",
        ),
        (Metric.H2_STREAMS, "gauge", ("provider",), "Requests in flight."),
        (Metric.H2_CONNECTIONS, "gauge", ("provider",), "Open connections."),
        (Metric.ROUTES_HELD, "gauge", ("reason",), "Routes that wait, by reason; a paused app's count as `operator`."),
        (
            Metric.DELIVERIES_HELD,
            "gauge",
            ("reason",),
            "Deliveries that wait on routes that wait, by reason; `resting`: the push service asked for it.",
        ),
        (Metric.TARGETS, "gauge", ("app", "state"), "Registered targets: `active`, `quarantined`, `retired`."),
        (Metric.TARGETS_STALE, "gauge", ("app",), "Active targets of silent apps, as the last daily walk found."),
        (Metric.SILENCES, "gauge", ("app",), "Parts of an app's phones that confirm less than they used to."),
        (Metric.CREDENTIAL_EXPIRY, "gauge", ("app", "credential"), "Unix time when a credential ends."),
        (Metric.STORE_WRITABLE, "gauge", (), "1 while commits succeed."),
        (Metric.STORE_COMMIT_SECONDS, "gauge", (), "Duration of the last commit."),
        (Metric.STORE_WAL_BYTES, "gauge", (), "Size of the write-ahead logs."),
        (Metric.DISK_FREE_BYTES, "gauge", (), "Free bytes where the store lives."),
        (Metric.SIP_TRANSACTIONS, "gauge", (), "SIP requests that are under way, or answered a moment ago."),
        (Metric.SIP_CONNECTIONS, "gauge", (), "Phones and peers connected by TCP, TLS or WebSocket."),
        (
            Metric.SIP_DROPPED,
            "gauge",
            (),
            "Datagrams since the start that found no room: somebody floods the SIP port.",
        ),
    )
)


_BUCKETS = {
    Metric.SEND_SECONDS: SEND_BUCKETS,
    Metric.STAGE_SECONDS: STAGE_BUCKETS,
    Metric.RECEIPT_SECONDS: RECEIPT_BUCKETS,
}


class Metrics:
    """The registry and what may be told to it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._counters = {item.name: Counter(*_arguments(item), registry=self.registry) for item in _of("counter")}
        self._gauges = {item.name: Gauge(*_arguments(item), registry=self.registry) for item in _of("gauge")}
        self._histograms = {
            item.name: Histogram(*_arguments(item), registry=self.registry, buckets=_BUCKETS[item.name])
            for item in _of("histogram")
        }
        self._gauges[Metric.BUILD].labels(__version__).set(1)
        # Looking a child up by its labels costs more than counting; there are few, and they are never removed.
        self._counts: dict[tuple[str, ...], Counter] = {}
        self._seconds: dict[tuple[str, ...], Histogram] = {}
        self._endpoints: set[str] = set()

    def accepted(self, lane: str, deliveries: int) -> None:
        """Count deliveries taken from callers."""
        self._counter(Metric.ACCEPTED, lane).inc(deliveries)

    def answered(self, provider: str, outcome: str, deliveries: int = 1) -> None:
        """Count answers of one outcome class."""
        self._counter(Metric.DELIVERIES, provider, outcome).inc(deliveries)

    def retried(self, provider: str, deliveries: int = 1) -> None:
        """Count deliveries that will be tried again."""
        self._counter(Metric.RETRIES, provider).inc(deliveries)

    def portal_event(self, outcome: str) -> None:
        """Count an event of our own Bitrix24 portal for a handler: `delivered`, `failed` or `dropped`."""
        self._counter(Metric.PORTAL_EVENTS, outcome).inc()

    def told(self, endpoint: str, result: str, messages: int = 1) -> None:
        """Count messages to a webhook endpoint, by its public id: `taken`, `failed` or `given_up`.

        All its results begin at 0 with the first: a rate is seen only of what was there before.
        """
        if endpoint not in self._endpoints:
            if len(self._endpoints) == ENDPOINTS:
                endpoint = OTHER
            else:
                self._endpoints.add(endpoint)
            for one in ("taken", "failed", "given_up"):
                self._counter(Metric.WEBHOOK_MESSAGES, endpoint, one)
        self._counter(Metric.WEBHOOK_MESSAGES, endpoint, result).inc(messages)

    def received(self, provider: str, kind: str, seconds: float | None) -> None:
        """Count a receipt of a device; `seconds` after its push service took the push, if this was the device's first word."""
        self._counter(Metric.RECEIPTS, provider, kind).inc()
        if seconds is not None:
            self._histogram(Metric.RECEIPT_SECONDS, provider).observe(seconds)

    def sent(self, provider: str, seconds: float) -> None:
        """Note how long a batch took from hand-over to answers."""
        self._histogram(Metric.SEND_SECONDS, provider).observe(seconds)

    def passed(self, stage: str, lane: str, seconds: float) -> None:
        """Note how long the oldest of a batch took for a stage."""
        self._histogram(Metric.STAGE_SECONDS, stage, lane).observe(seconds)

    def watch(self, name: Metric, read: Callable[[], float]) -> None:
        """Have a gauge without labels read at each scrape."""
        self._gauges[name].set_function(read)

    def _counter(self, *named: str) -> Counter:
        """Return the counter of a metric and its labels."""
        child = self._counts.get(named)
        if child is None:
            name, *labels = named
            child = self._counts[named] = self._counters[Metric(name)].labels(*labels)
        return child

    def _histogram(self, *named: str) -> Histogram:
        """Return the histogram of a metric and its labels."""
        child = self._seconds.get(named)
        if child is None:
            name, *labels = named
            child = self._seconds[named] = self._histograms[Metric(name)].labels(*labels)
        return child

    def render(self, reading: Reading) -> bytes:
        """Return the exposition text with these gauges (`CONTENT_TYPE`)."""
        self._set(Metric.QUEUE_DEPTH, reading.queue_depth)
        self._set(Metric.QUEUE_AGE, reading.queue_age)
        self._set(Metric.PORTAL_OLDEST, reading.portal_oldest)
        self._set(Metric.WEBHOOK_LAG, reading.webhook_lag)
        self._set(Metric.WEBHOOK_WAITING, reading.webhook_waiting)
        self._set(Metric.WEBHOOK_ENDPOINTS, reading.webhook_endpoints)
        self._set(Metric.H2_STREAMS, reading.h2_streams)
        self._set(Metric.H2_CONNECTIONS, reading.h2_connections)
        self._set(Metric.ROUTES_HELD, reading.routes_held)
        self._set(Metric.DELIVERIES_HELD, reading.deliveries_held)
        self._set(Metric.TARGETS, reading.targets)
        self._set(Metric.TARGETS_STALE, reading.targets_stale)
        self._set(Metric.SILENCES, reading.silences)
        self._set(Metric.CREDENTIAL_EXPIRY, reading.credential_expiry)
        self._gauges[Metric.QUEUE_OLDEST].set(reading.queue_oldest)
        self._gauges[Metric.STORE_WRITABLE].set(reading.store_writable)
        self._gauges[Metric.STORE_COMMIT_SECONDS].set(reading.commit_seconds)
        self._gauges[Metric.STORE_WAL_BYTES].set(reading.wal_bytes)
        self._gauges[Metric.DISK_FREE_BYTES].set(reading.disk_free)
        return generate_latest(self.registry)

    def _set(self, name: Metric, values: Iterable[Labels]) -> None:
        """Replace a gauge's values: a credential that is gone must not stay on the dashboard."""
        gauge = self._gauges[name]
        gauge.clear()
        for value in values:
            gauge.labels(*value.labels).set(value.value)


def _of(kind: str) -> list[Definition]:
    return [item for item in DEFINITIONS if item.kind == kind]


def _arguments(definition: Definition) -> tuple[str, str, tuple[str, ...]]:
    return definition.name.value, definition.words, definition.labels


def page() -> str:
    """Return docs/reference/metrics.md."""
    rows = "\n".join(
        f"| `{item.name.value}` | {item.kind} | {', '.join(f'`{label}`' for label in item.labels)} | {item.words} |"
        for item in DEFINITIONS
    )
    return f"{_PAGE_HEAD}\n| metric | kind | labels | meaning |\n|---|---|---|---|\n{rows}\n"


_PAGE_HEAD = """\
# Metrics

`GET /metrics` answers in the Prometheus text format. No label ever holds a token, a device, a user or a notification.
Counters and histograms also have the `_created`, `_bucket`, `_sum` and `_count` series that Prometheus clients write.
"""
