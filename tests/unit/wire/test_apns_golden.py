"""Every file under tests/wire/golden/apns is one request: a comment, what was asked for, and what must be written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from wakeline.model.ids import key_at
from wakeline.model.notification import Content, Notification
from wakeline.model.route import Lane
from wakeline.wire import apns

GOLDEN = Path(__file__).parents[2] / "wire" / "golden" / "apns"
KEY = key_at(1_795_305_600_000, 7)
CREATED = 1_795_305_600_000


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    content: Content
    topic: str
    token: str = "00FC13ADFF785122B4AD28809A3420982341241421348097878E577C991DE8F0"
    target: int = 42
    ttl: int = 86_400
    kind: str = ""
    locale: str = ""
    badge: int | None = None


def written(asked: Asked) -> str:
    notification = Notification(
        key=KEY,
        app=1,
        content=asked.content,
        lane=Lane.ALERT,
        due=CREATED,
        expires=CREATED + asked.ttl * 1000,
        created=CREATED,
    )
    apns.validate(asked.content, asked.kind)
    prepared = apns.prepare(notification, asked.topic, apns.rule_for(asked.content.type, asked.kind))
    fields = [
        (b":path", prepared.path(apns.normal_token(asked.token))),
        *prepared.stable,
        *prepared.literal,
        (b"apns-id", prepared.id_of(asked.target)),
    ]
    head = "\n".join(f"{name.decode()}: {value.decode()}" for name, value in fields)
    return f"{head}\n\n{prepared.body(asked.locale, asked.badge).decode()}\n"


def _cases() -> list[Any]:
    return [pytest.param(path, id=path.stem) for path in sorted(GOLDEN.glob("*.txt"))]


@pytest.mark.parametrize("path", _cases())
def test_the_request_is_as_recorded(path: Path) -> None:
    comment, asked, expected = path.read_text().split("\n", 2)
    assert comment.startswith("# ")
    assert written(msgspec.json.decode(asked, type=Asked)) == expected


def test_each_push_type_has_a_recorded_request() -> None:
    types = {
        line for path in GOLDEN.glob("*.txt") for line in path.read_text().splitlines() if "apns-push-type" in line
    }
    assert {line.partition(": ")[2] for line in types} == {rule.name for rule in apns.RULES.values()}
