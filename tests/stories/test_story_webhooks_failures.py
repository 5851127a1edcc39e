"""Webhooks when something of ours fails: the store, a secret, an endpoint that vanishes while it answers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from stories.telling import Telling
from wakeline.model.errors import Conflict, SecretError, StoreUnavailable
from wakeline.model.event import Event
from wakeline.model.webhook import Disabled, Endpoint, EndpointSecret, MessageState
from wakeline.pipeline.webhooks.again import MOST_WAITING
from wakeline.pipeline.webhooks.progress import MOST
from wakeline.ports.webhooks import Progress, Said
from webhook_listener import DOWN, TAKEN

pytestmark = pytest.mark.anyio


async def test_what_the_store_did_not_take_is_written_once_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    telling = Telling()
    endpoint = await telling.endpoint()
    endpoints = telling.world.store.endpoints

    async def full(_progress: Sequence[Progress]) -> None:
        raise StoreUnavailable("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(endpoints, "record", full)
        for _ in range(12):
            await telling.happen(*("" for _ in range(MOST // 5)))
            with pytest.raises(StoreUnavailable):
                await telling.later(1.0)
        told = len(telling.listener.taken)
        assert told < MOST + 300  # then it waits for the store
        assert endpoints.health(endpoint.id).cursor == 0
    await telling.later(5.0)
    assert telling.seqs() == list(range(1, 12 * MOST // 5 + 1))
    assert endpoints.health(endpoint.id).cursor == 12 * MOST // 5
    assert (await telling.row(endpoint, 1)).state is MessageState.TAKEN


async def test_a_secret_that_cannot_be_read_holds_its_endpoint_until_it_is_rotated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    telling = Telling()
    endpoint = await telling.endpoint()
    endpoints = telling.world.store.endpoints

    async def lost(_endpoint: int) -> tuple[EndpointSecret, ...]:
        raise SecretError("it was sealed with another master key")

    with monkeypatch.context() as broken:
        broken.setattr(endpoints, "secrets", lost)
        await telling.happen("a", "b")
        await telling.later(100.0)
        assert telling.listener.asked == []
        assert endpoints.health(endpoint.id).detail == "it was sealed with another master key"
    await endpoints.rotate(endpoint.id, b"n" * 32, until=0)
    await telling.tell()
    assert sorted(telling.seqs()) == [1, 2]


async def test_an_endpoint_that_is_deleted_while_it_says_410_is_gone() -> None:
    telling = Telling()
    endpoint = await telling.endpoint()
    telling.listener.turns = 10

    def vanish(_: Endpoint, __: Event) -> Said:
        endpoints.pop(endpoint.id, None)
        return Said(status=410)

    endpoints = telling.world.store.endpoints._endpoints
    telling.listener.answer = vanish
    await telling.happen("a")
    assert await telling.tell() is None
    assert telling.world.store.endpoints.all() == []


async def test_an_answer_that_comes_after_the_end_of_its_endpoint_is_logged_and_changes_nothing() -> None:
    telling = Telling()
    endpoint = await telling.endpoint()
    webhooks = telling.world.pipeline.webhooks
    telling.listener.turns = 60
    telling.listener.answer = lambda _, event: DOWN if event.seq == 1 else TAKEN
    await telling.happen("a", "b", "b")
    await webhooks.turn()
    await webhooks.disable(endpoint, Disabled.OPERATOR)
    await telling.tell()
    assert (await telling.row(endpoint, 1)).state is MessageState.GIVEN_UP
    assert (await telling.row(endpoint, 2)).state is MessageState.TAKEN
    assert telling.seqs() == [2]
    assert await telling.world.store.endpoints.waiting(endpoint.id, limit=1) == []


async def test_a_replay_that_is_asked_for_while_nothing_is_told_is_told_after_the_start() -> None:
    telling = Telling()
    endpoint = await telling.endpoint()
    await telling.happen("a", "b")
    await telling.tell()
    stopped = telling.world.restarted().webhooks
    assert await stopped.replay(endpoint, since=0) == 2
    await stopped.start()
    await telling.tell()
    assert telling.seqs() == [1, 2, 1, 2]


async def test_what_waits_for_an_endpoint_is_bounded_also_by_replays() -> None:
    telling = Telling()
    endpoint = await telling.endpoint()
    half = MOST_WAITING * 3 // 5
    await telling.happen(*("" for _ in range(half)))
    telling.world.clock.advance(3600)
    noon = telling.world.clock.now()
    await telling.happen(*("" for _ in range(half)))
    await telling.tell()
    telling.listener.answer = lambda *_: DOWN
    webhooks = telling.world.pipeline.webhooks
    assert await webhooks.replay(endpoint, since=0, until=noon - 1) == half
    await telling.tell()
    assert await webhooks.replay(endpoint, since=0, until=noon - 1) == half  # they wait already, and are due now
    with pytest.raises(Conflict, match=f"{half} messages wait already"):
        await webhooks.replay(endpoint, since=noon)
    telling.listener.answer = lambda *_: TAKEN
    await telling.later(20.0)
    assert len(telling.seqs()) == 3 * half
