"""Every file under tests/wire/golden/fcm is one request body: a comment, what was asked for, and what must be written.

Each body is also checked against Google's own discovery document, as google-api-python-client carries it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from discovery import SCHEMAS, violations
from wakeline.model.ids import key_at
from wakeline.model.notification import Content, Notification
from wakeline.model.route import Lane
from wakeline.wire import fcm

GOLDEN = Path(__file__).parents[2] / "wire" / "golden" / "fcm"
KEY = key_at(1_795_305_600_000, 7)
CREATED = 1_795_305_600_000
TOKEN = "dpFNS8rXQ0:APA91bHun4MxP5egoKMwt2KZFBaFUH-1RYqx"


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    content: Content
    value: str = TOKEN
    ttl: int = 86_400
    after: int = 0
    locale: str = ""
    badge: int | None = None


def written(asked: Asked) -> bytes:
    notification = Notification(
        key=KEY,
        app=1,
        content=asked.content,
        lane=Lane.ALERT,
        due=CREATED,
        expires=CREATED + asked.ttl * 1000,
        created=CREATED,
    )
    fcm.validate(asked.content)
    return fcm.prepare(notification, CREATED + asked.after * 1000).body(asked.value, asked.locale, asked.badge)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.txt")), ids=lambda path: path.stem)
def test_the_body_is_as_recorded_and_of_googles_schema(path: Path) -> None:
    comment, asked, expected = path.read_text().split("\n", 2)
    assert comment.startswith("# ")
    body = written(msgspec.json.decode(asked, type=Asked))
    assert json.loads(body) == json.loads(expected)
    assert violations(SCHEMAS["SendMessageRequest"], json.loads(body)) == []
    targets = {"token", "fid", "topic", "condition"} & json.loads(body)["message"].keys()
    assert len(targets) == 1


def test_the_body_is_compact_and_not_escaped() -> None:
    body = written(msgspec.json.decode('{"content":{"type":"alert","alert":{"body":"é 👍"}}}', type=Asked))
    assert body.startswith(b'{"message":{"token":"')
    assert "é 👍".encode() in body
    assert json.dumps(json.loads(body), separators=(",", ":"), ensure_ascii=False).encode() == body


def test_the_schema_check_finds_faults() -> None:
    def found(message: dict[str, Any]) -> list[str]:
        return violations(SCHEMAS["SendMessageRequest"], {"message": message})

    assert found({"data": {"a": 1}}) == [".message.data.a: no string"]
    assert found({"android": {"priority": "high"}}) != []
    assert found({"android": {"collapse_key": "x"}}) == [".message.android.collapse_key: no such field"]
    assert found({"android": {"notification": {"titleLocArgs": "x"}}}) != []


def test_a_body_to_validate_only_is_of_googles_schema() -> None:
    assert violations(SCHEMAS["SendMessageRequest"], json.loads(fcm.validate_only("check"))) == []
