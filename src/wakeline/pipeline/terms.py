"""What a request asks for once its defaults are filled in, or which field of it is wrong.

Rule: pure, and every refusal names the field by a JSON Pointer. Defaults are those of the public contract (section 6).
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import partial

import msgspec

from wakeline.model.device import TargetKind
from wakeline.model.errors import InvalidRequest
from wakeline.model.notification import (
    NOW_OR_NEVER,
    Alert,
    Audience,
    Content,
    NotificationRequest,
    OnUnknown,
    Override,
    Priority,
    PushType,
    RawTarget,
)
from wakeline.model.route import Lane

NAMED_LIMIT = 500
"""More recipients than this, and the audience is walked instead of resolved at once."""

MAX_TTL = 28 * 86400
"""Seconds; FCM keeps a message no longer (Firebase: "Set the lifespan of a message")."""

MAX_AHEAD = 366 * 86400
"""Seconds that a push may be scheduled ahead."""

_TTL = {PushType.CALL: 32, PushType.BACKGROUND: 3600}
_DEFAULT_TTL = 86400
_COLLAPSE_LIMIT = 64
_VALUE_LIMIT = 4096
_NAME_LIMIT = 255
# What a bundle id or a project id is made of; a topic becomes a header of HTTP/2.
_TOPIC = re.compile(r"[A-Za-z0-9._:-]{0,255}").fullmatch
_NOTHING = Override()

TARGET_KINDS: dict[PushType, tuple[TargetKind, ...]] = {
    PushType.ALERT: (TargetKind.APNS, TargetKind.FCM, TargetKind.WEBPUSH),
    PushType.BACKGROUND: (TargetKind.APNS, TargetKind.FCM, TargetKind.WEBPUSH),
    PushType.CALL: (TargetKind.APNS_VOIP, TargetKind.FCM, TargetKind.APNS, TargetKind.WEBPUSH),
    PushType.LIVEACTIVITY: (TargetKind.APNS_LIVEACTIVITY,),
    PushType.LOCATION: (TargetKind.APNS_LOCATION,),
    PushType.COMPLICATION: (TargetKind.APNS_COMPLICATION,),
    PushType.FILEPROVIDER: (TargetKind.APNS_FILEPROVIDER,),
    PushType.MDM: (TargetKind.APNS_MDM,),
    PushType.PUSHTOTALK: (TargetKind.APNS_PUSHTOTALK,),
    PushType.WIDGETS: (TargetKind.APNS_WIDGETS,),
    PushType.CONTROLS: (TargetKind.APNS_CONTROLS,),
}
"""Which targets a push type may go to, the best first (DESIGN 5.2). Whoever names a raw target may also say plain `apns`."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """A checked request. `due` and `expires` in Unix ms; `named` counts the recipients that it names.

    `walked`: the audience has to be walked (tags, everyone, or too many names for one transaction).
    """

    audience: Audience
    content: Content
    lane: Lane
    due: int
    expires: int
    named: int
    only_if_absent: bool
    walked: bool


def terms_of(request: NotificationRequest, now: int) -> Terms:
    """Fill in defaults and check. `now` in Unix ms. Raises InvalidRequest, naming the field."""
    push_type = _push_type(request)
    _check_content(request, push_type)
    audience = _audience(request.to)
    _check_targets(audience, push_type)
    due = _due(request.send_at, now)
    named = len(audience.users) + len(audience.devices) + len(audience.targets)
    walked = audience.is_broad or named > NAMED_LIMIT
    return Terms(
        audience=audience,
        content=_content(request, push_type),
        lane=_lane(request, push_type, broad=walked),
        due=due,
        expires=due + (1000 * _ttl(request.ttl, push_type) or NOW_OR_NEVER),
        named=named,
        only_if_absent=request.only_if_absent,
        walked=walked,
    )


def _push_type(request: NotificationRequest) -> PushType:
    """Return the type said, or the one that the content speaks of."""
    if request.type is not None:
        return request.type
    if request.call is not None:
        return PushType.CALL
    return PushType.ALERT if request.alert is not None else PushType.BACKGROUND


def _content(request: NotificationRequest, push_type: PushType) -> Content:
    usual = Priority.NORMAL if push_type is PushType.BACKGROUND else Priority.HIGH
    return Content(
        type=push_type,
        call=request.call,
        alert=request.alert,
        data=request.data,
        priority=request.priority or usual,
        collapse_id=request.collapse_id,
        truncate=request.truncate,
        on_unknown=request.on_unknown or OnUnknown.RETRY,
        apns=request.apns,
        fcm=request.fcm,
        webpush=request.webpush,
    )


def _lane(request: NotificationRequest, push_type: PushType, *, broad: bool) -> Lane:
    if push_type is PushType.CALL:
        return Lane.CALL
    if broad or request.priority is Priority.LOW:
        return Lane.BULK
    return Lane.BACKGROUND if push_type is PushType.BACKGROUND else Lane.ALERT


def _check_content(request: NotificationRequest, push_type: PushType) -> None:
    if push_type is PushType.CALL and request.call is None:
        raise InvalidRequest("A call needs `call` with the id of the call", pointer="/call")
    if push_type is not PushType.CALL and request.call is not None:
        raise InvalidRequest(f"`call` belongs to type call, not to {push_type.value}", pointer="/call")
    if request.call is not None and not request.call.id:
        raise InvalidRequest("A call needs an id", pointer="/call/id")
    if push_type is PushType.ALERT and request.alert is None and not _overridden(request):
        raise InvalidRequest("An alert needs `alert`: what is to be shown", pointer="/alert")
    if push_type is PushType.BACKGROUND and request.alert is not None:
        raise InvalidRequest(
            "A background push shows nothing, so it cannot bear `alert`", pointer="/alert", fix="Use type alert."
        )
    if "aps" in request.data:
        raise InvalidRequest(
            "`data` may not have a key `aps`: Apple's own dictionary stands there",
            pointer="/data/aps",
            fix="Put additions to it under /apns/payload.",
        )
    if len(request.collapse_id.encode()) > _COLLAPSE_LIMIT:
        raise InvalidRequest(f"`collapse_id` is longer than {_COLLAPSE_LIMIT} bytes", pointer="/collapse_id")
    if request.alert is not None:
        _check_alert(request.alert)


def _overridden(request: NotificationRequest) -> bool:
    """Tell whether some provider gets a payload that is not made of the neutral content."""
    return request.apns != _NOTHING or request.fcm != _NOTHING or request.webpush != _NOTHING


def _check_alert(alert: Alert) -> None:
    badge = alert.badge
    if isinstance(badge, str) and badge != "+1":
        raise InvalidRequest('`badge` is a number, or "+1" to count up', pointer="/alert/badge")
    if isinstance(badge, int) and badge < 0:
        raise InvalidRequest("`badge` cannot be negative", pointer="/alert/badge")


def _audience(to: Audience) -> Audience:
    """Drop names said twice, and names that `everyone` includes."""
    if to.everyone:
        return Audience(everyone=True)
    if not (to.users or to.devices or to.targets or to.tags):
        raise InvalidRequest(
            "The audience is empty", pointer="/to", fix="Name users, devices, targets, tags or everyone."
        )
    for field, names in (("users", to.users), ("devices", to.devices), ("tags", to.tags)):
        for position, name in enumerate(names):
            if not 0 < len(name) <= _NAME_LIMIT:
                raise InvalidRequest(f"A name has 1 to {_NAME_LIMIT} characters", pointer=f"/to/{field}/{position}")
    if len(to.users) + len(to.devices) + len(to.targets) == 1:
        return to
    return Audience(
        users=tuple(dict.fromkeys(to.users)),
        devices=tuple(dict.fromkeys(to.devices)),
        targets=tuple({(target.kind, target.value): target for target in to.targets}.values()),
        tags=tuple(dict.fromkeys(to.tags)),
    )


def raw_kinds(push_type: PushType) -> frozenset[TargetKind]:
    """Return the kinds of raw target that a push type may go to. Only calls go to VoIP: iOS terminates apps otherwise."""
    own = frozenset(TARGET_KINDS[push_type])
    return own if TargetKind.FCM in own else own | {TargetKind.APNS}


def _check_targets(audience: Audience, push_type: PushType) -> None:
    for position, target in enumerate(audience.targets):
        _check_target(target, push_type, pointer=f"/to/targets/{position}")


def _check_target(target: RawTarget, push_type: PushType, pointer: str) -> None:
    refuse = partial(InvalidRequest, fix="See the list of target kinds in the reference.")
    kinds = {kind.value: kind for kind in TargetKind}
    kind = kinds.get(target.kind)
    if kind is None:
        raise refuse(f"{target.kind[:40]!r} is no kind of target", pointer=f"{pointer}/kind")
    if kind not in raw_kinds(push_type):
        raise refuse(
            f"A push of type {push_type.value} cannot go to a target of kind {kind.value}", pointer=f"{pointer}/kind"
        )
    if target.environment not in ("production", "sandbox"):
        raise refuse("`environment` is production or sandbox", pointer=f"{pointer}/environment")
    if not isinstance(target.value, str) or target.keys is not None:
        raise refuse("Only targets of kind webpush are subscriptions with keys", pointer=f"{pointer}/value")
    if not 0 < len(target.value) <= _VALUE_LIMIT or not target.value.isascii() or not target.value.isprintable():
        raise refuse("The token is empty, too long, or no printable ASCII", pointer=f"{pointer}/value")
    for field in ("topic", "project"):
        if not _TOPIC(getattr(target, field)):
            raise refuse(f"The {field} is no bundle id and no project id", pointer=f"{pointer}/{field}")


def _ttl(ttl: int | None, push_type: PushType) -> int:
    if ttl is None:
        return _TTL.get(push_type, _DEFAULT_TTL)
    if not 0 <= ttl <= MAX_TTL:
        raise InvalidRequest(f"`ttl` is in seconds, from 0 to {MAX_TTL} (28 days)", pointer="/ttl")
    return ttl


def _due(send_at: str | None, now: int) -> int:
    """Return when it may go out, Unix ms; a time in the past means now."""
    if send_at is None:
        return now
    try:
        at = datetime.fromisoformat(send_at)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise InvalidRequest(
            "`send_at` is not an RFC 3339 time with an offset",
            pointer="/send_at",
            fix="For example 2026-11-21T08:00:00Z.",
        )
    due = int(at.timestamp() * 1000)
    if due - now > MAX_AHEAD * 1000:
        raise InvalidRequest("`send_at` is more than a year ahead", pointer="/send_at")
    return max(due, now)
