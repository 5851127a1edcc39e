"""A gateway on a disk tells webhooks, as the settings in force allow, and goes on after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from wakeline.config import SecretsSection, Server, Settings, Storage, Webhooks
from wakeline.model.event import Event, EventData, EventType
from wakeline.model.webhook import Disabled, Endpoint
from wakeline.service import wiring
from wakeline.service.clock import SystemClock
from wakeline.service.wiring import Gateway
from wakeline.wire.standard_webhooks import secret_text
from webhook_receiver import Receiver, receiving

pytestmark = pytest.mark.anyio

SECRET = b"s" * 32
OPEN = Webhooks(allow_private=True, allow_http=True)


def settings(directory: Path, webhooks: Webhooks) -> Settings:
    return Settings(
        server=Server(data_dir=str(directory)),
        storage=Storage(url=f"sqlite:///{directory}/wakeline.db", ballast=0, low_disk=0),
        secrets=SecretsSection(master_key_file=f"{directory}/master.key"),
        webhooks=webhooks,
    )


async def make(gateway: Gateway, url: str) -> Endpoint:
    return await gateway._parts.endpoints.create(Endpoint(url=url, created=1), SECRET, cursor=0)


async def happen(gateway: Gateway, *devices: str) -> None:
    now = SystemClock().now()
    events = [Event(type=EventType.PUSH_FAILED, at=now, data=EventData(device=device)) for device in devices]
    await gateway._parts.events.append(events)


async def there(ask: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not ask():  # noqa: ASYNC110 - the receiver runs in a thread and has no event to wait for
            await asyncio.sleep(0.01)


@pytest.fixture
def receiver() -> Receiver:
    receiver = Receiver()
    receiver.secret = secret_text(SECRET)
    return receiver


async def test_a_reload_changes_where_webhooks_may_go(tmp_path: Path, receiver: Receiver) -> None:
    with receiving(receiver):
        async with wiring.opened(settings(tmp_path, Webhooks())) as gateway:
            endpoint = await make(gateway, receiver.url)
            webhooks = gateway._pipeline.webhooks
            assert "plain http is not allowed" in (await webhooks.try_now(endpoint)).detail
            gateway.apply(settings(tmp_path, msgspec.structs.replace(OPEN, allow_private=False)))
            assert "not reachable from here by rule" in (await webhooks.try_now(endpoint)).detail
            gateway.apply(settings(tmp_path, OPEN))
            assert (await webhooks.try_now(endpoint)).taken
    assert len(receiver.messages()) == 1


async def test_what_was_not_told_before_the_end_is_told_after_the_start(tmp_path: Path, receiver: Receiver) -> None:
    receiver.answer = 500
    with receiving(receiver):
        async with wiring.opened(settings(tmp_path, OPEN)) as gateway:
            await make(gateway, receiver.url)
            await gateway.start()
            await happen(gateway, "a", "a", "b")
            await there(lambda: len(receiver.came()) >= 2)
            await gateway.drain(1.0)
        receiver.answer = 204
        async with wiring.opened(settings(tmp_path, OPEN)) as gateway:
            await gateway.start()
            await there(lambda: len(receiver.messages()) == 3)
            await gateway.drain(1.0)
    numbers = [one.id.rpartition("_")[2] for one in receiver.came() if one.answered == 204 and "_" in one.id]
    assert sorted(numbers) == ["1", "2", "3"]
    assert numbers.index("1") < numbers.index("2")


async def test_who_says_410_is_told_nothing_more(tmp_path: Path, receiver: Receiver) -> None:
    receiver.answer = 410
    with receiving(receiver):
        async with wiring.opened(settings(tmp_path, OPEN)) as gateway:
            endpoint = await make(gateway, receiver.url)
            await gateway.start()
            await happen(gateway, "a", "a")
            endpoints = gateway._parts.endpoints
            await there(lambda: getattr(endpoints.get(endpoint.id), "disabled", None) is Disabled.GONE)
            await happen(gateway, "b")
            await gateway.drain(1.0)
            assert await endpoints.waiting(endpoint.id, limit=10) == []
    assert len(receiver.came()) == 1
