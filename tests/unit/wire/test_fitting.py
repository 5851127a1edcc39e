"""How large a push is at most, told from its content alone, against the payload written out."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wakeline.model.errors import InvalidRequest
from wakeline.model.notification import (
    Alert,
    Call,
    Content,
    LiveActivity,
    LiveActivityEvent,
    Override,
    PushType,
    Translation,
)
from wakeline.wire import apns, fcm, webpush

_SERVICES = [apns, fcm, webpush]
# Marks that JSON escapes, text in text twice; characters of one to four bytes; long runs, to come near the limits.
_texts = st.text('ab"\\/\n\x01é€😀', max_size=12) | st.builds(
    lambda mark, times: mark * times, st.sampled_from(['"', "\\", "a", "é", "\x7f"]), st.integers(0, 1500)
)
_keys = st.text('ab_"é', min_size=1, max_size=6)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats(allow_nan=False) | _texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_keys, inner, max_size=4),
    max_leaves=8,
)
_objects = st.dictionaries(_keys, _json, max_size=5)
_alerts = st.builds(
    Alert,
    title=_texts,
    subtitle=_texts,
    body=_texts,
    image=_texts,
    sound=_texts,
    badge=st.sampled_from([None, 0, 2**31 - 1, "+1"]),
    category=_texts,
    thread=_texts,
    body_loc_key=_texts,
    localized=st.dictionaries(_keys, st.builds(Translation, title=_texts, body=_texts), max_size=3),
)
_activities = st.builds(
    LiveActivity,
    event=st.sampled_from(LiveActivityEvent),
    content_state=_objects,
    attributes=_objects,
    stale_at=st.sampled_from(["", "2026-11-21T08:00:00Z"]),
    relevance_score=st.none() | st.floats(0, 100),
)
_overrides = st.builds(
    Override,
    payload=st.just({})
    | st.builds(lambda data: {"data": data}, _objects)
    | st.builds(lambda aps: {"aps": aps}, _objects),
    raw=st.none() | _objects,
)
_contents = st.builds(
    Content,
    type=st.sampled_from(PushType),
    call=st.none() | st.builds(Call, id=_texts, caller=_texts, video=st.booleans()),
    alert=st.none() | _alerts,
    liveactivity=st.none() | _activities,
    data=_objects,
    collapse_id=st.sampled_from(["", "chat"]),
    truncate=st.booleans(),
    apns=st.just(Override()) | _overrides,
    fcm=st.just(Override()) | _overrides,
    webpush=st.just(Override()) | _overrides,
)


def _refusal_of(judge: Callable[[Content], Any], content: Content) -> tuple[str, Any]:
    try:
        return "", judge(content)
    except InvalidRequest as refused:
        return refused.pointer, None


@pytest.mark.parametrize("service", _SERVICES, ids=lambda service: service.__name__.rpartition(".")[2])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(content=_contents)
def test_what_is_not_measured_surely_fits(service: ModuleType, content: Content) -> None:
    refusal, judged = _refusal_of(service.judge, content)
    assert refusal == _refusal_of(service.check, content)[0]
    if refusal:
        return
    measured = service.measure(content)
    assert judged == measured or measured.size <= judged.size <= judged.limit == measured.limit


@pytest.mark.parametrize("service", _SERVICES, ids=lambda service: service.__name__.rpartition(".")[2])
@given(content=_contents)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_the_bound_is_above_every_payload(service: ModuleType, content: Content) -> None:
    times = 2 if service is fcm or content.call is not None else 1
    written = len(msgspec.json.encode(content))
    try:
        size = service.measure(content).size
    except (TypeError, ValueError, AttributeError):  # what `check` would have refused
        return
    assert size <= times * written + 512


def test_a_long_text_is_measured_to_the_byte() -> None:
    def content(length: int) -> Content:
        return Content(type=PushType.ALERT, alert=Alert(body="x" * length))

    for service in _SERVICES:
        length = service.measure(content(1)).limit - service.measure(content(1)).size + 1
        about: Any = service.judge(content(length))
        assert (about.size - about.limit, about.field) == (0, "")
        over: Any = service.judge(content(length + 1))
        assert (over.size - over.limit, over.field) == (1, "/alert/body")
