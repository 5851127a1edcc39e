"""Posts events to handlers: at once, once, whatever comes of it.

Bitrix24: "Event handling" - a handler that is down or answers badly has missed the event.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import httpx2
import msgspec

_PATIENCE_S = 10.0
_AT_ONCE = 32
_FORM = {"content-type": "application/x-www-form-urlencoded", "user-agent": "Bitrix24 Webhook Engine"}


class Delivery(msgspec.Struct, frozen=True):
    """One event posted, and what the handler answered; no status if it did not."""

    at: float
    """Milliseconds since 1970."""
    event: str
    handler: str
    body: str
    status: int | None
    took_ms: float
    error: str = ""


class Courier:
    """Posts in the background of the running event loop, and writes down what came of it."""

    def __init__(self, clock: Callable[[], float], deliveries: deque[Delivery]) -> None:
        self._clock = clock
        self._client: httpx2.AsyncClient | None = None
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._under_way: set[asyncio.Task[None]] = set()
        self._done = deliveries

    def post(self, event: str, handler: str, body: str) -> None:
        """Begins to post."""
        task = asyncio.get_running_loop().create_task(self._post(event, handler, body))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def close(self) -> None:
        """Gives up what is under way."""
        for task in self._under_way.copy():
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _post(self, event: str, handler: str, body: str) -> None:
        async with self._slots:
            began, status, error = self._clock(), None, ""
            try:
                status = (await self._connected().post(handler, content=body.encode(), headers=_FORM)).status_code
            except (httpx2.HTTPError, httpx2.InvalidURL) as failure:
                error = str(failure) or type(failure).__name__
            took_ms = round((self._clock() - began) * 1000, 3)
            self._done.append(Delivery(round(began * 1000, 3), event, handler, body, status, took_ms, error))

    def _connected(self) -> httpx2.AsyncClient:
        if self._client is None:
            # Handlers under test have certificates that nobody has heard of.
            self._client = httpx2.AsyncClient(verify=False, trust_env=False, timeout=_PATIENCE_S)
        return self._client
