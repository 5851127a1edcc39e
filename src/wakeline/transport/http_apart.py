"""An HTTP client for each URL, for many receivers that are told of the same things at the same time.

A connection pool looks at all of its connections whenever a request begins and ends. With eight to each of a hundred receivers that
was 9 ms of processor time a message, during which no push moved; with a pool for each URL it is what one receiver costs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

from wakeline.ports import HttpAnswer
from wakeline.transport.http import GuardedClient

IDLE = 60.0
"""Seconds after which a client that nobody used is closed: longer than its connections are kept."""
_LOOK_EVERY = 5.0


class _Place:
    """The client of one URL: how many requests it has, and when the last one ended (seconds of the loop's clock)."""

    def __init__(self, client: GuardedClient) -> None:
        self.client = client
        self.requests = 0
        self.used = 0.0


class ClientsApart:
    """Implements `ports.HttpClient`. `make` returns a new client; `most`: requests under way at once; more wait."""

    def __init__(self, make: Callable[[], GuardedClient], *, most: int, idle: float = IDLE) -> None:
        self._make = make
        self._room = asyncio.Semaphore(most)
        self._idle = idle
        self._places: dict[str, _Place] = {}
        self._looked = 0.0
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def urls(self) -> int:
        """Count the URLs that have a client."""
        return len(self._places)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> HttpAnswer:
        """POST as `GuardedClient.post`."""
        async with self._room:
            place = self._places.get(url)
            if place is None:
                place = self._places[url] = _Place(self._make())
            place.requests += 1
            try:
                return await place.client.post(url, body, headers, timeout=timeout)
            finally:
                place.requests -= 1
                place.used = asyncio.get_running_loop().time()
                self._tidy(place.used)

    def _tidy(self, now: float) -> None:
        """Have clients closed that nobody used for long; nobody waits for that, since a receiver may take its time."""
        if now - self._looked < min(_LOOK_EVERY, self._idle):
            return
        self._looked = now
        old = [url for url, place in self._places.items() if not place.requests and now - place.used > self._idle]
        for url in old:
            closing = asyncio.create_task(self._places.pop(url).client.aclose())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def aclose(self) -> None:
        """Close all clients; requests in flight fail."""
        await asyncio.gather(*self._closing, return_exceptions=True)
        async with AsyncExitStack() as closing:
            while self._places:
                _, place = self._places.popitem()
                closing.push_async_callback(place.client.aclose)
