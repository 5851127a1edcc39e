"""The order of one endpoint, where replays and what is new meet."""

from __future__ import annotations

from wakeline.model.event import Event, EventData, EventType
from wakeline.model.webhook import Message, MessageState
from wakeline.pipeline.webhooks.order import BEHIND, REPLAYED, Order

NOW = 1_000


def event(seq: int, device: str = "a") -> Event:
    return Event(type=EventType.PUSH_FAILED, at=NOW, app="acme", seq=seq, data=EventData(device=device))


def row(seq: int, device: str = "a", due: int = NOW, detail: str = REPLAYED) -> Message:
    lane = f"acme/{device}" if device else ""
    state, kind = MessageState.WAITING, EventType.PUSH_FAILED
    return Message(endpoint=1, seq=seq, type=kind, state=state, app="acme", lane=lane, due=due, detail=detail)


def order(*waiting: Message) -> tuple[Order, list[Message]]:
    noted: list[Message] = []
    return Order(1, waiting, noted.append), noted


def test_a_replay_of_a_device_goes_before_what_is_new_of_it() -> None:
    told, noted = order()
    told.take(event(5), NOW)
    told.take(event(6), NOW)
    told.put(row(2))
    assert told.fresh(NOW) is None
    assert [(one.seq, one.detail) for one in noted] == [(5, BEHIND), (6, BEHIND)]
    for seq in (2, 5, 6):
        flight = told.due(NOW)
        assert flight is not None
        assert flight.seq == seq
        assert told.due(NOW) is None  # the device is busy
        told.settled(flight, NOW)
    assert not told.waiting


def test_what_has_no_device_has_no_order() -> None:
    told, _ = order(row(3, device="", due=NOW + 5))
    told.take(event(4, device=""), NOW)
    told.take(event(5, device=""), NOW)
    started = [told.fresh(NOW), told.fresh(NOW), told.due(NOW + 5)]
    assert [flight.seq for flight in started if flight is not None] == [4, 5, 3]


def test_what_is_set_aside_is_due_at_its_time_and_the_next_of_its_device_after_it() -> None:
    told, _ = order(row(1, due=NOW + 10, detail="503"), row(2, detail=BEHIND))
    assert told.next_due() == NOW + 10
    assert told.due(NOW + 9) is None
    flight = told.due(NOW + 10)
    assert flight is not None
    assert flight.seq == 1
    told.failed(flight, row(1, due=NOW + 99, detail="503"), NOW + 10)
    assert told.next_due() == NOW + 99


def test_one_that_is_given_up_lets_the_next_of_its_device_forward() -> None:
    told, _ = order(row(1, due=NOW + 10, detail="503"), row(2, detail=BEHIND))
    told.forget(1)
    flight = told.due(NOW)
    assert flight is not None
    assert flight.seq == 2


def test_one_that_is_given_up_unread_lets_its_followers_forward() -> None:
    told, _ = order()
    for seq in (1, 2, 3):
        told.take(event(seq), NOW)
    told.forget(1)
    told.forget(2)
    flight = told.fresh(NOW)
    assert flight is not None
    assert flight.seq == 3


def test_replays_are_counted_until_they_were_tried() -> None:
    told, _ = order(row(1), row(2, device="b"), row(3, detail=BEHIND))
    assert told.replays == 2
    flight = told.due(NOW)
    assert flight is not None
    told.failed(flight, row(flight.seq, detail="503"), NOW)
    assert told.replays == 1
