"""Signatures of webhooks, against the example of the specification and its public implementation."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from wakeline.model.errors import InvalidRequest
from wakeline.wire import standard_webhooks

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
TIMESTAMP = 1614265330
MESSAGE = "msg_p5jXN8AQM9LWM0D4loKWxJek"


def test_the_published_example_is_signed_as_published() -> None:
    secret = standard_webhooks.read_secret(SECRET)
    signed = standard_webhooks.signature(secret, MESSAGE, TIMESTAMP, BODY)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_both_secrets_of_a_rotation_open_the_same_message() -> None:
    old, new = b"o" * 32, b"n" * 24
    now = int(datetime.now(tz=UTC).timestamp())
    headers = standard_webhooks.headers((new, old), MESSAGE, now, BODY)
    for secret in (old, new):
        assert Webhook(standard_webhooks.secret_text(secret)).verify(BODY, headers) == {"test": 2432232314}


def test_a_secret_is_read_with_its_prefix_and_without() -> None:
    assert standard_webhooks.read_secret(SECRET) == standard_webhooks.read_secret(SECRET.removeprefix("whsec_"))
    assert standard_webhooks.secret_text(standard_webhooks.read_secret(SECRET)) == SECRET


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "whsec_c2hvcnQ=",
        "whsec_" + "QUFB" * 22,
        "whsec_no secret at all!",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPé",
    ],
)
def test_what_is_no_secret_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        standard_webhooks.read_secret(text)
    assert text.removeprefix("whsec_") not in refused.value.detail or not text.removeprefix("whsec_")
