"""Google's own description of FCM judges what we write and what we take: the discovery document of fcm.v1.

Every body that leaves is of it, whatever the content; our table of fields is its table; what it allows in an override is
taken, and what it does not know is refused with the field.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery import SCHEMAS, violations
from wakeline.model.errors import InvalidRequest
from wakeline.model.notification import (
    Alert,
    Call,
    Content,
    LiveActivity,
    LiveActivityEvent,
    Notification,
    Override,
    Priority,
    PushType,
    Translation,
)
from wakeline.model.route import Lane
from wakeline.simulator import fcm_schema
from wakeline.wire import fcm
from wakeline.wire.fcm import schema

pytestmark = pytest.mark.interop

TARGETS = {
    "token": "dpFNS8rXQ0:APA91bHun4MxP5egoKMwt2KZFBaFUH-1RYqx",
    "fid": "cGxhY2Vob2xkZXIwMDAwMA",
    "topic": "/topics/news",
    "condition": "'a' in topics && !('b' in topics)",
}
SET_BY_THE_GATEWAY = {"name", "token", "fid", "topic", "condition"}


def message_of(content: Content, target: str, *, ttl: int = 3600, locale: str = "", badge: int | None = None) -> Any:
    """The body that would leave, after the checks that stand before accept."""
    fcm.validate(content)
    notification = Notification(
        key=1 << 40, app=1, content=content, lane=Lane.ALERT, due=0, expires=ttl * 1000, created=0
    )
    return json.loads(fcm.prepare(notification, 0).body(target, locale, badge))


TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12)
WORDS = TEXT.filter(bool)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
KEYS = st.from_regex(r"[a-e][a-z_.]{0,6}", fullmatch=True).filter(lambda key: key not in {"aps", "call"})
DATA = st.dictionaries(KEYS, JSON, max_size=3)
ALERTS = st.builds(
    Alert,
    title=WORDS,
    subtitle=TEXT,
    body=TEXT,
    image=st.sampled_from(["", "https://example.com/i.png"]),
    sound=TEXT,
    badge=st.none() | st.just("+1") | st.integers(0, 2**31 - 1),
    category=TEXT,
    thread=TEXT,
    title_loc_key=WORDS,
    title_loc_args=st.lists(TEXT, max_size=2).map(tuple),
    body_loc_key=TEXT,
    localized=st.dictionaries(st.sampled_from(["de", "pt-BR"]), st.builds(Translation, title=TEXT, body=TEXT)),
)


SCALARS: dict[tuple[str, str], st.SearchStrategy[Any]] = {
    ("string", ""): TEXT,
    ("string", "google-duration"): st.sampled_from(["0s", "3.5s", "2419200s"]),
    ("string", "google-datetime"): st.just("2026-11-21T08:00:00Z"),
    ("boolean", ""): st.booleans(),
    ("integer", "int32"): st.integers(-(2**31) + 1, 2**31 - 1),
    ("number", "float"): st.floats(0, 1, width=32),
}


def _of(shape: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Anything that the discovery document allows for a schema."""
    if "$ref" in shape:
        return _of(SCHEMAS[shape["$ref"]])
    if "enum" in shape:
        return st.sampled_from(shape["enum"])
    if shape["type"] == "array":
        return st.lists(_of(shape["items"]), max_size=2)
    if shape["type"] != "object":
        return SCALARS[shape["type"], shape.get("format", "")]
    if "additionalProperties" in shape:
        inner = shape["additionalProperties"]
        return st.dictionaries(KEYS, JSON if inner["type"] == "any" else _of(inner), max_size=2)
    return st.fixed_dictionaries({}, optional={name: _named(name, one) for name, one in shape["properties"].items()})


def _named(name: str, shape: dict[str, Any]) -> st.SearchStrategy[Any]:
    match name:
        case "analyticsLabel":
            return st.sampled_from(["", "autumn-2026"])
        case "link":
            return st.just("https://example.com/")
        case _:
            return _of(shape)


BLOCKS = {name: _named(name, one) for name, one in SCHEMAS["Message"]["properties"].items()}
OVERRIDES: st.SearchStrategy[dict[str, Any]] = st.sampled_from(["android", "androidV2"]).flatmap(
    lambda without: st.fixed_dictionaries(
        {}, optional={n: block for n, block in BLOCKS.items() if n not in SET_BY_THE_GATEWAY | {without}}
    )
)
SNAKE = re.compile(r"(?<=[a-z])([A-Z])")


def snake(value: Any) -> Any:
    """The other spelling of names, as protobuf's own documentation has it; what is the app's own stays."""
    if not isinstance(value, dict):
        return value
    free = ("data", "headers", "payload")
    return {
        SNAKE.sub(lambda found: f"_{found[1].lower()}", key): inner if key in free else snake(inner)
        for key, inner in value.items()
    }


