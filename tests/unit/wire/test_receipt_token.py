from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeline.model.ids import uuid_of
from wakeline.model.notification import Alert, Content, PushType
from wakeline.wire import receipt_token
from wakeline.wire.apns.payload import payload
from wakeline.wire.apns.types import RULES
from wakeline.wire.content import Texts

KEY, FORMER = b"k" * 32, b"f" * 32
keys = st.integers(min_value=0, max_value=2**62 - 1)


def test_a_token_is_half_of_an_hmac_in_base64url() -> None:
    mark = hmac.new(KEY, (1234).to_bytes(8, "big"), hashlib.sha256).digest()[:16]

    assert receipt_token.make(1234, KEY) == base64.urlsafe_b64encode(mark).decode().rstrip("=")
    assert len(receipt_token.make(1234, KEY)) == 22


@given(keys, keys)
def test_a_token_proves_its_own_notification_and_no_other(notification: int, other: int) -> None:
    token = receipt_token.make(notification, KEY)

    assert receipt_token.proves(token, notification, [KEY])
    assert receipt_token.proves(token, notification, [FORMER, KEY])
    assert not receipt_token.proves(token, notification, [FORMER])
    assert receipt_token.proves(token, other, [KEY]) is (other == notification)


@pytest.mark.parametrize("text", ["", "=", "ä", "x" * 10_000])
def test_what_is_no_token_proves_nothing(text: str) -> None:
    assert not receipt_token.proves(text, 1, [KEY])


def test_a_push_bears_it_beside_the_data() -> None:
    data = {"chat": "c1"}

    assert receipt_token.bearing(data, 1234, "token") == {
        "chat": "c1",
        "wakeline": {"id": uuid_of(1234), "receipt": "token"},
    }
    assert data == {"chat": "c1"}


@pytest.mark.parametrize(("data", "extended"), [({}, False), ({"wakeline": {"id": "x", "receipt": "y"}}, True)])
def test_an_alert_that_bears_it_wakes_the_apps_extension(data: dict[str, Any], *, extended: bool) -> None:
    content = Content(type=PushType.ALERT, alert=Alert(title="News"), data=data)

    shown = payload(content, RULES[PushType.ALERT], Texts(title="News"), None, 0)

    assert ("mutable-content" in shown["aps"]) is extended
    assert {key: value for key, value in shown.items() if key != "aps"} == data


def test_a_background_push_that_bears_it_stays_one() -> None:
    content = Content(type=PushType.BACKGROUND, data={"wakeline": {}})

    assert payload(content, RULES[PushType.BACKGROUND], None, None, 0)["aps"] == {"content-available": 1}
