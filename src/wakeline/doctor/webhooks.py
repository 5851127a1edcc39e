"""Webhook endpoints: whether they take what they are told, and what they have missed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from urllib.parse import urlsplit

from wakeline.doctor.checking import DAY, MINUTE, DoctorPorts, failed, fine, many, skipped, span, warning
from wakeline.model.webhook import Disabled, Endpoint, EndpointHealth, MessageState
from wakeline.observe.health import Check
from wakeline.observe.webhook_lag import oldest_untold

FAILS_AFTER = 5 * MINUTE
"""One that fails for longer is not merely being restarted."""

BEHIND_AFTER = 5 * MINUTE

_COUNTED = 100

_FIXES = {
    0: "Look at its name, its certificate and the way there, and whether it listens; it may take [webhooks] timeout to answer.",
    401: "Have it check the signature of the message (Standard Webhooks) and ask for no other credentials.",
    403: "Have it check the signature of the message (Standard Webhooks) and ask for no other credentials.",
    404: "Correct its URL, or the path at which its program listens.",
    405: "Have its program take POST at this URL.",
    429: "It limits requests: let it take more, or have it told of fewer types.",
}
_ITS_OWN = "Look at the log of the program that answers there."
_REDIRECTED = "Give the URL to which it sends; redirects are never followed."


async def of_installation(ports: DoctorPorts) -> Sequence[Check]:
    """Return lines about endpoints that are told of more than the apps that are asked for."""
    every = ports.endpoints.all()
    if not every:
        return [skipped("webhooks", "Nobody is told of events: there is no webhook endpoint.")]
    slugs = _slugs(ports)
    wide = [one for one in every if not slugs.issuperset(one.apps) or not one.apps]
    concerned = [one for one in wide if not one.apps or not slugs.isdisjoint(one.apps) or ports.only is None]
    return [*_retention(ports), *await _lines(ports, concerned)]


async def of_apps(ports: DoctorPorts) -> Sequence[Check]:
    """Return lines about endpoints that are told of the apps that are asked for, and of nothing else."""
    slugs = _slugs(ports)
    return await _lines(ports, [one for one in ports.endpoints.all() if one.apps and slugs.issuperset(one.apps)])


def _slugs(ports: DoctorPorts) -> set[str]:
    return {app.slug for app in ports.asked()}


def _retention(ports: DoctorPorts) -> list[Check]:
    """Say that events are forgotten before they are given up, if they are."""
    kept, tried = ports.settings.retention.events, ports.settings.webhooks.retry_for
    if kept >= tried:
        return []
    cause = (
        f"The journal keeps an event for {span(1000 * kept)}, and [webhooks] retry_for is {span(1000 * tried)}: an endpoint "
        "that is down for longer than the first misses events."
    )
    return [warning("webhooks", cause, "Raise [retention] events, or lower [webhooks] retry_for.")]


async def _lines(ports: DoctorPorts, endpoints: Sequence[Endpoint]) -> list[Check]:
    waiting = await ports.endpoints.waiting_counts() if endpoints else {}
    found: list[Check] = []
    for one in endpoints:
        found += await _of(ports, one, waiting.get(one.id, 0))
        await asyncio.sleep(0)  # each one is a look into log and journal
    return found


async def _of(ports: DoctorPorts, endpoint: Endpoint, waiting: int) -> list[Check]:
    """Return what is odd about an endpoint, or that nothing is."""
    if endpoint.disabled is not None:
        return [_disabled(endpoint, endpoint.disabled)]
    health = ports.endpoints.health(endpoint.id)
    state = _failing(ports, endpoint, health) or await _behind(ports, endpoint)
    lost = await _given_up(ports, endpoint)
    aside = _set_aside(endpoint, waiting) if health.failing_since is None else None
    found = [line for line in (state, _of_nothing(ports, endpoint), aside, lost) if line is not None]
    return found or [fine(_name(endpoint), _fine(ports, health))]


def _disabled(endpoint: Endpoint, why: Disabled) -> Check:
    match why:
        case Disabled.OPERATOR:
            return skipped(_name(endpoint), "It was disabled by an operator, and is told nothing.")
        case Disabled.GONE:
            return failed(
                _name(endpoint),
                "It answered 410, which says that it wants no more: it is told nothing since.",
                f"`wakeline webhook update {endpoint.public_id} --enabled --resume` if it is there again, else "
                f"`wakeline webhook delete {endpoint.public_id}`.",
            )


def _failing(ports: DoctorPorts, endpoint: Endpoint, health: EndpointHealth) -> Check | None:
    if health.failing_since is None:
        return None
    now = ports.clock.now()
    since = max(0, now - health.failing_since)
    answer = f"answers {health.status}" if health.status else "does not answer"
    detail = f" ({health.detail})" if health.detail else ""
    again = "now" if health.retry_at is None or health.retry_at - now < MINUTE else f"in {span(health.retry_at - now)}"
    cause = (
        f"For {span(since)} it {answer}{detail}, {many(health.failures, 'time')} in a row. It is tried again {again}, and "
        "is told of everything then."
    )
    line = failed if since >= FAILS_AFTER else warning
    return line(
        _name(endpoint), cause, f"{_fix(health.status)} `wakeline webhook test {endpoint.public_id}` tries it at once."
    )


def _fix(status: int) -> str:
    if 300 <= status < 400:
        return _REDIRECTED
    return _FIXES.get(status, _ITS_OWN)


async def _behind(ports: DoctorPorts, endpoint: Endpoint) -> Check | None:
    oldest = await oldest_untold(endpoint, ports.endpoints, ports.events)
    late = 0 if oldest is None else ports.clock.now() - oldest
    if late < BEHIND_AFTER:
        return None
    cause = f"It answers well, and is {span(late)} behind: it takes events more slowly than they happen."
    fix = (
        "Have it answer at once and work afterwards, raise [webhooks] max_connections, or have it told of fewer types."
    )
    return warning(_name(endpoint), cause, fix)


def _of_nothing(ports: DoctorPorts, endpoint: Endpoint) -> Check | None:
    """Say that an app of which it is told is not there any more: one that is made under its id is another."""
    missing = [slug for slug in endpoint.apps if ports.apps.get(slug) is None]
    if not missing:
        return None
    return warning(
        _name(endpoint),
        f"It is told of {', '.join(missing)}, and there is no such app: who makes one under this id has it told of that.",
        f"`wakeline webhook update {endpoint.public_id} --app APP` names others, `wakeline webhook delete` forgets it.",
    )


def _set_aside(endpoint: Endpoint, waiting: int) -> Check | None:
    if not waiting:
        return None
    number = f"{many(waiting, 'message')} {'waits' if waiting == 1 else 'wait'}"
    cause = f"{number} beside the others: it refused them while it took others, or an operator replays."
    return warning(
        _name(endpoint), cause, f"`wakeline webhook deliveries {endpoint.public_id} --state waiting` shows its answers."
    )


async def _given_up(ports: DoctorPorts, endpoint: Endpoint) -> Check | None:
    since = ports.clock.now() - DAY
    page = await ports.endpoints.log(endpoint.id, state=MessageState.GIVEN_UP, limit=_COUNTED)
    lost = [message for message in page.messages if message.at >= since and message.seq > 0]  # no tests
    if not lost:
        return None
    number = f"{_COUNTED} messages or more" if len(lost) == _COUNTED else many(len(lost), "message")
    cause = f"{number} of the last day it has never taken: {lost[0].detail or f'it answered {lost[0].status}'}."
    fix = f"`wakeline webhook replay {endpoint.public_id}` tells it once more, by ids or by time, while the journal has them."
    return warning(_name(endpoint), cause, fix)


def _fine(ports: DoctorPorts, health: EndpointHealth) -> str:
    if health.taken_at is None:
        return "Nothing has happened yet that it wants to be told of."
    return f"It takes what it is told; the last message {span(max(0, ports.clock.now() - health.taken_at))} ago."


def _name(endpoint: Endpoint) -> str:
    """Return what a line is called: never the whole URL, which may hold a secret."""
    return f"webhook {endpoint.name or urlsplit(endpoint.url).hostname} ({endpoint.public_id})"
