"""What a message is addressed to: a registration token, a Firebase installation id, a topic, or a condition over topics.

A target is kept as one text and told by its form: a topic (`/topics/news`), a condition (`'a' in topics && 'b' in
topics`), an installation id (22 characters of base64url whose first four bits are 0111), else a registration token.

Sources: Firebase, REST reference of projects.messages (`topic`, `condition`) and "Send messages to topics"; Firebase
installations for the form of an id.
"""

from __future__ import annotations

import re

from wakeline.model.errors import InvalidRequest

TOPIC_LIMIT = 2048
"""Bytes of a message to a topic or a condition."""

MOST_TOPICS = 5
"""Topics that one condition may name."""

_INSTALLATION_ID = re.compile(r"(?=.*[A-Z])(?=.*[a-z])[c-f][A-Za-z0-9_-]{21}").fullmatch
_TOPIC_NAME = re.compile(r"[a-zA-Z0-9\-_.~%]{1,900}").fullmatch
_TOPICS = "/topics/"
_CONDITION = "in topics"
_TEST = r"!?\s*'[a-zA-Z0-9\-_.~%]{1,900}'\s+in\s+topics"
_TEST_AT = re.compile(_TEST)
_GROUP_AT = re.compile(r"!?\s*\(\s*T(\s*(&&|\|\|)\s*T)*\s*\)")
_WHOLE = re.compile(r"\s*T(\s*(&&|\|\|)\s*T)*\s*").fullmatch


def address(value: str) -> tuple[str, str]:
    """Return (field of the Message, its value) for a target; an empty field if it can be none."""
    if not value or not value.isprintable():
        return "", ""
    if value.startswith(_TOPICS):
        return "topic", value.removeprefix(_TOPICS)
    if _CONDITION in value:
        return "condition", value
    return ("fid" if _INSTALLATION_ID(value) else "token"), value


def is_broadcast(value: str) -> bool:
    """Tell whether a target stands for all who subscribed to topics."""
    return address(value)[0] in {"topic", "condition"}


def topic(name: str) -> str:
    """Return a topic as a target; its name may bear `/topics/` already."""
    return _TOPICS + name.removeprefix(_TOPICS)


def check_target(value: str, where: str) -> None:
    """Refuse a topic or a condition that FCM would not take. `where` is the JSON Pointer. Raises InvalidRequest."""
    match address(value):
        case "topic", name if not _TOPIC_NAME(name):
            raise InvalidRequest(
                "this is no name of an FCM topic",
                pointer=where,
                fix="It has 1 to 900 letters, digits and the signs - _ . ~ %, as in `news`.",
            )
        case "condition", text:
            _check_condition(text, where)


def check_installation_id(value: str, where: str) -> None:
    """Refuse what can be no Firebase installation id. `where` is the JSON Pointer. Raises InvalidRequest."""
    if not _INSTALLATION_ID(value):
        raise InvalidRequest(
            "this is no Firebase installation id",
            pointer=where,
            fix="It has 22 characters of base64url and begins with c, d, e or f; a registration token goes into `value`.",
        )


def _check_condition(text: str, where: str) -> None:
    """Reduce tests and groups to `T`, from the inside out, until one expression is left."""
    reduced, tests = _TEST_AT.subn("T", text)
    groups = 1
    while groups:
        reduced, groups = _GROUP_AT.subn("T", reduced)
    if not _WHOLE(reduced):
        raise InvalidRequest(
            "this is no condition over FCM topics",
            pointer=where,
            fix="Write `'a' in topics`, joined by && and ||, with ! and parentheses.",
        )
    if tests > MOST_TOPICS:
        raise InvalidRequest(
            f"the condition names {tests} topics, and FCM takes {MOST_TOPICS}",
            pointer=where,
            fix="Send several notifications, or subscribe the devices to a topic of their own.",
        )
