"""Waking those who follow the journal: a bell for each, rung after a commit.

A bell rung twice before its follower looks is one wake-up: followers read by `seq`, so they miss nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from weakref import WeakSet


class Follower:
    """One follower; it hears what happens from the moment it is made."""

    def __init__(self, *, ended: bool) -> None:
        self._bell = asyncio.Event()
        self._ended = ended

    def __aiter__(self) -> AsyncIterator[None]:
        return self

    async def __anext__(self) -> None:
        if not self._ended:
            await self._bell.wait()
        if self._ended:
            raise StopAsyncIteration
        self._bell.clear()

    def ring(self) -> None:
        """Wake it."""
        self._bell.set()

    def end(self) -> None:
        """Let it stop."""
        self._ended = True
        self._bell.set()


class Feed:
    """All followers; one that was dropped is forgotten by itself."""

    def __init__(self) -> None:
        self._followers: WeakSet[Follower] = WeakSet()
        self._closed = False
        self._visited = False
        self._listeners: list[Callable[[], None]] = []

    def listen(self, appended: Callable[[], None]) -> None:
        """Have `appended()` called whenever followers are woken."""
        self._listeners.append(appended)

    def follow(self) -> AsyncIterator[None]:
        """Return a new follower."""
        follower = Follower(ended=self._closed)
        self._followers.add(follower)
        self._visited = True
        return follower

    def followed(self) -> bool:
        """Tell whether there is a follower, or was one since this was last asked."""
        visited, self._visited = self._visited, bool(self._followers)
        return visited or self._visited

    def ring(self) -> None:
        """Wake all."""
        for follower in self._followers:
            follower.ring()
        for appended in self._listeners:
            appended()

    def close(self) -> None:
        """End all, for the store closes."""
        self._closed = True
        for follower in self._followers:
            follower.end()
