"""Whether a payload is one that its push type takes: the same rules for what is written here and for what is given raw.

Rule: judged is the document that would be sent, so that an override can neither break a push type nor mend what the
neutral fields left out without being seen. An error points to where the caller wrote it.

Sources: Apple, "Generating a remote notification" (alert, background), "Starting and updating Live Activities with
ActivityKit push notifications", "Updating widgets with WidgetKit push notifications", "Using push notifications to signal
changes" (file provider), "Notifying MDM devices".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from wakeline.model.errors import InvalidRequest
from wakeline.model.notification import Content, PushType
from wakeline.wire.apns.payload import payload
from wakeline.wire.apns.types import RULES, Rule
from wakeline.wire.content import HOLE, LONGEST_TIMESTAMP, check_activity_fields, place_of, pointer, speaks, texts_for

_RIGHT_BY_CONSTRUCTION = frozenset(PushType) - {
    PushType.ALERT,
    PushType.LIVEACTIVITY,
    PushType.FILEPROVIDER,
    PushType.MDM,
}
_SEEN_OR_HEARD = ("alert", "sound", "badge")
_WORDS = ("title", "subtitle", "body", "title-loc-key", "subtitle-loc-key", "loc-key")

Where = Callable[..., str]
"""Points to a place of the document, named by its keys."""


def check_shape(content: Content, rule: Rule) -> None:
    """Refuse a payload that its push type does not take. Raises InvalidRequest, with the field's JSON Pointer."""
    if content.alert is not None and not rule.shows:
        raise InvalidRequest(
            f"a push of type {content.type.value} shows nothing", pointer="/alert", fix="Set `type` to `alert`."
        )
    right = speaks(content.alert) if content.type is PushType.ALERT else content.type in _RIGHT_BY_CONSTRUCTION
    if right and not content.apns.payload and content.apns.raw is None:
        return
    texts = texts_for(content.alert, "") if content.alert is not None else None
    badge = content.alert.badge if content.alert is not None else None
    document = payload(content, rule, texts, HOLE if isinstance(badge, str) else badge, LONGEST_TIMESTAMP)
    where = partial(_where, content)
    aps = document.get("aps", {})
    if not isinstance(aps, dict):
        raise InvalidRequest("`aps` is an object", pointer=where("aps"), fix="Give Apple's dictionary.")
    _check_aps(rule, aps, where)
    _check_beside(rule, document, where)


def _where(content: Content, *steps: str) -> str:
    """Point to where the caller wrote it: in `raw`, in `payload`, else in the neutral field that it is made of."""
    if content.apns.raw is not None:
        return pointer("apns", "raw", *steps)
    found: Any = content.apns.payload
    for step in steps:
        found = found.get(step) if isinstance(found, dict) else None
    if found is not None or (content.apns.payload and content.liveactivity is None and steps[0] == "aps"):
        return pointer("apns", "payload", *steps)
    if steps[0] == "aps" and content.type is PushType.LIVEACTIVITY:
        return place_of(steps[-1])
    return "/alert" if steps[0] == "aps" else pointer("data", *steps)


def _check_aps(rule: Rule, aps: dict[str, Any], where: Where) -> None:
    if rule is RULES[PushType.ALERT]:
        _check_seen(aps, where)
    elif rule is RULES[PushType.LIVEACTIVITY]:
        check_activity_fields(aps, partial(where, "aps"))
    elif not rule.shows:
        _check_unseen(rule, aps, where)
    for key, value in (rule.aps or {}).items():
        if aps.get(key) != value:
            raise InvalidRequest(
                f"a push of type {rule.name} bears `{key}`", pointer=where("aps"), fix=f"Add `{key}` to `aps`."
            )


def _check_seen(aps: dict[str, Any], where: Where) -> None:
    alert = aps.get("alert")
    spoken = any(alert.get(key) for key in _WORDS) if isinstance(alert, dict) else bool(alert)
    if (alert is not None and not spoken) or not any(aps.get(key) is not None for key in _SEEN_OR_HEARD):
        raise InvalidRequest(
            "the alert has no text, so an iPhone would show nothing",
            pointer=where("aps", "alert"),
            fix="Give `alert` a title or a body, or set `type` to `background`.",
        )


def _check_unseen(rule: Rule, aps: dict[str, Any], where: Where) -> None:
    """Refuse what is seen or heard. A badge of 0 is neither: it takes one away, and apps of liblinphone are woken with it."""
    for key in _SEEN_OR_HEARD:
        if key in aps and (key, aps[key]) != ("badge", 0):
            raise InvalidRequest(
                f"a push of type {rule.name} shows nothing, so it cannot bear `{key}`",
                pointer=where("aps", key),
                fix="Leave it out, or set `type` to `alert`.",
            )


def _check_beside(rule: Rule, document: dict[str, Any], where: Where) -> None:
    """Check what stands beside `aps`, where a push type prescribes it."""
    if rule is RULES[PushType.MDM]:
        if "aps" in document:
            raise InvalidRequest("an MDM push has no `aps`", pointer=where("aps"), fix="Leave it out.")
        _check_named(document, "mdm", where, "Give `data.mdm`, the PushMagic that the device sent in its TokenUpdate.")
    elif rule is RULES[PushType.FILEPROVIDER]:
        _check_named(document, "container-identifier", where, "Give the identifier of what has changed.")


def _check_named(document: dict[str, Any], key: str, where: Where, fix: str) -> None:
    if not isinstance(document.get(key), str) or not document[key]:
        raise InvalidRequest(f"the push needs `{key}`, a text", pointer=where(key), fix=fix)