CONTENTS = st.one_of(
    st.builds(
        Content,
        type=st.just(PushType.ALERT),
        alert=ALERTS,
        data=DATA,
        priority=st.sampled_from(Priority),
        collapse_id=st.sampled_from(["", "order-4711"]),
        truncate=st.booleans(),
    ),
    st.builds(Content, type=st.just(PushType.BACKGROUND), data=DATA, priority=st.sampled_from(Priority)),
    st.builds(
        Content,
        type=st.just(PushType.CALL),
        call=st.builds(Call, id=WORDS, caller=TEXT, video=st.booleans()),
        alert=st.none() | ALERTS,
        data=DATA,
    ),
    st.builds(
        Content,
        type=st.just(PushType.LIVEACTIVITY),
        liveactivity=st.builds(
            LiveActivity,
            event=st.sampled_from([LiveActivityEvent.UPDATE, LiveActivityEvent.END]),
            content_state=DATA,
            stale_at=st.sampled_from(["", "2026-11-21T08:00:00Z"]),
            relevance_score=st.none() | st.floats(0, 100),
        ),
        alert=st.none() | st.builds(Alert, title=WORDS, body_loc_key=WORDS, sound=TEXT),
        fcm=st.just(Override(payload={"apns": {"live_activity_token": "80ab"}})),
    ),
)


@given(
    content=CONTENTS,
    target=st.sampled_from(sorted(TARGETS)),
    ttl=st.sampled_from([0, 1, 3600, 28 * 86400]),
    locale=st.sampled_from(["", "de-AT", "pt_BR", "fr"]),
    badge=st.none() | st.integers(0, 2**31 - 1),
)
def test_every_body_is_of_googles_document(
    content: Content, target: str, ttl: int, locale: str, badge: int | None
) -> None:
    body = message_of(content, TARGETS[target], ttl=ttl, locale=locale, badge=badge)
    assert violations(SCHEMAS["SendMessageRequest"], body) == []
    assert set(TARGETS) & set(body["message"]) == {target}


@given(override=OVERRIDES, spelling=st.sampled_from([dict, snake]), whole=st.booleans())
def test_what_google_allows_in_an_override_is_taken_in_either_spelling(
    override: dict[str, Any], spelling: Any, whole: bool
) -> None:
    given_override = spelling(override)
    laid = (
        Override(raw={"notification": {"title": "x"}} | given_override) if whole else Override(payload=given_override)
    )
    content = Content(type=PushType.ALERT, alert=Alert(title="Hello"), fcm=laid)
    try:
        body = message_of(content, TARGETS["token"])
    except InvalidRequest as refused:
        assert "no text" in refused.detail  # an override may take the words away  # noqa: PT017 - the only other way
        return
    assert violations(SCHEMAS["SendMessageRequest"], body) == []


def _places(shape: dict[str, Any], *steps: str) -> list[tuple[str, ...]]:
    """Every object of the document with fields of its own, by its place in a Message."""
    found = [steps] if "properties" in shape or not (shape.keys() & {"additionalProperties"}) else []
    for name, inner in shape.get("properties", {}).items():
        if "$ref" in inner:
            found += _places(SCHEMAS[inner["$ref"]], *steps, name)
    return found


@pytest.mark.parametrize("place", _places(SCHEMAS["Message"]), ids=".".join)
def test_a_field_that_google_does_not_know_is_refused_at_its_place(place: tuple[str, ...]) -> None:
    override: dict[str, Any] = {"colour": "red"}
    for step in reversed(place):
        override = {step: override}
    with pytest.raises(InvalidRequest) as refused:
        fcm.check(Content(type=PushType.ALERT, alert=Alert(title="x"), fcm=Override(payload=override)))
    assert refused.value.pointer == "/fcm/payload/" + "/".join((*place, "colour"))


def _table(shape: Any) -> Any:
    """A table of fields of ours or the simulator's, reduced to names: what a field is, or the fields in it."""
    match shape:
        case schema.Block(fields=fields) | fcm_schema.Record(fields=fields):
            return {name: _table(inner) for name, inner in fields.items()}
        case schema.Many() | fcm_schema.Many():
            return "list"
        case schema.Texts() | fcm_schema.Texts():
            return "map"
        case _:
            return "value"


def _google(shape: dict[str, Any]) -> Any:
    if "$ref" in shape:
        return _google(SCHEMAS[shape["$ref"]])
    if shape["type"] == "array":
        return "list"
    if shape["type"] != "object":
        return "value"
    if "additionalProperties" in shape:
        return "map" if shape["additionalProperties"]["type"] == "string" else "value"
    return {name: _google(inner) for name, inner in shape.get("properties", {}).items()}


def test_our_table_of_fields_and_the_simulators_are_googles() -> None:
    google = _google(SCHEMAS["Message"])
    assert _table(fcm_schema.MESSAGE) == google
    assert _table(schema.MESSAGE) == {name: inner for name, inner in google.items() if name not in SET_BY_THE_GATEWAY}
