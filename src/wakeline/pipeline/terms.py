"""What a request asks for once its defaults are filled in, or which field of it is wrong.

Rule: pure, and every refusal names the field by a JSON Pointer. Defaults are those of the public contract (section 6).
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from wakeline.model.errors import InvalidRequest
from wakeline.model.notification import (
    NOW_OR_NEVER,
    Audience,
    Content,
    NotificationRequest,
    OnUnknown,
    Priority,
    PushType,
)
from wakeline.model.route import Lane
from wakeline.pipeline.bearing import check_content
from wakeline.pipeline.raw_targets import normalised

NAMED_LIMIT = 500
"""More recipients than this, and the audience is walked instead of resolved at once."""

MAX_TTL = 28 * 86400
"""Seconds; FCM keeps a message no longer (Firebase: "Set the lifespan of a message")."""

MAX_AHEAD = 366 * 86400
"""Seconds that a push may be scheduled ahead."""

# Who talks now is not to be heard later (Apple, "Creating a Push to Talk app": expiration 0).
_TTL = {PushType.CALL: 32, PushType.BACKGROUND: 3600, PushType.PUSHTOTALK: 0}
_DEFAULT_TTL = 86400
_NAME_LIMIT = 255

COUNT_UP = "+1"
"""The badge that counts up for each device."""


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

    @property
    def plain(self) -> bool:
        """Tell whether a delivery of it may share a job with those of others.

        Calls go alone: each is to be cancelled, and written, at once. What counts badges up counts them in its own load.
        """
        alert = self.content.alert
        return self.lane is not Lane.CALL and not self.walked and (alert is None or alert.badge != COUNT_UP)


def terms_of(request: NotificationRequest, now: int, *, allow_http: bool = False) -> Terms:
    """Fill in defaults and check. `now` in Unix ms; `allow_http`: endpoints of Web Push may be without TLS.

    Raises InvalidRequest, naming the field.
    """
    push_type = request.type if request.type is not None else _type_of(request)
    check_content(request, push_type)
    audience = _audience(request.to, push_type, allow_http=allow_http)
    due = now if request.send_at is None else _due(request.send_at, now)
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


def _type_of(request: NotificationRequest) -> PushType:
    """Return the type that the content speaks of."""
    if request.call is not None:
        return PushType.CALL
    if request.liveactivity is not None:
        return PushType.LIVEACTIVITY
    return PushType.ALERT if request.alert is not None else PushType.BACKGROUND


def _content(request: NotificationRequest, push_type: PushType) -> Content:
    usual = Priority.NORMAL if push_type is PushType.BACKGROUND else Priority.HIGH
    return Content(
        type=push_type,
        call=request.call,
        alert=request.alert,
        liveactivity=request.liveactivity,
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


def _audience(to: Audience, push_type: PushType, *, allow_http: bool) -> Audience:
    """Drop names said twice, and names that `everyone` includes."""
    if to.everyone:
        return Audience(everyone=True)
    if not (to.users or to.devices or to.targets or to.tags):
        raise InvalidRequest(
            "The audience is empty", pointer="/to", fix="Name users, devices, targets, tags or everyone."
        )
    _check_names(to.users, "users")
    if to.devices or to.tags:
        _check_names(to.devices, "devices")
        _check_names(to.tags, "tags")
    if to.targets:
        to = msgspec.structs.replace(to, targets=normalised(to.targets, push_type, allow_http=allow_http))
    if len(to.users) + len(to.devices) + len(to.targets) == 1:
        return to
    return Audience(
        users=tuple(dict.fromkeys(to.users)),
        devices=tuple(dict.fromkeys(to.devices)),
        targets=tuple({(target.kind, target.value): target for target in to.targets}.values()),
        tags=tuple(dict.fromkeys(to.tags)),
    )


def _check_names(names: tuple[str, ...], field: str) -> None:
    for position, name in enumerate(names):
        if not 0 < len(name) <= _NAME_LIMIT:
            raise InvalidRequest(
                f"A name has 1 to {_NAME_LIMIT} characters", pointer=f"/to/{field}/{position}", fix="Correct it."
            )


def _ttl(ttl: int | None, push_type: PushType) -> int:
    if ttl is None:
        return _TTL.get(push_type, _DEFAULT_TTL)
    if not 0 <= ttl <= MAX_TTL:
        raise InvalidRequest(
            f"`ttl` is in seconds, from 0 to {MAX_TTL} (28 days)",
            pointer="/ttl",
            fix="No push service keeps a push longer.",
        )
    return ttl


def _due(send_at: str, now: int) -> int:
    """Return when it may go out, Unix ms; a time in the past means now."""
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
        raise InvalidRequest("`send_at` is more than a year ahead", pointer="/send_at", fix="Send it nearer its time.")
    return max(due, now)
