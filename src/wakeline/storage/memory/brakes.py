"""Brake episodes, in a dictionary."""

from __future__ import annotations

import msgspec

from wakeline.model.brake import BrakeEpisode
from wakeline.model.errors import NotFound
from wakeline.storage.memory.registers import MemoryApps


class MemoryBrakes:
    """Episodes by id."""

    def __init__(self, apps: MemoryApps) -> None:
        self._apps = apps
        self._episodes: dict[int, BrakeEpisode] = {}
        self._last = 0

    async def keep(self, episode: BrakeEpisode) -> BrakeEpisode:
        """Keep a new episode. Raises NotFound for a deleted app."""
        if self._apps.is_gone(episode.app):
            raise NotFound("The app was deleted")
        self._last += 1
        kept = self._episodes[self._last] = msgspec.structs.replace(episode, id=self._last)
        return kept

    async def change(self, episode: BrakeEpisode) -> None:
        """Write what became of it. Raises NotFound."""
        if episode.id not in self._episodes:
            raise NotFound(f"There is no brake episode {episode.id}")
        self._episodes[episode.id] = episode

    def get(self, episode: int) -> BrakeEpisode | None:
        """Return one by id."""
        return self._episodes.get(episode)

    def all(self) -> list[BrakeEpisode]:
        """Return all, the newest first."""
        return sorted(self._episodes.values(), key=lambda episode: -episode.id)

    async def prune(self, before: int) -> int:
        """Forget released ones that closed before that time."""
        kept = {
            number: episode
            for number, episode in self._episodes.items()
            if episode.released_at is None or episode.closed_at >= before
        }
        gone = len(self._episodes) - len(kept)
        self._episodes = kept
        return gone

    def forget_app(self, app: int) -> None:
        """Forget an app's episodes."""
        self._episodes = {number: episode for number, episode in self._episodes.items() if episode.app != app}
