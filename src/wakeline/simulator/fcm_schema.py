"""The shape of an FCM v1 `SendMessageRequest`, and whether a JSON document has it.

The table follows Google's discovery document of `fcm.v1`; the walk follows proto3's JSON mapping as Google's front end
applies it: names in lowerCamelCase or snake_case, unknown names refused, null the same as absent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

_DURATION = re.compile(r"-?[0-9]+(\.[0-9]{1,9})?s")
_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})")


class Violation(msgspec.Struct, frozen=True):
    """One thing wrong with a message."""

    field: str
    description: str


class Scalar(msgspec.Struct, frozen=True):
    """A plain value: string, bool, int32, float, duration, timestamp, or `struct`, any JSON object."""

    kind: str


class Choice(msgspec.Struct, frozen=True):
    """An enum, by name."""

    names: tuple[str, ...]


class Texts(msgspec.Struct, frozen=True):
    """A map from string to string."""


class Many(msgspec.Struct, frozen=True):
    """A list."""

    item: Scalar


class Record(msgspec.Struct, frozen=True):
    """A message."""

    fields: dict[str, Scalar | Choice | Texts | Many | Record]


Shape = Scalar | Choice | Texts | Many | Record

STRING, BOOL, INT, FLOAT = Scalar("string"), Scalar("bool"), Scalar("int32"), Scalar("float")
DURATION, TIMESTAMP, STRUCT, TEXTS = Scalar("duration"), Scalar("timestamp"), Scalar("struct"), Texts()


def _record(**fields: Shape) -> Record:
    return Record(fields)


_OPTIONS = _record(analyticsLabel=STRING)
_COLOR = _record(red=FLOAT, green=FLOAT, blue=FLOAT, alpha=FLOAT)
_LIGHTS = _record(color=_COLOR, lightOnDuration=DURATION, lightOffDuration=DURATION)
_ANDROID_NOTIFICATION: dict[str, Shape] = {
    **dict.fromkeys(("title", "body", "icon", "color", "sound", "tag", "image", "ticker"), STRING),
    **dict.fromkeys(("clickAction", "bodyLocKey", "titleLocKey", "channelId"), STRING),
    **dict.fromkeys(("bodyLocArgs", "titleLocArgs"), Many(STRING)),
    **dict.fromkeys(("sticky", "localOnly", "defaultSound"), BOOL),
    **dict.fromkeys(("defaultVibrateTimings", "defaultLightSettings"), BOOL),
    "eventTime": TIMESTAMP,
    "notificationPriority": Choice(
        tuple(f"PRIORITY_{name}" for name in ("UNSPECIFIED", "MIN", "LOW", "DEFAULT", "HIGH", "MAX"))
    ),
    "vibrateTimings": Many(DURATION),
    "visibility": Choice(("VISIBILITY_UNSPECIFIED", "PRIVATE", "PUBLIC", "SECRET")),
    "notificationCount": INT,
    "lightSettings": _LIGHTS,
}
_ANDROID: dict[str, Shape] = {
    "collapseKey": STRING,
    "ttl": DURATION,
    "restrictedPackageName": STRING,
    "data": TEXTS,
    "fcmOptions": _OPTIONS,
    "directBootOk": BOOL,
    "bandwidthConstrainedOk": BOOL,
    "restrictedSatelliteOk": BOOL,
}
_PROXY = Choice(("PROXY_UNSPECIFIED", "ALLOW", "DENY", "IF_PRIORITY_LOWERED"))

MESSAGE = _record(
    name=STRING,
    fid=STRING,
    token=STRING,
    topic=STRING,
    condition=STRING,
    data=TEXTS,
    notification=_record(title=STRING, body=STRING, image=STRING),
    fcmOptions=_OPTIONS,
    android=_record(
        **_ANDROID,
        priority=Choice(("NORMAL", "HIGH")),
        notification=_record(**_ANDROID_NOTIFICATION, bypassProxyNotification=BOOL, proxy=_PROXY),
    ),
    androidV2=_record(
        **_ANDROID,
        backgroundSync=_record(),
        remoteNotification=_record(
            notification=_record(**_ANDROID_NOTIFICATION, id=INT),
            mutableContent=BOOL,
            useAsV1DataMessage=BOOL,
        ),
    ),
    apns=_record(
        headers=TEXTS,
        payload=STRUCT,
        fcmOptions=_record(analyticsLabel=STRING, image=STRING),
        liveActivityToken=STRING,
    ),
    webpush=_record(
        headers=TEXTS,
        data=TEXTS,
        notification=STRUCT,
        fcmOptions=_record(link=STRING, analyticsLabel=STRING),
    ),
)
SEND_REQUEST = _record(message=MESSAGE, validateOnly=BOOL)


def normalised(document: object) -> object:
    """`document` with record names in lowerCamelCase throughout, as the table spells them."""
    return _renamed(document, SEND_REQUEST)


def violations(document: object, shape: Shape = SEND_REQUEST, where: str = "") -> Iterator[Violation]:
    """Everything in a normalised `document` that the schema does not allow."""
    if document is None:
        return
    match shape:
        case Record(fields=fields):
            yield from _record_violations(document, fields, where)
        case Texts():
            yield from _texts_violations(document, where)
        case Many(item=item):
            if not isinstance(document, list):
                yield _mismatch(where, "repeated field", document)
                return
            for index, value in enumerate(document):
                yield from violations(value, item, f"{where}[{index}]")
        case Choice(names=names):
            # Google takes names in any case: its own client libraries send "high".
            if str(document).upper() not in names and not _is_integer(document):
                yield _mismatch(where, "TYPE_ENUM", document)
        case Scalar(kind=kind):
            if not _fits(document, kind):
                yield _mismatch(where, f"TYPE_{kind.upper()}", document)


def _record_violations(document: object, fields: dict[str, Shape], where: str) -> Iterator[Violation]:
    if not isinstance(document, dict):
        yield _mismatch(where, "a message", document)
        return
    for name, value in document.items():
        if name not in fields:
            place = f" at '{where}'" if where else ""
            why = f'Invalid JSON payload received. Unknown name "{name}"{place}: Cannot find field.'
            yield Violation(where, why)
        else:
            yield from violations(value, fields[name], f"{where}.{name}" if where else name)


def _texts_violations(document: object, where: str) -> Iterator[Violation]:
    if not isinstance(document, dict):
        yield _mismatch(where, "a map", document)
        return
    for index, value in enumerate(document.values()):
        if not isinstance(value, str):
            yield _mismatch(f"{where}[{index}].value", "TYPE_STRING", value)


def _fits(value: object, kind: str) -> bool:
    match kind:
        case "bool":
            return isinstance(value, bool)
        case "int32":
            return _is_integer(value) and abs(int(str(value))) < 2**31
        case "float":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "struct":
            return isinstance(value, dict)
        case "duration":
            return isinstance(value, str) and _DURATION.fullmatch(value) is not None
        case "timestamp":
            return isinstance(value, str) and _TIMESTAMP.fullmatch(value) is not None
        case _:
            return isinstance(value, str)


def _is_integer(value: object) -> bool:
    if isinstance(value, str):
        return value.removeprefix("-").isdecimal()
    return isinstance(value, int) and not isinstance(value, bool)


def _mismatch(where: str, expected: str, value: object) -> Violation:
    shown = msgspec.json.encode(value).decode()
    return Violation(where, f"Invalid value at '{where}' ({expected}), {shown}")


def _renamed(document: object, shape: Shape) -> object:
    if not isinstance(shape, Record) or not isinstance(document, dict):
        return document
    renamed: dict[str, object] = {}
    for name, value in document.items():
        camel = _camel(name) if _camel(name) in shape.fields else name
        renamed[camel] = _renamed(value, shape.fields[camel]) if camel in shape.fields else value
    return renamed


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest)
