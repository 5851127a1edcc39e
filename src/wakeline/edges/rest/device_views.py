"""How devices and their targets are shown: what was registered, and how each token fares."""

from __future__ import annotations

from datetime import datetime

from wakeline.edges.rest.moments import moment, moment_or_none
from wakeline.edges.rest.shapes import View
from wakeline.model.device import Device, Evidence, Target, TargetKind, TargetState
from wakeline.model.route import Environment
from wakeline.observe.masking import masked_token


class EvidenceView(View, frozen=True, kw_only=True, omit_defaults=True):
    """What speaks against a token: the answer as received, when, for which delivery, on which route, and how often."""

    status: int
    reason: str
    at: datetime
    strikes: int
    delivery: str = ""
    since: datetime | None = None
    route: int = 0


class KeysView(View, frozen=True, kw_only=True):
    """The keys of a Web Push subscription, but for its secret, which is never shown."""

    p256dh: str


class TargetView(View, frozen=True, kw_only=True):
    """A target. `value` is masked unless the key may manage devices; `project` is FCM's, `keys` are Web Push's.

    `topic` is the bundle id of APNs, or the origin of a Web Push subscription, which is its push service.
    """

    kind: TargetKind
    value: str
    keys: KeysView | None
    environment: Environment
    topic: str
    project: str
    state: TargetState
    reason: str
    since: datetime | None
    evidence: EvidenceView | None
    confirmed: datetime | None


class DeviceView(View, frozen=True, kw_only=True):
    """A device. `user` is a text, a list where there are several, or null; `state` is that of its best target."""

    device_id: str
    user: str | tuple[str, ...] | None
    targets: tuple[TargetView, ...]
    tags: tuple[str, ...]
    state: TargetState
    platform: str
    os_version: str
    model: str
    app_version: str
    locale: str
    notifications_enabled: bool | None
    background_refresh: bool | None
    low_power: bool | None
    battery_restricted: bool | None
    connected_until: datetime | None
    created: datetime
    seen: datetime


def device(shown: Device, *, whole_tokens: bool) -> DeviceView:
    """Return a device as the world sees it; `whole_tokens`: to a caller who may manage devices."""
    facts = shown.facts
    return DeviceView(
        device_id=shown.device_id,
        user=shown.users[0] if len(shown.users) == 1 else shown.users or None,
        targets=tuple(target(one, whole_tokens=whole_tokens) for one in shown.targets),
        tags=shown.tags,
        state=shown.state,
        platform=facts.platform,
        os_version=facts.os_version,
        model=facts.model,
        app_version=facts.app_version,
        locale=facts.locale,
        notifications_enabled=facts.notifications_enabled,
        background_refresh=facts.background_refresh,
        low_power=facts.low_power,
        battery_restricted=facts.battery_restricted,
        connected_until=moment_or_none(shown.connected_until),
        created=moment(shown.created),
        seen=moment(shown.seen),
    )


def target(shown: Target, *, whole_tokens: bool) -> TargetView:
    """Return a target as the world sees it."""
    is_fcm = shown.kind is TargetKind.FCM
    token, _, keys = shown.value.partition(" ")
    p256dh = keys.partition(" ")[0]
    return TargetView(
        kind=shown.kind,
        value=token if whole_tokens else masked_token(token),
        keys=KeysView(p256dh=p256dh if whole_tokens else masked_token(p256dh)) if keys else None,
        environment=shown.environment,
        topic="" if is_fcm else shown.topic,
        project=shown.topic if is_fcm else "",
        state=shown.state,
        reason=shown.reason,
        since=moment_or_none(shown.since),
        evidence=None if shown.evidence is None else evidence_view(shown.evidence),
        confirmed=moment_or_none(shown.confirmed),
    )


def evidence_view(shown: Evidence) -> EvidenceView:
    """Return what speaks against a token as the world sees it."""
    return EvidenceView(
        status=shown.status,
        reason=shown.reason,
        at=moment(shown.at),
        strikes=shown.strikes,
        delivery=shown.delivery,
        since=moment_or_none(shown.since),
        route=shown.route,
    )
