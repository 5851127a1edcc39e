from __future__ import annotations

import pytest

from wakeline.model.device import Crowd
from wakeline.model.notification import Alert, Content, Notification, PushType
from wakeline.model.route import Lane
from wakeline.providers.apns_crowd import columns, hexadecimal
from wakeline.wire import apns

NOTIFICATION = Notification(
    key=1 << 60, app=1, content=Content(alert=Alert(title="Hello")), lane=Lane.BULK, due=0, expires=9, created=0
)
PREPARED = apns.prepare(NOTIFICATION, "com.acme.chat", apns.rule_for(PushType.ALERT))


def crowd(*tokens: str) -> Crowd:
    numbers = [(1 << 48) - 1 - place for place in range(len(tokens))]
    return Crowd("apns", numbers, list(tokens), numbers, [])


@pytest.mark.parametrize("tokens", [("ab", "CD"), ("00ff", "12ab", "abcd"), ("a" * 64,)])
def test_a_crowd_gets_the_requests_that_each_of_it_would_get(tokens: tuple[str, ...]) -> None:
    people = crowd(*tokens)

    made = columns(PREPARED, people)

    assert made is not None
    paths, fields = made
    assert list(paths) == [PREPARED.path(apns.normal_token(one.value)) for one in people]
    assert list(fields) == [((b"apns-id", PREPARED.id_of(one.target)),) for one in people]


def test_tokens_of_several_lengths_are_written_one_by_one() -> None:
    assert columns(PREPARED, crowd("ab", "abcd")) is None


@pytest.mark.parametrize(
    ("tokens", "plain"),
    [(("ab", "CD"), True), (("ab", ""), False), (("ab", "xy"), False), (("ab", "  "), False), (("a", "b1"), False)],
)
def test_what_is_not_plain_hexadecimal_is_looked_at_one_by_one(tokens: tuple[str, ...], *, plain: bool) -> None:
    assert hexadecimal(crowd(*tokens)) is plain
