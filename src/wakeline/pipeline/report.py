"""What happened, as events for webhooks, the live feed and the log. Never a token, never message text.

The events of what a store does by itself (cancelled, superseded, completed) are made by the store, in the same commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from wakeline.model.app import App
from wakeline.model.credential import Credential
from wakeline.model.delivery import DeliveryState
from wakeline.model.device import Candidate, Device, TargetKind, TargetState
from wakeline.model.event import Event, EventData, EventType, ReceivedResponse
from wakeline.model.ids import delivery_id, uuid_of
from wakeline.model.outcome import Outcome
from wakeline.model.route import Hold, ProviderKind, Route
from wakeline.pipeline.brake import Findings
from wakeline.ports import Moved
from wakeline.wire.outcomes import apns, external, fcm, webpush

PUSH_EVENTS: dict[DeliveryState, EventType] = {
    DeliveryState.ACCEPTED: EventType.PUSH_ACCEPTED,
    DeliveryState.FAILED: EventType.PUSH_FAILED,
    DeliveryState.EXPIRED: EventType.PUSH_EXPIRED,
    DeliveryState.CANCELLED: EventType.PUSH_CANCELLED,
    DeliveryState.SKIPPED: EventType.PUSH_SKIPPED,
}
"""The event of each final state that a settlement writes."""

_TARGET_EVENTS = {
    TargetState.RETIRED: EventType.TARGET_RETIRED,
    TargetState.QUARANTINED: EventType.TARGET_QUARANTINED,
}

_ACCEPTED_BY = {
    ProviderKind.APNS: apns(200, ""),
    ProviderKind.FCM: fcm(200),
    ProviderKind.WEBPUSH: webpush(200),
    ProviderKind.HTTP: external(200),
}


def _named(outcome: Outcome, kind: str) -> Outcome:
    """Return an outcome in the words of who said it: what is accepted is gathered in one form, whoever accepted it.

    The kind is empty where the device is forgotten by now.
    """
    if not outcome.accepted or not kind:
        return outcome
    said = _ACCEPTED_BY[TargetKind(kind).provider]
    return msgspec.structs.replace(outcome, cause=said.cause, fix=said.fix)


def answered(outcome: Outcome) -> ReceivedResponse | None:
    """Return what a push service said, or why the gateway refused or gave up (901 to 914); None if there is neither."""
    code = outcome.status or outcome.code
    return ReceivedResponse(code=code, reason=outcome.reason) if code else None


def pushed(
    state: DeliveryState,
    outcome: Outcome,
    *,
    app: str,
    notification: int,
    target: int,
    device: Device | None,
    kind: str,
    tries: int,
    at: int,
) -> Event:
    """Say what became of a delivery; `state` is a key of `PUSH_EVENTS`."""
    return Event(
        type=PUSH_EVENTS[state],
        at=at,
        app=app,
        data=EventData(
            notification=uuid_of(notification),
            delivery=delivery_id(notification, target),
            device=device.device_id if device is not None else "",
            users=device.users if device is not None else (),
            target=str(target),
            kind=kind,
            outcome=_named(outcome, kind),
            attempts=tries,
            response=None if state is DeliveryState.ACCEPTED else answered(outcome),
        ),
    )


def refused(
    state: DeliveryState, outcome: Outcome, *, app: str, notification: int, candidate: Candidate, at: int
) -> Event:
    """Say that a delivery ended before it had a job: no credential, a limit, a connected device."""
    return Event(
        type=PUSH_EVENTS[state],
        at=at,
        app=app,
        data=EventData(
            notification=uuid_of(notification),
            delivery=delivery_id(notification, candidate.target),
            device=candidate.device_id,
            users=(candidate.user,) if candidate.user else (),
            target=str(candidate.target),
            kind=candidate.kind,
            outcome=outcome,
            response=answered(outcome),
        ),
    )


def unreachable(outcome: Outcome, *, app: str, notification: int, users: Sequence[str], device: str, at: int) -> Event:
    """Say that somebody who was named has nothing to send to."""
    data = EventData(
        notification=uuid_of(notification),
        users=tuple(users),
        device=device,
        outcome=outcome,
        response=answered(outcome),
    )
    return Event(type=EventType.PUSH_SKIPPED, at=at, app=app, data=data)


def judged(
    state: TargetState, outcome: Outcome, *, app: str, device: Device, target: int, kind: str, at: int
) -> Event | None:
    """Say that a target was retired or quarantined; other states are no event."""
    event_type = _TARGET_EVENTS.get(state)
    if event_type is None:
        return None
    data = EventData(device=device.device_id, users=device.users, target=str(target), kind=kind, outcome=outcome)
    return Event(type=event_type, at=at, app=app, data=data)


def taken_back(app: App, changes: Sequence[Credential], outcome: Outcome, note: str, at: int) -> Event:
    """Say that a change was taken back after its canary, and why."""
    credential = changes[0].id if changes else 0
    data = EventData(credential=credential, outcome=outcome, note=note)
    return Event(type=EventType.CHANGE_TAKEN_BACK, at=at, app=app.slug, data=data)


def aged(app: App, device: Device, target: int, *, seen: int, at: int) -> Event:
    """Say that a target was retired because nobody had heard of its app since `seen` (Unix ms)."""
    kind = next((item.kind.value for item in device.targets if item.id == target), "")
    note = f"Nobody has heard of the device for {(at - seen) // 86_400_000} days."
    data = EventData(device=device.device_id, users=device.users, target=str(target), kind=kind, note=note)
    return Event(type=EventType.TARGET_RETIRED, at=at, app=app.slug, data=data)


def moved(one: Moved, device: Device, *, app: str, at: int) -> Event:
    """Say that a target turned up with another device, `device`, and belongs to it now."""
    note = f"It belonged to the device {one.from_device}."
    data = EventData(
        device=device.device_id, users=device.users, target=str(one.target), kind=one.kind.value, note=note
    )
    return Event(type=EventType.TARGET_MOVED, at=at, app=app, data=data)


def credential_event(
    event_type: EventType,
    credential: Credential,
    app: App | None,
    *,
    at: int,
    note: str = "",
    outcome: Outcome | None = None,
) -> Event:
    """Say what became of a credential; of an answer, what it means and not its text."""
    if outcome is not None and outcome.body:
        outcome = msgspec.structs.replace(outcome, body="")
    data = EventData(credential=credential.id, outcome=outcome, note=note)
    return Event(type=event_type, at=at, app=app.slug if app is not None else "", data=data)


def ending(credential: Credential, not_after: int, days: int) -> str:
    """Say when a credential ends, within so many days or (0) already, what follows and what to do; `not_after` in Unix ms."""
    what = credential.subject or ", ".join(credential.topics) or f"credential {credential.id}"
    on = f"{datetime.fromtimestamp(not_after / 1000, UTC):%Y-%m-%d %H:%M} UTC"
    when = (
        f"ends within {days} days, on {on}" if days > 1 else f"ends within a day, on {on}" if days else f"ended on {on}"
    )
    follows = (
        "From then on what only it can send waits (903)"
        if days
        else "What only it can send waits (903), and calls fail"
    )
    return f"{what} {when}. {follows}: upload another with `wakeline credential add`, best a .p8 key, which never ends."


def braking(found: Findings) -> str:
    """Say what closed a brake, and how to go on."""
    reasons = ", ".join(reason for reason, _ in found.reasons)
    return (
        f"{found.against} of the last {found.answers} answers doubted the token, of {found.distinct} targets ({reasons}). More "
        "likely than so many dead tokens is a wrong setting: compare environment, bundle id and credential with those of the app "
        "build, then `wakeline brake release` or `undo`; `wakeline brake list` shows the evidence."
    )


def brake_event(event_type: EventType, route: Route, app: App | None, *, at: int, note: str = "") -> Event:
    """Say that the brake of a route closed or was released."""
    data = EventData(route=name_of(route, app), note=note)
    return Event(type=event_type, at=at, app=app.slug if app is not None else "", data=data)


def stalled(note: str, at: int) -> Event:
    """Say that work is due and nothing moves."""
    return Event(type=EventType.QUEUE_STALLED, at=at, data=EventData(note=note))


def name_of(route: Route, app: App | None) -> str:
    """Return a route as people read it: app, provider, environment, topic."""
    slug = app.slug if app is not None else str(route.app)
    return "/".join(part for part in (slug, route.provider.value, route.environment.value, route.topic) if part)


def worded(hold: Hold) -> str:
    """Return a hold in words."""
    return f"{hold.cause} {hold.fix}".strip()
