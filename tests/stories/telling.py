"""Webhooks that go on step by step, on a clock that goes on when told to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from stories.world import World
from wakeline.model.event import Event, EventData, EventType
from wakeline.model.webhook import Endpoint, Message
from webhook_listener import Listener

DAY = 86400.0


class Telling:
    """A world whose webhooks go on step by step."""

    def __init__(self) -> None:
        self.world = World()
        self.listener: Listener = self.world.listener
        self.numbers: Iterator[int] = iter(range(1, 1_000_000))

    async def endpoint(self, **fields: object) -> Endpoint:
        endpoint = Endpoint(**{"url": "https://example.com/hook", "created": self.world.clock.now()} | fields)  # type: ignore[arg-type]  # a test names what it is about
        kept = await self.world.store.endpoints.create(endpoint, b"s" * 32, cursor=await self.world.store.events.last())
        await self.world.pipeline.webhooks.start()
        return kept

    async def happen(self, *devices: str, app: str = "acme", kind: EventType = EventType.PUSH_FAILED) -> None:
        now = self.world.clock.now()
        await self.world.store.events.append(
            [
                Event(type=kind, at=now, app=app, data=EventData(device=device, note=str(next(self.numbers))))
                for device in devices
            ]
        )

    async def tell(self) -> float | None:
        """Let everything be told that can be told now; returns the seconds until there is more to do."""
        webhooks = self.world.pipeline.webhooks
        for _ in range(100_000):
            wait = await webhooks.turn()
            if webhooks.busy:
                while webhooks.busy:  # noqa: ASYNC110 - the listener answers in the next turn of the loop
                    await asyncio.sleep(0)
            elif wait is None or wait > 0.06:
                return wait
            else:
                self.world.clock.advance(max(wait, 0.001))
        raise AssertionError("it never comes to rest")

    async def later(self, seconds: float) -> None:
        """Let time pass with everything that is told meanwhile."""
        end = self.world.clock.monotonic() + seconds
        while (left := end - self.world.clock.monotonic()) > 0:
            wait = await self.tell()
            self.world.clock.advance(max(0.001, min(left, DAY if wait is None else wait)))
        await self.tell()

    async def row(self, endpoint: Endpoint, seq: int) -> Message:
        row = await self.world.store.endpoints.message(endpoint.id, seq)
        assert row is not None
        return row

    def seqs(self) -> list[int]:
        return [event.seq for _, event in self.listener.taken]

    async def crash(self, turns: int) -> None:
        """Lose what is only in memory, some turns of the loop after new messages were begun."""
        await self.world.pipeline.webhooks.turn()
        for _ in range(turns):
            await asyncio.sleep(0)
        self.listener.hang_up()
        self.world.restarted()
        await self.world.pipeline.webhooks.start()
