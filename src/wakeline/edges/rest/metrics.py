"""The scrape: counters as they stand, and what is read at this moment."""

from __future__ import annotations

from collections import Counter

from wakeline.edges.rest import webhook_gauges
from wakeline.edges.rest.credentials import id_of
from wakeline.edges.rest.operations import Answer, Call, Operation, Reach
from wakeline.model.key import Scope
from wakeline.model.route import Lane
from wakeline.observe.metrics import CONTENT_TYPE, Labels, Reading
from wakeline.ports import LaneDepth

_RESTING = "resting"


async def scrape(call: Call) -> Answer:
    """Give out the metrics in Prometheus' text format."""
    ports = call.ports
    depths = await ports.queue.depth()
    store = ports.keeper.health()
    reading = Reading(
        queue_depth=_depth(depths),
        queue_oldest=_oldest(depths, call.now),
        queue_age=_ages(depths, call.now),
        portal_oldest=await _portals(call),
        webhook_lag=await webhook_gauges.lags(call),
        webhook_waiting=await webhook_gauges.waiting(call),
        webhook_endpoints=webhook_gauges.states(call),
        h2_streams=_connections(call, "in_flight"),
        h2_connections=_connections(call, "connections"),
        routes_held=_held(call),
        deliveries_held=_waiting(call, depths),
        targets=await _targets(call),
        targets_stale=await _stale(call),
        silences=_silences(call),
        credential_expiry=_expiry(call),
        store_writable=store.writable,
        commit_seconds=store.last_commit_seconds,
        wal_bytes=store.wal_bytes,
        disk_free=store.disk_free,
    )
    return Answer(body=ports.metrics.render(reading), media=CONTENT_TYPE)


def _depth(depths: list[LaneDepth]) -> tuple[Labels, ...]:
    found: Counter[tuple[str, str]] = Counter()
    for depth in depths:
        lane = depth.lane.name.lower()
        found[lane, "sending"] += depth.leased
        found[lane, "queued"] += depth.deliveries - depth.leased
    return tuple(Labels(labels, value) for labels, value in sorted(found.items()))


def _oldest(depths: list[LaneDepth], now: int) -> float:
    """Return the seconds that the oldest due job has waited."""
    waits = [now - depth.oldest for depth in depths if depth.oldest is not None and depth.oldest <= now]
    return max(waits, default=0) / 1000


def _ages(depths: list[LaneDepth], now: int) -> tuple[Labels, ...]:
    """Return the same of each lane."""
    return tuple(
        Labels((lane.name.lower(),), _oldest([depth for depth in depths if depth.lane is lane], now)) for lane in Lane
    )


async def _portals(call: Call) -> tuple[Labels, ...]:
    """Return how many seconds the first due event, and the first due write, of each connected portal have waited."""
    connected, now = call.ports.connected, call.now
    found: list[Labels] = []
    for one in connected.installations.all():
        events = await connected.inbox.waiting(one.id, now=now, limit=1)
        writes = await connected.outbox.waiting(one.id, now=now, limit=1)
        since = {
            "event": max((max(each.received, each.due) for each in events), default=now),
            "write": max((max(each.at, each.due) for each in writes), default=now),
        }
        found += [Labels((str(one.id), kind), (now - at) / 1000) for kind, at in since.items()]
    return tuple(found)


def _connections(call: Call, figure: str) -> tuple[Labels, ...]:
    found: Counter[str] = Counter()
    for route in call.ports.pipeline.routes():
        if route.stats is not None:
            found[route.route.provider.value] += getattr(route.stats, figure)
    return tuple(Labels((provider,), value) for provider, value in sorted(found.items()))


def _held(call: Call) -> tuple[Labels, ...]:
    found = Counter(_reasons(call).values())
    return tuple(Labels((reason,), value) for reason, value in sorted(found.items()))


def _reasons(call: Call) -> dict[int, str]:
    """Return why each route that sends nothing now does not: what holds it, be it its app's pause, or a rest it was asked for."""
    return {
        status.route.id: status.hold.reason.value if status.hold is not None else _RESTING
        for status in call.ports.pipeline.routes()
        if status.hold is not None or status.resting_until is not None
    }


def _waiting(call: Call, depths: list[LaneDepth]) -> tuple[Labels, ...]:
    holds = _reasons(call)
    found = Counter(dict.fromkeys(holds.values(), 0))
    for depth in depths:
        if depth.route in holds:
            found[holds[depth.route]] += depth.deliveries
    return tuple(Labels((reason,), value) for reason, value in sorted(found.items()))


async def _targets(call: Call) -> tuple[Labels, ...]:
    counted = [(app.slug, await call.ports.devices.app_counts(app.id)) for app in call.ports.apps.all()]
    return tuple(Labels((slug, state.value), count) for slug, counts in counted for state, count in counts.items())


async def _stale(call: Call) -> tuple[Labels, ...]:
    known = [(app.slug, await call.ports.pipeline.maintain.stale.known(app.id)) for app in call.ports.apps.all()]
    return tuple(Labels((slug,), stale.targets) for slug, stale in known if stale is not None)


def _silences(call: Call) -> tuple[Labels, ...]:
    """Count the silences of each app that last."""
    lasting = Counter(one.app for one in call.ports.pipeline.silence.suspicions() if one.until is None)
    return tuple(Labels((app.slug,), lasting[app.id]) for app in call.ports.apps.all())


def _expiry(call: Call) -> tuple[Labels, ...]:
    slugs = {app.id: app.slug for app in call.ports.apps.all()}
    return tuple(
        Labels((slugs[one.app], id_of(one)), one.not_after / 1000)
        for one in call.ports.credentials.all()
        if one.not_after is not None and one.app in slugs
    )


OPERATIONS = (
    Operation(
        name="metrics.scrape",
        method="GET",
        path="/metrics",
        handler=scrape,
        summary="Metrics in Prometheus' text format",
        reach=Reach.INSTALLATION,
        scopes=(Scope.READ,),
        media=CONTENT_TYPE,
    ),
)
