"""What the telling changed is written soon where it was told, and seldom where a cursor only passed by."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from stories.clock import FakeClock
from wakeline.model.event import EventType
from wakeline.model.webhook import EndpointHealth, Message, MessageState
from wakeline.pipeline.webhooks.progress import BATCH, MOST, Changes
from wakeline.ports.webhooks import Progress

pytestmark = pytest.mark.anyio


class Book:
    """Keeps what is recorded."""

    def __init__(self) -> None:
        self.written: list[Progress] = []

    async def record(self, progress: Sequence[Progress]) -> None:
        self.written += progress


def row(seq: int) -> Message:
    return Message(endpoint=1, seq=seq, type=EventType.PUSH_FAILED, state=MessageState.TAKEN)


def changes(clock: FakeClock, book: Book) -> Changes:
    return Changes(book, clock, lambda number: EndpointHealth(cursor=number), lambda *_: None)  # type: ignore[arg-type]  # it only records


async def test_a_message_is_written_within_50_ms_and_a_cursor_within_five_seconds() -> None:
    clock, book = FakeClock(), Book()
    written = changes(clock, book)
    assert written.wait() is None
    written.note(1, None)
    assert written.wait() == pytest.approx(5.0)
    clock.advance(1.0)
    written.note(2, row(1))
    assert written.wait() == pytest.approx(0.05)
    written.note(1, None)
    assert written.wait() == pytest.approx(0.05)
    await written.flush()
    assert written.wait() is None
    assert [(one.endpoint, one.health.cursor, len(one.messages)) for one in book.written] == [(1, 1, 0), (2, 2, 1)]


async def test_many_messages_are_written_at_once_and_too_many_stop_the_telling() -> None:
    written = changes(FakeClock(), Book())
    for seq in range(BATCH):
        written.note(1, row(seq))
        written.note(1, row(seq))  # the same message counts once
    assert written.wait() == 0.0
    assert not written.full
    for seq in range(MOST):
        written.note(1, row(seq))
    assert written.full
    await written.flush()
    assert not written.full
