"""A Live Activity as the `aps` dictionary that ActivityKit reads; APNs takes it as it is, FCM hands it on to Apple.

Rules: `timestamp` orders the updates of one activity, so it is the time from which the push may go out and stays the same
over every attempt. A start bears `attributes-type`, `attributes` and an alert; `dismissal-date` belongs to an end. What is
given raw is judged by the same rules as what is written from the neutral fields.

Source: Apple, "Starting and updating Live Activities with ActivityKit push notifications".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from wakeline.model.errors import InvalidRequest
from wakeline.model.notification import Alert, Content, LiveActivity, LiveActivityEvent
from wakeline.wire.content.checks import pointer
from wakeline.wire.content.language import Texts

LONGEST_TIMESTAMP = 10**10 - 1
"""Epoch seconds of the most digits, for measuring."""

_EVENTS = frozenset(event.value for event in LiveActivityEvent)
_NOT_SHOWN = ("subtitle", "image", "category", "thread", "badge")
_NOT_AN_OBJECT = "`{}` of a Live Activity is an object"
_PLACES = {
    "event": "event",
    "content-state": "content_state",
    "attributes-type": "attributes_type",
    "attributes": "attributes",
    "stale-date": "stale_at",
    "dismissal-date": "dismiss_at",
    "relevance-score": "relevance_score",
}


def live_activity(activity: LiveActivity, alert: Alert | None, shown: Texts | None, timestamp: int) -> dict[str, Any]:
    """Return the `aps` dictionary; `timestamp` in epoch seconds."""
    aps: dict[str, Any] = {"timestamp": timestamp, "event": activity.event.value}
    if activity.content_state or activity.event is not LiveActivityEvent.END:
        aps["content-state"] = activity.content_state
    if activity.event is LiveActivityEvent.START:
        aps |= {"attributes-type": activity.attributes_type, "attributes": activity.attributes}
    if activity.stale_at:
        aps["stale-date"] = _seconds(activity.stale_at)
    if activity.dismiss_at:
        aps["dismissal-date"] = _seconds(activity.dismiss_at)
    if activity.relevance_score is not None:
        aps["relevance-score"] = activity.relevance_score
    if alert is not None and shown is not None and (said := _alert(alert, shown)):
        aps["alert"] = said
    return aps


def _alert(alert: Alert, shown: Texts) -> dict[str, Any]:
    """Return what a phone shows besides the activity: words or the keys of words, each nested, and the sound inside."""
    said = {
        "title": _words(shown.title, shown.title_loc_key, shown.title_loc_args),
        "body": _words(shown.body, shown.body_loc_key, shown.body_loc_args),
        "sound": alert.sound,
    }
    return {name: value for name, value in said.items() if value}


def _words(text: str, key: str, args: tuple[str, ...]) -> str | dict[str, Any]:
    if not key:
        return text
    return {"loc-key": key, "loc-args": args} if args else {"loc-key": key}


def _seconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp())


def check_live_activity(content: Content) -> None:
    """Refuse neutral fields that cannot be written. Raises InvalidRequest, with the field's JSON Pointer."""
    activity = content.liveactivity
    if activity is None:
        return
    for name in ("stale_at", "dismiss_at"):
        _check_moment(getattr(activity, name), pointer("liveactivity", name))
    if activity.event is not LiveActivityEvent.START and (activity.attributes_type or activity.attributes):
        raise InvalidRequest(
            f"`attributes` start a Live Activity; an event {activity.event.value} bears `content_state` alone",
            pointer=pointer("liveactivity", "attributes_type" if activity.attributes_type else "attributes"),
            fix="Leave them out, or set `event` to `start`.",
        )
    for name in _NOT_SHOWN if content.alert is not None else ():
        if getattr(content.alert, name):
            raise InvalidRequest(
                f"the alert of a Live Activity has no {name}",
                pointer=pointer("alert", name),
                fix="Give `title`, `body` and `sound`, or their loc keys.",
            )


def _check_moment(moment: str, where: str) -> None:
    try:
        known = not moment or datetime.fromisoformat(moment).tzinfo is not None
    except ValueError:
        known = False
    if not known:
        raise InvalidRequest(
            "it is not an RFC 3339 time with an offset", pointer=where, fix="For example 2026-11-21T08:00:00Z."
        )


def check_activity_fields(aps: dict[str, Any], where: Callable[[str], str]) -> None:
    """Refuse an `aps` dictionary, written or given raw, that ActivityKit would not take; `where` points to a key of it.

    Raises InvalidRequest.
    """
    for key, why, fix in _faults(aps):
        raise InvalidRequest(why, pointer=where(key), fix=fix)


def place_of(key: str) -> str:
    """Return the JSON Pointer of the neutral field that becomes this key of `aps`."""
    return "/alert" if key == "alert" else pointer("liveactivity", *([_PLACES[key]] if key in _PLACES else []))


def _faults(aps: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield (key, cause, what to do) of what is wrong."""
    event = aps.get("event")
    if not isinstance(event, str) or event not in _EVENTS:
        yield "event", "a Live Activity needs an event: start, update or end", "Give `liveactivity` with its `event`."
        return
    if not _is_number(aps.get("timestamp")):
        yield (
            "timestamp",
            "a Live Activity needs `timestamp`, by which the phone tells new from old",
            "Give epoch seconds, or use `liveactivity`, which sets it.",
        )
    if (event != LiveActivityEvent.END or "content-state" in aps) and not isinstance(aps.get("content-state"), dict):
        yield "content-state", _NOT_AN_OBJECT.format("content-state"), "Give every field of its ContentState."
    yield from _faults_of_start(aps) if event == LiveActivityEvent.START else _faults_of_others(aps, event)
    for key in ("stale-date", "relevance-score"):
        if key in aps and not _is_number(aps[key]):
            yield key, f"`{key}` is a number", "Give a number."


def _faults_of_start(aps: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    if not isinstance(aps.get("attributes-type"), str) or not aps["attributes-type"]:
        yield (
            "attributes-type",
            "a Live Activity starts with the name of its attributes' type",
            "Give the name of the Swift type that is an ActivityAttributes.",
        )
    if not isinstance(aps.get("attributes"), dict):
        yield "attributes", _NOT_AN_OBJECT.format("attributes"), "Give every field of its ActivityAttributes."
    if not aps.get("alert"):
        yield "alert", "a Live Activity that starts shows an alert", "Give `alert` with a title and a body."
    if "dismissal-date" in aps:
        yield "dismissal-date", "a dismissal date belongs to an end", "Leave it out, or set `event` to `end`."


def _faults_of_others(aps: dict[str, Any], event: str) -> Iterator[tuple[str, str, str]]:
    for key in ("attributes-type", "attributes"):
        if key in aps:
            yield key, f"`{key}` starts a Live Activity; an event {event} does not bear it", "Leave it out."
    if "dismissal-date" not in aps:
        return
    if event != LiveActivityEvent.END:
        yield "dismissal-date", "a dismissal date belongs to an end", "Leave it out, or set `event` to `end`."
    elif not _is_number(aps["dismissal-date"]):
        yield "dismissal-date", "`dismissal-date` is a number", "Give epoch seconds."


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
