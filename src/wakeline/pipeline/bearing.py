"""What a push type bears: which of the neutral fields belong together, or which of them is wrong.

Rule: pure, and only what holds for every push service; each service judges by itself what it would be sent (`wire.*.check`).
"""

from __future__ import annotations

from wakeline.model.errors import InvalidRequest
from wakeline.model.notification import NotificationRequest, PushType
from wakeline.wire.content import speaks

_COLLAPSE_LIMIT = 64
_SHOWING = frozenset({PushType.ALERT, PushType.CALL, PushType.LIVEACTIVITY})


def check_content(request: NotificationRequest, push_type: PushType) -> None:
    """Refuse what does not belong together. Raises InvalidRequest, naming the field."""
    if request.call is not None or push_type is PushType.CALL:
        _check_call(request, push_type)
    if request.liveactivity is not None or push_type is PushType.LIVEACTIVITY:
        _check_live_activity(request, push_type)
    if request.alert is not None or push_type is PushType.ALERT:
        _check_alert(request, push_type)
    if "aps" in request.data:
        raise InvalidRequest(
            "`data` may not have a key `aps`: Apple's own dictionary stands there",
            pointer="/data/aps",
            fix="Put additions to it under /apns/payload.",
        )
    if request.collapse_id and len(request.collapse_id.encode()) > _COLLAPSE_LIMIT:
        raise InvalidRequest(
            f"`collapse_id` is longer than {_COLLAPSE_LIMIT} bytes", pointer="/collapse_id", fix="Use a shorter one."
        )


def _check_call(request: NotificationRequest, push_type: PushType) -> None:
    if push_type is PushType.CALL and request.call is None:
        raise InvalidRequest(
            "A call needs `call` with the id of the call", pointer="/call", fix='Give `call`, as in {"id": "c1"}.'
        )
    if push_type is not PushType.CALL and request.call is not None:
        raise InvalidRequest(
            f"`call` belongs to type call, not to {push_type.value}", pointer="/call", fix="Leave `type` out."
        )
    if request.call is not None and not request.call.id:
        raise InvalidRequest("A call needs an id", pointer="/call/id", fix="Give the id that the app answers it by.")


def _check_live_activity(request: NotificationRequest, push_type: PushType) -> None:
    if push_type is not PushType.LIVEACTIVITY and request.liveactivity is not None:
        raise InvalidRequest(
            f"`liveactivity` belongs to type liveactivity, not to {push_type.value}",
            pointer="/liveactivity",
            fix="Leave `type` out.",
        )
    if push_type is PushType.LIVEACTIVITY and request.liveactivity is None and not _overridden(request):
        raise InvalidRequest(
            "A Live Activity needs `liveactivity`: its event and its content state",
            pointer="/liveactivity",
            fix='Give `liveactivity`, as in {"event": "update", "content_state": {}}.',
        )


def _check_alert(request: NotificationRequest, push_type: PushType) -> None:
    alert = request.alert
    if alert is not None and alert.badge is not None:
        _check_badge(alert.badge)
    if push_type is PushType.ALERT and not speaks(alert) and not _overridden(request):
        raise InvalidRequest(
            "An alert needs `alert` with a text: what is to be shown",
            pointer="/alert",
            fix="Give it a title or a body; a push that shows nothing is of type background.",
        )
    if alert is not None and push_type not in _SHOWING:
        raise InvalidRequest(
            f"A push of type {push_type.value} shows nothing, so it cannot bear `alert`",
            pointer="/alert",
            fix="Use type alert.",
        )


def _overridden(request: NotificationRequest) -> bool:
    """Tell whether some push service gets a payload that is not made of the neutral content."""
    return any(each.payload or each.raw is not None for each in (request.apns, request.fcm, request.webpush))


def _check_badge(badge: int | str) -> None:
    fix = 'Give a number from 0, or "+1".'
    if isinstance(badge, str) and badge != "+1":
        raise InvalidRequest('`badge` is a number, or "+1" to count up', pointer="/alert/badge", fix=fix)
    if isinstance(badge, int) and badge < 0:
        raise InvalidRequest("`badge` cannot be negative", pointer="/alert/badge", fix=fix)
