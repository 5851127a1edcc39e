"""Which fields an FCM v1 Message has, and what each holds; the first thing wrong with an override is found by its place.

Names are those of the discovery document `fcm.v1`, in lowerCamelCase: overrides are brought to that spelling before
(`names.camel`). Google refuses unknown names and wrong types for the whole message, so they are refused before accept.

Source: Firebase, REST reference of projects.messages (discovery document fcm.v1).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

_DURATION = re.compile(r"[0-9]+(\.[0-9]{1,9})?s").fullmatch
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)").fullmatch

Steps = tuple[str | int, ...]


class Fault(NamedTuple):
    """What is wrong, and where: keys and list positions from the Message inwards."""

    steps: Steps
    why: str


class Plain(NamedTuple):
    """A value that is judged as a whole; `name` says what it ought to be."""

    name: str
    fits: Callable[[Any], bool]


class Texts(NamedTuple):
    """A map from text to text."""


class Many(NamedTuple):
    """A list."""

    item: Plain


class Block(NamedTuple):
    """An object with these fields and no others."""

    fields: dict[str, Plain | Texts | Many | Block]


Shape = Plain | Texts | Many | Block


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _one_of(*names: str) -> Plain:
    # Google takes names in any case: its own client libraries send "high".
    return Plain(f"one of {', '.join(names)}", lambda value: isinstance(value, str) and value.upper() in names)


TEXT = Plain("a text", lambda value: isinstance(value, str))
TRUTH = Plain("true or false", lambda value: isinstance(value, bool))
WHOLE = Plain("a whole number of 32 bits", _is_whole)
NUMBER = Plain("a number", _is_number)
OBJECT = Plain("an object", lambda value: isinstance(value, dict))
DURATION = Plain(
    'a duration in seconds, such as "3.5s"', lambda value: isinstance(value, str) and bool(_DURATION(value))
)
MOMENT = Plain("an RFC 3339 time", lambda value: isinstance(value, str) and bool(_MOMENT(value)))

_LABEL = Block({"analyticsLabel": TEXT})
_COLOR = Block(dict.fromkeys(("red", "green", "blue", "alpha"), NUMBER))
_NOTIFICATION: dict[str, Shape] = {
    **dict.fromkeys(("title", "body", "icon", "color", "sound", "tag", "image", "ticker"), TEXT),
    **dict.fromkeys(("clickAction", "bodyLocKey", "titleLocKey", "channelId"), TEXT),
    **dict.fromkeys(("bodyLocArgs", "titleLocArgs"), Many(TEXT)),
    **dict.fromkeys(("sticky", "localOnly", "defaultSound", "defaultVibrateTimings", "defaultLightSettings"), TRUTH),
    "eventTime": MOMENT,
    "notificationPriority": _one_of(
        *(f"PRIORITY_{name}" for name in ("UNSPECIFIED", "MIN", "LOW", "DEFAULT", "HIGH", "MAX"))
    ),
    "vibrateTimings": Many(DURATION),
    "visibility": _one_of("VISIBILITY_UNSPECIFIED", "PRIVATE", "PUBLIC", "SECRET"),
    "notificationCount": WHOLE,
    "lightSettings": Block({"color": _COLOR, "lightOnDuration": DURATION, "lightOffDuration": DURATION}),
}
_ANDROID: dict[str, Shape] = {
    **dict.fromkeys(("collapseKey", "restrictedPackageName"), TEXT),
    **dict.fromkeys(("directBootOk", "bandwidthConstrainedOk", "restrictedSatelliteOk"), TRUTH),
    "ttl": DURATION,
    "data": Texts(),
    "fcmOptions": _LABEL,
}

MESSAGE = Block(
    {
        "data": Texts(),
        "notification": Block(dict.fromkeys(("title", "body", "image"), TEXT)),
        "fcmOptions": _LABEL,
        "android": Block(
            {
                **_ANDROID,
                "priority": _one_of("NORMAL", "HIGH"),
                "notification": Block(
                    {
                        **_NOTIFICATION,
                        "bypassProxyNotification": TRUTH,
                        "proxy": _one_of("PROXY_UNSPECIFIED", "ALLOW", "DENY", "IF_PRIORITY_LOWERED"),
                    }
                ),
            }
        ),
        "androidV2": Block(
            {
                **_ANDROID,
                "backgroundSync": Block({}),
                "remoteNotification": Block(
                    {
                        "notification": Block({**_NOTIFICATION, "id": WHOLE}),
                        **dict.fromkeys(("mutableContent", "useAsV1DataMessage"), TRUTH),
                    }
                ),
            }
        ),
        "apns": Block(
            {
                "headers": Texts(),
                "payload": OBJECT,
                "fcmOptions": Block({"analyticsLabel": TEXT, "image": TEXT}),
                "liveActivityToken": TEXT,
            }
        ),
        "webpush": Block(
            {
                "headers": Texts(),
                "data": Texts(),
                "notification": OBJECT,
                "fcmOptions": Block({"link": TEXT, "analyticsLabel": TEXT}),
            }
        ),
    }
)
"""A Message without its target, which is the gateway's."""


def faults(value: Any, shape: Shape = MESSAGE, steps: Steps = ()) -> Iterator[Fault]:
    """Yield everything in a Message, or a part of one, that the schema does not allow."""
    if value is None:  # the same as absent, in proto3's JSON
        return
    match shape:
        case Plain(name=name, fits=fits):
            if not fits(value):
                yield Fault(steps, f"it is {name}")
        case Many(item=item):
            yield from _of_list(value, item, steps)
        case Texts():
            yield from _of_map(value, steps)
        case Block(fields=fields):
            yield from _of_block(value, fields, steps)


def _of_list(value: Any, item: Plain, steps: Steps) -> Iterator[Fault]:
    if not isinstance(value, list):
        yield Fault(steps, "it is a list")
        return
    for position, inner in enumerate(value):
        yield from faults(inner, item, (*steps, position))


def _of_map(value: Any, steps: Steps) -> Iterator[Fault]:
    if not isinstance(value, dict):
        yield Fault(steps, "it is an object")
        return
    for key, inner in value.items():
        yield from faults(inner, TEXT, (*steps, key))


def _of_block(value: Any, fields: dict[str, Shape], steps: Steps) -> Iterator[Fault]:
    if not isinstance(value, dict):
        yield Fault(steps, "it is an object")
        return
    for name, inner in value.items():
        if name in fields:
            yield from faults(inner, fields[name], (*steps, name))
        else:
            known = f"; it has {', '.join(sorted(fields))}" if fields else ""
            yield Fault((*steps, name), f"an FCM {_named(steps)} has no field {name!r}{known}")


def _named(steps: Steps) -> str:
    return f"`{'.'.join(str(step) for step in steps)}`" if steps else "message"
