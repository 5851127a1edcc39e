"""Whatever a portal writes into a payload is taken or refused, and nothing else happens."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from portal_batch import APPLE_TOKEN, apple, block, http
from wakeline.edges.bitrix24.broker.pushes import request_of
from wakeline.model.errors import InvalidRequest
from wakeline.model.notification import NotificationRequest
from wakeline.pipeline.terms import terms_of
from wakeline.wire import apns, bitrix_broker, fcm
from wakeline.wire.bitrix_broker import Entry, Service, Unreadable

NOW = 1_795_000_000_000

_KEYS = st.sampled_from(
    [
        *("aps", "alert", "title", "body", "badge", "sound", "content-available", "mutable-content", "data", "a"),
        *("message", "token", "notification", "android", "ttl", "priority", "collapse_key", "time_to_live"),
        *("registration_ids", "to", "apns", "headers", "payload", "contentText", "from", "image", "fcm_options"),
    ]
)
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
_TREES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5), max_leaves=12
)
_DOCUMENTS = st.dictionaries(_KEYS, _TREES, max_size=6)


def judged(found: Entry | Unreadable) -> None:
    """Go the way of an entry up to the queue."""
    if isinstance(found, Unreadable):
        assert found.cause
        return
    for token in found.tokens:
        request = request_of(found, token, "com.acme.chat", NOW)
        if not isinstance(request, NotificationRequest):
            assert request.cause
            continue
        with contextlib.suppress(InvalidRequest):
            content = terms_of(request, NOW).content
            (fcm if found.service is Service.FCM else apns).judge(content)


@given(st.sampled_from([1, 2, 4, 5]), _DOCUMENTS, st.integers(0, 2**32 - 1))
def test_any_document_for_apple(mode: int, document: dict[str, Any], expires: int) -> None:
    [found] = bitrix_broker.batch(block(mode, apple(document, expires=expires)))

    judged(found)


@given(st.sampled_from([3, 6, 7]), _DOCUMENTS)
def test_any_document_for_google(mode: int, document: dict[str, Any]) -> None:
    [found] = bitrix_broker.batch(block(mode, http(document)))
    judged(found)

    [found] = bitrix_broker.batch(block(mode, http({"message": document | {"token": "f:APA91x"}})))
    judged(found)


@given(st.sampled_from(["ios", "ios-voip", "android", "huawei"]), _DOCUMENTS)
def test_any_payload_of_json(platform: str, payload: dict[str, Any]) -> None:
    body = json.dumps({"token": APPLE_TOKEN, "platform": platform, "payload": payload}).encode()

    [one], _ = bitrix_broker.asked(body)

    judged(one.entry)
